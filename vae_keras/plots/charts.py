"""Charts of numbers: curves, histograms, matrices, bars and dots."""

import itertools

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from vae_keras.plots.style import COLORS, NORMAL, SMALL, WIDTH, new_figure

CHART = (6.4, 3.8)  # inches
GAP = 0.16  # inches between two labels, one above the other


def density(ax, values, bins, color):
    """Draws a histogram whose area is the share of `values` that the bins hold."""
    # Of all the values: `hist` would share out among its bins what lies beyond them.
    counts, _ = np.histogram(values, bins)
    ax.stairs(counts / (len(values) * np.diff(bins)), bins, fill=True, color=color)


def _spread_out(heights, gap):
    """Moves heights apart until each is that far from the next, their order kept."""
    order = np.argsort(heights)
    moved = np.array(heights, "float64")
    for _ in range(100):
        for low, high in itertools.pairwise(order):
            missing = gap - (moved[high] - moved[low])
            if missing > 1e-9:
                moved[low] -= missing / 2
                moved[high] += missing / 2
    return moved


def _name_curves(ax):
    """Writes each curve's label at its right end, in its colour."""
    figure = ax.figure
    figure.draw_without_rendering()  # which gives the axes their place
    ends = [ax.transData.transform(line.get_xydata()[-1])[1] for line in ax.lines]
    heights = _spread_out(ends, GAP * figure.dpi)
    inverse = ax.transAxes.inverted()
    for line, height in zip(ax.lines, heights, strict=True):
        y = inverse.transform((0, height))[1]
        ax.text(
            1.02, y, line.get_label(), transform=ax.transAxes, va="center",
            fontsize=SMALL, color=[0.8 * part for part in line.get_color()],
        )  # fmt: skip


def _ticks_at_values(ax, x, log_x):
    """Few values are the ticks, and of many integers some: nobody has 2.5 latent numbers."""
    values = np.asarray(x)
    are_integers = np.all(values == np.round(values))
    if len(values) <= 9 and (log_x or are_integers):
        ax.set_xticks(values, [f"{value:g}" for value in values])
        ax.set_xticks([], minor=True)
    elif log_x:
        _ticks_in_between(ax)
    elif are_integers:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _ticks_in_between(ax):
    """1, 2 and 5 of few powers of ten, written out, so that what lies between can be read."""
    low, high = ax.get_xlim()
    if high > 2000 * low:
        return
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def curves(x, lines, x_label, y_label, title=None, log_x=False, log_y=False):
    """Draws one curve for each entry of `lines`, a dict of label to values along `x`."""
    figure, ax = new_figure(figsize=CHART)
    for color, (label, values) in zip(COLORS * len(lines), lines.items(), strict=False):
        marker = "o" if len(x) <= 20 else None
        ax.plot(x, values, marker=marker, markersize=4, label=label, color=color)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    ax.grid(alpha=0.3)
    _ticks_at_values(ax, x, log_x)
    figure.suptitle(title)
    if len(lines) > 1:
        _name_curves(ax)
    return figure


def curve_panels(panels, x_label, y_label, title=None):
    """Draws curves side by side, on one scale.

    Args:
        panels: Dict, panel title to a dict of label to `(x, y)`, two arrays.
        x_label: String.
        y_label: String.
        title: String, above all.
    """
    size = (min(2.3 * len(panels) + 0.4, WIDTH), 3.4)
    figure, axes = new_figure(1, len(panels), figsize=size, squeeze=False, sharex=True, sharey=True)
    for (name, lines), ax in zip(panels.items(), axes[0], strict=True):
        for color, (label, (x, y)) in zip(COLORS * len(lines), lines.items(), strict=False):
            ax.plot(x, y, marker="o", markersize=3, label=label, color=color)
        ax.set_title(name)
        ax.set_xlabel(x_label)
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel(y_label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=SMALL)
    figure.suptitle(title)
    return figure


