"""Which of Keras's backends there is a training step for."""

import os

BACKENDS = ("tensorflow", "jax", "torch")


def check_backend(name):
    """Raises `ImportError` unless `name` is one of `BACKENDS`."""
    if name not in BACKENDS:
        raise ImportError(
            f"vae_keras trains on the Keras backends {BACKENDS}. Received: KERAS_BACKEND={name!r}"
        )


def check_environment():
    """Raises `ImportError` where the variable `KERAS_BACKEND` names another backend."""
    if os.environ.get("KERAS_BACKEND"):
        check_backend(os.environ["KERAS_BACKEND"])
