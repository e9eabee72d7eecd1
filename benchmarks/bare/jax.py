"""A training loop in JAX alone: one jitted function, Adam written out."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


class Operations:
    reshape, transpose = staticmethod(jnp.reshape), staticmethod(jnp.transpose)
    sum, mean, exp = staticmethod(jnp.sum), staticmethod(jnp.mean), staticmethod(jnp.exp)
    relu, silu = staticmethod(jax.nn.relu), staticmethod(jax.nn.silu)
    softplus = staticmethod(jax.nn.softplus)

    def __init__(self, key):
        self.key = key

    def normal(self, like):
        return jax.random.normal(self.key, like.shape)

    def conv(self, x, kernel, stride, padding):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (stride, stride), padding, None, None, layout)


def make(maths, parameters, rates):
    """Returns a function that takes a step on a batch and returns the losses, and one that reads.

    Args:
        maths: Function of `Operations`, the parameters and a batch, the loss first.
        parameters: List of arrays, what to start from.
        rates: Array, the learning rate of each step; the last one goes on.

    Returns:
        Pair of functions; the second returns the parameters now.
    """
    rates = jnp.asarray(rates, "float32")

    @partial(jax.jit, donate_argnums=0)
    def step(state, x):
        parameters, first, second, count, key = state
        key, now = jax.random.split(key)

        def loss(parameters):
            found = maths(Operations(now), parameters, x)
            return found[0], found

        gradients, found = jax.grad(loss, has_aux=True)(parameters)
        rate = rates[jnp.minimum(count, len(rates) - 1)]
        count += 1
        rate = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        first = [m + (g - m) * 0.1 for m, g in zip(first, gradients, strict=True)]
        second = [v + (g * g - v) * 0.001 for v, g in zip(second, gradients, strict=True)]
        parameters = [
            p - rate * m / (jnp.sqrt(v) + 1e-7)
            for p, m, v in zip(parameters, first, second, strict=True)
        ]
        return found, (parameters, first, second, count, key)

    parameters = list(map(jnp.asarray, parameters))
    zeros = [jnp.zeros_like(p) for p in parameters]
    state = (parameters, zeros, list(map(jnp.copy, zeros)), jnp.zeros((), int), jax.random.key(0))

    def take(x):
        nonlocal state
        found, state = step(state, x)
        return found

    return take, lambda: state[0]


def keras_step(vae):
    """Returns the same for a compiled VAE's own `train_step`."""
    step = jax.jit(vae.train_step, donate_argnums=0)
    lists = (
        vae.trainable_variables,
        vae.non_trainable_variables,
        vae.optimizer.variables,
        vae.metrics_variables,
    )
    state = tuple([jnp.copy(variable.value) for variable in variables] for variables in lists)

    def take(x):
        nonlocal state
        logs, state = step(state, (x,))
        return logs

    return take


def keras_forward(vae):
    """Returns the same for its `test_step`: no gradients."""
    step = jax.jit(vae.test_step)
    lists = (vae.trainable_variables, vae.non_trainable_variables, vae.metrics_variables)
    state = tuple([variable.value for variable in variables] for variables in lists)
    return lambda x: step(state, (x,))[0]


def wait(result):
    jax.block_until_ready(result)


on_device = jnp.asarray
