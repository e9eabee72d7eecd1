"""Images of one's own, from a folder or a zip archive: arrays out, no model."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_keras.datasets import celeba_files, decode_cache, decoding, folder_files, jpeg, storage

DECODER_VERSION = b"1"  # of the crop, of the resizing and of what becomes of grey and transparent
WHOLE = 1.0  # the share of the width that the square may have
PART = 8  # images that a thread holds at a time: photographs may have megabytes each


class OwnImages(NamedTuple):
    """Images without attributes.

    Attributes:
        images: Read-only uint8 array `(n, image_size, image_size, channels)`,
            memory-mapped; one channel where all images are grey, else three.
        names: Tuple of n strings, the files' names within the folder or archive.
        is_test: Bool array `(n,)`, true where an image is held out.
        fingerprint: String that changes with the files.
    """

    images: np.ndarray
    names: tuple
    is_test: np.ndarray
    fingerprint: str

    def __repr__(self):
        # A tuple's own would print pixels and every name.
        return f"OwnImages(images {self.images.shape}, {self.is_test.sum()} held out)"


def load_images(root, image_size=64):
    """Loads the JPEG and PNG files of a folder, with all folders in it, or of a zip archive.

    The images are turned as their cameras say, cropped to the square in the middle,
    resized, and kept in a memory-mapped file: only the first call decodes them. What
    is transparent becomes white. Hidden files are left out, and so is what is neither
    JPEG nor PNG, counted in print.

    Args:
        root: Path of the folder or of the archive.
        image_size: Integer, height and width of the images returned.

    Returns:
        An `OwnImages`, its images in the order of their names. A hash of the name
        holds out one image in ten, whatever other files there are.

    Raises:
        FileNotFoundError: If there is no such folder or archive, or no image in it.
        ValueError: If an image or the archive is damaged, or if some images are grey
            and others in colour; the message names the file.
    """
    if not isinstance(image_size, int) or image_size < 1:
        raise ValueError(
            f"Argument `image_size` must be a positive integer. Received: image_size={image_size!r}"
        )
    if importlib.util.find_spec("PIL") is None:
        raise ImportError("Reading images requires Pillow: `pip install pillow`.")
    files = folder_files.open_files(Path(root).expanduser().absolute())
    reader = _Reader(files, image_size)
    key = storage.fingerprint([files.fingerprint.encode(), DECODER_VERSION])
    with reader:
        images = decode_cache.cached_images(
            storage.cache_folder() / f"images-{image_size}px-{key}.npy",
            (len(files.names), image_size, image_size, len(reader.mode)),
            reader,
            f"Decoding the images of {files.root.name}, once",
        )
    is_test = celeba_files.held_out(files.names)
    return OwnImages(images, tuple(files.names), is_test, files.fingerprint)


class _Reader:
    """Decodes some of the images: a context, as its processes end with it.

    Args:
        files: As `folder_files.open_files` returns them.
        image_size: Integer.

    Attributes:
        mode: `"L"` or `"RGB"`, as the first image has it.
    """

    def __init__(self, files, image_size):
        self.files, self.image_size = files, image_size
        self.decoder = decoding.Decoder(len(files.names))
        self.mode = self._mode(files.names[0], files.read(files.names[0]))

    def __enter__(self):
        self.decoder.__enter__()
        return self

    def __exit__(self, *error):
        self.decoder.__exit__(*error)

    def __call__(self, start, stop):
        """Returns images, a uint8 array `(stop - start, size, size, channels)`."""
        firsts = range(start, stop, PART)
        return np.concatenate([self._decode(first, min(first + PART, stop)) for first in firsts])

    def _decode(self, start, stop):
        names = self.files.names[start:stop]
        contents = [self.files.read(name) for name in names]
        for name, content in zip(names, contents, strict=True):
            if self._mode(name, content) != self.mode:
                raise self._mixture(name)
        size, damaged = self.image_size, self.files.damaged
        return self.decoder.decode(names, contents, damaged, size, WHOLE, self.mode)

    def _mode(self, name, content):
        try:
            return "L" if jpeg.is_grey(content) else "RGB"
        except Exception as error:  # Pillow's errors share no base class
            # Of a file that is unknown to it Pillow names an address in memory.
            is_unknown = isinstance(error, OSError)
            reason = "it is no JPEG or PNG file, or not whole" if is_unknown else error
            raise self.files.damaged(name, reason) from error

    def _mixture(self, name):
        here, first = ("in colour", "grey") if self.mode == "L" else ("grey", "in colour")
        return ValueError(
            f"{self.files.place(name)} is {here}, while {self.files.names[0]} is {first}. Images "
            "of one training are all grey or all in colour: convert some, or move them elsewhere."
        )
