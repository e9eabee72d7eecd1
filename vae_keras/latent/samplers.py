"""Samplers of the code distribution: what to decode in place of draws from the prior."""

import warnings

import numpy as np

from vae_keras.checks import check_codes
from vae_keras.latent.spread import covariance, varying_dimensions

RIDGE = 1e-10  # of each variance: more than rounding, less than anybody sees


class CodeSampler:
    """Draws codes from a mixture of Gaussians, in place of the prior.

    Where the codes of real images fill only part of the prior, decoding draws
    from their own distribution gives better images. `fit_gaussian` and
    `fit_mixture` make one; `VAE.generate` takes it.

    Args:
        weights: Array `(num_components,)`, positive, with sum 1.
        means: Array `(num_components, latent_dim)`.
        covariances: Array `(num_components, latent_dim, latent_dim)`. In a
            dimension without variance every code has the component's mean.
    """

    def __init__(self, weights, means, covariances):
        self.weights = np.asarray(weights)
        self.means = np.asarray(means)
        self.factors = _factors(np.asarray(covariances))

    def sample(self, n, seed=None):
        """Draws `n` codes: an array `(n, latent_dim)`, float32."""
        rng = np.random.default_rng(seed)
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.means.shape[1], 1))
        return (self.means[component] + (self.factors[component] @ noise)[..., 0]).astype("float32")


def _factors(covariances):
    """Returns lower triangular matrices whose products with their transposes are covariances."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)[..., None]
    scales = np.sqrt(np.maximum(variances, 0.0))
    units = np.where(scales > 0, scales, 1.0)
    # Of unit scale, so that the ridge is as small for each dimension; without variance, a row of 0.
    correlations = covariances / units / np.swapaxes(units, 1, 2)
    return scales * np.linalg.cholesky(correlations + RIDGE * np.eye(scales.shape[1]))


def fit_gaussian(codes):
    """Fits one Gaussian with a full covariance to codes.

    A dimension in which the codes never vary stays as it is in the draws.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.

    Returns:
        A `CodeSampler`.

    Raises:
        ValueError: if a code is NaN or infinite, there are not more codes than
            latent dimensions, or they are all the same.
    """
    codes = check_codes(codes, "codes").astype("float64")
    if len(codes) <= codes.shape[1]:
        raise ValueError(
            "Argument `codes` must hold more codes than latent dimensions. "
            f"Received: codes of shape {codes.shape}"
        )
    varying_dimensions(codes, "codes")
    return CodeSampler([1.0], [codes.mean(0)], [covariance(codes)])


def fit_mixture(codes, num_components=5, seed=0):
    """Fits a mixture of Gaussians with full covariances to codes, by scikit-learn.

    A dimension in which the codes never vary stays as it is in the draws.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.
        num_components: Integer >= 1.
        seed: Integer, of where the fit begins.

    Returns:
        A `CodeSampler`.

    Raises:
        ValueError: if a code is NaN or infinite, there are fewer codes than
            components, or they are all the same.
    """
    codes = check_codes(codes, "codes").astype("float64")
    if not 1 <= num_components <= len(codes):
        raise ValueError(
            "Argument `num_components` must lie between 1 and the number of codes, "
            f"{len(codes)}. Received: num_components={num_components}"
        )
    varies = varying_dimensions(codes, "codes")
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

    mixture = GaussianMixture(
        num_components,
        # Keeps the covariance of a component positive that has fewer codes than dimensions.
        reg_covar=1e-3 * np.mean(np.var(codes[:, varies], axis=0)),
        max_iter=50,
        init_params="k-means++",
        random_state=seed,
    )
    # Its matrices are small: more threads wait for each other, on a busy machine 30 times as long.
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged to the last digit serves as well
        mixture.fit(codes[:, varies])
    means = np.tile(codes[0], (num_components, 1))
    means[:, varies] = mixture.means_
    covariances = np.zeros((num_components, codes.shape[1], codes.shape[1]))
    covariances[:, np.outer(varies, varies)] = mixture.covariances_.reshape(num_components, -1)
    return CodeSampler(mixture.weights_, means, covariances)
