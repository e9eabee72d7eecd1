"""JPEG files to small images. Run by its path: a process that does this and nothing else.

Such a process must not import the package: Keras takes seconds and hundreds of
megabytes to come up, NumPy a quarter of a second, Pillow a twentieth.
"""

import contextlib
import io
import pickle
import signal
import sys

# The square around the face that most papers on VAEs use: 148 pixels of a width of 178.
CROP = 148 / 178


def decode(content, image_size):
    """Decodes an image, turns it as its EXIF data say, crops and resizes its central square.

    Args:
        content: Bytes of a JPEG file.
        image_size: Integer, pixels along the side.

    Returns:
        Bytes, the uint8 values of an image `(image_size, image_size, 3)`.

    Raises:
        Exception: Of many kinds, where the file is truncated, corrupt or too large.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as image:
        image.load()
        if "exif" in image.info:
            ImageOps.exif_transpose(image, in_place=True)
        side = min(CROP * image.width, image.height)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        # `convert` copies even where there is nothing to convert.
        image = image if image.mode == "RGB" else image.convert("RGB")
        image = image.resize(
            (image_size, image_size),
            Image.Resampling.BILINEAR,  # in Pillow, antialiased
            box=(left, top, left + side, top + side),
        )
        return image.tobytes()


def decode_all(contents, image_size):
    """Decodes images of one size.

    Returns:
        Bytearray, the images one after another, or, where one cannot be decoded, its
        position and why: an integer and a string.
    """
    size = 3 * image_size**2
    images = bytearray(size * len(contents))
    for position, content in enumerate(contents):
        try:
            images[position * size : (position + 1) * size] = decode(content, image_size)
        except Exception as error:  # no other base class: MemoryError, DecompressionBombError, ...
            return position, _reason(error)
    return images


def _reason(error):
    from PIL import UnidentifiedImageError

    # Its own text is an address in memory.
    is_unknown = isinstance(error, UnidentifiedImageError)
    return "it is no image" if is_unknown else str(error) or type(error).__name__


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
