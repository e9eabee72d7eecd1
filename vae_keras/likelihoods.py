"""Likelihoods: what the decoder's output says about the image, in nats."""

import math
import numbers

import keras
from keras import ops

from vae_keras.checks import fits
from vae_keras.losses import in_full_precision, sum_per_example, weigh

UNIT = (0.0, 1.0)


def _check_count(name, value, least):
    if not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(
            f"Argument `{name}` must be an integer >= {least}. Received: {name}={value!r}"
        )


class Likelihood(keras.layers.Layer):
    """Base class: scores `x` under the decoder's output, `log p(x|z)`.

    A likelihood of your own implements `log_density` and `mean`. It may set
    `bounds`, the least and the greatest value that `x` may take, which `fit`
    and `evaluate` check (`None` for any), and `num_parameters`, how many
    numbers the decoder returns for each value of `x`: with more than one, its
    output has one axis more than `x`, of that size, at the end. For another
    arrangement it implements `parameters_shape`.

    Call arguments:
        x: Tensor of shape `(batch, ...)`, the images.
        parameters: Tensor, the decoder's output.
        sample_weight: Tensor of as many leading axes of `x` as it has, or
            `None`: the weight of each image, time step, pixel or entry.

    Returns:
        Tensor of shape `(batch,)`: `log p(x|z)` in nats, summed over all axes
        but the first, in float32 whatever the decoder computes in. A value
        that the decoder masks counts nothing.

    Raises:
        ValueError: if the shapes of `x` and `parameters` do not fit.
    """

    bounds = UNIT
    num_parameters = 1
    takes_logits = False

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, x, parameters, sample_weight=None, parameters_mask=None):
        self.check_decoded(x.shape, parameters.shape)
        parameters = in_full_precision(parameters)
        log_density = self.log_density(ops.cast(x, parameters.dtype), parameters)
        return sum_per_example(weigh(weigh(log_density, sample_weight), parameters_mask))

    def compute_mask(self, inputs, previous_mask):
        return None

    def parameters_shape(self, image_shape):
        """Returns the shape of the decoder's output for one image, from the image's."""
        return image_shape if self.num_parameters == 1 else (*image_shape, self.num_parameters)

    def check_decoded(self, x_shape, parameters_shape):
        """Raises `ValueError` unless the decoder's output has the shape that scores `x`."""
        image_shape = tuple(x_shape[1:])
        expected = tuple(self.parameters_shape(image_shape))
        if not fits(parameters_shape[1:], expected):
            like = "like the images" if expected == image_shape else f"{expected}"
            raise ValueError(
                f"The decoder's output must be shaped {like}. "
                f"Received: images of shape {image_shape}, "
                f"decoder output of shape {tuple(parameters_shape[1:])}"
            )

    def log_density(self, x, parameters):
        """Returns `log p(x|z)` of each value of `x`, in nats, shaped like `x`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `log_density`.")

    def mean(self, parameters):
        """Returns the expected `x`, shaped like it: what one looks at."""
        raise NotImplementedError(f"{type(self).__name__} must implement `mean`.")


class PerValue(Likelihood):
    """Base class: scores each value by itself, wherever it is in the image."""

    def call(self, x, parameters, sample_weight=None, parameters_mask=None):
        # A density of a subclass's own is given the axes that its author sees.
        ours = type(self).log_density.__module__ == __name__ and self.num_parameters == 1
        if ours and sample_weight is None and parameters_mask is None:
            self.check_decoded(x.shape, parameters.shape)
            # XLA for processors fuses the score of a row into its sum, but not that of a block.
            x, parameters = in_rows(x), in_rows(parameters)
        return super().call(x, parameters, sample_weight, parameters_mask)


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

    takes_logits = True

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

    takes_logits = True

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


class Bounded(Likelihood):
    """Base class of densities over all numbers, where the images may have bounds.

    Args:
        bounds: Pair of floats, the least and the greatest value that `x` may
            take, to which `mean` is clipped; `None` for a table or a
            standardized image, of any values.
    """

    def __init__(self, bounds=UNIT, **kwargs):
        super().__init__(**kwargs)
        if bounds is not None:
            bounds = tuple(float(bound) for bound in bounds)
            if len(bounds) != 2 or not bounds[0] < bounds[1]:
                raise ValueError(
                    "Argument `bounds` must be `None` or a pair, the lower bound first. "
                    f"Received: bounds={bounds}"
                )
        self.bounds = bounds

    def clip(self, mean):
        return mean if self.bounds is None else ops.clip(mean, *self.bounds)

    def get_config(self):
        return {**super().get_config(), "bounds": self.bounds}


@keras.saving.register_keras_serializable(package="vae_keras")
class Gaussian(Bounded, PerValue):
    """Each pixel is normal around the decoder's output, with one scale for all.

    With the scale at its best, the root of the mean squared error, no weight
    between reconstruction and KL is left to choose (Rybkin et al., 2021). It
    is known in closed form, so by default nothing has to be learned: the scale
    follows the error of the batches, as a moving average over about ten. It is
    a number like any other where the model is evaluated.

    Args:
        scale: Float > 0, a fixed standard deviation of every pixel, in units
            of `x`; `None` for the best one, which is 1 before the first batch.
        learn_scale: Boolean. Whether the scale is trained with the decoder,
            by gradients, from `scale` (or 1) on.
        bounds: Pair of floats, the least and the greatest value that `x` may
            take, to which `mean` is clipped; `None` for a table or a
            standardized image, of any values.

    Raises:
        ValueError: if the scale or the bounds are out of range.
    """

    def __init__(self, scale=None, learn_scale=False, bounds=UNIT, **kwargs):
        super().__init__(bounds, **kwargs)
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"Argument `scale` must be > 0. Received: scale={scale}")
        self.scale = scale
        self.learn_scale = learn_scale
        self.follows_error = scale is None and not learn_scale
        # Its logarithm is what is trained: a scale must stay positive.
        self.log_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(scale or 1.0)),
            trainable=learn_scale,
            dtype="float32",
            autocast=False,
            aggregation="mean",  # of replicas
            name="log_scale",
        )
        if self.follows_error:
            self.num_batches = self.add_weight(
                shape=(),
                initializer="zeros",
                trainable=False,
                dtype="float32",
                autocast=False,
                aggregation="mean",
                name="num_batches",
            )

    def call(self, x, parameters, sample_weight=None, training=False, parameters_mask=None):
        if training and self.follows_error:
            self._follow(x, parameters, sample_weight, parameters_mask)
        return super().call(x, parameters, sample_weight, parameters_mask)

    def _follow(self, x, parameters, *weights):
        parameters = ops.stop_gradient(in_full_precision(parameters))
        error = ops.square(ops.cast(x, parameters.dtype) - parameters)
        weight = ops.ones_like(error)
        for factor in weights:
            weight = weigh(weight, factor)
        total = ops.sum(weight)
        # The average of all batches, as long as there are few.
        rate = ops.maximum(1.0 / (self.num_batches + 1.0), 0.1) * ops.cast(total > 0, "float32")
        error = ops.cast(ops.sum(weight * error) / ops.maximum(total, 1e-7), "float32")
        variance = (1.0 - rate) * ops.exp(2.0 * self.log_scale) + rate * error
        self.log_scale.assign(0.5 * ops.log(ops.maximum(variance, 1e-12)))
        self.num_batches.assign_add(1.0)

    def log_density(self, x, parameters):
        log_scale = ops.cast(self.log_scale, x.dtype)
        standardized = (x - parameters) * ops.exp(-log_scale)
        return -0.5 * ops.square(standardized) - log_scale - 0.5 * math.log(2.0 * math.pi)

    def mean(self, parameters):
        return self.clip(in_full_precision(parameters))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "learn_scale": self.learn_scale}


class DecodedScale(Bounded):
    """Base class of Gaussians whose scales the decoder returns.

    Args:
        min_scale: Float > 0, below which no scale falls: the density of a
            pixel that is the same in every image would grow without end.
        bounds: As for `Gaussian`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, min_scale=0.01, bounds=UNIT, **kwargs):
        super().__init__(bounds, **kwargs)
        if not min_scale > 0:
            raise ValueError(f"Argument `min_scale` must be > 0. Received: min_scale={min_scale}")
        self.min_scale = min_scale

    def log_normal(self, x, means, log_scales):
        log_scales = ops.maximum(log_scales, math.log(self.min_scale))
        standardized = (x - means) * ops.exp(-log_scales)
        return -0.5 * (ops.square(standardized) + math.log(2.0 * math.pi)) - log_scales

    def get_config(self):
        return {**super().get_config(), "min_scale": self.min_scale}


