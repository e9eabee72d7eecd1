"""What must hold of images and targets before a model learns from them."""

import math

import keras
import numpy as np

ROUNDING = 1e-6  # of the width of the bounds


def check_model(model, name):
    """Raises `ValueError` unless `model` is a Keras model, which can call and predict."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"Argument `{name}` must be a Keras model. Received: {name}={model!r}")


def as_array(x):
    """Returns a NumPy array of what any library calls an array or a tensor."""
    if hasattr(x, "detach"):  # PyTorch's, which may want a gradient or lie on a device
        x = x.detach().cpu()
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x  # which NumPy does not know
    return np.asarray(x)


def is_array(x):
    """Whether `x` is an array of any library, and not a stream of batches."""
    return hasattr(x, "shape")


def check_images(images, name, image_shape, bounds, noisy=False):
    """Raises `ValueError` where an array of images would train a model on nonsense.

    Args:
        images: Array `(n, ...)`; anything else passes.
        name: The argument's name, for the message.
        image_shape: Tuple, the shape of one image; `None` where it is unknown.
        bounds: Pair, the least and the greatest value allowed, or `None`.
        noisy: Boolean. Whether the images may carry noise beyond the bounds.
    """
    if not is_array(images):
        return
    shape = tuple(images.shape)
    if image_shape is not None and not fits(shape[1:], image_shape):
        hint = ""
        if fits((*shape[1:], 1), image_shape):
            hint = f" Add the axis of channels: `{name}[..., None]`."
        raise ValueError(
            f"Argument `{name}` must be images of shape {image_shape}, one batch axis first. "
            f"Received: {name} of shape {shape}.{hint}"
        )
    if 0 not in shape:
        values = as_array(images)
        # A NaN makes the least value NaN, and no comparison with NaN is true.
        least, greatest = float(values.min()), float(values.max())
        check_range(least, greatest, f"Argument `{name}`", bounds, noisy)


def fits(shape, expected):
    """Whether two shapes can be the same; a `None` in either is a size not known yet."""
    return len(shape) == len(expected) and all(
        size == wanted or size is None or wanted is None
        for size, wanted in zip(shape, expected, strict=True)
    )


def check_range(least, greatest, what, bounds, noisy=False):
    """Raises `ValueError` where values from `least` to `greatest` are none to learn from."""
    low, high = bounds or (-math.inf, math.inf)
    slack = ROUNDING * (high - low) if bounds else 0.0
    eight_bit = bounds == (0.0, 1.0) and least >= 0 and 15 < greatest <= 255
    finite = math.isfinite(least) and math.isfinite(greatest)
    within = noisy or (least >= low - slack and greatest <= high + slack)
    if finite and within and not eight_bit:
        return
    in_bounds = f"values in [{low}, {high}]" + (" but for noise" if noisy else "")
    expected = f"{in_bounds} and no NaN" if bounds else "finite values"
    hint = " Divide 8-bit images by 255." if eight_bit else ""
    raise ValueError(
        f"{what} must hold {expected}. Received: values from {least} to {greatest}.{hint}"
    )


def check_condition(condition, shape, n):
    """Raises `ValueError` unless there is a condition of that shape for each of `n` images.

    Args:
        condition: Array; anything else passes.
        shape: Tuple, what a model takes for one image. Keras adds a last axis of size 1, and
            takes any where it expects one.
        n: Integer.
    """
    if not is_array(condition):
        return
    given, shape = tuple(condition.shape), tuple(shape)
    is_alike = shape[-1:] == (1,) or any(fits(given[1:], one) for one in (shape, (*shape, 1)))
    if given[:1] != (n,) or not is_alike:
        raise ValueError(
            f"A condition must be of shape {(n, *shape)}, one for each image or code. "
            f"Received: a condition of shape {given}"
        )
    # Infinity may be meant, as in a mask that is added.
    if (
        "float" in str(getattr(condition, "dtype", ""))
        and np.isnan(as_array(condition).astype("float32")).any()
    ):
        raise ValueError("A condition must not hold NaN.")


def check_weights(sample_weight):
    """Raises `ValueError` for an array of weights that are NaN, infinite or below zero."""
    if not is_array(sample_weight) or 0 in tuple(sample_weight.shape):
        return
    values = as_array(sample_weight)
    least, greatest = float(values.min()), float(values.max())
    if not (least >= 0.0 and math.isfinite(greatest)):
        raise ValueError(
            "Argument `sample_weight` must hold finite numbers >= 0. "
            f"Received: values from {least} to {greatest}"
        )


def check_not_empty(images, name):
    """Raises `ValueError` for an array without images."""
    if is_array(images) and images.shape[0] == 0:
        raise ValueError(
            f"Argument `{name}` must hold at least one image. "
            f"Received: {name} of shape {tuple(images.shape)}"
        )


def check_target(x, y):
    """Returns what a model is to reconstruct: `y`, or `x` where there is no `y`.

    Raises:
        ValueError: if `y` is not shaped like `x`, as labels are not.
    """
    if y is None:
        return x
    if not fits(y.shape[1:], x.shape[1:]):
        raise ValueError(
            "Argument `y` must be images to reconstruct, shaped like `x`; labels are not used "
            "(`labels=None` leaves them out of `image_dataset_from_directory`). "
            f"Received: x of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}"
        )
    return y


def check_same_shape(shapes):
    """Raises `ValueError` unless `shapes` are those of a mean and its log-variance."""
    is_pair = isinstance(shapes, (tuple, list)) and len(shapes) == 2
    if not is_pair or not all(isinstance(shape, (tuple, list)) for shape in shapes):
        hint = ""
        if isinstance(shapes, (tuple, list)) and len(shapes) == 3:
            hint = ". Leave out the third: the model samples by itself"
        raise ValueError(
            "Expected two tensors, `(z_mean, z_log_var)`, as a VAE's encoder must return them. "
            f"Received something of shape {shapes}{hint}"
        )
    if not fits(*shapes):
        raise ValueError(
            "`z_mean` and `z_log_var` must have the same shape. "
            f"Received: z_mean of shape {tuple(shapes[0])}, "
            f"z_log_var of shape {tuple(shapes[1])}"
        )


def check_code(z):
    """Raises `ValueError` unless an autoencoder's code is one tensor, as a VAE's is not."""
    if isinstance(z, (tuple, list, dict)):
        raise ValueError(
            "The encoder of an Autoencoder must return one tensor, the codes; a pair "
            f"`(z_mean, z_log_var)` is for a VAE. Received: {len(z)} tensors"
        )


def check_logits(decoder):
    """Raises `ValueError` where a decoder of logits ends in an activation that squashes them."""
    layer, node, _ = decoder.outputs[0]._keras_history
    while isinstance(layer, (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)):
        before = layer._inbound_nodes[node].input_tensors[0]
        layer, node, _ = before._keras_history
    if isinstance(layer, keras.Model):
        check_logits(layer)
        return
    activation = getattr(getattr(layer, "activation", None), "__name__", None)
    if activation in ("sigmoid", "hard_sigmoid", "softmax"):
        raise ValueError(
            "The decoder must return logits, which the likelihood squashes by itself: leave "
            f"the activation out. Received: a decoder that ends in {activation}, in the "
            f"layer {layer.name}"
        )


def check_codes(codes, name, code_shape=None):
    """Returns codes as a float32 array `(n, *code_shape)`; `(n, latent_dim)` where that is `None`.

    Raises:
        ValueError: if they are not of that shape, none, or hold NaN or infinity.
    """
    codes = as_array(codes).astype("float32")
    fits = codes.ndim == 2 if code_shape is None else codes.shape[1:] == tuple(code_shape)
    if not fits or 0 in codes.shape:
        sizes = ["latent_dim"] if code_shape is None else code_shape
        raise ValueError(
            f"Argument `{name}` must hold at least one code, of shape "
            f"(n, {', '.join(map(str, sizes))}). "
            f"Received: {name} of shape {codes.shape}"
        )
    if not np.isfinite(codes).all():
        raise ValueError(f"Argument `{name}` must not hold NaN or infinity.")
    return codes


def check_own_loss(model):
    """Raises `ValueError` where a model that has a loss of its own was compiled with another."""
    if (loss := getattr(model, "loss", None)) is not None:
        model.loss = model._compile_loss = None  # Keras keeps them over a `compile` without
        raise ValueError(
            f"{type(model).__name__} computes its own loss and reports {model.loss_names}: "
            f"argument `loss` of `compile` must be None. Received: loss={loss}"
        )


def check_nats(nats, what):
    """Raises `ValueError` unless there is one number for each image of a batch."""
    if len(nats.shape) != 1:
        raise ValueError(
            f"{what} must return nats of shape `(batch,)`, one number for each image. "
            f"Received: shape {tuple(nats.shape)}"
        )


def check_weight(sample_weight, images):
    """Returns weights, one for each image or for each step or pixel of it, ready to multiply.

    Args:
        sample_weight: Tensor `(batch,)`, `(batch, 1)`, or of as many of the
            leading axes of `images` as it has, where an axis may have size 1;
            or `None`.
        images: Tensor `(batch, ...)`.

    Returns:
        `(weight, per_image)`: the weights, and whether each is an image's.

    Raises:
        ValueError: if they are shaped like neither.
    """
    if sample_weight is None:
        return None, False
    shape, of_images = tuple(sample_weight.shape[1:]), tuple(images.shape[1:])
    if math.prod(size or 0 for size in shape) == 1:
        return keras.ops.reshape(sample_weight, (-1,)), True
    leading = [None if size == 1 else size for size in shape]
    if len(shape) <= len(of_images) and fits(leading, of_images[: len(shape)]):
        return sample_weight, False
    raise ValueError(
        "Argument `sample_weight` must hold one number for each image, or be shaped like the "
        "leading axes of the images, to weigh steps, pixels or entries. Received: sample_weight "
        f"of shape {tuple(sample_weight.shape)}, images of shape {tuple(images.shape)}"
    )
