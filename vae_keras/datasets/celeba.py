"""CelebA, or faces drawn in its place: arrays out, no model."""

import difflib
import importlib.util
from typing import NamedTuple

import numpy as np

from vae_keras.datasets import (
    celeba_files,
    celeba_parquet,
    decode_cache,
    decoding,
    storage,
    synthetic,
)
from vae_keras.datasets.sources import requested
from vae_keras.datasets.synthetic import faces

DECODER_VERSION = b"1"  # of the crop and of the resizing
SYNTHETIC_COUNT = 8_000
SYNTHETIC_SEED = 0
SYNTHETIC_TEST_SHARE = 0.1


class CelebA(NamedTuple):
    """Faces with their attributes.

    Attributes:
        images: Read-only uint8 array `(n, image_size, image_size, 3)`, memory-mapped.
        attributes: Bool array `(n, k)`.
        attribute_names: Tuple of k strings.
        is_test: Bool array `(n,)`, true where an image is held out.
        source: `"real"` or `"synthetic"`.
        factors: Dict of float32 arrays `(n,)`, what synthetic faces were drawn
            from; `None` for real ones.
    """

    images: np.ndarray
    attributes: np.ndarray
    attribute_names: tuple
    is_test: np.ndarray
    source: str
    factors: dict | None

    def __repr__(self):
        # A tuple's own would print pixels of photographs that may not be passed on.
        return (
            f"CelebA({self.source}: images {self.images.shape}, "
            f"{len(self.attribute_names)} attributes, {self.is_test.sum()} held out)"
        )


def load_celeba(root=None, image_size=64, source="auto"):
    """Loads CelebA, or synthetic faces with attributes of the same names.

    The images are cropped to the square around the face, resized, and kept in a
    memory-mapped file: only the first call decodes them.

    Args:
        root: Folder that holds `img_align_celeba/` or `img_align_celeba.zip`,
            `list_attr_celeba.txt` or `.csv`, and perhaps `list_eval_partition.txt`
            or `.csv`; or else the parquet files of Hugging Face, in folders or not,
            whose names tell the test split. Defaults to `celeba/` in the data folder.
        image_size: Integer, height and width of the images returned.
        source: `"real"`, `"synthetic"` or `"auto"`: the files in `root`, else
            synthetic faces. The environment variable `VAE_KERAS_SOURCE`
            overrides `"auto"`.

    Returns:
        A `CelebA`, its images in the order of their file names, and of the rows in
        parquet files. Rows of the lists without an image are left out, and counted
        in print. Without an official partition that holds test images, a hash of
        the file name holds out one image in ten, whatever other files there are.

    Raises:
        FileNotFoundError: If images or attributes are missing.
        ValueError: If a file is truncated or corrupt, or an image has no row of
            attributes.
    """
    if not isinstance(image_size, int) or image_size < 1:
        raise ValueError(
            f"Argument `image_size` must be a positive integer. Received: image_size={image_size!r}"
        )
    root = _root(root)
    if find_source(root, source) == "real":
        return _load_real(root, image_size)
    if requested(source) == "auto":
        print(f"No CelebA in {root}: using synthetic faces.")
    return _load_synthetic(image_size)


def find_source(root=None, source="auto"):
    """Returns what `load_celeba(root, source=source)` gives here and now.

    Args:
        root: Folder of CelebA. Defaults to `celeba/` in the data folder.
        source: One of `"auto"`, `"real"`, `"synthetic"`.

    Returns:
        `"real"` or `"synthetic"`.
    """
    source = requested(source)
    if source != "auto":
        return source
    return "real" if celeba_files.has_any(_root(root)) else "synthetic"


