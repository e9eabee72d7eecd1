"""Paths and grids of codes."""

from statistics import NormalDist

import numpy as np

METHODS = ("linear", "spherical")


def interpolate(start, end, num_steps, method="linear"):
    """Walks from one code to another.

    Args:
        start: Array `(..., latent_dim)`.
        end: Array of the same shape.
        num_steps: Integer >= 2, how many codes, both ends included.
        method: `"linear"`, the straight line; or `"spherical"`, which turns at
            a constant angle (Shoemake, 1985) and so keeps the length that
            codes of a high-dimensional Gaussian have.

    Returns:
        Array `(num_steps, ..., latent_dim)`, float32.

    Raises:
        ValueError: if the method is unknown, the shapes differ, or
            `num_steps < 2`.
    """
    start, end = np.asarray(start, "float64"), np.asarray(end, "float64")
    if start.shape != end.shape:
        raise ValueError(
            "Arguments `start` and `end` must have the same shape. "
            f"Received: start of shape {start.shape}, end of shape {end.shape}"
        )
    _check_num_steps(num_steps)
    t = np.linspace(0.0, 1.0, num_steps).reshape(-1, *[1] * start.ndim)
    if method == "linear":
        weight_start, weight_end = 1.0 - t, t
    elif method == "spherical":
        weight_start, weight_end = _spherical_weights(start, end, t)
    else:
        raise ValueError(f"Argument `method` must be one of {METHODS}. Received: method={method!r}")
    return (weight_start * start + weight_end * end).astype("float32")


def _check_num_steps(num_steps):
    if num_steps < 2:
        raise ValueError(f"Argument `num_steps` must be >= 2. Received: num_steps={num_steps}")


def _spherical_weights(start, end, t):
    lengths = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = np.sum(start * end, axis=-1) / np.maximum(lengths, 1e-12)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))[..., None]
    # Codes in one line, as one at the origin is with any, leave no plane to turn in: the straight
    # line is the limit.
    straight = (np.sin(angle) < 1e-6) | (lengths[..., None] < 1e-12)
    sine = np.where(straight, 1.0, np.sin(angle))
    return (
        np.where(straight, 1.0 - t, np.sin((1.0 - t) * angle) / sine),
        np.where(straight, t, np.sin(t * angle) / sine),
    )


def grid(num_steps, edge=0.01):
    """Places codes on a square grid of equal probability under `N(0, I)` in two dimensions.

    Args:
        num_steps: Integer, codes along each side.
        edge: Float in (0, 0.5), the probability beyond the first and the last
            row, and beyond the first and the last column.

    Returns:
        `(codes, quantiles)`: an array `(num_steps ** 2, 2)`, row by row from
        the top left (the second coordinate grows upwards), and the
        coordinates along a side, `(num_steps,)`.

    Raises:
        ValueError: if `num_steps < 2` or `edge` is out of range.
    """
    _check_num_steps(num_steps)
    if not 0.0 < edge < 0.5:
        raise ValueError(f"Argument `edge` must lie between 0 and 0.5. Received: edge={edge}")
    normal = NormalDist()
    probabilities = np.linspace(edge, 1.0 - edge, num_steps)
    quantiles = np.array([normal.inv_cdf(p) for p in probabilities], "float32")
    columns, rows = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([columns.ravel(), rows.ravel()], axis=1), quantiles


def normal_cdf(codes):
    """Returns the p-value of each coordinate under N(0, 1): uniform where the codes are normal."""
    normal = NormalDist()
    return np.vectorize(normal.cdf, otypes=["float32"])(codes)
