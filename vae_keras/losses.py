"""The KL divergence: one formula, one value per example."""

import keras
from keras import ops


def kl_divergence(z_mean, z_log_var):
    """KL divergence from `N(z_mean, exp(z_log_var))` to the prior `N(0, I)`.

    Per latent dimension `(mean^2 + variance - 1 - log(variance)) / 2`, summed
    (Kingma & Welling, 2014, appendix B). It is zero where the posterior is
    the prior, and positive everywhere else.

    Args:
        z_mean: Tensor of shape `(batch, ...)`, the means.
        z_log_var: Tensor of the same shape, the natural logarithms of the
            variances.

    Returns:
        Tensor of shape `(batch,)`, in nats, summed over all axes but the
        first. It is computed in float32 where the inputs have less precision.
    """
    z_mean, z_log_var = in_full_precision(z_mean), in_full_precision(z_log_var)
    return 0.5 * sum_per_example(ops.square(z_mean) + ops.exp(z_log_var) - 1.0 - z_log_var)


def in_full_precision(x):
    """Returns `x` as a tensor of float32, or of float64 if it has that already."""
    x = ops.convert_to_tensor(x)
    return x if keras.backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")


def sum_per_example(x):
    """Sums a tensor of shape `(batch, ...)` over all axes but the first: `(batch,)`."""
    axes = tuple(range(1, len(x.shape)))
    return ops.sum(x, axis=axes) if axes else x  # PyTorch takes no axes for all of them
