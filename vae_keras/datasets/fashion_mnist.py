"""Fashion-MNIST, or garments drawn in its place: arrays out, no model."""

import functools
import gzip
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np

from vae_keras.datasets import downloads, storage, synthetic
from vae_keras.datasets.sources import requested
from vae_keras.datasets.synthetic import garments
from vae_keras.datasets.synthetic.garments import CLASS_NAMES

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SIZES = (60_000, 10_000)
BASE_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
SYNTHETIC_SIZES = (60_000, 10_000)


def load_fashion_mnist(source="auto"):
    """Loads Fashion-MNIST, or synthetic garments of the same ten classes.

    Args:
        source: `"real"`, `"synthetic"` or `"auto"`: the four files where Keras
            keeps them, else their download, else synthetic garments. The
            environment variable `VAE_KERAS_SOURCE` overrides `"auto"`.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: images, float32 arrays of shape
        `(60000, 28, 28, 1)` and `(10000, 28, 28, 1)` with values in [0, 1], and
        labels, integer arrays of shape `(60000,)` and `(10000,)`.

    Raises:
        FileNotFoundError: If `source="real"` and the files cannot be had.
        ValueError: If one of the files is truncated or corrupt, or another one than its name
            says.
    """
    if find_source(source) == "synthetic":
        arrays = _synthetic_arrays()
    else:
        arrays = _real_arrays(data_files_folder())
    x_train, y_train, x_test, y_test = arrays
    return (_scaled(x_train), y_train.astype("int64")), (_scaled(x_test), y_test.astype("int64"))


def find_source(source="auto"):
    """Returns what `load_fashion_mnist(source)` gives here and now.

    `"auto"` downloads the files where they are missing and can be had. It tries
    once per process.

    Args:
        source: One of `"auto"`, `"real"`, `"synthetic"`.

    Returns:
        `"real"` or `"synthetic"`.
    """
    source = requested(source)
    if source != "auto":
        return source
    folder = data_files_folder()
    return "real" if not missing_files(folder) or _could_download(folder) else "synthetic"


def data_files_folder():
    """Returns the folder in which Keras keeps the four files of Fashion-MNIST."""
    home = storage.expand(os.environ.get("KERAS_HOME") or "~/.keras", "KERAS_HOME")
    return home / "datasets" / "fashion-mnist"


def missing_files(folder):
    """Returns the names of the files of Fashion-MNIST that are not in `folder`."""
    return [name for name in FILES if not (folder / name).exists()]


@functools.cache  # asked once per process: a reader waits for a dead network once
def _could_download(folder):
    try:
        _download(folder)
    except OSError:
        # The reason differs from one machine to the next; source="real" tells it.
        print("Fashion-MNIST could not be downloaded: using synthetic garments.", flush=True)
        return False
    return True


def _download(folder):
    """Adds the missing files to `folder`, all of them or none."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    try:
        names = missing_files(folder)
        for name in names:
            downloads.fetch(BASE_URL + name, temporary / name)
            _check_download(temporary / name)
        for name in names:
            os.replace(temporary / name, folder / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_download(path):
    # A hotel's login page arrives with status 200, too.
    try:
        _read(path)
    except ValueError as error:
        raise OSError(f"what came as {path.name} is not that file") from error


def _real_arrays(folder):
    if missing_files(folder):
        try:
            _download(folder)
        except OSError as error:
            raise FileNotFoundError(
                f"Fashion-MNIST is not in {folder} and could not be downloaded ({error}). "
                f"Put its four files there ({', '.join(FILES)}), or use source='synthetic'."
            ) from error
    return [_read(folder / name) for name in FILES]


def _read(path):
    """Reads a gzipped IDX file: type, number of axes, their sizes, then the bytes."""
    try:
        with gzip.open(path) as file:
            data = file.read()
        start = 4 + 4 * data[3]
        array = np.frombuffer(data, "uint8", offset=start).reshape(
            np.frombuffer(data[4:start], ">i4")
        )
    except (gzip.BadGzipFile, EOFError, IndexError, ValueError, zlib.error) as error:
        raise ValueError(
            f"{path} is truncated or corrupt ({error}). Delete it to have it downloaded again."
        ) from error
    _check_content(path, array)
    return array


def _check_content(path, array):
    """Raises `ValueError` if a file holds what belongs into another."""
    count, is_images = SIZES[path.name.startswith("t10k")], "images" in path.name
    expected = (count, 28, 28) if is_images else (count,)
    wrong = None if array.shape == expected else f"values of shape {array.shape}"
    if wrong is None and not is_images and array.max() >= len(CLASS_NAMES):
        wrong = f"the label {array.max()}"
    if wrong is not None:
        what = "images" if is_images else f"labels below {len(CLASS_NAMES)}"
        raise ValueError(
            f"{path} is not what its name says: expected {what} of shape {expected}. Received: "
            f"{wrong}. Two files may have changed places. Delete it to have it downloaded again."
        )


def draw_ahead():
    """Draws the synthetic garments into the cache, if they are not there.

    Raises:
        OSError: Where the folder cannot be written or the disk is full.
    """
    if _cached_arrays() is None:
        _keep(_draw_arrays())


def _synthetic_arrays():
    """Returns train images, train labels, test images, test labels, drawn once."""
    arrays = _cached_arrays()
    if arrays is None:
        arrays = _draw_arrays()
        try:
            _keep(arrays)
        except OSError as error:
            print(f"The garments are kept in memory only ({error.strerror}).")
    return arrays


def _cached_arrays():
    for place in filter(Path.is_file, storage.places(_cache())):
        try:
            with np.load(place) as arrays:
                return [arrays[name] for name in arrays.files]
        except Exception:  # of many kinds, where it was damaged since it was written
            continue
    return None


def _keep(arrays):
    with storage.atomic_write(_cache()) as file:
        np.savez(file, *arrays)


def _cache():
    return storage.cache_folder() / f"garments-{synthetic.version()}.npz"


def _draw_arrays():
    print(f"Drawing {sum(SYNTHETIC_SIZES):,} synthetic garments, once (a few seconds).", flush=True)
    return [
        array for seed, size in enumerate(SYNTHETIC_SIZES) for array in _draw_garments(size, seed)
    ]


def _draw_garments(size, seed):
    """Returns `size` images and labels: equal classes, shuffled."""
    labels = np.random.default_rng(seed).permutation(np.arange(size) % len(CLASS_NAMES))
    return garments.draw(labels, seed=seed), labels


def _scaled(images):
    return np.divide(images[..., np.newaxis], 255, dtype="float32")
