"""Encoders and decoders, as functional Keras models."""

import math

import keras
from keras import layers

STEM = 4  # pixels along the side of the patches that a convolutional network starts from


def dense(image_shape=(28, 28, 1), latent_dim=2, variational=True, units=(256, 128, 64)):
    """Builds fully connected networks, for small images and for tables.

    Args:
        image_shape: Tuple `(height, width, channels)`, or `(columns,)` for the
            rows of a table.
        latent_dim: Integer, numbers per code.
        variational: Boolean. Whether the encoder returns
            `(z_mean, z_log_var)`, for a `VAE`, or the code alone, for an
            `Autoencoder`.
        units: Tuple of integers, the encoder's hidden layers; the decoder's
            are the same in reverse.

    Returns:
        `(encoder, decoder)`: images `(batch, *image_shape)` to codes
        `(batch, latent_dim)`, and back to unbounded values (logits or means).
    """
    image = x = keras.Input(image_shape, name="image")
    x = layers.Flatten()(x)
    for size in units:
        x = layers.Dense(size, activation="relu")(x)
    encoder = keras.Model(image, _code(x, latent_dim, variational), name="encoder")

    z = x = keras.Input((latent_dim,), name="z")
    for size in reversed(units):
        x = layers.Dense(size, activation="relu")(x)
    x = layers.Dense(math.prod(image_shape))(x)
    decoder = keras.Model(z, layers.Reshape(image_shape)(x), name="decoder")
    return encoder, decoder


def convolutional(image_shape=(64, 64, 3), latent_dim=64, variational=True, filters=(32, 64, 128)):
    """Builds convolutional networks, for faces and the like.

    The encoder cuts the image into patches of 4 by 4 pixels and halves the
    size with each further layer; the decoder doubles it by rearranging
    channels into pixels (Shi et al., 2016), which costs a fraction of
    transposed convolutions at full size.

    Args:
        image_shape: Tuple `(height, width, channels)`; height and width are
            multiples of `2 ** (len(filters) + 1)`: of 16 by default.
        latent_dim: Integer, numbers per code.
        variational: Boolean. Whether the encoder returns
            `(z_mean, z_log_var)`, for a `VAE`, or the code alone, for an
            `Autoencoder`.
        filters: Tuple of integers, the channels after each of the encoder's
            layers; the decoder's are the same in reverse.

    Returns:
        `(encoder, decoder)`: images `(batch, height, width, channels)` to
        codes `(batch, latent_dim)`, and back to unbounded values (logits or
        means).

    Raises:
        ValueError: if the strides do not divide the image's size.
    """
    smallest = (*_smallest(image_shape, filters), filters[-1])
    image = keras.Input(image_shape, name="image")
    x = _shrunk(image, filters)
    encoder = keras.Model(
        image, _code(layers.Flatten()(x), latent_dim, variational), name="encoder"
    )

    z = keras.Input((latent_dim,), name="z")
    x = layers.Dense(math.prod(smallest), activation="silu")(z)
    image = _grown(layers.Reshape(smallest)(x), filters, image_shape[-1])
    return encoder, keras.Model(z, image, name="decoder")


def convolutional_map(image_shape=(64, 64, 3), channels=4, variational=True, filters=(32, 64)):
    """Builds convolutional networks whose code is a small image itself: a map.

    Each place of the map describes the patch of the image that it stands for
    and a little around it, and nothing is flattened: so it copies well, and
    the same weights serve every place. What the places have to do with each
    other is left to whoever draws maps (`vae_keras.flow_matching`).

    Args:
        image_shape: Tuple `(height, width, channels)`, height and width
            multiples of `4 * 2 ** (len(filters) - 1)`: of 8 by default.
        channels: Integer, numbers per place of the map.
        variational: Boolean, as in `convolutional`.
        filters: Tuple of integers, the channels after each of the encoder's
            layers that shrink the image: the first by 4, the others by 2.

    Returns:
        `(encoder, decoder)`: images `(batch, height, width, channels)` to
        codes `(batch, height / stride, width / stride, channels)`, and back to
        unbounded values (logits or means).

    Raises:
        ValueError: if the strides do not divide the image's size.
    """
    smallest = (*_smallest(image_shape, filters), channels)
    image = keras.Input(image_shape, name="image")
    x = _shrunk(image, filters)
    x = layers.Conv2D(filters[-1], 3, padding="same", activation="silu")(x)
    encoder = keras.Model(image, _code(x, channels, variational, _place), name="encoder")

    z = keras.Input(smallest, name="z")
    x = layers.Conv2D(filters[-1], 3, padding="same", activation="silu")(z)
    return encoder, keras.Model(z, _grown(x, filters, image_shape[-1]), name="decoder")


def _shrunk(x, filters):
    x = layers.Conv2D(filters[0], STEM, strides=STEM, activation="silu")(x)
    for size in filters[1:]:
        x = layers.Conv2D(size, 3, strides=2, padding="same", activation="silu")(x)
    return x


def _grown(x, filters, channels):
    for size in reversed(filters[:-1]):
        x = layers.Conv2D(size * 4, 3, padding="same", activation="silu")(x)
        x = _channels_to_pixels(x, 2)
    x = layers.Conv2D(channels * STEM**2, 3, padding="same")(x)
    return _channels_to_pixels(x, STEM)


def _smallest(image_shape, filters):
    """Returns the size of the shrunk image, or raises `ValueError` if the strides do not fit."""
    height, width, _ = image_shape
    stride = _stride(filters)
    if height % stride or width % stride:
        raise ValueError(
            f"Argument `image_shape` must have a height and a width divisible by {stride}, "
            f"the product of the strides. Received: image_shape={tuple(image_shape)}. "
            + _what_fits(height, width, filters)
        )
    return height // stride, width // stride


def _stride(filters):
    return STEM * 2 ** (len(filters) - 1)


def _what_fits(height, width, filters):
    """Says what would do for images of this size: a margin or, where it helps, fewer layers."""
    stride = _stride(filters)
    padded = " by ".join(str(-(-side // stride) * stride) for side in (height, width))
    fewer = [tuple(filters[:count]) for count in range(1, len(filters))]
    fitting = [some for some in fewer if math.gcd(height, width) % _stride(some) == 0]
    return f"Pad the images to {padded}" + (f" or pass filters={fitting[-1]}." if fitting else ".")


def _code(x, size, variational, layer=layers.Dense):
    # No activation: a mean and a log-variance may take any sign.
    names = ("z_mean", "z_log_var") if variational else ("z",)
    outputs = tuple(layer(size, name=name)(x) for name in names)
    return outputs if variational else outputs[0]


def _place(channels, name):
    """A dense layer on each place of a map."""
    return layers.Conv2D(channels, 1, name=name)


def _channels_to_pixels(x, factor):
    """Makes each pixel a square of `factor` by `factor`, out of its channels."""
    height, width, channels = x.shape[1:]
    x = layers.Reshape((height, width, factor, factor, channels // factor**2))(x)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    return layers.Reshape((height * factor, width * factor, channels // factor**2))(x)
