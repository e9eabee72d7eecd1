"""Attribute vectors: the direction in which an attribute changes the code."""

import warnings

import numpy as np

from vae_keras.checks import check_codes

METHODS = ("difference", "regression")
FEW = 20  # images: below, a mean of codes is mostly noise


def attribute_vectors(codes, attributes, method="difference"):
    """Finds the direction in which each attribute changes the code.

    Args:
        codes: Array `(n, latent_dim)`, the means of the posteriors.
        attributes: Boolean array `(n, num_attributes)`.
        method: `"difference"`, the mean code with an attribute minus the mean
            code without it, which drags along whatever comes with it in the
            data; or `"regression"`, least squares of the codes on all
            attributes at once, which holds the others fixed.

    Returns:
        Array `(num_attributes, latent_dim)`, in the units of the codes:
        adding a row once takes the average code without the attribute to the
        average code with it.

    Raises:
        ValueError: if the method is unknown, the lengths differ, a code is
            NaN, or an attribute is the same for every image.

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
        attributes: Boolean array `(n, num_attributes)`.
        method: The method of `attribute_vectors`: `"difference"`, the standard
            error of a difference of two means (Welch, 1947); or
            `"regression"`, that of least squares.

    Returns:
        Array `(num_attributes, latent_dim)`, the standard error of each
        coordinate of each vector, in the units of the codes.

    Raises:
        ValueError: as `attribute_vectors`.
    """
    codes, attributes = _check_attributes(codes, attributes)
    if method == "difference":
        halves = [(codes[has], codes[~has]) for has in attributes.T]
        variances = [[half.var(axis=0) / len(half) for half in pair] for pair in halves]
        return np.sqrt(np.sum(variances, axis=1)).astype("float32")
    if method == "regression":
        centered = attributes - attributes.mean(0)
        effects, _, rank, _ = np.linalg.lstsq(centered, codes, rcond=None)
        residual = codes - codes.mean(0) - centered @ effects
        noise = np.sum(residual**2, axis=0) / (len(codes) - rank - 1)
        spread = np.diag(np.linalg.pinv(centered.T @ centered))
        return np.sqrt(spread[:, None] * noise).astype("float32")
    raise _unknown_method(method)


def attribute_levels(z, vectors, codes, attributes):
    """Measures how much of each attribute is in a code.

    The coefficient of the vector in `z`, by generalized least squares under
    the covariance of the codes: for difference vectors, Fisher's linear
    discriminant (Fisher, 1936). Adding a vector once adds 1 to its level.

    Args:
        z: Array `(m, latent_dim)`, the codes to measure.
        vectors: Array `(num_attributes, latent_dim)`, of `attribute_vectors`.
        codes: Array `(n, latent_dim)` that the vectors were found in.
        attributes: Boolean array `(n, num_attributes)`.

    Returns:
        Array `(m, num_attributes)`, float32: 0 at the mean code without the
        attribute and, for difference vectors, 1 at the mean code with it.

    Raises:
        ValueError: if the lengths differ, a code is NaN, or an attribute is
            the same for every image.
    """
    codes, attributes = _check_attributes(codes, attributes)
    readout = np.linalg.solve(np.cov(codes.T), np.transpose(vectors))
    readout /= np.sum(readout * np.transpose(vectors), axis=0)
    without = ~attributes.T / (~attributes).sum(0)[:, None]
    zero = np.sum((without @ codes).T * readout, axis=0)
    return (np.asarray(z) @ readout - zero).astype("float32")


def _unknown_method(method):
    return ValueError(f"Argument `method` must be one of {METHODS}. Received: method={method!r}")


def _check_attributes(codes, attributes):
    codes = check_codes(codes, "codes").astype("float64")
    attributes = np.asarray(attributes, bool)
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
