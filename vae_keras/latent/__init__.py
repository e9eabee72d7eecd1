"""The latent space: directions in it, paths through it, and what to draw from it.

NumPy in, NumPy out; no model.
"""

from vae_keras.latent.aggregated import AggregatedPosterior
from vae_keras.latent.attributes import (
    attribute_levels,
    attribute_standard_errors,
    attribute_vectors,
)
from vae_keras.latent.paths import grid, interpolate, normal_cdf
from vae_keras.latent.samplers import CodeSampler, fit_gaussian, fit_mixture

__all__ = [
    "AggregatedPosterior",
    "CodeSampler",
    "attribute_levels",
    "attribute_standard_errors",
    "attribute_vectors",
    "fit_gaussian",
    "fit_mixture",
    "grid",
    "interpolate",
    "normal_cdf",
]
