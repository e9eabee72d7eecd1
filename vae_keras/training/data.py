"""The images of a training, and who gets which of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_keras import datasets
from vae_keras.datasets import ImageBatches, storage
from vae_keras.training.recipes import find_recipe

FINGERPRINTED = 256  # images looked at, evenly spaced


class Images(NamedTuple):
    """Images to train on, and images held out.

    Attributes:
        train, held_out: Each a pair: a uint8 array `(n, height, width,
            channels)`, perhaps memory-mapped, and the positions in it.
        source: `"real"` or `"synthetic"`.
        files: String that changes with the files, where they are the user's own.
    """

    train: tuple
    held_out: tuple
    source: str
    files: str = ""

    @property
    def shape(self):
        """The shape of one image."""
        return self.train[0].shape[1:]

    def fingerprint(self):
        """Returns a string that changes with the images."""
        parts = [self.files.encode()] if self.files else []
        for array, positions in (self.train, self.held_out):
            some = positions[:: max(1, len(positions) // FINGERPRINTED)]
            parts += [str((len(positions), array.shape[1:])).encode(), array[some].tobytes()]
        return storage.fingerprint(parts)

    def first_held_out(self, count):
        """Returns the first held-out images, float32 in [0, 1]."""
        array, positions = self.held_out
        return np.divide(array[positions[:count]], 255, dtype="float32")


def load(settings):
    """Loads the images that `settings`, a `Settings`, name."""
    loaders = {"fashion": _load_fashion, "faces": _load_faces}
    images = loaders.get(settings.data, _load_own)(settings)
    (train, positions), (held_out, held_out_positions) = images.train, images.held_out
    count = settings.max_images
    return images._replace(
        train=(train, positions[:count]), held_out=(held_out, held_out_positions[:count])
    )


def _load_fashion(settings):
    source = datasets.fashion_mnist.find_source(settings.source)
    arrays = [_to_bytes(images) for images, _ in datasets.load_fashion_mnist(source)]
    train, held_out = ((array, np.arange(len(array))) for array in arrays)
    return Images(train, held_out, source)


def _to_bytes(images):
    # Back to what they were read from: 8 bits, which take a quarter of the room.
    return np.rint(255 * images).astype("uint8")


def _load_faces(settings):
    faces = datasets.load_celeba(image_size=_image_size(settings), source=settings.source)
    return Images(*_split(faces), faces.source)


def _load_own(settings):
    if not Path(settings.data).exists():
        raise FileNotFoundError(
            f"The images that were learned are no longer in {settings.data}. --data says where "
            "they are now."
        )
    own = datasets.load_images(settings.data, _image_size(settings))
    return Images(*_split(own), "real", own.fingerprint)


def _image_size(settings):
    return settings.image_size or find_recipe(settings.data, settings.code).image_size


def _split(loaded):
    """Returns the pairs of what is learned and of what is held out."""
    train, held_out = np.flatnonzero(~loaded.is_test), np.flatnonzero(loaded.is_test)
    return (loaded.images, train), (loaded.images, held_out)


class SharedBatches(ImageBatches):
    """Batches of which each process reads its part, the parts in the order of the processes.

    Args:
        images: uint8 array `(n, height, width, channels)`.
        positions: Integer array, which of them to use.
        batch_size: Integer, the size of a batch over all processes.
        devices: A `Devices`. Every batch is one that they divide evenly: an
            incomplete last batch is left out where the order changes, so that
            no image always is; where it does not, fewer images than there are
            devices are left out.
        seed: Integer of the orders; `None` for the order given.
    """

    def __init__(self, images, positions, batch_size, devices, seed=None):
        multiple = devices.count if seed is None else batch_size
        super().__init__(images, positions, batch_size, shuffle=seed is not None, seed=seed)
        self.num_images = len(positions) // multiple * multiple
        self.devices = devices

    def __len__(self):
        return -(-self.num_images // self.batch_size)

    def positions(self, index):
        stop = min((index + 1) * self.batch_size, self.num_images)
        batch = self._order[index * self.batch_size : stop]
        return np.array_split(batch, self.devices.num_processes)[self.devices.process_id]


def make_batches(images, settings, devices):
    """Returns the `SharedBatches` to train on and those to evaluate on.

    Raises:
        ValueError: if there is no image to learn or none held out, or no whole
            batch.
    """
    learned, held_out = (len(positions) for _, positions in (images.train, images.held_out))
    if not learned:
        raise ValueError(
            f"There is no image to learn: all {held_out} are held out. At least a whole batch, "
            f"{settings.batch_size}, must not be."
        )
    if held_out < devices.count:
        raise ValueError(
            f"Of {learned + held_out} images {held_out} are held out, and the loss on such images "
            f"is measured after each epoch: at least {devices.count} must be, one for each device. "
            "Of images of your own a hash of the name decides: add more, or rename some."
        )
    if learned < settings.batch_size:
        raise ValueError(
            f"Argument --batch-size must be at most the number of images to learn, {learned}. "
            f"Received: {settings.batch_size}"
        )
    train = SharedBatches(*images.train, settings.batch_size, devices, settings.seed)
    return train, SharedBatches(*images.held_out, settings.batch_size, devices)
