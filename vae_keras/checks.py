"""What must hold of images and targets before a model learns from them."""

import math

import keras
import numpy as np


def check_model(model, name):
    """Raises `ValueError` unless `model` is a Keras model, which can call and predict."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"Argument `{name}` must be a Keras model. Received: {name}={model!r}")


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
    """Whether two shapes can be the same; a `None` in either is a size not known yet."""
    return len(shape) == len(expected) and all(
        size == wanted or size is None or wanted is None
        for size, wanted in zip(shape, expected, strict=True)
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
    if not _fits(y.shape[1:], x.shape[1:]):
        raise ValueError(
            "Argument `y` must be images to reconstruct, shaped like `x`; labels are not used. "
            f"Received: x of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}"
        )
    return y


def check_decoded(images, parameters):
    """Raises `ValueError` unless the decoder's output is shaped like the images it scores."""
    if not _fits(parameters.shape[1:], images.shape[1:]):
        raise ValueError(
            "The decoder's output must be shaped like the images. "
            f"Received: images of shape {tuple(images.shape[1:])}, "
            f"decoder output of shape {tuple(parameters.shape[1:])}"
        )


def check_code(z):
    """Raises `ValueError` unless an autoencoder's code is one tensor, as a VAE's is not."""
    if isinstance(z, (tuple, list, dict)):
        raise ValueError(
            "The encoder of an Autoencoder must return one tensor, the codes; a pair "
            f"`(z_mean, z_log_var)` is for a VAE. Received: {len(z)} tensors"
        )


def check_codes(codes, name):
    """Returns codes as a float32 array `(n, latent_dim)`.

    Raises:
        ValueError: if they are not of that shape, none, or hold NaN or infinity.
    """
    codes = np.asarray(codes, "float32")
    if codes.ndim != 2 or 0 in codes.shape:
        raise ValueError(
            f"Argument `{name}` must hold at least one code, of shape (n, latent_dim). "
            f"Received: {name} of shape {codes.shape}"
        )
    if not np.isfinite(codes).all():
        raise ValueError(f"Argument `{name}` must not hold NaN or infinity.")
    return codes


def check_weight(sample_weight):
    """Raises `ValueError` unless there is one weight for each image."""
    if math.prod(size or 1 for size in sample_weight.shape[1:]) != 1:
        raise ValueError(
            "Argument `sample_weight` must hold one number for each image. "
            f"Received: sample_weight of shape {tuple(sample_weight.shape)}"
        )
