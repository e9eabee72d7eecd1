"""Many JPEG and PNG files decoded at once, by processes that know nothing else.

Threads would wait for each other, as a third of the work holds Python's lock.
"""

import os
import pickle
import queue
import subprocess
import sys
import threading

import numpy as np

from vae_keras.datasets import jpeg

FEW = 1_000  # images that are decoded before other processes have started


class ProcessEnded(OSError):
    """A process has died, with no word on which image it was at."""


class Decoder:
    """Decodes what several threads give it, each piece in a process of its own.

    A context: the processes start with the first call, one per processor, and end
    with the context. So they do if this process is killed.

    Args:
        count: Integer, how many images there will be. A few are decoded here.
    """

    def __init__(self, count):
        self._is_here = count <= FEW
        self._processes, self._idle = [], queue.SimpleQueue()
        self._starting = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.communicate()

    def __call__(self, contents, image_size, crop=jpeg.CROP, mode="RGB"):
        """Decodes images of one size.

        Args:
            contents: List of n JPEG or PNG files, bytes.
            image_size: Integer, pixels along the side.
            crop, mode: As `jpeg.decode` takes them.

        Returns:
            uint8 array `(n, image_size, image_size, len(mode))`, or, where an image cannot be
            decoded, its position and why: an integer and a string.

        Raises:
            ProcessEnded: Where a process has died.
        """
        decode_all = jpeg.decode_all if self._is_here else self._decode_elsewhere
        images = decode_all(contents, image_size, crop, mode)
        if isinstance(images, tuple):
            return images
        return np.frombuffer(images, "uint8").reshape(len(contents), image_size, image_size, -1)

    def decode(self, names, contents, damaged, *arguments):
        """Decodes images of one size, or says which of them cannot be decoded.

        Args:
            names: List of n strings.
            contents: List of n JPEG or PNG files, bytes.
            damaged: Function of a name and a reason that returns the error to raise.
            *arguments: As a call takes them.

        Returns:
            uint8 array, as a call returns it.

        Raises:
            OSError: Where a process has died.
        """
        try:
            images = self(contents, *arguments)
        except ProcessEnded as error:
            where = f"an image that is too large is among {names[0]} to {names[-1]}"
            raise OSError(f"{error} If that does not help, {where}.") from error
        if isinstance(images, tuple):
            position, reason = images
            raise damaged(names[position], reason)
        return images

    def _decode_elsewhere(self, *request):
        with self._starting:
            if not self._processes:
                self._start()
        process = self._idle.get()
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise ProcessEnded(
                "A process that decodes images has ended before its work was done, for want of "
                "memory perhaps. Run this again: it goes on from there."
            ) from error
        finally:
            self._idle.put(process)

    def _start(self):
        # Without -P the modules beside this file would hide others of the same names.
        command = [sys.executable, "-P", jpeg.__file__]
        for _ in range(os.cpu_count()):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes.append(process)
            self._idle.put(process)
