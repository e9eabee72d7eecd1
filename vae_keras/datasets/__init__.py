"""Datasets: arrays out, no model."""

from vae_keras.datasets import batches, celeba, fashion_mnist, folders, storage, synthetic
from vae_keras.datasets.batches import ImageBatches
from vae_keras.datasets.celeba import load_celeba
from vae_keras.datasets.fashion_mnist import load_fashion_mnist
from vae_keras.datasets.folders import OwnImages, load_images

__all__ = [
    "ImageBatches",
    "OwnImages",
    "batches",
    "celeba",
    "fashion_mnist",
    "folders",
    "load_celeba",
    "load_fashion_mnist",
    "load_images",
    "storage",
    "synthetic",
]
