"""The device of PyTorch: one, as Keras does not share a batch among several there."""

import torch

from vae_keras.training.devices import Devices


def find():
    """Returns the `Devices`: the first GPU, or without one the processor."""
    if torch.cuda.device_count() > 1:
        print(
            f"On PyTorch one of {torch.cuda.device_count()} GPUs is used; "
            "KERAS_BACKEND=jax uses all."
        )
    return Devices(1)