def heat_maps(panels, names, title=None):
    """Draws square matrices of values in [-1, 1] side by side.

    Args:
        panels: Dict, panel title to array `(n, n)`.
        names: Sequence of `n` strings, of the rows and the columns.
        title: String, above all.
    """
    figure, axes = new_figure(
        1, len(panels), figsize=(min(3.7 * len(panels) + 2.0, WIDTH), 4.6), squeeze=False
    )
    for (name, matrix), ax in zip(panels.items(), axes[0], strict=True):
        shown = ax.imshow(matrix, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="nearest")
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=SMALL)
        ax.set_yticks([])
        ax.set_title(name)
    axes[0, 0].set_yticks(range(len(names)), names, fontsize=SMALL)
    figure.colorbar(shown, ax=axes, shrink=0.6)
    figure.suptitle(title)
    return figure


def bars(categories, groups, y_label, title=None):
    """Draws grouped bars: `groups` is a dict of label to one value for each category.

    A bar starts at zero, so it is for shares and counts; where the zero is not
    the point, see `dots`.
    """
    figure, ax = new_figure(figsize=(min(max(CHART[0], 0.75 * len(categories)), WIDTH), 3.6))
    width = 0.8 / len(groups)
    positions = np.arange(len(categories))
    for index, (label, values) in enumerate(groups.items()):
        where = positions + (index - (len(groups) - 1) / 2) * width
        ax.bar(where, values, width, label=label, color=COLORS[index])
    ax.set_xticks(positions, categories, rotation=35, ha="right")
    ax.set_ylabel(y_label)
    if len(groups) > 1:
        figure.legend(loc="outside lower center", ncols=len(groups), fontsize=SMALL)
    figure.suptitle(title)
    return figure


def dots(values, x_label, title=None, form="{:.2f}", log_x=False, bounds=None):
    """Draws one dot for each value, with its number beside it: no zero is needed.

    Args:
        values: Dict, label to number, from the top.
        x_label: String, with the unit.
        title: String, above all.
        form: Format string of the numbers.
        log_x: Boolean, a logarithmic axis.
        bounds: Dict, label to number: upright lines to compare with.
    """
    figure, ax = new_figure(figsize=(CHART[0] + 0.6, 0.36 * len(values) + 1.1))
    rows = np.arange(len(values))[::-1]
    ax.plot(list(values.values()), rows, "o", color=COLORS[0], markersize=8)
    for row, value in zip(rows, values.values(), strict=True):
        ax.annotate(
            form.format(value), (value, row), xytext=(9, 0), textcoords="offset points",
            va="center", fontsize=SMALL,
        )  # fmt: skip
    ax.set_xscale("log" if log_x else "linear")
    for label, bound in (bounds or {}).items():
        ax.axvline(bound, color="0.4", linestyle="--", linewidth=1)
        ax.annotate(
            label, (bound, len(values) - 0.37), ha="center", va="bottom", fontsize=SMALL,
            color="0.3", annotation_clip=False,
        )  # fmt: skip
    ax.set_yticks(rows, list(values), fontsize=NORMAL)
    ax.set(xlabel=x_label, ylim=(-0.6, len(values) - 0.4))
    ax.margins(x=0.18)
    if log_x:
        _ticks_in_between(ax)
    ax.grid(axis="both", alpha=0.3)
    figure.suptitle(title)
    return figure


def histogram(values, bins, x, lines, x_label, title=None):
    """Draws the histogram of `values`, as a density, under one curve for each entry of `lines`.

    Args:
        values: Array `(n,)`.
        bins: Array, the edges of the bins.
        x: Array `(m,)`, where the curves are known.
        lines: Dict, label to array `(m,)`, a density along `x`.
        x_label: String.
        title: String, above all.
    """
    figure, ax = new_figure(figsize=CHART)
    density(ax, values, bins, "0.8")
    for color, (label, line) in zip(COLORS * len(lines), lines.items(), strict=False):
        ax.plot(x, line, linewidth=2, label=label, color=color)
    ax.set(xlabel=x_label, ylabel="density")
    ax.legend(fontsize=SMALL)
    figure.suptitle(title)
    return figure
