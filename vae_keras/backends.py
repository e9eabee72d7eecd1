"""What is asked and set before Keras is imported: the backend, and how it computes."""

import os
import platform

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


def use_onednn():
    """Lets TensorFlow use oneDNN on every x86 processor, where nothing else is set.

    By itself it does so on Intel's alone. On one AMD processor the faces' VAE,
    fed by `ImageBatches`, took half the time with it; fed by an array, a
    tenth or so less. Without effect where TensorFlow is imported already.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
