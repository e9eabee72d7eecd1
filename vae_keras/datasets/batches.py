"""Batches of images from an array that need not fit into memory."""

import math
import random

import keras
import numpy as np


class ImageBatches(keras.utils.PyDataset):
    """Streams 8-bit images as batches that `fit`, `evaluate` and `predict` take.

    Args:
        images: uint8 array of shape `(n, height, width, channels)`, perhaps
            memory-mapped.
        indices: Which images to use: integers, or a bool array `(n,)`. Defaults
            to all of them.
        batch_size: Positive integer. The last batch may be smaller.
        shuffle: Whether to change the order before each epoch.
        seed: Integer, makes the orders repeatable. Defaults to a draw from Python's
            `random`, which `keras.utils.set_random_seed` sets.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size`, for Keras.

    Each item is a tuple `(x,)`: a float32 array `(batch, height, width, channels)`
    with values in [0, 1].
    """

    def __init__(self, images, indices=None, batch_size=128, shuffle=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                "Argument `images` must be a uint8 array (n, height, width, channels). "
                f"Received: images of type {images.dtype} and shape {images.shape}"
            )
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                "Argument `batch_size` must be a positive integer. "
                f"Received: batch_size={batch_size!r}"
            )
        self.images = images
        self.indices = _as_positions(indices, len(images))
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = random.randrange(2**31) if seed is None else seed
        self._generator = np.random.default_rng(self.seed)
        self.on_epoch_end()

    def __len__(self):
        return math.ceil(len(self.indices) / self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        batch = self.images[self.indices[start : start + self.batch_size]]
        return (np.divide(batch, 255, dtype="float32"),)

    def on_epoch_end(self):
        """Draws the order of the next epoch."""
        if self.shuffle:
            self.indices = self._generator.permutation(self.indices)


def _as_positions(indices, count):
    if indices is None:
        return np.arange(count)
    indices = np.asarray(indices)
    if indices.dtype == bool and indices.shape == (count,):
        return np.flatnonzero(indices)
    if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(
            f"Argument `indices` must be integers or a bool array ({count},). "
            f"Received: indices of type {indices.dtype} and shape {indices.shape}"
        )
    return indices
