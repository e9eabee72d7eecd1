"""The KL divergence: one formula, one value per example."""

import keras
from keras import ops

from vae_keras.checks import check_same_shape

MAX_LOG_VAR = 80.0  # of float32: the exponential of more would be infinite


def kl_divergence(z_mean, z_log_var):
    """KL divergence from `N(z_mean, exp(z_log_var))` to the prior `N(0, I)`.

    Per latent dimension `(mean^2 + variance - 1 - log(variance)) / 2`, summed
    (Kingma & Welling, 2014, appendix B). It is zero where the posterior is
    the prior, and positive everywhere else.

    Args:
        z_mean: Tensor of shape `(batch, ...)`, the means.
        z_log_var: Tensor of the same shape, the natural logarithms of the
            variances; a logarithm above 80 counts as 80.

    Returns:
        Tensor of shape `(batch,)`, in nats, summed over all axes but the
        first. It is computed in float32 where the inputs have less precision.

    Raises:
        ValueError: if the shapes differ.
    """
    return sum_per_example(kl_per_dimension(z_mean, z_log_var))


def kl_per_dimension(z_mean, z_log_var):
    """Returns the summands of `kl_divergence`, shaped like `z_mean`."""
    z_mean, z_log_var = in_full_precision(z_mean), in_full_precision(z_log_var)
    check_same_shape([tuple(z_mean.shape), tuple(z_log_var.shape)])
    z_log_var = ops.minimum(z_log_var, MAX_LOG_VAR)
    return 0.5 * (ops.square(z_mean) + ops.exp(z_log_var) - 1.0 - z_log_var)


def in_full_precision(x):
    """Returns `x` as a tensor of float32, or of float64 if it has that already."""
    x = ops.convert_to_tensor(x)
    return x if keras.backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")


def sum_per_example(x):
    """Sums a tensor of shape `(batch, ...)` over all axes but the first: `(batch,)`."""
    axes = tuple(range(1, len(x.shape)))
    return ops.sum(x, axis=axes) if axes else x  # PyTorch takes no axes for all of them


def weigh(values, weight):
    """Multiplies values `(batch, ...)` by weights of as many leading axes as they have.

    Args:
        values: Tensor of shape `(batch, ...)`.
        weight: Tensor of shape `(batch,)`, `(batch, time)` and so on up to the
            shape of `values`, or a mask; or `None` for ones.
    """
    if weight is None:
        return values
    missing = len(values.shape) - len(weight.shape)
    weight = ops.cast(weight, values.dtype)
    return values * ops.reshape(weight, (*ops.shape(weight), *[1] * missing))
