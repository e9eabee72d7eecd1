"""What must hold of the codes and the conditions that a flow is given."""

import numpy as np

from vae_keras.checks import as_array


def split(x):
    """Returns codes and conditions, `None` where there are none."""
    if not isinstance(x, (tuple, list)):
        return x, None
    if len(x) != 2:
        raise ValueError(
            "Argument `x` must be codes, or a pair of codes and conditions. "
            f"Received: {len(x)} parts"
        )
    return x


def check_codes(codes, code_shape):
    """Returns codes as a float32 array `(n, *code_shape)`, or raises `ValueError`."""
    codes = as_array(codes).astype("float32")
    if codes.shape[1:] != code_shape:
        raise ValueError(
            f"Codes must be of shape {code_shape}, one batch axis first. "
            f"Received: codes of shape {codes.shape}"
        )
    if not np.isfinite(codes).all():
        raise ValueError("Codes must not hold NaN or infinity.")
    return codes


def spread(codes):
    """Returns the standard deviation of each number, 0 where it never varies."""
    if len(codes) < 2:
        raise ValueError(
            f"A distribution is learned from at least two codes. Received: {len(codes)}"
        )
    # By equality: the deviation of equal numbers is seldom 0 in floating point.
    varies = np.any(codes != codes[0], axis=0)
    if not varies.any():
        raise ValueError(f"The codes must differ. Received: {len(codes):,} times the same code")
    return np.where(varies, np.std(codes, axis=0, dtype="float64"), 0.0)


def check_condition(condition, n, num_classes, condition_dim):
    """Returns conditions of `n` codes, `(n,)` or `(n, condition_dim)`, or raises `ValueError`."""
    if not (num_classes or condition_dim):
        raise ValueError(
            "This flow takes no condition: it was made without `num_classes` and `condition_dim`."
        )
    condition, shape = as_array(condition), () if num_classes else (condition_dim,)
    if condition.shape not in (shape, (n, *shape)):
        raise ValueError(
            f"Conditions must be of shape {(n, *shape)}, or {shape} for all. "
            f"Received: conditions of shape {condition.shape}"
        )
    values = condition.astype("float32")
    if num_classes:
        if not np.isin(values, np.arange(num_classes)).all():
            raise ValueError(
                f"Classes must be integers from 0 to {num_classes - 1}. "
                f"Received: values from {values.min()} to {values.max()}"
            )
    elif not np.isfinite(values).all():
        raise ValueError("Conditions must not hold NaN or infinity.")
    return np.broadcast_to(values, (n, *shape))


def check_settings(num_classes, condition_dim, condition_dropout):
    """Raises `ValueError` where a flow's settings do not fit each other."""
    if num_classes and condition_dim:
        raise ValueError(
            "Give argument `num_classes` or `condition_dim`, not both. Received: "
            f"num_classes={num_classes}, condition_dim={condition_dim}"
        )
    if not 0 <= condition_dropout < 1:
        raise ValueError(
            "Argument `condition_dropout` must be >= 0 and < 1. "
            f"Received: condition_dropout={condition_dropout}"
        )
