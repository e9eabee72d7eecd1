"""The accelerators that a training runs on: of this machine, and of other hosts."""

import dataclasses
import importlib
from collections.abc import Callable
from contextlib import nullcontext

import keras

from vae_keras.optimizers import STEPS_AT_ONCE


@dataclasses.dataclass(frozen=True)
class Devices:
    """What a training runs on.

    Attributes:
        count: Integer, devices of all processes together.
        process_id: Integer; process 0 writes the output.
        num_processes: Integer.
        scope: Function that returns the context in which a model is made, so
            that all devices share its variables.
        local: Function that returns the context in which a model is used by
            this process alone, on one device.
        broadcast: Function of bytes that returns the bytes of process 0.
        steps_per_execution: Integer, how many steps Keras may take at once.
        finish: Function to call at the end, so that the other processes do not
            miss this one.
    """

    count: int
    process_id: int = 0
    num_processes: int = 1
    scope: Callable = nullcontext
    local: Callable = nullcontext
    broadcast: Callable = lambda content: content
    steps_per_execution: int = STEPS_AT_ONCE
    finish: Callable = lambda: None

    @property
    def is_writer(self):
        """Whether this process writes the output."""
        return self.process_id == 0


def find(coordinator=None, num_processes=None, process_id=None):
    """Returns the `Devices` that the Keras backend in use can train on.

    Args:
        coordinator: String, `"host:port"` of process 0, where there are several.
        num_processes: Integer.
        process_id: Integer.

    Raises:
        ValueError: if the backend cannot train on several hosts.
        ConnectionError: if the other processes are not found in time.
    """
    backend = keras.backend.backend()
    if coordinator is not None and backend != "jax":
        raise ValueError(
            f"Argument --coordinator needs KERAS_BACKEND=jax: Keras trains on several hosts "
            f"there alone. Received: KERAS_BACKEND={backend}"
        )
    module = importlib.import_module(f"vae_keras.training.devices.{backend}")
    if coordinator is None:
        return module.find()
    finish = module.connect(coordinator, num_processes, process_id)
    return dataclasses.replace(module.find(), finish=finish)


def check_batch_size(batch_size, devices):
    """Raises `ValueError` unless the devices share a batch evenly."""
    if batch_size % devices.count:
        raise ValueError(
            f"Argument --batch-size must be a multiple of the number of devices, {devices.count}, "
            f"which share each batch. Received: {batch_size}"
        )
