"""Priors: what a code is drawn from before any image is seen, in nats."""

import math

import keras
import numpy as np
from keras import ops

from vae_keras.checks import check_images, check_nats
from vae_keras.losses import in_full_precision, kl_per_dimension, sum_per_example, weigh

MIXTURE_CHUNK = 2**12  # numbers of a mixture compared with each code at a time


def log_normal(z, z_mean, z_log_var):
    """Returns the log-density of `N(z_mean, exp(z_log_var))` at `z`, shaped like `z`, in nats."""
    z, z_mean, z_log_var = map(in_full_precision, (z, z_mean, z_log_var))
    standardized = (z - z_mean) * ops.exp(-z_log_var / 2)
    return -0.5 * (ops.square(standardized) + z_log_var + math.log(2.0 * math.pi))


class Prior(keras.layers.Layer):
    """Base class: a distribution of codes, `p(z)`.

    A prior of your own implements `log_prob` and `sample`; weights that it
    adds are trained with the model. `VAE` also takes any other object with
    these two methods: the weights of a Keras layer are trained, those of a
    plain object are numbers.

    Call arguments:
        z_mean: Tensor of shape `(batch, ...)`, the means of the posteriors.
        z_log_var: Tensor of the same shape, the natural logarithms of their
            variances.
        z: Tensor of the same shape, a sample of each posterior.

    Returns:
        Tensor of shape `(batch,)`: the KL divergence from the posterior to the
        prior, in nats. By default it is estimated from the one sample as
        `log q(z|x) - log p(z)`, whose expectation it is.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def attach(self, encoder):
        """Called by the `VAE` with its encoder, for a prior that is made of posteriors."""

    def call(self, z_mean, z_log_var, z):
        try:
            log_p = log_prob(self, z)
        except Exception as error:
            if not _asks_for_numpy(error):
                raise
            raise _computes_with_numpy(self) from error
        if isinstance(log_p, np.ndarray) and getattr(z, "requires_grad", False):
            raise _computes_with_numpy(self)  # on PyTorch it would be a number without a gradient
        log_q = sum_per_example(log_normal(z, z_mean, z_log_var))
        return log_q - ops.cast(log_p, log_q.dtype)

    def log_prob(self, z):
        """Returns `log p(z)` in nats, of shape `(batch,)`, of codes `(batch, ...)`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `log_prob`.")

    def sample(self, n, seed=None):
        """Draws `n` codes: an array or tensor `(n, ...)`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `sample`.")


@keras.saving.register_keras_serializable(package="vae_keras")
class StandardNormal(Prior):
    """The standard normal distribution `N(0, I)`; its KL divergence has a closed form."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True  # steps that are masked count nothing

    def build(self, input_shape):
        self.code_shape = tuple(input_shape[1:])

    def call(self, z_mean, z_log_var, z=None, z_mean_mask=None):
        return sum_per_example(weigh(kl_per_dimension(z_mean, z_log_var), z_mean_mask))

    def compute_mask(self, inputs, previous_mask):
        return None

    def log_prob(self, z):
        z = in_full_precision(z)
        return sum_per_example(log_normal(z, ops.zeros_like(z), ops.zeros_like(z)))

    def sample(self, n, seed=None):
        return keras.random.normal((n, *self.code_shape), seed=seed)


class _WithinBounds(keras.constraints.Constraint):
    """Takes what a step has taken beyond a pair of numbers back to the nearer one."""

    def __init__(self, bounds):
        self.bounds = bounds

    def __call__(self, w):
        return ops.clip(w, *self.bounds)


