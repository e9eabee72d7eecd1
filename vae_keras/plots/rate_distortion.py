"""Rate against distortion: what a sweep over `beta` trades, and at which price."""

import numpy as np

from vae_keras.plots.charts import CHART
from vae_keras.plots.style import COLORS, SMALL, new_figure

MARGIN = 0.15  # around the points, as a share of their range
REACH = 0.12  # of the picture, from a point to an end of its tangent


def rate_distortion(betas, rate, distortion, title=None):
    """Draws a sweep over `beta`: a point for each model, and the line of slope `-beta` through it.

    A model minimizes `distortion + beta * rate`, and that sum is the same all along the
    line. So where every training has come to its end, the line is a tangent: no other
    point lies below it.

    Args:
        betas: Sequence of `n` floats, one for each model.
        rate: Array `(n,)`, the KL divergence in nats.
        distortion: Array `(n,)`, the reconstruction loss in nats.
        title: String, above all.
    """
    figure, ax = new_figure(figsize=CHART)
    rate, distortion = np.asarray(rate, "float64"), np.asarray(distortion, "float64")
    order = np.argsort(rate)
    ax.plot(rate[order], distortion[order], color=COLORS[0], linewidth=1)
    ax.plot(rate, distortion, "o", color=COLORS[0], markersize=7)
    for values, set_limits in ((rate, ax.set_xlim), (distortion, ax.set_ylim)):
        margin = MARGIN * np.ptp(values) or 1.0
        set_limits(values.min() - margin, values.max() + 2 * margin)
    range_of_rate, range_of_distortion = np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())
    for beta, x, y in zip(betas, rate, distortion, strict=True):
        # One nat along the axes is not one inch: all tangents are as long as the eye sees them.
        along = np.array([1.0 / range_of_rate, -beta / range_of_distortion])
        reach = REACH / np.linalg.norm(along)
        ax.plot(
            [x - reach, x + reach], [y + beta * reach, y - beta * reach],
            color=COLORS[2], linewidth=1.5, linestyle="--",
        )  # fmt: skip
        aside = np.array([-along[1], along[0]]) / np.linalg.norm(along)  # to the upper right
        ax.annotate(
            rf"$\beta$ = {beta:g}", (x, y), xytext=tuple(10 * aside), textcoords="offset points",
            ha="left", va="bottom", fontsize=SMALL,
        )  # fmt: skip
    ax.set(xlabel="rate: KL divergence, nats", ylabel="distortion: reconstruction, nats")
    ax.grid(alpha=0.3)
    figure.suptitle(title)
    return figure
