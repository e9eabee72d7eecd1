"""Follows a flow: in one compiled loop, and with the change of density on the way."""

import math

import keras
import numpy as np
from keras import ops

from vae_keras.losses import in_full_precision, sum_per_example
from vae_keras.train_steps import jvp


class Solver(keras.Model):
    """Carries codes along the velocity, from time 0 to 1 or back, by Heun's method.

    Args:
        field: The network, of `(z, t)` or `(z, t, condition)`.
        num_steps: Integer >= 1.
        backward: Boolean, whether to go from codes to noise.

    Call arguments:
        inputs: List of `z`, tensor `(batch, *code_shape)`; where the field
            takes one, a condition; and for guidance a second condition, the
            empty one, and the guidance, a tensor `(batch,)`.
    """

    def __init__(self, field, num_steps, backward):
        super().__init__(autocast=False)
        self.field, self.num_steps, self.backward = field, num_steps, backward

    def call(self, inputs):
        z, *rest = inputs
        start, width = (1.0, -1.0 / self.num_steps) if self.backward else (0.0, 1 / self.num_steps)

        def step(number, z):
            t = start + width * ops.cast(number, "float32")
            slope = guided_velocity(self.field, z, t, *rest)
            ahead = guided_velocity(self.field, z + width * slope, t + width, *rest)
            return z + width / 2 * (slope + ahead)

        return ops.fori_loop(0, self.num_steps, step, in_full_precision(z))


def guided_velocity(field, z, t, *rest):
    """Returns the velocity at one time `t`; the rest as in `Solver`."""
    times = ops.broadcast_to(ops.cast(t, "float32"), (ops.shape(z)[0],))
    if len(rest) < 2:
        return in_full_precision(field([z, times, *rest]))
    condition, empty, guidance = rest
    asked, free = (in_full_precision(field([z, times, c])) for c in (condition, empty))
    guidance = ops.reshape(guidance, (-1, *[1] * (len(z.shape) - 1)))
    return free + guidance * (asked - free)


class Density(keras.Model):
    """Follows codes back to noise, and adds up the divergence of the velocity.

    Args:
        field: The network, as in `Solver`.
        num_steps: Integer >= 1.

    Call arguments:
        inputs: List of `z`, tensor `(batch, *code_shape)`; the directions along
            which the divergence is taken, `(batch, num_directions,
            *code_shape)`; and where the field takes one, a condition.

    Returns:
        `(noise, change)`: where the codes came from, and by how much their
        log-density, `(batch,)`, is greater than that of the noise.
    """

    def __init__(self, field, num_steps):
        super().__init__(autocast=False)
        self.field, self.num_steps = field, num_steps

    def call(self, inputs):
        z, directions, *rest = inputs
        width = 1.0 / self.num_steps

        def at(z, t):
            divergence = 0.0
            for number in range(directions.shape[1]):
                direction = directions[:, number]
                slope, along = jvp(lambda z: guided_velocity(self.field, z, t, *rest), z, direction)
                divergence = divergence + sum_per_example(direction * along)
            return slope, divergence

        def step(number, state):
            z, change = state
            t = 1.0 - width * ops.cast(number, "float32")
            slope, divergence = at(z, t)
            ahead, divergence_ahead = at(z - width * slope, t - width)
            z = z - width / 2 * (slope + ahead)
            return z, change - width / 2 * (divergence + divergence_ahead)

        z = in_full_precision(z)
        change = ops.zeros_like(sum_per_example(z))
        return ops.fori_loop(0, self.num_steps, step, (z, change))


def directions_of_divergence(n, code_shape, exact_up_to, seed):
    """Returns every axis of a short code; for a long one a random direction for each code.

    The mean of `d . J d` over random signs `d` is the trace of `J` (Hutchinson,
    1989).
    """
    size = math.prod(code_shape)
    if size > exact_up_to:
        signs = np.random.default_rng(seed).integers(0, 2, (n, 1, *code_shape))
        return (2.0 * signs - 1.0).astype("float32")
    axes = np.eye(size, dtype="float32").reshape(1, size, *code_shape)
    return np.broadcast_to(axes, (n, size, *code_shape))
