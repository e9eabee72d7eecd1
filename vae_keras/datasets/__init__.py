"""Datasets: arrays out, no model."""

from vae_keras.datasets import batches, celeba, fashion_mnist, storage, synthetic
from vae_keras.datasets.batches import ImageBatches
from vae_keras.datasets.celeba import load_celeba
from vae_keras.datasets.fashion_mnist import load_fashion_mnist

__all__ = [
    "ImageBatches",
    "batches",
    "celeba",
    "fashion_mnist",
    "load_celeba",
    "load_fashion_mnist",
    "storage",
    "synthetic",
]
