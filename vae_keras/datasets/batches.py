"""Batches of images from an array that need not fit into memory."""

import contextlib
import math
import mmap
import os
import random

import keras
import numpy as np

from vae_keras.train_steps import keep_freed_memory


class ImageBatches(keras.utils.PyDataset):
    """Streams 8-bit images as batches that `fit`, `evaluate` and `predict` take.

    Args:
        images: uint8 array of shape `(n, height, width, channels)`, perhaps
            memory-mapped.
        indices: Which images to use: integers, or a bool array `(n,)`. Defaults
            to all of them.
        batch_size: Positive integer. The last batch may be smaller.
        shuffle: Whether to change the order before each epoch.
        seed: Integer, makes the orders repeatable: each is a function of the seed
            and of the number of the epoch. Defaults to a draw from Python's
            `random`, which `keras.utils.set_random_seed` sets.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size`, for Keras.

    Attributes:
        failure: The `OSError` that reading the images met, or `None`.

    Each item is a tuple `(x,)`: a float32 array `(batch, height, width, channels)`
    with values in [0, 1].
    """

    def __init__(self, images, indices=None, batch_size=128, shuffle=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        keep_freed_memory()
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
        self.failure = None
        self.set_epoch(0)

    def __len__(self):
        return math.ceil(len(self.indices) / self.batch_size)

    def __getitem__(self, index):
        try:
            batch = _take(self.images, self.positions(index))
        except OSError as error:
            self.failure = error
            raise
        return (np.divide(batch, 255, dtype="float32"),)

    def positions(self, index):
        """Returns which images are in a batch, an integer array."""
        return self._order[index * self.batch_size : (index + 1) * self.batch_size]

    def set_epoch(self, epoch):
        """Puts the images into the order of an epoch.

        `fit` only counts: a training that is resumed, or continued by another
        `fit`, says which epoch is next.

        Args:
            epoch: Integer >= 0.
        """
        self.epoch = epoch
        self._order = self.indices
        if self.shuffle:
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.indices)

    def on_epoch_end(self):
        """Puts the images into the order of the next epoch."""
        self.set_epoch(self.epoch + 1)


@contextlib.contextmanager
def explained(*batches):
    """Raises the error that reading `ImageBatches` met.

    What Keras and its backend raise in its place holds the sentence among dozens of lines.
    """
    try:
        yield
    except Exception:
        for failure in (some.failure for some in batches):
            if failure is not None:
                raise failure from None
        raise


def _take(images, positions):
    """Returns `images[positions]`, from a mapped file by reading it.

    What is read through a map stays in this process's memory, in pages of up to
    2 MB: after some batches of random images, all of the file.
    """
    # A part of a map does not say which part it is.
    is_whole = isinstance(images, np.memmap) and isinstance(images.base, mmap.mmap)
    if not is_whole or images.mode == "c" or not hasattr(os, "preadv"):
        return images[positions]
    try:
        with open(images.filename, "rb", buffering=0) as file:
            return _read(file, images, positions)
    except FileNotFoundError:  # deleted, as a cache may be at any time; the map still holds it
        return images[positions]


def _read(file, images, positions):
    batch = np.empty((len(positions), *images.shape[1:]), "uint8")
    size = images[0].nbytes
    rows = memoryview(batch.reshape(-1))
    for row, position in enumerate(positions.tolist()):
        part = rows[row * size : (row + 1) * size]
        if os.preadv(file.fileno(), [part], images.offset + position * size) != size:
            raise OSError(
                f"{images.filename} has become shorter while it was read: image {position} is "
                "gone. Begin again: what is gone is made again."
            )
    return batch


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
