"""The network of a flow: a velocity for each place and time."""

import math

import keras
import numpy as np
from keras import layers, ops

FREQUENCIES = np.geomspace(1.0, 100.0, 32).astype("float32")  # of a time, in radians
CONTEXT = 3


def make_field(code_shape, condition_size, units, num_blocks, dtype):
    """Returns a network from `(z, t)`, or `(z, t, condition)`, to the velocity of `z`.

    Residual blocks on the flattened code, whose normalized values are scaled
    and shifted by what the time and the condition say (Peebles & Xie, 2023).
    The velocity is zero before the training begins, and so is what each block
    adds.

    Args:
        code_shape: Tuple of integers.
        condition_size: Integer, the length of a condition; 0 for none.
        units: Integer, the width of the blocks.
        num_blocks: Integer.
        dtype: The policy of the layers.

    Returns:
        A Keras model of inputs `(batch, *code_shape)`, `(batch,)` and
        `(batch, condition_size)`.
    """
    make = _Layers(dtype)
    z, t = keras.Input(code_shape, name="z"), keras.Input((), name="t")
    inputs = [z, t]
    angles = ops.expand_dims(t, -1) * FREQUENCIES
    size = units // CONTEXT  # what a time and a condition say takes fewer numbers
    context = make.dense(size)(ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1))
    if condition_size:
        inputs.append(keras.Input((condition_size,), name="condition"))
        context = make.sum([context, make.dense(size, use_bias=False)(inputs[-1])])
    context = layers.Activation("silu", dtype=dtype)(context)
    x = make.dense(units)(layers.Reshape((math.prod(code_shape),), dtype=dtype)(z))
    for _ in range(num_blocks):
        y = make.dense(units, activation="silu")(make.modulated(x, context))
        x = make.sum([x, make.dense(units, kernel_initializer="zeros")(y)])
    x = make.modulated(x, context)
    x = make.dense(math.prod(code_shape), kernel_initializer="zeros")(x)
    field = keras.Model(inputs, layers.Reshape(code_shape, dtype=dtype)(x), name="field")
    field.autocast = False  # the layers cast, after a time has become its angles
    return field


class _Layers:
    """Makes layers of one dtype policy."""

    def __init__(self, dtype):
        self.dtype = dtype

    def dense(self, *args, **kwargs):
        return layers.Dense(*args, dtype=self.dtype, **kwargs)

    def sum(self, tensors):
        return layers.Add(dtype=self.dtype)(tensors)

    def modulated(self, x, context):
        """Normalizes, then scales and shifts as the context says; at first by 1 and 0."""
        size, start = x.shape[-1], {"kernel_initializer": "zeros"}
        scale, shift = (self.dense(size, **start)(context) for _ in range(2))
        x = layers.LayerNormalization(center=False, scale=False, dtype=self.dtype)(x)
        return self.sum([x, layers.Multiply(dtype=self.dtype)([x, scale]), shift])
