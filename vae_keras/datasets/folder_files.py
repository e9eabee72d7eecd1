"""The files of images of one's own: which there are in a folder or archive, and their bytes."""

import itertools
import os
import zipfile
from pathlib import PurePosixPath

from vae_keras.datasets.celeba_files import archive_fingerprint, folder_fingerprint

SUFFIXES = (".jpg", ".jpeg", ".png")


def open_files(root):
    """Finds the images in `root`, the `Path` of a folder or of a zip archive.

    Returns:
        A `Folder` or an `Archive`.

    Raises:
        FileNotFoundError: If there is no `root`, or no image in it.
        ValueError: If `root` is a file that is no whole zip archive.
    """
    if not root.exists():
        raise FileNotFoundError(f"There is no folder or zip archive {root}.")
    files = Folder(root) if root.is_dir() else Archive(root)
    if not files.names:
        raise FileNotFoundError(
            f"No image in {root}: expected files whose names end in {', '.join(SUFFIXES)}, "
            "there or in folders below."
        )
    if files.left_out:
        noun, verb = ("file", "is") if files.left_out == 1 else ("files", "are")
        left_out = f"{files.left_out:,} {noun} that {verb} neither JPEG nor PNG"
        print(f"{root.name}: {left_out} {verb} left out.", flush=True)
    return files


class _Files:
    """What a folder and an archive have in common.

    Attributes:
        root: `Path`.
        names: Names within `root`, with slashes, sorted.
        left_out: How many other files there are.
        fingerprint: Changes with the names and with what is in the files.
    """

    def __init__(self, root, names):
        self.root = root
        visible = sorted(name for name in names if not _is_hidden(name))
        self.names = [name for name in visible if name.lower().endswith(SUFFIXES)]
        self.left_out = len(visible) - len(self.names)

    def place(self, name):
        """Returns how an image is called in a sentence."""
        return f"Image {name} in {self.root}"

    def damaged(self, name, reason):
        """Returns the error of an image that cannot be read."""
        return ValueError(
            f"{self.place(name)} cannot be read ({reason}). Mend it, or move it elsewhere."
        )


class Folder(_Files):
    """The images of a folder and of all folders in it.

    Args:
        root: `Path`.
    """

    def __init__(self, root):
        sizes = dict(_walk(root))
        super().__init__(root, sizes)
        self.fingerprint = folder_fingerprint(self.names, sizes, self.read)

    def read(self, name):
        """Returns the bytes of one file."""
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise self.damaged(name, error.strerror) from error


class Archive(_Files):
    """The images of a zip archive, read in place.

    Args:
        root: `Path`.
    """

    def __init__(self, root):
        try:
            self.archive = zipfile.ZipFile(root)
        except Exception as error:  # of many kinds, where the bytes are not those of an archive
            raise ValueError(
                f"{root} is neither a folder nor a whole zip archive ({error})."
            ) from error
        entries = [entry for entry in self.archive.infolist() if not entry.is_dir()]
        super().__init__(root, [entry.filename for entry in entries])
        twice = next((one for one, two in itertools.pairwise(self.names) if one == two), None)
        if twice is not None:
            raise ValueError(f"{root} holds two images of the name {twice}. Pack it again.")
        self.entries = {entry.filename: entry for entry in entries}
        self.fingerprint = archive_fingerprint(self.names, self.entries)

    def read(self, name):
        """Returns the bytes of one file; threads take turns."""
        try:
            return self.archive.read(self.entries[name])
        except Exception as error:  # damaged, encrypted, or packed in an unknown way
            raise self.damaged(name, error) from error


def _walk(root):
    """Yields the name within `root` and the size of each file, in folders that links name too."""
    seen = set()  # a link may lead to a folder that holds it
    for folder, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        # Sorted, as of two ways to one folder the first counts.
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            path = os.path.join(folder, name)
            is_file = os.path.isfile(path)
            if is_file or os.path.islink(path):  # a link to nothing is told when it is read
                size = os.path.getsize(path) if is_file else 0
                yield os.path.relpath(path, root).replace(os.sep, "/"), size


def _raise(error):
    raise error


def _is_hidden(name):
    # Archives made on a Mac hold a "__MACOSX/._photo.jpg" beside each image.
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
