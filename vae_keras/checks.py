"""What must hold of images and targets before a model learns from them."""

import keras
import numpy as np


def check_images(images, name, image_shape, bounds):
    """Raises `ValueError` where images would train a model on nonsense.

    Arrays are checked whole, a `PyDataset` by its first batch. Other streams
    can be read only once and pass unread; their shapes are checked as they
    reach the loss.

    Args:
        images: Array `(n, ...)`, `PyDataset`, any stream of batches, or `None`.
        name: The argument's name, for the message.
        image_shape: Tuple, the shape of one image; `None` where it is unknown.
        bounds: Pair, the least and the greatest value allowed.
    """
    if isinstance(images, keras.utils.PyDataset):
        batch = images[0]
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
    if not hasattr(images, "shape"):
        return
    shape = tuple(images.shape)
    if image_shape is not None and not _fits(shape[1:], image_shape):
        raise ValueError(
            f"Argument `{name}` must be images of shape {image_shape}, one batch axis first. "
            f"Received: {name} of shape {shape}"
        )
    if 0 not in shape:
        _check_bounds(np.asarray(images), name, bounds)


def _fits(shape, expected):
    return len(shape) == len(expected) and all(
        size == wanted or wanted is None for size, wanted in zip(shape, expected, strict=True)
    )


def _check_bounds(values, name, bounds):
    # A NaN makes the least value NaN, and no comparison with NaN is true.
    least, greatest = values.min(), values.max()
    if not (least >= bounds[0] and greatest <= bounds[1]):
        hint = " Divide 8-bit images by 255." if greatest > 1 else ""
        raise ValueError(
            f"Argument `{name}` must hold values in [{bounds[0]}, {bounds[1]}] and no NaN. "
            f"Received: values from {least} to {greatest}.{hint}"
        )


def check_target(x, y):
    """Returns what a model is to reconstruct: `y`, or `x` where there is no `y`.

    Raises:
        ValueError: if `y` is not shaped like `x`, as labels are not.
    """
    if y is None:
        return x
    if tuple(y.shape[1:]) != tuple(x.shape[1:]):
        raise ValueError(
            "Argument `y` must be images to reconstruct, shaped like `x`; labels are not used. "
            f"Received: x of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}"
        )
    return y


def check_decoded(images, parameters):
    """Raises `ValueError` unless the decoder's output is shaped like the images it scores."""
    if tuple(images.shape[1:]) != tuple(parameters.shape[1:]):
        raise ValueError(
            "The decoder's output must be shaped like the images. "
            f"Received: images of shape {tuple(images.shape[1:])}, "
            f"decoder output of shape {tuple(parameters.shape[1:])}"
        )