@keras.saving.register_keras_serializable(package="vae_keras")
class GaussianPerPixel(DecodedScale):
    """Each pixel is normal with a scale of its own, which the decoder returns.

    Its output has one axis more than `x`, at the end, of size 2: the mean, and
    the natural logarithm of the scale.
    """

    num_parameters = 2

    def log_density(self, x, parameters):
        return self.log_normal(x, parameters[..., 0], parameters[..., 1])

    def mean(self, parameters):
        return self.clip(in_full_precision(parameters)[..., 0])


@keras.saving.register_keras_serializable(package="vae_keras")
class GaussianMixture(DecodedScale):
    """Each value is drawn from a mixture of Gaussians, which the decoder returns for it.

    Its output has one axis more than `x`, at the end, of size
    `3 * num_components`: the logits of the weights, then the means, then the
    natural logarithms of the scales.

    Args:
        num_components: Integer >= 1.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, num_components=5, min_scale=0.01, bounds=UNIT, **kwargs):
        super().__init__(min_scale, bounds, **kwargs)
        _check_count("num_components", num_components, 1)
        self.num_components = num_components
        self.num_parameters = 3 * num_components

    def log_density(self, x, parameters):
        logits, means, log_scales = ops.split(parameters, 3, axis=-1)
        log_density = self.log_normal(x[..., None], means, log_scales)
        return ops.logsumexp(ops.log_softmax(logits) + log_density, axis=-1)

    def mean(self, parameters):
        logits, means, _ = ops.split(in_full_precision(parameters), 3, axis=-1)
        weights = ops.exp(ops.log_softmax(logits))  # Keras warns of a softmax over one component
        return self.clip(ops.sum(weights * means, axis=-1))

    def get_config(self):
        return {**super().get_config(), "num_components": self.num_components}


@keras.saving.register_keras_serializable(package="vae_keras")
class Categorical(Likelihood):
    """Each value is one of a number of levels, or of tokens; the decoder returns their logits.

    Its output has one axis more than `x`, at the end, of `num_classes` logits.

    Args:
        num_classes: Integer >= 2.
        bounds: Pair of floats, what the first and the last class stand for in
            `x`: `(0.0, 1.0)` with 256 classes for 8-bit images divided by
            255. By default the classes are the integers from 0, as tokens are.

    Raises:
        ValueError: if `num_classes < 2`.
    """

    takes_logits = True

    def __init__(self, num_classes, bounds=None, **kwargs):
        super().__init__(**kwargs)
        _check_count("num_classes", num_classes, 2)
        self.num_parameters = self.num_classes = num_classes
        self.are_tokens = bounds is None
        self.bounds = (0.0, num_classes - 1.0) if self.are_tokens else tuple(bounds)

    def log_density(self, x, parameters):
        low, high = self.bounds
        level = ops.round((x - low) * ((self.num_classes - 1) / (high - low)))
        chosen = ops.one_hot(ops.cast(level, "int32"), self.num_classes, dtype=parameters.dtype)
        return ops.sum(chosen * ops.log_softmax(parameters), axis=-1)

    def mean(self, parameters):
        """Returns the expected level of a pixel; of a token, which has none, the likeliest."""
        parameters = in_full_precision(parameters)
        if self.are_tokens:
            return ops.cast(ops.argmax(parameters, axis=-1), "float32")
        levels = ops.linspace(*self.bounds, self.num_classes, dtype=parameters.dtype)
        return ops.sum(ops.softmax(parameters) * levels, axis=-1)

    def get_config(self):
        bounds = None if self.are_tokens else self.bounds
        return {**super().get_config(), "num_classes": self.num_classes, "bounds": bounds}


@keras.saving.register_keras_serializable(package="vae_keras")
class DiscretizedLogisticMixture(Bounded):
    """Each value is one of a number of levels, by a mixture of logistics cut into as many parts.

    The part of a level reaches half a step to either side; those of the first
    and the last hold the tails (Salimans et al., 2017, "PixelCNN++", section
    2.1). So `log p(x|z)` is that of a probability, as `Categorical`'s is, from
    fewer numbers, and neighbouring levels are alike from the start. The
    decoder's output has one axis more than `x`, at the end, of size
    `3 * num_components`: the logits of the weights, then the means, then the
    natural logarithms of the scales, both in the units of `x`. One component
    has no weight, and the size is 2. Scales stay between a tenth of a step and
    a thousand times what lies between the bounds.

    Args:
        num_components: Integer >= 1.
        num_levels: Integer >= 2.
        bounds: Pair of floats, the first level and the last:
            `(0.0, 1.0)` with 256 levels are 8-bit images divided by 255.
            A value between two levels counts as the nearer one.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, num_components=5, num_levels=256, bounds=UNIT, **kwargs):
        super().__init__(bounds, **kwargs)
        _check_count("num_components", num_components, 1)
        _check_count("num_levels", num_levels, 2)
        if bounds is None:
            raise ValueError(
                "Argument `bounds` must be a pair, the first level and the last. "
                "Received: bounds=None"
            )
        self.num_components, self.num_levels = num_components, num_levels
        self.num_parameters = 3 * num_components if num_components > 1 else 2
        self.step = (self.bounds[1] - self.bounds[0]) / (num_levels - 1)

    def log_density(self, x, parameters):
        log_weights, means, scales = self._parts(parameters)
        level = ops.round((x - self.bounds[0]) / self.step)[..., None]
        offset = self.bounds[0] - means
        upper, lower = ((level + half) * self.step + offset for half in (0.5, -0.5))
        log_below, log_above = ops.log_sigmoid(upper / scales), ops.log_sigmoid(-lower / scales)
        # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)): no small difference.
        log_within = ops.log(-ops.expm1(-self.step / scales))
        is_first, is_last = level < 0.5, level > self.num_levels - 1.5
        log_p = log_below + log_above + log_within
        log_p = ops.where(is_first, log_below, ops.where(is_last, log_above, log_p))
        return ops.logsumexp(log_weights + log_p, axis=-1)

    def mean(self, parameters):
        """Returns the expected level, to half a step: the tails lie on the first and the last."""
        log_weights, means, scales = self._parts(in_full_precision(parameters))
        # Of a logistic cut off at both bounds: what lies beyond one moves the mean inwards.
        beyond = [ops.softplus(-ops.abs(means - bound) / scales) for bound in self.bounds]
        cut = self.clip(means) + scales * (beyond[0] - beyond[1])
        return self.clip(ops.sum(ops.exp(log_weights) * cut, axis=-1))

    def _parts(self, parameters):
        """Returns the logarithms of the weights, the means and the scales."""
        kinds = self.num_parameters // self.num_components
        *logits, means, log_scales = ops.split(parameters, kinds, axis=-1)
        # At the least a logistic has 99 % of its mass in one part; at the most each bound has
        # half of it, and the numbers are still apart in float32.
        low, high = self.bounds
        limits = math.log(self.step / 10), math.log(1000 * (high - low))
        log_weights = ops.log_softmax(logits[0]) if logits else ops.zeros_like(means)
        return log_weights, means, ops.exp(ops.clip(log_scales, *limits))

    def get_config(self):
        config = {"num_components": self.num_components, "num_levels": self.num_levels}
        return {**super().get_config(), **config}


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
