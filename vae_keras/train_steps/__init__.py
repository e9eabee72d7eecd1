"""One training step per Keras backend: gradients, their use, and replicas; chosen once."""

import importlib

import keras

from vae_keras.backends import check_backend


def load(backend):
    """Returns the module of this package for the Keras backend of that name.

    Raises:
        ImportError: if there is none.
    """
    check_backend(backend)
    return importlib.import_module(f"vae_keras.train_steps.{backend}")


_backend = load(keras.backend.backend())
train_step, without_gradients = _backend.train_step, _backend.without_gradients
num_replicas, replica_seed = _backend.num_replicas, _backend.replica_seed
AdamUpdate, keep_freed_memory = _backend.AdamUpdate, _backend.keep_freed_memory
jvp = _backend.jvp
