"""Figures: arrays in, a matplotlib `Figure` out, shown where a cell ends with it."""

from vae_keras.plots import schematics
from vae_keras.plots.charts import bars, curve_panels, curves, dots, heat_maps, histogram
from vae_keras.plots.codes import code_histograms, code_maps, image_maps, latent_plane
from vae_keras.plots.images import before_and_after, image_grid, image_rows
from vae_keras.plots.rate_distortion import rate_distortion
from vae_keras.plots.style import COLORS, Figure
from vae_keras.plots.training import TrainingCurve

__all__ = [
    "COLORS",
    "Figure",
    "TrainingCurve",
    "bars",
    "before_and_after",
    "code_histograms",
    "code_maps",
    "curve_panels",
    "curves",
    "dots",
    "heat_maps",
    "histogram",
    "image_grid",
    "image_maps",
    "image_rows",
    "latent_plane",
    "rate_distortion",
    "schematics",
]
