"""The codes that the second stage learns, and their order."""

import keras
import numpy as np

from vae_keras.datasets import ImageBatches
from vae_keras.datasets.batches import explained

ENCODED = 256  # images at a time


def encode(vae, images):
    """Returns the codes of images, `(n, *code_shape)`: the means of their posteriors.

    Args:
        vae: The model.
        images: A pair: a uint8 array `(n, height, width, channels)`, and the
            positions in it.
    """
    batches = ImageBatches(*images, batch_size=ENCODED)
    with explained(batches):
        return vae.encode(batches)


class CodeBatches(keras.utils.PyDataset):
    """Batches of codes, in an order that is a function of the seed and the number of the epoch.

    Each is whole: what is left over in an epoch is left out, and in the next
    that is others.

    Args:
        codes: Array `(n, *code_shape)`.
        batch_size: Integer, at most `n`.
        seed: Integer.
    """

    def __init__(self, codes, batch_size, seed):
        super().__init__()
        self.codes, self.batch_size, self.seed = codes, batch_size, seed
        self.set_epoch(0)

    def __len__(self):
        return len(self.codes) // self.batch_size

    def __getitem__(self, index):
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return (self.codes[rows],)

    def set_epoch(self, epoch):
        """Puts the codes into the order of an epoch, an integer >= 0."""
        self.epoch = epoch
        self._order = np.random.default_rng([self.seed, epoch]).permutation(len(self.codes))