@keras.saving.register_keras_serializable(package="vae_keras")
class VampPrior(Prior):
    """A mixture of the encoder's posteriors, of images that are learned.

    `p(z) = mean_k q(z|u_k)`, where the pseudo-inputs `u_k` are trained with the
    model (Tomczak & Welling, 2018). It follows the aggregated posterior, for
    which the KL divergence is least, at the price of encoding all of them in
    each step.

    Args:
        pseudo_inputs: Array `(k, ...)` of images to begin with; or an
            integer, how many to begin at random within the bounds.
        bounds: Pair of numbers, to which each step's pseudo-inputs are taken
            back; `None` where images have none.

    Raises:
        ValueError: if `pseudo_inputs` are none, or not images as the encoder
            of the `VAE` takes them.

    Example:

    >>> vae = VAE(*networks.dense(latent_dim=2), prior=VampPrior(x_train[:100]))
    """

    def __init__(self, pseudo_inputs=500, bounds=(0.0, 1.0), **kwargs):
        super().__init__(**kwargs)
        self.bounds = None if bounds is None else tuple(bounds)
        self.count = pseudo_inputs if isinstance(pseudo_inputs, int) else len(pseudo_inputs)
        self._start = None if isinstance(pseudo_inputs, int) else pseudo_inputs
        if self.count < 1:
            raise ValueError(
                f"Argument `pseudo_inputs` must be one image or more. Received: {self.count}"
            )

    def attach(self, encoder):
        if self.built:
            raise ValueError(
                "Argument `prior` must be a `VampPrior` of this model's own: its mixture is made "
                "of the posteriors of the encoder that it has already."
            )
        image_shape = tuple(encoder.inputs[0].shape[1:])
        initializer = keras.initializers.RandomUniform(*(self.bounds or (-1.0, 1.0)))
        if self._start is not None:
            check_images(self._start, "pseudo_inputs", image_shape, self.bounds)
            initializer = keras.initializers.Constant(self._start)
        self.encoder = encoder
        # A constraint beside the cut in `components`: a pixel that a step once took beyond its
        # bounds has no gradient there, and would stay.
        self.pseudo_inputs = self.add_weight(
            shape=(self.count, *image_shape),
            initializer=initializer,
            constraint=None if self.bounds is None else _WithinBounds(self.bounds),
            name="pseudo_inputs",
        )

    def components(self):
        """Returns `(z_mean, z_log_var)` of the mixture's components, `(k, ...)` each."""
        images = ops.convert_to_tensor(self.pseudo_inputs)
        if self.bounds is not None:
            images = ops.clip(images, *self.bounds)
        return tuple(in_full_precision(part) for part in self.encoder(images))

    def log_prob(self, z):
        codes, *components = (
            ops.reshape(part, (-1, math.prod(part.shape[1:])))
            for part in (in_full_precision(z), *self.components())
        )
        at_once = max(1, MIXTURE_CHUNK // codes.shape[1])
        log_p = [
            ops.sum(log_normal(codes[:, None], *(c[None, i : i + at_once] for c in components)), -1)
            for i in range(0, self.count, at_once)
        ]
        return ops.logsumexp(ops.concatenate(log_p, axis=1), axis=1) - math.log(self.count)

    def sample(self, n, seed=None):
        seeds = keras.random.SeedGenerator(seed)
        chosen = keras.random.randint((n,), 0, self.count, seed=seeds)
        z_mean, z_log_var = (ops.take(part, chosen, axis=0) for part in self.components())
        return z_mean + ops.exp(z_log_var / 2) * keras.random.normal(z_mean.shape, seed=seeds)

    def get_build_config(self):
        return None  # what is loaded is built by its model, once that has attached its encoder

    def get_config(self):
        config = {"pseudo_inputs": self.count, "bounds": self.bounds}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="vae_keras")
class OfObject(Prior):
    """The prior that an object with `log_prob` and `sample` is."""

    def __init__(self, prior, **kwargs):
        super().__init__(**kwargs)
        self.prior = prior

    def build(self, input_shape):
        if isinstance(self.prior, keras.layers.Layer) and not self.prior.built:
            self.prior.build(input_shape)

    def log_prob(self, z):
        return self.prior.log_prob(z)

    def sample(self, n, seed=None):
        return self.prior.sample(n, seed)

    def get_config(self):
        prior = keras.saving.serialize_keras_object(self.prior)
        return {**super().get_config(), "prior": prior}

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


def log_prob(prior, z):
    """Returns `prior.log_prob(z)`, once it is one number for each code."""
    nats = prior.log_prob(z)
    check_nats(nats, f"`log_prob` of the prior, {_name(prior)},")
    return nats


def _asks_for_numpy(error):
    """Whether a tensor of a step was asked for its numbers: each backend has words of its own."""
    words = ("symbolic tf.Tensor", "call numpy() on Tensor")
    return "TracerArray" in type(error).__name__ or any(word in str(error) for word in words)


def _computes_with_numpy(prior):
    return ValueError(
        f"`log_prob` of the prior, {_name(prior)}, must compute with `keras.ops` in a training "
        "step, and not with NumPy. A distribution that is measured after the training needs no "
        "more than `vae_keras.evaluation`."
    )


def _name(prior):
    return type(getattr(prior, "prior", prior)).__name__


def get(prior):
    """Returns a `Prior` from one, from an object that will do, or from `None`.

    Raises:
        ValueError: if it is none of these.
    """
    if prior is None:
        return StandardNormal()
    if isinstance(prior, Prior):
        return prior
    has_methods = all(callable(getattr(prior, name, None)) for name in ("log_prob", "sample"))
    if has_methods and not isinstance(prior, type):
        return OfObject(prior)
    raise ValueError(
        "Argument `prior` must be a `Prior` or have methods `log_prob(z)` and `sample(n, seed)`. "
        f"Received: prior={prior!r}"
    )
