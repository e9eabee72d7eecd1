"""The aggregated posterior: where the codes of all images lie, taken together."""

import math

import numpy as np

from vae_keras.checks import check_codes

CHUNK = 2**22  # densities held at a time


class AggregatedPosterior:
    """The mean of the posteriors of many images, `q(z) = mean_n q(z|x_n)`.

    A decoder is trained on codes from it, and drawn from with codes from the
    prior: where the two differ, new images are poor (Hoffman & Johnson, 2016).
    `VAE.generate` takes it in place of the prior.

    Args:
        z_mean: Array `(n, latent_dim)`, as `VAE.posterior` returns.
        z_log_var: Array `(n, latent_dim)`.

    Raises:
        ValueError: if one is not an array of that shape or holds NaN or
            infinity, or their shapes differ.
    """

    def __init__(self, z_mean, z_log_var):
        self.z_mean = check_codes(z_mean, "z_mean").astype("float64")
        self.z_log_var = check_codes(z_log_var, "z_log_var").astype("float64")
        if self.z_mean.shape != self.z_log_var.shape:
            raise ValueError(
                "Arguments `z_mean` and `z_log_var` must have the same shape. "
                f"Received: {self.z_mean.shape} and {self.z_log_var.shape}"
            )

    def sample(self, n, seed=None):
        """Draws `n` codes: an array `(n, latent_dim)`, float32."""
        rng = np.random.default_rng(seed)
        image = rng.integers(len(self.z_mean), size=n)
        noise = rng.standard_normal((n, self.z_mean.shape[1]))
        return (self.z_mean[image] + np.exp(self.z_log_var[image] / 2) * noise).astype("float32")

    def log_prob(self, z):
        """Returns `log q(z)` in nats, `(m,)`, of codes `(m, latent_dim)`."""
        z = check_codes(z, "z").astype("float64")
        rows, weights = max(1, CHUNK // len(self.z_mean)), self._weights()
        parts = [_log_mean(z[start : start + rows], weights) for start in range(0, len(z), rows)]
        return np.concatenate(parts)

    def _weights(self):
        # A Gaussian's logarithm is a sum of multiples of the squares, the numbers and 1: all of
        # them are one matrix product, and nothing has the size of codes x images x dimensions.
        precision = np.exp(-self.z_log_var)
        constant = np.sum(precision * self.z_mean**2 + self.z_log_var, axis=1, keepdims=True)
        constant += self.z_mean.shape[1] * math.log(2 * math.pi)
        return np.concatenate([-precision / 2, precision * self.z_mean, -constant / 2], axis=1).T


def _log_mean(z, weights):
    log_q = np.concatenate([z**2, z, np.ones((len(z), 1))], axis=1) @ weights
    # Each share of the largest in float32: precise enough, and its exponential is the fast one.
    largest = log_q.max(axis=1, keepdims=True)
    log_q -= largest
    shares = np.exp(log_q.astype("float32")).mean(axis=1, dtype="float64")
    return largest[:, 0] + np.log(shares)
