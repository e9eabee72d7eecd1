"""Likelihoods: what the decoder's output says about the image, in nats."""

import math

import keras
from keras import ops

from vae_keras.checks import check_decoded
from vae_keras.losses import in_full_precision, sum_per_example


class Likelihood(keras.layers.Layer):
    """Base class: scores `x` under the decoder's output, `log p(x|z)`.

    A likelihood of your own implements `log_density` and `mean`; `bounds` are
    the values that `x` may take, which `fit` and `evaluate` check.

    Call arguments:
        x: Tensor of shape `(batch, ...)`, the images.
        parameters: Tensor of the same shape, the decoder's output.

    Returns:
        Tensor of shape `(batch,)`: `log p(x|z)` in nats, summed over all axes
        but the first, in float32 whatever the decoder computes in.

    Raises:
        ValueError: if the shapes of `x` and `parameters` differ.
    """

    bounds = (0.0, 1.0)

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, x, parameters):
        check_decoded(x, parameters)
        log_density = self.log_density(in_full_precision(x), in_full_precision(parameters))
        return sum_per_example(log_density)

    def log_density(self, x, parameters):
        """Returns `log p(x|z)` of each value of `x`, in nats, shaped like `x`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `log_density`.")

    def mean(self, parameters):
        """Returns the expected `x`, shaped like `parameters`: what one looks at."""
        raise NotImplementedError(f"{type(self).__name__} must implement `mean`.")


class PerValue(Likelihood):
    """Base class: scores each value by itself, wherever it is in the image."""

    def call(self, x, parameters):
        check_decoded(x, parameters)
        # XLA for processors fuses the score of a row into its sum, but not that of a block.
        return super().call(in_rows(x), in_rows(parameters))


def in_rows(x):
    """Returns a tensor of shape `(batch, ...)` as `(batch, values)`, where it knows how many."""
    x = ops.convert_to_tensor(x)
    sizes = x.shape[1:]
    return x if None in sizes else ops.reshape(x, (-1, math.prod(sizes)))


@keras.saving.register_keras_serializable(package="vae_keras")
class Bernoulli(PerValue):
    """Each pixel is on with probability `sigmoid(logit)`; the decoder returns logits.

    For grey values in [0, 1] this is the usual cross-entropy, which is not a
    density over grey values: `ContinuousBernoulli` is.
    """

    def log_density(self, x, parameters):
        # log sigmoid(logit) where x is 1, log sigmoid(-logit) where it is 0.
        return x * parameters - ops.softplus(parameters)

    def mean(self, parameters):
        return ops.sigmoid(in_full_precision(parameters))


@keras.saving.register_keras_serializable(package="vae_keras")
class ContinuousBernoulli(PerValue):
    """The Bernoulli normalized to a density on [0, 1]; the decoder returns logits.

    The normalizing constant is `logit / tanh(logit / 2)`
    (Loaiza-Ganem & Cunningham, 2019), which tends to 2 as the logit tends to 0.
    """

    def log_density(self, x, parameters):
        # Near zero the quotient is 0 / 0; its series is exact to 5e-7 there.
        near_zero = ops.abs(parameters) < 0.1
        safe = ops.abs(ops.where(near_zero, 1.0, parameters))
        log_constant = ops.where(
            near_zero,
            math.log(2.0) + ops.square(parameters) / 12.0,
            ops.log(safe) - ops.log(ops.tanh(safe / 2.0)),
        )
        return x * parameters - ops.softplus(parameters) + log_constant

    def mean(self, parameters):
        logits = in_full_precision(parameters)
        near_zero = ops.abs(logits) < 0.1
        safe = ops.where(near_zero, 1.0, logits)
        return ops.where(
            near_zero,
            0.5 + logits / 12.0,
            0.5 + 0.5 / ops.tanh(safe / 2.0) - 1.0 / safe,
        )


@keras.saving.register_keras_serializable(package="vae_keras")
class Gaussian(PerValue):
    """Each pixel is normal around the decoder's output, with one scale for all.

    Args:
        scale: Float > 0, the standard deviation of every pixel, in units of
            `x`; where it is learned, its value at the start.
        learn_scale: Boolean. Whether the scale is trained with the decoder.
            At its best it is the root of the mean squared error, and no
            weight between reconstruction and KL is left to choose
            (Rybkin et al., 2021).
    """

    def __init__(self, scale=1.0, learn_scale=False, **kwargs):
        super().__init__(**kwargs)
        if not scale > 0:
            raise ValueError(f"Argument `scale` must be > 0. Received: scale={scale}")
        self.scale = scale
        self.learn_scale = learn_scale
        # Its logarithm is what is trained: a scale must stay positive.
        self.log_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(scale)),
            trainable=learn_scale,
            dtype="float32",
            name="log_scale",
        )

    def log_density(self, x, parameters):
        log_scale = ops.cast(self.log_scale, x.dtype)
        standardized = (x - parameters) * ops.exp(-log_scale)
        return -0.5 * ops.square(standardized) - log_scale - 0.5 * math.log(2.0 * math.pi)

    def mean(self, parameters):
        return ops.clip(in_full_precision(parameters), *self.bounds)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "learn_scale": self.learn_scale}


NAMES = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
}


def get(identifier):
    """Returns a likelihood layer from its name, or the layer that was given.

    Args:
        identifier: `"bernoulli"`, `"continuous_bernoulli"`, `"gaussian"`, or a
            `Likelihood`.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(identifier, Likelihood):
        return identifier
    if isinstance(identifier, str) and identifier in NAMES:
        return NAMES[identifier]()
    raise ValueError(
        f"Argument `likelihood` must be one of {sorted(NAMES)} or a `Likelihood` layer. "
        f"Received: likelihood={identifier!r}"
    )
