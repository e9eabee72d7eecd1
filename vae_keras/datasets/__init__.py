"""Datasets: arrays out, no model."""

import importlib

from vae_keras.datasets import celeba, fashion_mnist, folders, storage, synthetic
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


def __getattr__(name):
    # Keras's `PyDataset` comes with all of Keras, which `python -m vae_keras.datasets` can spare.
    if name not in ("ImageBatches", "batches"):
        raise AttributeError(f"module 'vae_keras.datasets' has no attribute {name!r}")
    batches = importlib.import_module("vae_keras.datasets.batches")
    return batches if name == "batches" else batches.ImageBatches
