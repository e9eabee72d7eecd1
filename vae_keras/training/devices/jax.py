"""The devices of JAX: all of this machine and of other hosts, through `DataParallel`."""

import contextlib

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from vae_keras.training.devices import Devices
from vae_keras.training.devices.peers import meet


def connect(coordinator, num_processes, process_id):
    """Makes this process one of several; returns the function that ends this in good order.

    Raises:
        ConnectionError: if the processes do not meet.
    """
    peers = meet(coordinator, num_processes, process_id)
    with contextlib.suppress(AttributeError):  # an earlier JAX has none
        # It would take SIGTERM for itself, which ends a training between two steps here.
        jax.config.update("jax_enable_preemption_service", False)
    keras.distribution.initialize(coordinator, num_processes, process_id)
    return peers.finish


def find():
    """Returns the `Devices`: those of all processes."""
    count = keras.distribution.get_device_count()
    if count == 1:
        return Devices(1)
    # Each process reads its own part of a batch.
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    return Devices(
        count,
        jax.process_index(),
        jax.process_count(),
        scope=distribution.scope,
        local=_local,
        broadcast=_broadcast,
    )


@contextlib.contextmanager
def _local():
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def _broadcast(content):
    if jax.process_count() == 1:
        return content
    size = multihost_utils.broadcast_one_to_all(np.array(len(content)))
    padded = np.zeros(int(size), "uint8")
    padded[: len(content)] = np.frombuffer(content, "uint8")[: len(padded)]
    return multihost_utils.broadcast_one_to_all(padded).tobytes()
