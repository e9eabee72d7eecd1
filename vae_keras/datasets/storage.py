"""Where data lives on disk, and how it is written: whole or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import uuid
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
REMEDY = "set the environment variable VAE_KERAS_DATA to a folder elsewhere"
# Names that nobody else gives; version 0.1.0 left out the package's.
UNFINISHED = re.compile(r"\.(vae_keras-)?[0-9a-f]{32}\.tmp(\.\w+)?")


def data_folder():
    """Returns the folder that holds `celeba/` and, where it can be written, `cache/`.

    Returns:
        A `Path`: the environment variable `VAE_KERAS_DATA` where it is set, else
        the repository's `data/` where the package runs from a checkout, else a
        folder of the user's cache. It need not exist yet.
    """
    if os.environ.get("VAE_KERAS_DATA"):
        return expand(os.environ["VAE_KERAS_DATA"], "VAE_KERAS_DATA")
    repository = Path(__file__).resolve().parents[2]
    is_checkout = (repository / "pyproject.toml").is_file()
    if is_checkout and (repository / "data" / "README.md").is_file():
        return repository / "data"
    return _user_folder()


def cache_folder():
    """Returns the folder for what is decoded or drawn here, which can be made again.

    Returns:
        A `Path`: `cache/` in the data folder, or in a folder of the user's cache
        where the data folder is read-only. It need not exist yet.
    """
    folder = data_folder() / "cache"
    return folder if _is_writable(folder) else _user_folder() / "cache"


def places(path):
    """Returns where a file of the cache may be read.

    Args:
        path: `Path` in `cache_folder()`, where the file would be written.

    Returns:
        The file of that name in the data folder's `cache/`, even where that cannot be
        written, then `path`: one `Path` where the two are the same, else two.
    """
    return [*dict.fromkeys([data_folder() / "cache" / path.name, path])]


@contextlib.contextmanager
def atomic_write(path, remedy=REMEDY):
    """Opens a binary file that appears at `path` whole, when the block succeeds.

    Args:
        path: `Path` of the file. Its folder is made where it does not exist.
        remedy: String, what to do where the disk is full or read-only.

    Yields:
        A file object, open for writing under a temporary name in the same folder.

    Raises:
        OSError: Where the folder cannot be written or the disk is full; the
            message names the folder and says what to do.
    """
    with atomic_path(path, remedy) as temporary, open(temporary, "wb") as file:
        yield file


@contextlib.contextmanager
def atomic_path(path, remedy=REMEDY):
    """Lends a temporary name, whose file becomes `path` when the block succeeds.

    Args:
        path: `Path` of the file. Its folder is made where it does not exist.
        remedy: String, what to do where the disk is full or read-only.

    Yields:
        A `Path` in the same folder and with the same suffix, for the block to write.

    Raises:
        OSError: As `atomic_write`.
    """
    temporary = path.with_name(f".vae_keras-{uuid.uuid4().hex}.tmp{path.suffix}")
    with explained(path.parent, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            # On the disk before the rename, or a power cut could leave an empty file.
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_unfinished(*folders):
    """Removes what `atomic_path` lent to processes that were killed; none may be at work there.

    Args:
        *folders: `Path`s. What lies in folders within them is left alone.
    """
    for folder in folders:
        for path in folder.glob(".*.tmp*"):
            if UNFINISHED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(folder, remedy=REMEDY):
    """Adds to the errors of a full disk, a read-only `folder` or a folder in a file's place
    what to do about them."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            advice = f"The disk that holds {folder} is full. Free some space, or {remedy}"
        elif error.errno in NOT_WRITABLE:
            advice = f"The folder {folder} cannot be written. Make it writable, or {remedy}"
        elif error.errno == errno.EISDIR:
            name = error.filename2 or error.filename  # of a move, where to
            advice = f"{name} is a folder, where a file is to be written. Move it away"
        else:
            raise
        raise OSError(error.errno, advice) from error


def expand(path, variable):
    """Returns a `Path`, its `~` replaced by the home folder.

    Args:
        path: String or `Path`.
        variable: String, the environment variable that names a folder elsewhere.

    Raises:
        OSError: If there is no home folder, as in some containers.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise OSError(
            errno.ENOENT,
            f"There is no home folder to find {path} in, as HOME is not set. Set the environment "
            f"variable {variable} to a folder elsewhere",
        ) from error


def fingerprint(parts):
    """Returns 12 characters that change with any of `parts`, an iterable of bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _user_folder():
    return expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "VAE_KERAS_DATA") / "vae_keras"


def _is_writable(folder):
    """Whether `folder` can be written or, where it does not exist, made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
