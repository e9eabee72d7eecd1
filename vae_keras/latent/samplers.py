"""Samplers of the code distribution: what to decode in place of draws from the prior."""

import warnings

import numpy as np

from vae_keras.checks import check_codes


class CodeSampler:
    """Draws codes from a mixture of Gaussians, in place of the prior.

    Where the codes of real images fill only part of the prior, decoding draws
    from their own distribution gives better images. `fit_gaussian` and
    `fit_mixture` make one; `VAE.generate` takes it.

    Args:
        weights: Array `(num_components,)`, positive, with sum 1.
        means: Array `(num_components, latent_dim)`.
        covariances: Array `(num_components, latent_dim, latent_dim)`.
    """

    def __init__(self, weights, means, covariances):
        self.weights = np.asarray(weights)
        self.means = np.asarray(means)
        self.factors = np.linalg.cholesky(covariances)

    def sample(self, n, seed=None):
        """Draws `n` codes: an array `(n, latent_dim)`, float32."""
        rng = np.random.default_rng(seed)
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.means.shape[1], 1))
        return (self.means[component] + (self.factors[component] @ noise)[..., 0]).astype("float32")


def fit_gaussian(codes):
    """Fits one Gaussian with a full covariance to codes.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.

    Returns:
        A `CodeSampler`.

    Raises:
        ValueError: if a code is NaN, or there are not more codes than
            latent dimensions.
    """
    codes = check_codes(codes, "codes").astype("float64")
    if len(codes) <= codes.shape[1]:
        raise ValueError(
            "Argument `codes` must hold more codes than latent dimensions. "
            f"Received: codes of shape {codes.shape}"
        )
    return CodeSampler([1.0], [codes.mean(0)], [np.cov(codes.T)])


def fit_mixture(codes, num_components=5, seed=0):
    """Fits a mixture of Gaussians with full covariances to codes, by scikit-learn.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.
        num_components: Integer >= 1.
        seed: Integer, of where the fit begins.

    Returns:
        A `CodeSampler`.

    Raises:
        ValueError: if a code is NaN, or there are fewer codes than components.
    """
    codes = check_codes(codes, "codes").astype("float64")
    if not 1 <= num_components <= len(codes):
        raise ValueError(
            "Argument `num_components` must lie between 1 and the number of codes, "
            f"{len(codes)}. Received: num_components={num_components}"
        )
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

    mixture = GaussianMixture(
        num_components,
        # Keeps the covariance of a component positive that has fewer codes than dimensions.
        reg_covar=1e-3 * np.mean(np.var(codes, axis=0)),
        max_iter=50,
        init_params="k-means++",
        random_state=seed,
    )
    # Its matrices are small: more threads wait for each other, on a busy machine 30 times as long.
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged to the last digit serves as well
        mixture.fit(codes)
    return CodeSampler(mixture.weights_, mixture.means_, mixture.covariances_)
