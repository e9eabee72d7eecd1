"""What a model is worth: bounds on its likelihood, and the state of its latent space."""

import math

import keras
import numpy as np
from keras import ops

from vae_keras.checks import check_images
from vae_keras.losses import kl_divergence

CHUNK = 4096  # decoded images held at a time: memory does not grow with `num_samples`


def elbo(vae, x, num_samples=1, seed=None):
    """Estimates the evidence lower bound of each image (Kingma & Welling, 2014).

    `E_q[log p(x|z)] - KL(q(z|x) || p(z))`: the expectation by sampling, the KL
    divergence in closed form. It does not depend on the model's `beta`.

    Args:
        vae: A `VAE`.
        x: Array `(n, ...)`, the images.
        num_samples: Integer >= 1, codes drawn for each image.
        seed: Integer, optional random seed.

    Returns:
        NumPy array `(n,)`, in nats.

    Raises:
        ValueError: if `num_samples < 1`, or `x` is empty or not what the model
            takes.
    """
    bounds = []
    for z_mean, z_log_var, draws in _draws(vae, x, num_samples, seed):
        reconstruction = sum(np.sum(log_p, axis=0) for log_p, _ in draws) / num_samples
        bounds.append(reconstruction - ops.convert_to_numpy(kl_divergence(z_mean, z_log_var)))
    return np.concatenate(bounds)


def log_likelihood(vae, x, num_samples=500, seed=None):
    """Estimates `log p(x)` of each image by importance sampling (Burda et al., 2016).

    `log mean_k p(x|z_k) p(z_k) / q(z_k|x)` with `z_k` from the posterior: a
    lower bound in expectation, which tightens as `num_samples` grows; one
    sample gives the evidence lower bound.

    Args:
        vae: A `VAE`.
        x: Array `(n, ...)`, the images.
        num_samples: Integer >= 1, codes drawn for each image.
        seed: Integer, optional random seed.

    Returns:
        NumPy array `(n,)`, in nats.

    Raises:
        ValueError: if `num_samples < 1`, or `x` is empty or not what the model
            takes.
    """
    estimates = []
    for _, _, draws in _draws(vae, x, num_samples, seed):
        total = -np.inf
        for log_p, log_ratio in draws:
            total = np.logaddexp(total, np.logaddexp.reduce(log_p + log_ratio, axis=0))
        estimates.append(total - math.log(num_samples))
    return np.concatenate(estimates)


def _draws(vae, x, num_samples, seed):
    """Yields, batch by batch, the posteriors of the images and an iterator over their samples."""
    if num_samples < 1:
        raise ValueError(
            f"Argument `num_samples` must be >= 1. Received: num_samples={num_samples}"
        )
    if len(x) == 0:
        raise ValueError("Argument `x` must hold at least one image. Received: an empty batch")
    check_images(x, "x", vae.image_shape, vae.likelihood.bounds)
    generator = keras.random.SeedGenerator(seed)
    for start in range(0, len(x), 256):
        images = ops.convert_to_tensor(x[start : start + 256], "float32")
        z_mean, z_log_var = vae.encoder(images, training=False)
        draws = _samples(vae, images, z_mean, z_log_var, num_samples, generator)
        yield z_mean, z_log_var, draws


def _samples(vae, images, z_mean, z_log_var, num_samples, generator):
    """Yields `log p(x|z)` and `log p(z) - log q(z|x)`, both `(samples, batch)`, in float64."""
    batch = len(images)
    at_once = max(1, CHUNK // batch)
    for start in range(0, num_samples, at_once):
        count = min(at_once, num_samples - start)
        epsilon = keras.random.normal((count, *z_mean.shape), seed=generator)
        z = z_mean + ops.exp(z_log_var / 2) * epsilon
        parameters = vae.decoder(ops.reshape(z, (-1, *z.shape[2:])), training=False)
        repeated = ops.tile(images, (count, *[1] * (len(images.shape) - 1)))
        log_p = ops.reshape(vae.likelihood(repeated, parameters), (count, batch))
        # The normalizing constants 2 pi of the prior and the posterior cancel.
        log_ratio = (ops.square(epsilon) - ops.square(z) + z_log_var) / 2
        log_ratio = ops.sum(ops.reshape(log_ratio, (count, batch, -1)), axis=2)
        yield tuple(np.asarray(ops.convert_to_numpy(t), "float64") for t in (log_p, log_ratio))


def active_units(z_mean, threshold=0.01):
    """Finds the latent dimensions that say something about the image.

    A dimension is active where its posterior mean varies over the data with a
    variance above the threshold (Burda et al., 2016).

    Args:
        z_mean: Array `(n, latent_dim)`, as `VAE.encode` returns.
        threshold: Float, a variance in units of the prior's.

    Returns:
        Bool array `(latent_dim,)`.
    """
    return np.var(z_mean, axis=0) > threshold


def coverage(codes, num_neighbors=5, seed=0):
    """Measures how much of the prior `N(0, I)` has codes nearby.

    The share of draws from the prior, as many as there are codes, whose ball
    up to their `num_neighbors`-th nearest fellow draw holds a code
    (Naeem et al., 2020). Codes that follow the prior reach
    `1 - 2 ** -num_neighbors` on average.

    Args:
        codes: Array `(n, latent_dim)`.
        num_neighbors: Integer >= 1.
        seed: Integer, of the draws from the prior.

    Returns:
        Float in [0, 1].
    """
    from sklearn.neighbors import NearestNeighbors

    draws = np.random.default_rng(seed).standard_normal(codes.shape)
    # The nearest fellow of a draw is the draw itself.
    fellows = NearestNeighbors(n_neighbors=num_neighbors + 1).fit(draws)
    radius = fellows.kneighbors(draws)[0][:, -1]
    nearest = NearestNeighbors(n_neighbors=1).fit(codes).kneighbors(draws)[0][:, 0]
    return float(np.mean(nearest <= radius))


def hole_fraction(model, z, codes, tolerance=0.5):
    """Measures how many codes decode to an image that the encoder places elsewhere.

    A code is in a hole where the round trip `encode(decode(z))` ends more than
    `tolerance` standard deviations of the data's codes away from `z`: what the
    decoder drew there is not the picture of that code.

    Args:
        model: An `Autoencoder` or a `VAE`.
        z: Array `(n, latent_dim)`, the codes to try.
        codes: Array `(m, latent_dim)`, the codes of real images: their spread
            is the unit of distance.
        tolerance: Float > 0.

    Returns:
        Float in [0, 1].
    """
    z = np.asarray(z, "float32")
    unit = np.sqrt(np.mean(np.var(codes, axis=0)))
    distance = np.linalg.norm(model.encode(model.decode(z)) - z, axis=1)
    return float(np.mean(distance > tolerance * unit))
