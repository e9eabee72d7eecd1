"""Encoders and decoders, as functional Keras models."""

import math

import keras
from keras import layers


def dense(image_shape=(28, 28, 1), latent_dim=2, variational=True, units=(256, 128, 64)):
    """Builds fully connected networks, for small images.

    Args:
        image_shape: Tuple `(height, width, channels)`.
        latent_dim: Integer, numbers per code.
        variational: Boolean. Whether the encoder returns
            `(z_mean, z_log_var)`, for a `VAE`, or the code alone, for an
            `Autoencoder`.
        units: Tuple of integers, the encoder's hidden layers; the decoder's
            are the same in reverse.

    Returns:
        `(encoder, decoder)`: `(batch, *image_shape)` to `(batch, latent_dim)`
        and back, to unbounded values (logits or means).
    """
    image = keras.Input(image_shape, name="image")
    x = layers.Flatten()(image)
    for size in units:
        x = layers.Dense(size, activation="relu")(x)
    encoder = keras.Model(image, _code(x, latent_dim, variational), name="encoder")

    z = keras.Input((latent_dim,), name="z")
    x = z
    for size in reversed(units):
        x = layers.Dense(size, activation="relu")(x)
    x = layers.Dense(math.prod(image_shape))(x)
    decoder = keras.Model(z, layers.Reshape(image_shape)(x), name="decoder")
    return encoder, decoder


def _code(x, latent_dim, variational):
    if not variational:
        return layers.Dense(latent_dim, name="z")(x)
    # No activation: a mean and a log-variance may take any sign.
    return layers.Dense(latent_dim, name="z_mean")(x), layers.Dense(latent_dim, name="z_log_var")(x)
