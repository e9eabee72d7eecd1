"""The devices of TensorFlow: all of this machine, through `MirroredStrategy`."""

import tensorflow as tf

from vae_keras.training.devices import Devices


def find():
    """Returns the `Devices`: the GPUs, or without one the processor."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return Devices(1)
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    # With more steps at once TensorFlow 2.21 fails: "You must feed a value for placeholder".
    return Devices(len(devices), scope=strategy.scope, steps_per_execution=1)
