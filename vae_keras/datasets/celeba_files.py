"""The files of CelebA, as people have them: images, attributes, partition."""

import hashlib
import itertools
import os
import zipfile

import numpy as np

from vae_keras.datasets.storage import fingerprint

IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba"
PARTITION = "list_eval_partition"
TEST_PARTITION = 2
# The share of files that the hash sends to the test split: one in ten.
TEST_SHARE = 10
FINGERPRINTED = 100  # files of a folder whose content is looked at


class FolderImages:
    """The JPEG files of one folder.

    Args:
        folder: `Path`.

    Attributes:
        names: File names, sorted.
        fingerprint: Changes with the names and the sizes of the files, and with what is
            in some of them.
    """

    def __init__(self, folder):
        self.folder = folder
        with os.scandir(folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if _is_jpeg(entry.name)}
        self.names = sorted(sizes)
        some = self.names[:: max(1, len(self.names) // FINGERPRINTED)]
        self.fingerprint = fingerprint(
            itertools.chain(
                (f"{name} {sizes[name]}".encode() for name in self.names), map(self.read, some)
            )
        )

    def read(self, name):
        """Returns the bytes of one file."""
        return (self.folder / name).read_bytes()


class ZipImages:
    """The JPEG files of one zip archive, read in place.

    Args:
        path: `Path`.

    Attributes:
        names: File names without their folders, sorted.
        fingerprint: Changes with the names and the checksums of the files.
    """

    def __init__(self, path):
        try:
            self.archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{path} is not a whole zip archive ({error}). Delete it and download it again."
            ) from error
        entries = {entry.filename.rpartition("/")[2]: entry for entry in self.archive.infolist()}
        self.entries = {name: entry for name, entry in entries.items() if _is_jpeg(name)}
        self.names = sorted(self.entries)
        self.fingerprint = fingerprint(
            f"{name} {self.entries[name].CRC}".encode() for name in self.names
        )

    def read(self, name):
        """Returns the bytes of one file; threads take turns."""
        return self.archive.read(self.entries[name])


def has_any(root):
    """Returns whether `root` holds anything of CelebA, whole or not."""
    names = [IMAGES, f"{IMAGES}.zip", f"{ATTRIBUTES}.txt", f"{ATTRIBUTES}.csv"]
    return any((root / name).exists() for name in names) or any(root.rglob("*.parquet"))


def find_images(root):
    """Returns the images under `root`, a `FolderImages` or a `ZipImages`."""
    for folder in (root / IMAGES, root / IMAGES / IMAGES):
        if folder.is_dir():
            images = FolderImages(folder)
            if images.names:
                return images
    path = root / f"{IMAGES}.zip"
    if path.is_file():
        images = ZipImages(path)
        if images.names:
            return images
    raise FileNotFoundError(
        f"No CelebA images in {root}: expected JPEG files in the folder {IMAGES}/ or in the "
        f"archive {IMAGES}.zip, or parquet files. "
        "`python -m vae_keras.datasets celeba` says how to get them."
    )


def read_attributes(root, names):
    """Reads the attributes of the images; rows of others are left out, and counted in print.

    Args:
        root: `Path` of the folder that holds the list of attributes.
        names: Sorted file names of the n images.

    Returns:
        Bool array `(n, k)`, and the k names of the attributes, a tuple.

    Raises:
        FileNotFoundError: If there is no list.
        ValueError: If a row is malformed, or an image has none.
    """
    path = _first_file(root, ATTRIBUTES)
    if path is None:
        raise FileNotFoundError(
            f"No CelebA attributes in {root}: expected {ATTRIBUTES}.txt or {ATTRIBUTES}.csv."
        )
    lines = _numbered_lines(path)
    if path.suffix == ".txt" and lines and lines[0][1].strip().isdigit():
        lines = lines[1:]  # the official list begins with the number of its rows
    header = lines[0][1].strip().split(_separator(path)) if lines else []
    attribute_names = tuple(header[1:] if path.suffix == ".csv" else header)
    rows = _parse(path, lines[1:], {"1": 1, "-1": 0}, len(attribute_names))
    values = np.frombuffer(b"".join(_rows_of(names, rows, path)), "bool").copy()
    return values.reshape(len(names), len(attribute_names)), attribute_names


def read_test_split(root, names):
    """Reads which images are held out, or decides it where no partition says so.

    Rows of other images are left out, and counted in print.

    Args:
        root: `Path` of the folder that may hold the official partition.
        names: Sorted file names of the n images.

    Returns:
        Bool array `(n,)`.

    Raises:
        ValueError: If a row of the partition is malformed, or an image has none.
    """
    path = _first_file(root, PARTITION)
    if path is not None:
        lines = _numbered_lines(path)
        rows = _parse(
            path, lines[1:] if path.suffix == ".csv" else lines, {"0": 0, "1": 1, "2": 2}, 1
        )
        is_test = np.array([row[0] == TEST_PARTITION for row in _rows_of(names, rows, path)])
        if is_test.any():
            return is_test
    return held_out(names)


def held_out(names):
    """Returns which of n files are held out by a hash of the name alone, a bool array `(n,)`."""
    return np.array([_hash(name) % TEST_SHARE == 0 for name in names], bool)


def _is_jpeg(name):
    # Archives made on a Mac hold a "._000001.jpg" beside each image.
    return name.lower().endswith(".jpg") and not name.startswith(".")


def _first_file(root, stem):
    paths = [root / f"{stem}.txt", root / f"{stem}.csv"]
    return next((path for path in paths if path.is_file()), None)


def _numbered_lines(path):
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _separator(path):
    return "," if path.suffix == ".csv" else None


def _parse(path, lines, meaning, width):
    """Returns the values of each file: a dict of bytes, `width` values of `meaning`."""
    rows, separator = {}, _separator(path)
    for number, line in lines:
        name, *values = line.strip().split(separator)
        try:
            rows[name] = bytes(map(meaning.__getitem__, values))
        except KeyError:
            values = []
        if len(values) != width:
            raise ValueError(
                f"{path}, line {number}: expected a file name and {width} values out of "
                f"{tuple(meaning)}. Received: {line[:60]!r}"
            )
    return rows


def _rows_of(names, rows, path):
    """Returns the rows of the images, in their order."""
    without_row = [name for name in names if name not in rows]
    if without_row:
        problem = f"{len(without_row):,} images without a row ({_some(without_row)})"
        if len(without_row) == len(names):
            problem = f"no image has a row ({_some(names)})"
            problem += f"; the rows are of {_some(list(rows))}" if rows else ""
        raise ValueError(f"{path} and the {len(names):,} images disagree: {problem}.")
    # Images may be the beginning of CelebA, the lists all of it.
    left_out = len(rows) - len(names)
    if left_out:
        noun, verb = ("row", "is") if left_out == 1 else ("rows", "are")
        print(f"{path.name}: {left_out:,} {noun} without an image {verb} left out.", flush=True)
    return [rows[name] for name in names]


def _some(names):
    return ", ".join([*names[:3], "..."] if len(names) > 3 else names)


def _hash(name):
    # Not Python's own hash, which differs from one process to the next.
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")
