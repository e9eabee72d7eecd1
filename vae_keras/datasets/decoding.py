"""JPEG files to small images, many at once, by processes that know nothing else.

Run by its path this file is such a process. It must not import the package: Keras
takes seconds and hundreds of megabytes to come up, Pillow a tenth of a second.
Threads would wait for each other, as a third of the work holds Python's lock.
"""

import contextlib
import io
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading

import numpy as np

# The square around the face that most papers on VAEs use: 148 pixels of a width of 178.
CROP = 148 / 178
FEW = 1_000  # images that are decoded before other processes have started


def decode(content, image_size):
    """Decodes an image, crops it to its central square and resizes that.

    Args:
        content: Bytes of a JPEG file.
        image_size: Integer, pixels along the side.

    Returns:
        uint8 array `(image_size, image_size, 3)`.

    Raises:
        OSError, SyntaxError: Where the file is truncated or corrupt.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.load()
        side = min(CROP * image.width, image.height)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        # `convert` copies even where there is nothing to convert.
        image = image if image.mode == "RGB" else image.convert("RGB")
        image = image.resize(
            (image_size, image_size),
            Image.Resampling.BILINEAR,  # in Pillow, antialiased
            box=(left, top, left + side, top + side),
        )
        return np.asarray(image)


def decode_all(contents, image_size):
    """Decodes images of one size.

    Returns:
        uint8 array `(n, image_size, image_size, 3)`, or, where an image cannot be
        decoded, its position and why: an integer and a string.
    """
    images = np.empty((len(contents), image_size, image_size, 3), "uint8")
    for position, content in enumerate(contents):
        try:
            images[position] = decode(content, image_size)
        except (OSError, SyntaxError) as error:
            return position, str(error)
    return images


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

    def __call__(self, contents, image_size):
        """Returns what `decode_all` returns."""
        if self._is_here:
            return decode_all(contents, image_size)
        with self._starting:
            if not self._processes:
                self._start()
        process = self._idle.get()
        try:
            pickle.dump((contents, image_size), process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise OSError(
                "A process that decodes images has ended before its work was done, for want of "
                "memory perhaps. Run this again: it goes on from there."
            ) from error
        finally:
            self._idle.put(process)

    def _start(self):
        # Without -P the modules beside this file would hide others of the same names.
        command = [sys.executable, "-P", __file__]
        for _ in range(os.cpu_count()):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes.append(process)
            self._idle.put(process)


def serve():
    """Decodes what comes on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    # Whoever asks may be killed while it writes a request or reads an answer.
    with contextlib.suppress(EOFError, pickle.UnpicklingError, BrokenPipeError):
        while True:
            request = pickle.load(sys.stdin.buffer)
            pickle.dump(decode_all(*request), sys.stdout.buffer, protocol=5)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
