"""Images made once, in parallel, and kept in a memory-mapped file that survives a kill."""

import collections
import contextlib
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vae_keras.datasets import storage

CHUNK = 2048  # images between two records of progress
PIECE = 64  # images that a thread makes at a time
AHEAD = 8  # pieces per thread that wait to be written: more than a disk makes one wait
QUIET_SECONDS = 5


def cached_images(path, shape, make, message):
    """Returns the images at `path`, made first where they are not there.

    Any number of processes may make the same file at the same time: they write
    the same bytes to the same places. One that is killed is continued by the next.

    Args:
        path: `Path` of the `.npy` file. Its name must change with what `make` gives.
        shape: Tuple `(n, height, width, channels)`.
        make: Function of `start` and `stop`, called from several threads, that
            returns images `start` to `stop`, a uint8 array.
        message: String that opens the line of progress.

    Returns:
        A read-only, memory-mapped uint8 array of the given shape.

    Raises:
        OSError: Where the folder cannot be written or the disk is full.
        ValueError: Where the file that is there is not one of such images.
    """
    if not path.exists():
        _make_file(path, shape, make, message)
    try:
        images = np.load(path, mmap_mode="r")
    except (EOFError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error}). Delete it to have it made again."
        ) from error
    if images.dtype != np.uint8 or images.shape != shape:
        raise ValueError(
            f"{path} is of other images or of another size: expected uint8 of shape {shape}. "
            f"Received: {images.dtype} of shape {images.shape}. Delete it to have it made again."
        )
    return images


def images_in_memory(shape, make, message):
    """Returns what `cached_images` would, with no file: a read-only uint8 array."""
    images = np.empty(shape, "uint8")
    progress = _Progress(message, 0, shape[0])
    with _threads() as threads:
        for start, piece in _pieces(threads, make, 0, shape[0]):
            images[start : start + len(piece)] = piece
            progress.show(start + len(piece))
    images.flags.writeable = False
    return images


def _make_file(path, shape, make, message):
    partial = path.with_name(path.name + ".partial")
    done_file = path.with_name(path.name + ".done")
    with storage.explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for appending to make it where it is missing, never to empty another's.
        open(partial, "ab").close()
        try:
            with open(partial, "r+b") as file, _threads() as threads:
                _fill(file, done_file, shape, make, message, threads)
        except OSError as error:
            if error.errno in storage.FULL:
                partial.unlink(missing_ok=True)
                done_file.unlink(missing_ok=True)
            raise
        done_file.unlink(missing_ok=True)
        _move_finished(partial, path)


def _fill(file, done_file, shape, make, message, threads):
    """Writes the header and the images that no earlier run has written."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    first, image_bytes = file.tell(), int(np.prod(shape[1:]))
    size = first + shape[0] * image_bytes
    if os.path.getsize(file.name) != size:
        # A record without its file is about another file.
        done_file.unlink(missing_ok=True)
    file.truncate(size)
    done = _read_done(done_file)
    progress = _Progress(message, done, shape[0])

    def record(stop):
        os.fsync(file.fileno())
        _write_done(done_file, stop)

    # In a thread of its own: the next images need not wait for the disk.
    with ThreadPoolExecutor(1) as recorder:
        recorded = recorder.submit(lambda: None)
        for start, piece in _pieces(threads, make, done, shape[0]):
            file.seek(first + start * image_bytes)
            file.write(piece.data)
            stop = start + len(piece)
            progress.show(stop)
            if stop - done >= CHUNK or stop == shape[0]:
                file.flush()
                recorded.result()
                recorded = recorder.submit(record, stop)
                done = stop
        recorded.result()


@contextlib.contextmanager
def _threads():
    """Lends one thread per processor; after an error those that have not begun need not."""
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def _pieces(threads, make, start, stop):
    """Yields, in order, the first index and the images of each piece.

    Some pieces are made ahead, so that no thread waits while one is written.
    """
    starts = iter(range(start, stop, PIECE))
    waiting = collections.deque()

    def submit(count):
        for first in itertools.islice(starts, count):
            waiting.append((first, threads.submit(make, first, min(first + PIECE, stop))))

    submit(AHEAD * os.cpu_count())
    while waiting:
        first, piece = waiting.popleft()
        yield first, piece.result()
        submit(1)


def _read_done(done_file):
    try:
        return int(done_file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _write_done(done_file, done):
    # In place and in one call, which a kill cannot divide: no temporary file is left behind.
    record = os.open(done_file, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.write(record, f"{done:012d}".encode())
        os.fsync(record)
    finally:
        os.close(record)


def _move_finished(partial, path):
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        # Another process finished the same file first.
        if not path.exists():
            raise


class _Progress:
    """A line for whoever waits longer than `QUIET_SECONDS`."""

    def __init__(self, message, done, total):
        self.message, self.first, self.total = message, done, total
        self.started = self.shown = time.monotonic()

    def show(self, done):
        now = time.monotonic()
        waited = now - self.started
        if waited < QUIET_SECONDS or (now - self.shown < 1 and done < self.total):
            return
        left = waited * (self.total - done) / (done - self.first)
        end = "\n" if done == self.total else ""
        line = f"{self.message}: {done:,} of {self.total:,}, about {left:.0f} s left "
        print(f"\r{line:<70}", end=end, flush=True)
        self.shown = now
