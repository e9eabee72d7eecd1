"""Variational autoencoders in Keras: the chapter's building blocks, ready for reuse.

What is named here is imported when it is first used, and Keras with it: so a
program may set Keras up first (`vae_keras.startup`), or do without it.
"""

import importlib

from vae_keras.backends import check_environment
from vae_keras.registration import register_with_keras
from vae_keras.version import __version__

NAMES = {
    "VAE": "models",
    "Autoencoder": "models",
    "Sampling": "sampling",
    "kl_divergence": "losses",
}
MODULES = [
    "datasets",
    "evaluation",
    "explorer",
    "flow_matching",
    "judges",
    "laboratory",
    "latent",
    "likelihoods",
    "losses",
    "models",
    "networks",
    "optimizers",
    "plots",
    "priors",
    "sampling",
    "startup",
    "two_samples",
]

__all__ = [*NAMES, *MODULES, "__version__"]

check_environment()
register_with_keras()


def __getattr__(name):
    if name in NAMES:
        return getattr(importlib.import_module(f"vae_keras.{NAMES[name]}"), name)
    if name in MODULES:
        return importlib.import_module(f"vae_keras.{name}")
    raise AttributeError(f"module 'vae_keras' has no attribute {name!r}")


def __dir__():
    return __all__
