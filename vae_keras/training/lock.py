"""One training at a time writes into a folder."""

import contextlib
import errno
import os
import socket
import sys
import time

from vae_keras.datasets import storage
from vae_keras.training.checkpoint import REMEDY

NAME = ".vae_keras.lock"
HELD = (errno.EAGAIN, errno.EACCES)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some file systems of clusters
FAR = 2**30  # Windows hides what is locked from others, and they are to read who holds it


@contextlib.contextmanager
def locked(folder):
    """Keeps other trainings out of a folder within the block.

    The operating system holds the lock, and lets it go when the process ends, by
    whatever: a file that a killed process has left locks nothing.

    Args:
        folder: `Path`, which exists.

    Raises:
        OSError: if another process holds it, which the message names, or if the
            folder cannot be written.
    """
    path = folder / NAME
    with storage.explained(folder, REMEDY):
        while not _is_still(file := _lock(path), path):
            file.close()
        _sign(file)
    with file:
        try:
            yield
        finally:
            if sys.platform != "win32":  # where an open file cannot be removed
                path.unlink(missing_ok=True)


def _lock(path):
    """Returns the file at `path`, opened and locked."""
    # Not emptied: it may tell who holds it.
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    try:
        _lock_descriptor(file.fileno())
    except OSError as error:
        if error.errno in NO_LOCKS:
            print(f"Nothing keeps other trainings out of {path.parent}: no file is locked there.")
            return file
        with file:
            holder = file.read() or "another process"
        if error.errno not in HELD:
            raise
        raise BlockingIOError(
            f"A training writes into {path.parent} already: {holder}. Wait for its end, or "
            f"{REMEDY}."
        ) from error
    return file


def _is_still(file, path):
    """Whether an open file is the one at `path`, which whoever held it before has removed."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sign(file):
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}")
    file.flush()


def _lock_descriptor(descriptor):
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
