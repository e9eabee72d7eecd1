"""Which data is asked for: real, synthetic, or whatever can be had."""

import os

SOURCES = ("auto", "real", "synthetic")


def requested(source):
    """Checks `source`, and lets `VAE_KERAS_SOURCE` decide where it is `"auto"`.

    Args:
        source: One of `"auto"`, `"real"`, `"synthetic"`.

    Returns:
        One of the same three.

    Raises:
        ValueError: For any other value, of the argument or of the variable.
    """
    if source not in SOURCES:
        raise ValueError(f"Argument `source` must be one of {SOURCES}. Received: source={source!r}")
    if source != "auto":
        return source
    wanted = os.environ.get("VAE_KERAS_SOURCE") or "auto"
    if wanted not in SOURCES:
        raise ValueError(
            f"Environment variable `VAE_KERAS_SOURCE` must be one of {SOURCES}. "
            f"Received: VAE_KERAS_SOURCE={wanted!r}"
        )
    return wanted
