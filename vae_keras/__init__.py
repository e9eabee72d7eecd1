"""Variational autoencoders in Keras: the chapter's building blocks, ready for reuse."""

from vae_keras.backends import check_environment, use_onednn
from vae_keras.quiet import quiet_start

with quiet_start():
    check_environment()
    use_onednn()
    import keras  # noqa: F401  the import that talks

# isort: split
from vae_keras import datasets, latent, likelihoods, losses, models, networks, optimizers, sampling
from vae_keras.losses import kl_divergence
from vae_keras.models import VAE, Autoencoder
from vae_keras.sampling import Sampling
from vae_keras.version import __version__

__all__ = [
    "VAE",
    "Autoencoder",
    "Sampling",
    "__version__",
    "datasets",
    "kl_divergence",
    "latent",
    "likelihoods",
    "losses",
    "models",
    "networks",
    "optimizers",
    "sampling",
]
