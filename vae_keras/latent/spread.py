"""How codes are spread: in which dimensions they vary, and which of these vary together."""

import numpy as np


def covariance(codes):
    """Returns the covariance of codes `(n, latent_dim)`, always a matrix.

    `np.cov` gives a number where there is one dimension.
    """
    return np.atleast_2d(np.cov(codes.T.astype("float64")))


def varying_dimensions(codes, name):
    """Returns which dimensions of codes vary, a bool array `(latent_dim,)`.

    Raises:
        ValueError: if none does.
    """
    # By equality: the variance of equal numbers is not always 0, because their mean is rounded.
    varies = np.any(codes != codes[0], axis=0)
    if not varies.any():
        raise ValueError(
            f"Argument `{name}` must hold codes that differ. "
            f"Received: {len(codes):,} times the same code"
        )
    return varies
