"""Whether two sets of codes, or of images, are alike: a classifier asked, a neighbour found."""

import numpy as np

from vae_keras.checks import check_codes


def told_apart(one, other):
    """Measures how often a classifier tells two sets of codes apart: a two-sample test.

    Quadratic discriminant analysis, which looks at means and covariances, scored
    by cross-validation on codes that it was not fitted to.

    Args:
        one: Array `(n, latent_dim)`.
        other: Array `(m, latent_dim)`, about as many.

    Returns:
        Float in [0, 1], the share that it sorts rightly. Codes of one distribution
        give 0.5, by chance a little more or less.

    Raises:
        ValueError: if an array is not of that shape, or holds NaN or infinity.
    """
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.model_selection import cross_val_score
    from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

    one, other = check_codes(one, "one"), check_codes(other, "other")
    labels = np.repeat([0, 1], [len(one), len(other)])
    classifier = QuadraticDiscriminantAnalysis(reg_param=0.01)
    # Its matrices are small: more threads wait for each other, on a busy machine 40 times as long.
    with threadpool_limits(1, "blas"):
        shares = cross_val_score(classifier, np.concatenate([one, other]), labels, cv=5)
    return float(shares.mean())


def nearest(images, batches):
    """Looks up the nearest image of a data set.

    Args:
        images: Array `(n, height, width, channels)` in [0, 1].
        batches: Iterable of tuples whose first part is an array `(batch, height, width,
            channels)`, such as `datasets.ImageBatches`; or an array, `(m, height, ...)`.

    Returns:
        `(distances, positions)`: float and integer arrays `(n,)`, the root mean squared
        difference to the nearest, in the unit of the pixels, and which one it is.
    """
    flat = np.reshape(images, (len(images), -1))
    parts = [(batches,)] if hasattr(batches, "shape") else batches
    squares = np.concatenate([_squares(flat, part[0]) for part in parts], axis=1)
    return np.sqrt(squares.min(axis=1) / flat.shape[1]), squares.argmin(axis=1)


def _squares(flat, others):
    # The square written out is one matrix product; rounding may leave it just below 0.
    others = np.reshape(others, (len(others), -1))
    squares = np.sum(flat**2, axis=1)[:, None] + np.sum(others**2, axis=1) - 2 * flat @ others.T
    return np.maximum(squares, 0)
