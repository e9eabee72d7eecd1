"""The files of CelebA, as people have them: images, attributes, partition."""

import collections
import hashlib
import itertools
import os
import zipfile

import numpy as np

from vae_keras.datasets import lists
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
        self.fingerprint = folder_fingerprint(self.names, sizes, self.read)

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

    Raises:
        ValueError: If the archive is truncated or corrupt, if it cannot be unpacked here, or if
            two of its images have one name.
    """

    def __init__(self, path):
        try:
            self.archive = zipfile.ZipFile(path)
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # of many kinds, where the bytes are not those of an archive
            raise ValueError(
                f"{path} is not a whole zip archive ({error}). Delete it and download it again."
            ) from error
        self.entries = _by_name(path, self.archive)
        self.names = sorted(self.entries)
        self.fingerprint = archive_fingerprint(self.names, self.entries)

    def read(self, name):
        """Returns the bytes of one file; threads take turns."""
        return self.archive.read(self.entries[name])


def folder_fingerprint(names, sizes, read):
    """Returns what changes with the names and sizes of files, and with what is in some of them.

    Args:
        names: List of strings.
        sizes: Dict of integers, by name.
        read: Function of a name that returns bytes.
    """
    some = names[:: max(1, len(names) // FINGERPRINTED)]
    parts = (_bytes(f"{name} {sizes[name]}") for name in names)
    return fingerprint(itertools.chain(parts, map(read, some)))


def archive_fingerprint(names, entries):
    """Returns what changes with the names of files in an archive, and with their checksums."""
    return fingerprint(_bytes(f"{name} {entries[name].CRC}") for name in names)


def _by_name(path, archive):
    """Returns the entries of the images, a dict by their names without folders."""
    entries, ways = {}, set()
    for entry in archive.infolist():
        name = entry.filename.rpartition("/")[2]
        if not _is_jpeg(name):
            continue
        other = entries.setdefault(name, entry)
        if (entry.CRC, entry.file_size) != (other.CRC, other.file_size):
            raise ValueError(
                f"{path} holds two images of one name, {other.filename} and {entry.filename}. "
                "Remove one of them."
            )
        way = entry.compress_type, entry.flag_bits
        if way not in ways:
            _check_can_unpack(path, archive, entry)
        ways.add(way)
    return entries


def _check_can_unpack(path, archive, entry):
    try:
        archive.open(entry).close()
    except RuntimeError as error:  # encrypted, or compressed in a way that Python does not know
        raise ValueError(
            f"{path} cannot be unpacked here ({error}). Unpack it with another program, into the "
            f"folder {IMAGES}/ beside it."
        ) from error
    except Exception:  # of this one image: whoever reads it is told
        return


def has_any(root):
    """Returns whether `root` holds anything of CelebA, whole or not."""
    names = [IMAGES, f"{IMAGES}.zip", f"{ATTRIBUTES}.txt", f"{ATTRIBUTES}.csv"]
    return any((root / name).exists() for name in names) or bool(find_parquet(root))


def find_parquet(root):
    """Returns the parquet files in `root` and in all folders below, sorted, but hidden ones."""
    names = sorted(path.relative_to(root) for path in root.rglob("*.parquet") if path.is_file())
    return [root / name for name in names if not any(part[0] == "." for part in name.parts)]


def find_images(root):
    """Returns the images under `root`, a `FolderImages` or a `ZipImages`."""
    path = root / f"{IMAGES}.zip"
    for folder in (root / IMAGES, root / IMAGES / IMAGES):
        if folder.is_dir():
            images = FolderImages(folder)
            if images.names:
                if path.is_file():
                    print(f"{folder} is read, and not {path.name} beside it.", flush=True)
                return images
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
        ValueError: If a row is malformed or contradicts another, if two attributes have one
            name, or an image has no row.
    """
    path = lists.find(root, ATTRIBUTES)
    if path is None:
        raise FileNotFoundError(
            f"No CelebA attributes in {root}: expected {ATTRIBUTES}.txt or {ATTRIBUTES}.csv."
        )
    lines = lists.read(path)
    number, header = next(lines, (0, []))
    count = None
    if path.suffix == ".csv":
        header = header[1:]
    elif len(header) == 1 and header[0].isdigit():
        # The official list begins with the number of its rows.
        count, (number, header) = header[0], next(lines, (0, []))
    _check_names(path, number, header)
    rows = lists.parse(path, lines, {"1": 1, "-1": 0}, len(header))
    values = np.frombuffer(b"".join(lists.rows_of(names, rows, path)), "bool").copy()
    if count is not None and count != str(len(rows)):
        print(
            f"{path.name}: it has rows of {len(rows):,} images, not of {count[:20]} as its first "
            "line says.",
            flush=True,
        )
    return values.reshape(len(names), len(header)), tuple(header)


def _check_names(path, number, names):
    twice = [name for name, times in collections.Counter(names).items() if times > 1]
    if number and (twice or not names):
        raise ValueError(
            f"{path}, line {number}: expected the names of the attributes, each once. "
            f"Received: {f'{twice[0][:60]!r} twice' if twice else 'none'}"
        )


def read_test_split(root, names):
    """Reads which images are held out, or decides it where no partition says so.

    Rows of other images are left out, and counted in print.

    Args:
        root: `Path` of the folder that may hold the official partition.
        names: Sorted file names of the n images.

    Returns:
        Bool array `(n,)`.

    Raises:
        ValueError: If a row of the partition is malformed or contradicts another, or an
            image has none.
    """
    path = lists.find(root, PARTITION)
    if path is not None:
        lines, meaning = list(lists.read(path)), {"0": 0, "1": 1, "2": 2}
        if path.suffix == ".csv" and lines and lines[0][1][-1] not in meaning:
            del lines[0]  # the names of the columns
        rows = lists.parse(path, lines, meaning, 1)
        is_test = np.array([row[0] == TEST_PARTITION for row in lists.rows_of(names, rows, path)])
        if is_test.any():
            return is_test
    return held_out(names)


def held_out(names):
    """Returns which of n files are held out by a hash of the name alone, a bool array `(n,)`."""
    return np.array([_hash(name) % TEST_SHARE == 0 for name in names], bool)


def _is_jpeg(name):
    # Archives made on a Mac hold a "._000001.jpg" beside each image.
    return name.lower().endswith(".jpg") and not name.startswith(".")


def _hash(name):
    # Not Python's own hash, which differs from one process to the next.
    return int.from_bytes(hashlib.sha256(_bytes(name)).digest()[:8], "big")


def _bytes(name):
    # A name that is not in UTF-8 is one all the same.
    return name.encode(errors="surrogateescape")
