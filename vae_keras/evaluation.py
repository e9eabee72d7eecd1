"""What a model is worth: bounds on its likelihood, and the state of its latent space."""

import math

import keras
import numpy as np
from keras import ops

from vae_keras.base import call_part, check_conditions, split_inputs
from vae_keras.checks import as_array, check_codes, check_images, is_array
from vae_keras.latent.aggregated import AggregatedPosterior
from vae_keras.latent.spread import covariance
from vae_keras.losses import in_full_precision, kl_divergence, sum_per_example, weigh
from vae_keras.models import VAE
from vae_keras.priors import StandardNormal, log_normal, log_prob
from vae_keras.train_steps import without_gradients

BATCH = 256  # images encoded at a time
CHUNK = 2**22  # decoded values held at a time: memory does not grow with `num_samples`
HOLE = 0.05  # from all images of the data, root mean squared per pixel: then a code is in a hole


def elbo(vae, x, num_samples=1, seed=None):
    """Estimates the evidence lower bound of each image (Kingma & Welling, 2014).

    `E_q[log p(x|z)] - KL(q(z|x) || p(z))`: the expectation by sampling, the KL
    divergence in closed form, or by the same samples where the model's prior
    has none. It does not depend on the model's `beta`.

    Args:
        vae: A `VAE`; its own posterior, likelihood and prior count.
        x: Array `(n, ...)`, the images, or a list of them and the conditions.
        num_samples: Integer >= 1, codes drawn for each image.
        seed: Integer, optional random seed.

    Returns:
        NumPy array `(n,)`, in nats. A bound on `log p(x)` where the likelihood
        is a density or a probability of `x`: the Bernoulli is one for black
        and white images, and for grey values a score to compare models by.

    Raises:
        ValueError: if `num_samples < 1`, `x` is empty or not what the model
            takes, or the model gives no `log p(x|z)`: an `Autoencoder`, or a
            likelihood that does not return one number per image.
    """
    bounds = []
    closed = isinstance(getattr(vae, "prior", None), StandardNormal)
    for posterior, draws in _draws(vae, x, num_samples, seed):
        total = sum(np.sum(log_p + (0.0 if closed else ratio), axis=0) for log_p, ratio in draws)
        kl = ops.convert_to_numpy(kl_divergence(*posterior)) if closed else 0.0
        bounds.append(total / num_samples - kl)
    return np.concatenate(bounds)


def log_likelihood(vae, x, num_samples=500, seed=None):
    """Estimates `log p(x)` of each image by importance sampling (Burda et al., 2016).

    `log mean_k p(x|z_k) p(z_k) / q(z_k|x)` with `z_k` from the posterior: a
    lower bound in expectation, which tightens as `num_samples` grows; one
    sample gives the evidence lower bound.

    Args:
        vae: A `VAE`.
        x: Array `(n, ...)`, the images, or a list of them and the conditions.
        num_samples: Integer >= 1, codes drawn for each image.
        seed: Integer, optional random seed.

    Returns:
        NumPy array `(n,)`, in nats; what it means depends on the likelihood
        as with `elbo`.

    Raises:
        ValueError: as `elbo` does.
    """
    estimates = []
    for _, draws in _draws(vae, x, num_samples, seed):
        total = -np.inf
        for log_p, log_ratio in draws:
            total = np.logaddexp(total, np.logaddexp.reduce(log_p + log_ratio, axis=0))
        estimates.append(total - math.log(num_samples))
    return np.concatenate(estimates)


