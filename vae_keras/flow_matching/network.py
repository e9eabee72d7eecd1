"""The network of a flow: a velocity for each place and time."""

import math

import keras
import numpy as np
from keras import layers, ops

FREQUENCIES = np.geomspace(1.0, 100.0, 32).astype("float32")  # of a time, in radians
CONTEXT = 3


def make_field(code_shape, condition_size, units, num_blocks):
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

    Returns:
        A Keras model of inputs `(batch, *code_shape)`, `(batch,)` and
        `(batch, condition_size)`.
    """
    z, t = keras.Input(code_shape, name="z"), keras.Input((), name="t")
    inputs = [z, t]
    angles = ops.expand_dims(t, -1) * FREQUENCIES
    size = units // CONTEXT  # what a time and a condition say takes fewer numbers
    context = layers.Dense(size)(ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1))
    if condition_size:
        inputs.append(keras.Input((condition_size,), name="condition"))
        context = layers.Add()([context, layers.Dense(size, use_bias=False)(inputs[-1])])
    context = layers.Activation("silu")(context)
    x = layers.Dense(units)(layers.Reshape((math.prod(code_shape),))(z))
    for _ in range(num_blocks):
        x = layers.Add()([x, _branch(x, context, units)])
    x = layers.Dense(math.prod(code_shape), kernel_initializer="zeros")(_modulated(x, context))
    return keras.Model(inputs, layers.Reshape(code_shape)(x), name="field")


def _branch(x, context, units):
    x = layers.Dense(units, activation="silu")(_modulated(x, context))
    return layers.Dense(units, kernel_initializer="zeros")(x)


def _modulated(x, context):
    """Normalizes, then scales and shifts as the context says; at first by 1 and 0."""
    scale, shift = (
        layers.Dense(x.shape[-1], kernel_initializer="zeros")(context) for _ in range(2)
    )
    x = layers.LayerNormalization(center=False, scale=False)(x)
    return layers.Add()([x, layers.Multiply()([x, scale]), shift])
