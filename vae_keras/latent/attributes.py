"""Attribute vectors: the direction in which an attribute changes the code."""

import warnings

import numpy as np

from vae_keras.checks import check_codes
from vae_keras.latent.spread import covariance, varying_dimensions

METHODS = ("difference", "regression")
FEW = 20  # images: below, a mean of codes is mostly noise
FLAT = 1e-5  # of the widest spread: below, it may be no more than the rounding of float32


def attribute_vectors(codes, attributes, method="difference"):
    """Finds the direction in which each attribute changes the code.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.
        attributes: Boolean array `(n, num_attributes)`, or one of zeros and
            ones.
        method: `"difference"`, the mean code with an attribute minus the mean
            code without it, which drags along whatever comes with it in the
            data; or `"regression"`, least squares of the codes on all
            attributes at once, which holds the others fixed. Attributes that
            determine each other, such as one and its opposite, share their
            step: leave one of them out.

    Returns:
        Array `(num_attributes, latent_dim)`, in the units of the codes:
        adding a row of differences once takes the average code without the
        attribute to the average code with it; a row of a regression is the
        step that is left where all other attributes stay as they are.

    Raises:
        ValueError: if the method is unknown, the lengths differ, a code is
            NaN or infinite, an attribute is neither 0 nor 1, or is the same
            for every image.

    An attribute that fewer than 20 images have, or lack, draws a warning.
    """
    codes, attributes = _check_attributes(codes, attributes)
    if method == "difference":
        positive = attributes.T / attributes.sum(0)[:, None]
        negative = ~attributes.T / (~attributes).sum(0)[:, None]
        return ((positive - negative) @ codes).astype("float32")
    if method == "regression":
        centered = attributes - attributes.mean(0)
        return np.linalg.lstsq(centered, codes, rcond=None)[0].astype("float32")
    raise _unknown_method(method)


def attribute_standard_errors(codes, attributes, method="difference"):
    """Estimates how far chance may have moved each attribute vector.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.
        attributes: Boolean array `(n, num_attributes)`, or one of zeros and
            ones.
        method: The method of `attribute_vectors`: `"difference"`, the standard
            error of a difference of two means (Welch, 1947); or
            `"regression"`, that of least squares.

    Returns:
        Array `(num_attributes, latent_dim)`, the standard error of each
        coordinate of each vector, in the units of the codes; infinite where
        there are too few images to see how far codes spread: for differences
        one image with, or without, the attribute.

    Raises:
        ValueError: as `attribute_vectors`.
    """
    codes, attributes = _check_attributes(codes, attributes)
    if method == "difference":
        halves = [(codes[has], codes[~has]) for has in attributes.T]
        variances = [[_variance_of_mean(half) for half in pair] for pair in halves]
        return np.sqrt(np.sum(variances, axis=1)).astype("float32")
    if method == "regression":
        centered = attributes - attributes.mean(0)
        effects, _, rank, _ = np.linalg.lstsq(centered, codes, rcond=None)
        residual = codes - codes.mean(0) - centered @ effects
        noise = _over(np.sum(residual**2, axis=0), len(codes) - rank - 1)
        spread = np.diag(np.linalg.pinv(centered.T @ centered))
        return np.sqrt(spread[:, None] * noise).astype("float32")
    raise _unknown_method(method)


def _variance_of_mean(codes):
    squares = np.sum((codes - codes.mean(0)) ** 2, axis=0)
    return _over(squares, len(codes) - 1) / len(codes)


def _over(squares, freedom):
    """Divides sums of squares by their degrees of freedom; without any, the variance is open."""
    return squares / freedom if freedom > 0 else np.full_like(squares, np.inf)


def attribute_levels(z, vectors, codes, attributes):
    """Measures how much of each attribute is in a code.

    The coefficient of the vector in `z`, by generalized least squares under
    the covariance of the codes: for difference vectors, Fisher's linear
    discriminant (Fisher, 1936). Adding a vector once adds 1 to its level.
    Directions in which the codes do not vary are left out of account.

    Args:
        z: Array `(m, latent_dim)`, the codes to measure.
        vectors: Array `(num_attributes, latent_dim)`, of `attribute_vectors`.
        codes: Array `(n, latent_dim)` that the vectors were found in.
        attributes: Boolean array `(n, num_attributes)`, or one of zeros and
            ones.

    Returns:
        Array `(m, num_attributes)`, float32: 0 at the mean code without the
        attribute and, for difference vectors, 1 at the mean code with it.

    Raises:
        ValueError: as `attribute_vectors`, and if the codes are all the same,
            or do not vary along a vector.
    """
    codes, attributes = _check_attributes(codes, attributes)
    z, vectors = _check_levels(z, vectors, codes, attributes)
    varying_dimensions(codes, "codes")
    spread = covariance(codes)
    readout = np.linalg.lstsq(spread, vectors.T, rcond=FLAT**2)[0]
    along = np.linalg.norm(spread @ readout, axis=0)  # the part of a vector that the codes vary in
    if flat := np.flatnonzero(along <= FLAT * np.linalg.norm(vectors, axis=1)).tolist():
        raise ValueError(
            "A level can only be measured along a vector that the codes vary along. "
            f"Received: rows {flat} of `vectors`, along which they do not"
        )
    readout /= np.sum(readout * vectors.T, axis=0)
    without = ~attributes.T / (~attributes).sum(0)[:, None]
    zero = np.sum((without @ codes).T * readout, axis=0)
    return (z @ readout - zero).astype("float32")


def _check_levels(z, vectors, codes, attributes):
    z, vectors = check_codes(z, "z"), check_codes(vectors, "vectors")
    if z.shape[1] != codes.shape[1] or vectors.shape != (attributes.shape[1], codes.shape[1]):
        raise ValueError(
            "Arguments `z`, `vectors` and `codes` must have the same length of code, and `vectors` "
            f"one row for each attribute. Received: z of shape {z.shape}, vectors of shape "
            f"{vectors.shape}, codes of shape {codes.shape}, attributes of shape {attributes.shape}"
        )
    return z, vectors


def _unknown_method(method):
    return ValueError(f"Argument `method` must be one of {METHODS}. Received: method={method!r}")


def _check_attributes(codes, attributes):
    codes = check_codes(codes, "codes").astype("float64")
    attributes = _as_booleans(np.asarray(attributes))
    if attributes.ndim != 2 or len(codes) != len(attributes):
        raise ValueError(
            "Arguments `codes` and `attributes` must have one row for each image. "
            f"Received: codes of shape {codes.shape}, attributes of shape {attributes.shape}"
        )
    count = attributes.sum(0)
    if constant := np.flatnonzero((count == 0) | (count == len(attributes))).tolist():
        raise ValueError(
            "An attribute has no direction where every image has it, or none. "
            f"Received: the same value throughout in columns {constant} of `attributes`"
        )
    few = np.minimum(count, len(attributes) - count) < FEW
    if few.any():
        warnings.warn(
            f"Fewer than {FEW} images have, or lack, the attributes in columns "
            f"{np.flatnonzero(few).tolist()}: their vectors are mostly noise.",
            stacklevel=3,  # where the public function was called
        )
    return codes, attributes


def _as_booleans(attributes):
    is_true = attributes == 1
    neither = ~is_true & (attributes != 0)
    if neither.any():
        raise ValueError(
            "Argument `attributes` must hold booleans, or zeros and ones: of -1 and 1, as in "
            "CelebA's own list, pass `attributes == 1`. "
            f"Received: attributes with the value {attributes[neither][0]}"
        )
    return is_true