def _draws(vae, x, num_samples, seed):
    """Yields, batch by batch, the posteriors of the images and an iterator over their samples."""
    images, conditions = split_inputs(x)
    _check_arguments(vae, x, num_samples)
    generator = keras.random.SeedGenerator(seed)
    arrays = [as_array(images).astype("float32"), *map(as_array, conditions)]
    size = _even_part(len(images), BATCH)
    for start in range(0, len(images), size):
        batch = [ops.convert_to_tensor(array[start : start + size]) for array in arrays]
        with without_gradients():
            # Through `call`, which a subclass may have made its own.
            outputs = vae(batch if conditions else batch[0], training=False)
        posterior = [in_full_precision(tensor) for tensor in outputs[1:3]]
        mask = _mask_of(outputs[1])  # of the codes; Keras hands it on from there
        # Where nothing counts, the posterior is the prior: its KL divergence is zero.
        posterior = [weigh(tensor, mask) for tensor in posterior]
        yield posterior, _samples(vae, batch, posterior, mask, num_samples, generator)


def _even_part(count, most):
    """Returns the size of parts, at most `most`, that are equal where `count` allows it.

    JAX compiles each operation anew for the shape of a smaller last part.
    """
    return math.ceil(count / math.ceil(count / most))


def _mask_of(tensor):
    """Returns the mask that a tensor carries, or `None`."""
    reader = _ReadMask()
    reader(tensor)
    return reader.mask


