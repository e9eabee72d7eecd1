"""One training step per Keras backend: gradients only, chosen once."""

import importlib

import keras

BACKENDS = ("tensorflow", "jax", "torch")


def load(backend):
    """Returns the `train_step` method for the Keras backend of that name.

    Raises:
        ImportError: if there is none.
    """
    if backend not in BACKENDS:
        raise ImportError(
            f"vae_keras trains on the Keras backends {BACKENDS}. "
            f"Received: KERAS_BACKEND={backend!r}"
        )
    return importlib.import_module(f"vae_keras.train_steps.{backend}").train_step


train_step = load(keras.backend.backend())
