"""JPEG and PNG files to small images. Run by its path: a process that does this and nothing else.

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
# Pillow's names of what has no colour: 1, 8 or 16 bits, or 8 and transparency.
GREY = ("1", "L", "LA", "I", "I;16", "I;16B")
REDUCED = 4  # times the size wanted: JPEG files of more are read at a half, a quarter, an eighth


def decode(content, image_size, crop=CROP, mode="RGB"):
    """Decodes an image, turns it as it says, crops it to its central square and resizes that.

    Args:
        content: Bytes of a JPEG or PNG file.
        image_size: Integer, pixels along the side.
        crop: Float, the square's largest share of the width.
        mode: `"RGB"`, or `"L"` for a grey image.

    Returns:
        Bytes, the uint8 values of an image `(image_size, image_size, len(mode))`.

    Raises:
        Exception: Of many kinds, where the file is truncated, corrupt or too large.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as image:
        share = REDUCED * image_size / min(crop * image.width, image.height)
        image.draft(image.mode, (round(share * image.width), round(share * image.height)))
        image.load()
        if "exif" in image.info:
            ImageOps.exif_transpose(image, in_place=True)
        side = min(crop * image.width, image.height)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        # `convert` copies even where there is nothing to convert.
        is_plain = image.mode == mode and "transparency" not in image.info
        image = image if is_plain else _convert(image, mode)
        image = image.resize(
            (image_size, image_size),
            Image.Resampling.BILINEAR,  # in Pillow, antialiased
            box=(left, top, left + side, top + side),
        )
        return image.tobytes()


def _convert(image, mode):
    from PIL import Image

    if image.mode.startswith("I"):
        # Of 16 bits `convert` alone would cut off all that is above 255.
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.mode.endswith("A") or "transparency" in image.info:
        # What is transparent shows the page behind it.
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert(mode)
    return image.convert(mode)


def is_grey(content):
    """Returns whether an image file, bytes, holds no colour; errors as those of `decode`."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        return image.mode in GREY


def decode_all(contents, image_size, crop=CROP, mode="RGB"):
    """Decodes images of one size, the arguments as those of `decode`.

    Returns:
        Bytearray, the images one after another, or, where one cannot be decoded, its
        position and why: an integer and a string.
    """
    size = len(mode) * image_size**2
    images = bytearray(size * len(contents))
    for position, content in enumerate(contents):
        try:
            images[position * size : (position + 1) * size] = decode(
                content, image_size, crop, mode
            )
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
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the process that asks
        signal.signal(number, signal.SIG_IGN)
    # Whoever asks may be killed while it writes a request or reads an answer.
    with contextlib.suppress(EOFError, pickle.UnpicklingError, BrokenPipeError):
        while True:
            request = pickle.load(sys.stdin.buffer)
            pickle.dump(decode_all(*request), sys.stdout.buffer, protocol=5)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