def attribute_index(name, attribute_names):
    """Returns the position of an attribute.

    Args:
        name: String, such as `"Smiling"`.
        attribute_names: Tuple of strings.

    Returns:
        An integer.

    Raises:
        ValueError: If there is no such attribute; the message names the nearest.
    """
    if name in attribute_names:
        return attribute_names.index(name)
    lowered = {known.lower(): known for known in attribute_names}
    nearest = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.0)
    raise ValueError(
        f"Argument `name` must be the name of an attribute. Received: name={name!r}. "
        f"Did you mean {lowered[nearest[0]]!r}?"
    )


def _root(root):
    if root is None:
        return storage.data_folder() / "celeba"
    return storage.expand(root, "VAE_KERAS_DATA")


def _load_real(root, image_size):
    files, (attributes, attribute_names), is_test = _read_files(root)
    key = storage.fingerprint([files.fingerprint.encode(), DECODER_VERSION])
    with decoding.Decoder(len(files.names)) as decoder:
        images = decode_cache.cached_images(
            storage.cache_folder() / f"celeba-{image_size}px-{key}.npy",
            (len(files.names), image_size, image_size, 3),
            lambda start, stop: _decode(files, files.names[start:stop], image_size, decoder),
            "Decoding CelebA, once",
        )
    return CelebA(images, attributes, attribute_names, is_test, "real", None)


def _read_files(root):
    """Returns the images under `root`, their attributes with names, and which are held out."""
    jpegs = (celeba_files.IMAGES, f"{celeba_files.IMAGES}.zip")
    has_jpegs = any((root / name).exists() for name in jpegs)
    if not has_jpegs and celeba_files.find_parquet(root):
        files = celeba_parquet.ParquetImages(root)
        return files, files.read_attributes(), files.read_test_split()
    files = celeba_files.find_images(root)
    attributes = celeba_files.read_attributes(root, files.names)
    return files, attributes, celeba_files.read_test_split(root, files.names)


def _decode(files, names, image_size, decoder):
    """Returns images, cropped to their central squares and resized, a uint8 array."""
    if importlib.util.find_spec("PIL") is None:
        raise ImportError("Reading CelebA requires Pillow: `pip install pillow`.")
    return decoder.decode(names, [_read(files, name) for name in names], _damaged, image_size)


def _read(files, name):
    """Returns the bytes of one file."""
    try:
        return files.read(name)
    except Exception as error:  # those of archives have no other base class
        raise _damaged(name, str(error) or type(error).__name__) from error


def _damaged(name, reason):
    return ValueError(f"Image {name} is truncated or corrupt, or too large ({reason}).")


def draw_ahead(image_size=64):
    """Draws the synthetic faces into the cache, if they are not there.

    Args:
        image_size: Integer, their height and width.

    Raises:
        OSError: Where the folder cannot be written or the disk is full.
    """
    _cached_faces(*_synthetic_recipe(image_size)[1:])


def _load_synthetic(image_size):
    factors, *recipe = _synthetic_recipe(image_size)
    try:
        images = _cached_faces(*recipe)
    except OSError as error:
        print(f"The faces are kept in memory only ({error.strerror}).")
        images = decode_cache.images_in_memory(*recipe)
    is_test = np.arange(SYNTHETIC_COUNT) >= round(SYNTHETIC_COUNT * (1 - SYNTHETIC_TEST_SHARE))
    names = tuple(faces.ATTRIBUTE_NAMES)
    return CelebA(images, faces.attributes(factors), names, is_test, "synthetic", factors)


def _synthetic_recipe(image_size):
    """Returns the factors of the faces, then shape, function and message of `decode_cache`."""
    factors = faces.sample_factors(SYNTHETIC_COUNT, SYNTHETIC_SEED)

    def draw(start, stop):
        part = {name: values[start:stop] for name, values in factors.items()}
        return faces.draw(part, image_size)

    shape = (SYNTHETIC_COUNT, image_size, image_size, 3)
    return factors, shape, draw, "Drawing synthetic faces, once"


def _cached_faces(shape, draw, message):
    path = storage.cache_folder() / f"faces-{shape[1]}px-{synthetic.version()}.npy"
    return decode_cache.cached_images(path, shape, draw, message)