class _ReadMask(keras.layers.Layer):
    """Keeps the mask that Keras hands to a layer."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x, mask=None):
        self.mask = mask
        return x


def _check_arguments(vae, x, num_samples):
    if not isinstance(vae, VAE):
        raise ValueError(
            "Argument `vae` must be a `VAE`: without a posterior and a prior over the codes "
            f"there is no density of images to bound. Received: a model of type "
            f"{type(vae).__name__}"
        )
    if num_samples < 1:
        raise ValueError(
            f"Argument `num_samples` must be >= 1. Received: num_samples={num_samples}"
        )
    images, _ = split_inputs(x)
    if not is_array(images):
        kind = type(images).__name__
        raise ValueError(f"Argument `x` must be an array. Received: x of type {kind}")
    if len(images) == 0:
        raise ValueError("Argument `x` must hold at least one image. Received: an empty batch")
    check_conditions(x, (vae.encoder, vae.decoder))
    check_images(images, "x", vae.image_shape, vae.likelihood.bounds)


def _samples(vae, batch, posterior, mask, num_samples, generator):
    """Yields `log p(x|z)` and `log p(z) - log q(z|x)`, both `(samples, batch)`, in float64."""
    z_mean, z_log_var = posterior
    count = len(batch[0])
    decoded = math.prod(batch[0].shape) * getattr(vae.likelihood, "num_parameters", 1)
    at_once = _even_part(num_samples, max(1, CHUNK // decoded))
    for start in range(0, num_samples, at_once):
        samples = min(at_once, num_samples - start)
        epsilon = keras.random.normal((samples, *z_mean.shape), dtype=z_mean.dtype, seed=generator)
        z = ops.reshape(z_mean + ops.exp(z_log_var / 2) * epsilon, (-1, *z_mean.shape[1:]))
        repeated = [_repeat(tensor, samples) for tensor in (*batch, *posterior)]
        with without_gradients():
            repeated_mask = None if mask is None else _repeat(mask, samples)
            log_p = _log_likelihoods(vae, z, repeated_mask, *repeated[: len(batch)])
            log_q = sum_per_example(log_normal(z, *repeated[len(batch) :]))
            # A prior outside a training may compute with NumPy.
            log_ratio = ops.cast(log_prob(vae.prior, z), log_q.dtype) - log_q
        yield tuple(
            np.reshape(ops.convert_to_numpy(t), (samples, count)).astype("float64")
            for t in (log_p, log_ratio)
        )


def _repeat(tensor, times):
    return ops.tile(tensor, (times, *[1] * (len(tensor.shape) - 1)))


def _log_likelihoods(vae, z, mask, repeated, *conditions):
    """Returns `log p(x|z)`, `(batch,)`, of as many images as codes."""
    parameters = call_part(vae.decoder, z, conditions, training=False, mask=mask)
    log_p = vae.likelihood(repeated, parameters)
    if tuple(log_p.shape) != (len(repeated),):
        raise ValueError(
            "The model's likelihood must return `log p(x|z)`, one number per image, of shape "
            f"({len(repeated)},). Received: {type(vae.likelihood).__name__} returned shape "
            f"{tuple(log_p.shape)}"
        )
    return log_p


def split_kl(vae, x, seed=None):
    """Splits the mean KL divergence of images into information and mismatch.

    `mean_n KL(q(z|x_n) || p(z)) = I(x; z) + KL(q(z) || p(z))`, where `q(z)` is the aggregated
    posterior of these images (Hoffman & Johnson, 2016). The first part is what the code tells about
    which image it came from, at most `log n`; the second pays for codes that, taken together, do
    not follow the prior. Both are estimated by one draw from each posterior.

    Args:
        vae: A `VAE`.
        x: Array `(n, ...)`, the images, or a list of them and the conditions. With few images the
            information comes near `log n` and is cut off there.
        seed: Integer, optional random seed.

    Returns:
        Pair of floats `(information, mismatch)`, in nats.

    Raises:
        ValueError: as `elbo` does.
    """
    _check_arguments(vae, x, num_samples=1)
    z_mean, z_log_var = vae.posterior(x)
    noise = np.random.default_rng(seed).standard_normal(z_mean.shape)
    z = (z_mean + np.exp(z_log_var / 2) * noise).astype("float32")
    log_q = ops.convert_to_numpy(sum_per_example(log_normal(z, z_mean, z_log_var)))
    log_p = ops.convert_to_numpy(log_prob(vae.prior, ops.convert_to_tensor(z)))
    z, z_mean, z_log_var = (np.reshape(part, (len(part), -1)) for part in (z, z_mean, z_log_var))
    aggregated = AggregatedPosterior(z_mean, z_log_var).log_prob(z)
    return float(np.mean(log_q - aggregated)), float(np.mean(aggregated - log_p))


def active_units(z_mean, threshold=0.01):
    """Finds the latent dimensions that say something about the image.

    A dimension is active where its posterior mean varies over the data with a
    variance above the threshold (Burda et al., 2016).

    Args:
        z_mean: Array `(n, latent_dim)`, as `VAE.encode` returns.
        threshold: Float, a variance in units of the prior's.

    Returns:
        Bool array `(latent_dim,)`.

    Raises:
        ValueError: if `z_mean` is empty, not an array of that shape, or holds
            NaN or infinity.
    """
    # The float32 mean of many equal numbers is off by enough that they seem to vary.
    return np.var(check_codes(z_mean, "z_mean"), axis=0, dtype="float64") > threshold


def coverage(codes, num_neighbors=5, seed=0):
    """Measures how much of the prior `N(0, I)` has codes nearby.

    The share of draws from the prior, as many as there are codes, whose ball
    up to their `num_neighbors`-th nearest fellow draw holds a code
    (Naeem et al., 2020). Codes that follow the prior reach
    `1 - 2 ** -num_neighbors` on average.

    Args:
        codes: Array `(n, latent_dim)`.
        num_neighbors: Integer >= 1 and < n.
        seed: Integer, of the draws from the prior.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: if `codes` is not an array of that shape or holds NaN or
            infinity, or `num_neighbors` is out of range.
    """
    from sklearn.neighbors import NearestNeighbors

    codes = check_codes(codes, "codes")
    if not 1 <= num_neighbors < len(codes):
        raise ValueError(
            f"Argument `num_neighbors` must be >= 1 and less than the {len(codes)} codes. "
            f"Received: num_neighbors={num_neighbors}"
        )
    draws = np.random.default_rng(seed).standard_normal(codes.shape)
    # The nearest fellow of a draw is the draw itself.
    fellows = NearestNeighbors(n_neighbors=num_neighbors + 1).fit(draws)
    radius = fellows.kneighbors(draws)[0][:, -1]
    nearest = NearestNeighbors(n_neighbors=1).fit(codes).kneighbors(draws)[0][:, 0]
    return float(np.mean(nearest <= radius))


def hole_fraction(model, z, codes, tolerance=HOLE):
    """Measures how many codes decode to an image that is like no image of the data.

    A code is in a hole where `hole_distances` is more than `tolerance`. The unit is that of the
    pixels, so models whose codes spread differently are measured alike.

    Args:
        model: An `Autoencoder` or a `VAE`.
        z: Array `(n, latent_dim)`, the codes to try.
        codes: Array `(m, latent_dim)`, the codes of real images.
        tolerance: Float > 0.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: as `hole_distances`.
    """
    # A picture of NaN is like none.
    return float(np.mean(~(hole_distances(model, z, codes) <= tolerance)))


def hole_distances(model, z, codes):
    """Measures how unlike the data each decoded code is.

    The root mean squared difference, over the pixels, between the image that `z` decodes to and the
    nearest of the images that `codes` decode to: how far is it from anything that this decoder
    draws for a real image?

    Args:
        model: An `Autoencoder` or a `VAE`.
        z: Array `(n, latent_dim)`, the codes to try.
        codes: Array `(m, latent_dim)`, the codes of real images.

    Returns:
        NumPy array `(n,)`, in the unit of the pixels.

    Raises:
        ValueError: if `z` or `codes` is not an array of that shape or holds NaN or infinity, or
            the two differ in `latent_dim`.
    """
    z, codes = check_codes(z, "z"), check_codes(codes, "codes")
    if z.shape[1] != codes.shape[1]:
        raise ValueError(
            "Arguments `z` and `codes` must have the same length of code. "
            f"Received: z of shape {z.shape}, codes of shape {codes.shape}"
        )
    images, reference = (np.reshape(model.decode(c), (len(c), -1)) for c in (z, codes))
    rows = max(1, CHUNK // len(reference))
    parts = [images[start : start + rows] for start in range(0, len(images), rows)]
    return np.sqrt(np.concatenate([_nearest_squares(part, reference) for part in parts]))


def _nearest_squares(images, reference):
    """The mean squared difference of each image to the nearest of the reference."""
    # The square written out is one matrix product; rounding may leave it just below 0.
    squares = np.sum(reference**2, axis=1) - 2 * images @ reference.T
    squares = np.min(squares, axis=1) + np.sum(images**2, axis=1)
    return np.maximum(squares, 0) / images.shape[1]


def frechet_distance(features, reference):
    """Measures how far apart two sets of images are, in the features of a network.

    `|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))` with the means `m` and the
    covariances `S` of the features: the squared Wasserstein distance between
    two Gaussians (Dowson & Landau, 1982; Heusel et al., 2017). Sampling noise
    adds to it: compare only sets of one size.

    Args:
        features: Array `(n, num_features)`.
        reference: Array `(m, num_features)`, of the same network.

    Returns:
        Float >= 0, in squared units of the features.

    Raises:
        ValueError: if an array is not of that shape, holds NaN, infinity or
            fewer than two rows, or the two differ in `num_features`.
    """
    features, reference = check_codes(features, "features"), check_codes(reference, "reference")
    if features.shape[1] != reference.shape[1] or min(len(features), len(reference)) < 2:
        raise ValueError(
            "Arguments `features` and `reference` must hold at least two rows each, of one length. "
            f"Received: features of shape {features.shape}, reference of shape {reference.shape}"
        )
    moments = [(a.mean(0, "float64"), covariance(a)) for a in (features, reference)]
    (mean, spread), (other_mean, other_spread) = moments
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    # Similar to S1 S2, so with its eigenvalues, and symmetric.
    product = np.linalg.eigvalsh(root @ other_spread @ root)
    cross = np.sum(np.sqrt(np.maximum(product, 0.0)))
    distance = np.sum((mean - other_mean) ** 2) - 2.0 * cross
    return max(0.0, float(distance + np.trace(spread) + np.trace(other_spread)))
