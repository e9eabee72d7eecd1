"""Images made once, in parallel, and kept in a memory-mapped file that survives a kill.

The file is an ordinary `.npy` file, which the digests of its pieces follow. They tell what is
there as it was written from what is not: not made yet, lost by a disk, or damaged since.
"""

import collections
import contextlib
import io
import itertools
import math
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vae_keras.datasets import storage

PIECE = 64  # images that a thread makes at a time, and that one digest is of
AHEAD = 8  # pieces per thread that wait to be written: more than a disk makes one wait
QUIET_SECONDS = 5
DIGEST_BYTES = 4


def cached_images(path, shape, make, message):
    """Returns the images at `path`, made first where they are not there.

    Every piece is compared with its digest; those that are damaged are made again, in
    place, and counted in print. Where the data folder cannot be written, the file of
    that name in it is read all the same.

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
    """
    layout = _Layout(shape)
    for place in storage.places(path):
        if not _find_unmade(place, layout):
            return np.load(place, mmap_mode="r")
    _make_file(path, layout, make, message)
    return np.load(path, mmap_mode="r")


def images_in_memory(shape, make, message):
    """Returns what `cached_images` would, with no file: a read-only uint8 array."""
    images = np.empty(shape, "uint8")
    with _Progress(message, 0, shape[0]) as progress, _threads() as threads:
        for start, piece in _pieces(threads, make, range(0, shape[0], PIECE), shape[0]):
            images[start : start + len(piece)] = piece
            progress.add(len(piece))
    images.flags.writeable = False
    return images


class _Layout:
    """What is where in a file: a header, the images, a digest of each piece of them.

    Args:
        shape: Tuple `(n, height, width, channels)`.

    Attributes:
        starts: The first image of each piece.
        size: Bytes of the file.
    """

    def __init__(self, shape):
        header = io.BytesIO()
        description = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, description)
        self.header = header.getvalue()
        self.count, self.image_bytes = shape[0], math.prod(shape[1:])
        self.starts = range(0, self.count, PIECE)
        self.size = self._place_of_digest(self.count + PIECE - 1)

    def count_images(self, starts):
        """Returns how many images there are in the pieces that begin at `starts`."""
        return sum(min(PIECE, self.count - start) for start in starts)

    def write(self, file, start, piece):
        """Writes a piece, then its digest: a kill between the two leaves it to be made."""
        file.seek(self._place(start))
        file.write(piece)
        file.seek(self._place_of_digest(start))
        file.write(_digest(piece))

    def is_made(self, file, start):
        """Whether a piece is in the file as it was written."""
        file.seek(self._place(start))
        piece = file.read(self.count_images([start]) * self.image_bytes)
        file.seek(self._place_of_digest(start))
        return file.read(DIGEST_BYTES) == _digest(piece)

    def _place(self, image):
        return len(self.header) + image * self.image_bytes

    def _place_of_digest(self, image):
        return self._place(self.count) + image // PIECE * DIGEST_BYTES


def _digest(piece):
    return zlib.crc32(piece).to_bytes(DIGEST_BYTES, "little")


def _find_unmade(path, layout):
    """Returns which pieces are not in the file as they were written, a list of first images.

    It reads the file rather than a map of it, whose pages would count as this process's memory.
    """

    def is_made(start):
        # Missing, or unreadable as a disk's bad sector is: making it tells the two.
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return layout.is_made(file, start)
        return False

    unmade = [*layout.starts]
    with contextlib.suppress(OSError), open(path, "rb") as file:
        unmade = [] if file.read(len(layout.header)) == layout.header else unmade
    if unmade:
        return unmade
    with _Progress(f"Checking {path.name}", 0, layout.count) as progress, _threads() as threads:
        for start, made in zip(layout.starts, threads.map(is_made, layout.starts), strict=True):
            unmade += [] if made else [start]
            progress.add(layout.count_images([start]))
    return unmade


def _make_file(path, layout, make, message):
    partial = path.with_name(path.name + ".partial")
    # A damaged file in place: who reads it at this moment finds the same bytes in it, or better.
    file = path if path.exists() else partial
    with storage.explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for appending to make it where it is missing, never to empty another's.
        open(file, "ab").close()
        if file == partial and path.exists():  # finished by another process just before
            partial.unlink(missing_ok=True)
            return
        unmade = _find_unmade(file, layout)
        if file == path and unmade:
            _say_damaged(path, layout, unmade)
        try:
            _fill(file, layout, unmade, make, message)
        except OSError as error:
            if file == partial and not partial.exists() and path.exists():
                return  # finished by another process meanwhile
            if error.errno in storage.FULL:
                partial.unlink(missing_ok=True)
            raise
        path.with_name(path.name + ".done").unlink(missing_ok=True)  # of version 0.1
        if file == partial:
            _move_finished(partial, path)


def _say_damaged(path, layout, unmade):
    print(
        f"{path} is damaged or of an older version: {layout.count_images(unmade):,} of its "
        f"{layout.count:,} images are made again.",
        flush=True,
    )


def _fill(path, layout, unmade, make, message):
    """Writes the header and the pieces that are not there as an earlier run has written them."""
    done = layout.count - layout.count_images(unmade)
    with (
        open(path, "r+b") as file,
        _Progress(message, done, layout.count) as progress,
        _threads() as threads,
    ):
        file.write(layout.header)
        file.truncate(layout.size)
        for start, piece in _pieces(threads, make, unmade, layout.count):
            layout.write(file, start, piece)
            progress.add(len(piece))
        file.flush()
        # Once: digests tell what a power cut has kept of the rest.
        os.fsync(file.fileno())


@contextlib.contextmanager
def _threads():
    """Lends one thread per processor; after an error those that have not begun need not."""
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def _pieces(threads, make, starts, stop):
    """Yields, in order, the first index and the images of the pieces that begin at `starts`.

    Some pieces are made ahead, so that no thread waits while one is written.
    """
    starts = iter(starts)
    waiting = collections.deque()

    def submit(count):
        for first in itertools.islice(starts, count):
            waiting.append((first, threads.submit(make, first, min(first + PIECE, stop))))

    submit(AHEAD * os.cpu_count())
    while waiting:
        first, piece = waiting.popleft()
        yield first, piece.result()
        submit(1)


def _move_finished(partial, path):
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        # Another process finished the same file first.
        if not path.exists():
            raise


class _Progress:
    """A line for whoever waits longer than `QUIET_SECONDS`. A context, which ends it."""

    def __init__(self, message, done, total):
        self.message, self.first, self.done, self.total = message, done, done, total
        self.started = self.shown = time.monotonic()
        self.is_open = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_open:
            print(flush=True)

    def add(self, count):
        self.done += count
        now = time.monotonic()
        waited = now - self.started
        if waited < QUIET_SECONDS or (now - self.shown < 1 and self.done < self.total):
            return
        left = waited * (self.total - self.done) / (self.done - self.first)
        line = f"{self.message}: {self.done:,} of {self.total:,}, about {left:.0f} s left "
        print(f"\r{line:<70}", end="", flush=True)
        self.shown, self.is_open = now, True
