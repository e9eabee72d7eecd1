"""Figures: arrays in, a matplotlib `Figure` out, shown where a cell ends with it."""

import io
import sys

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap

TILE = 0.85  # inches for one image
DPI = 72  # a notebook that saves a dozen figures stays below half a megabyte
PALETTE = 96  # colours in a saved picture
COLORS = plt.get_cmap("tab10").colors


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook saves as PNG with a palette: a third of the size."""


def _png_with_palette(figure):
    from PIL import Image

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", bbox_inches="tight")
    picture = Image.open(full).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


def _register_with_ipython():
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        # For our class alone: other figures are shown as they are elsewhere.
        shell.display_formatter.formatters["image/png"].for_type(Figure, _png_with_palette)


_register_with_ipython()


def _figure(*args, **kwargs):
    kwargs = {"layout": "constrained", "dpi": DPI, "FigureClass": Figure, **kwargs}
    figure, axes = plt.subplots(*args, **kwargs)
    plt.close(figure)  # else a notebook shows it twice
    return figure, axes


def _tile(images):
    """Inches for one image: at least a dot for each of its pixels, and a margin."""
    return max(TILE, 1.1 * images.shape[1] / DPI)


def _show(axes, image):
    image = np.clip(np.asarray(image, "float32"), 0.0, 1.0)
    axes.imshow(image.squeeze(), cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def image_grid(images, columns=8, title=None, captions=None):
    """Draws images in rows.

    Args:
        images: Array `(n, height, width, channels)` in [0, 1].
        columns: Integer, images in a row.
        title: String, above all.
        captions: Sequence of `n` strings, each above its image.
    """
    rows = -(-len(images) // columns)
    tile = _tile(images)
    height = tile + (0.2 if captions is not None else 0.0)
    figure, axes = _figure(
        rows, columns, figsize=(columns * tile, rows * height + 0.4), squeeze=False
    )
    for index, ax in enumerate(axes.flat):
        if index < len(images):
            _show(ax, images[index])
            if captions is not None:
                ax.set_title(captions[index], fontsize=8)
        else:
            ax.axis("off")
    figure.suptitle(title, fontsize=11)
    return figure


def image_rows(rows, title=None):
    """Draws labelled rows of images.

    Args:
        rows: Dict, label to array `(n, height, width, channels)` in [0, 1].
        title: String, above all.
    """
    columns = max(len(images) for images in rows.values())
    tile = max(_tile(images) for images in rows.values())
    size = (columns * tile + 1.2, len(rows) * tile + 0.4)
    figure, axes = _figure(len(rows), columns, figsize=size, squeeze=False)
    for (label, images), row in zip(rows.items(), axes, strict=True):
        for index, ax in enumerate(row):
            if index < len(images):
                _show(ax, images[index])
            else:
                ax.axis("off")
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def code_maps(panels, labels, class_names, title=None, limits=None, deviations=None):
    """Scatters codes on the plane, one panel each, coloured by class.

    Args:
        panels: Dict, panel title to array `(n, 2)`.
        labels: Integer array `(n,)`, the class of each code.
        class_names: Sequence of strings.
        title: String, above all.
        limits: Pair, the range of both axes; chosen by the codes where `None`.
        deviations: Dict, panel title to array `(n, 2)`: the standard deviations
            of posteriors, drawn as ellipses around their means, the codes.
    """
    figure, axes = _figure(1, len(panels), figsize=(4.6 * len(panels) + 1.3, 4.6), squeeze=False)
    for (name, codes), ax in zip(panels.items(), axes[0], strict=True):
        dots = ax.scatter(
            codes[:, 0],
            codes[:, 1],
            c=labels,
            cmap=ListedColormap(COLORS[: len(class_names)]),
            vmin=-0.5,
            vmax=len(class_names) - 0.5,
            s=3,
            alpha=0.5,
            linewidths=0,
            antialiased=False,  # smooth dots would take twice the room in a notebook
            rasterized=True,
        )
        if deviations is not None:
            widths, heights = 2.0 * deviations[name].T
            ellipses = EllipseCollection(
                widths,
                heights,
                np.zeros(len(codes)),  # angles
                units="xy",
                offsets=codes,
                offset_transform=ax.transData,
                facecolors=[COLORS[label] for label in labels],
                alpha=0.3,
                antialiaseds=False,
            )
            ax.add_collection(ellipses)
        ax.set(xlabel="first coordinate", ylabel="second coordinate", xlim=limits, ylim=limits)
        ax.set_title(name, fontsize=10)
    bar = figure.colorbar(dots, ax=axes, ticks=range(len(class_names)))
    bar.ax.set_yticklabels(class_names)
    bar.solids.set_alpha(1.0)
    figure.suptitle(title, fontsize=11)
    return figure


def latent_plane(images, columns, rows, title=None):
    """Draws decoded images where their codes lie on the plane.

    Args:
        images: Array `(len(rows) * len(columns), height, width, channels)` in
            [0, 1], row by row from the top.
        columns: Array, the first coordinate of each column.
        rows: Array, the second coordinate of each row, from the bottom.
        title: String, above all.
    """
    height, width = images.shape[1:3]
    tiles = images.reshape(len(rows), len(columns), height, width, -1)
    picture = tiles.swapaxes(1, 2).reshape(len(rows) * height, len(columns) * width, -1)
    figure, ax = _figure(figsize=(5.0, 5.0 * len(rows) / len(columns) + 0.3))
    _show(ax, picture)
    step = max(1, len(columns) // 8)
    ax.set_xticks(np.arange(len(columns))[::step] * width + width / 2)
    ax.set_xticklabels([f"{value:.1f}" for value in columns[::step]], fontsize=8)
    ax.set_yticks(np.arange(len(rows))[::step] * height + height / 2)
    ax.set_yticklabels([f"{value:.1f}" for value in rows[::-1][::step]], fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def _density(axes, values, bins, color):
    # Of all the values: `hist` would share out among its bins what lies beyond them.
    counts, _ = np.histogram(values, bins)
    axes.stairs(counts / (len(values) * np.diff(bins)), bins, fill=True, color=color)


def code_histograms(codes, title=None, names=None):
    """Draws each coordinate's histogram against the density of N(0, 1).

    Args:
        codes: Array `(n, latent_dim)`.
        title: String, above all.
        names: Sequence of `latent_dim` strings, each above its histogram.
    """
    columns = min(10, codes.shape[1])
    rows = -(-codes.shape[1] // columns)
    size = (max(columns * 1.1, 5.0), rows * 1.1 + 0.5)
    figure, axes = _figure(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    x = np.linspace(-4.0, 4.0, 81)
    for index, ax in enumerate(axes.flat):
        if index >= codes.shape[1]:
            ax.axis("off")
            continue
        _density(ax, codes[:, index], np.linspace(-4.0, 4.0, 41), COLORS[0])
        ax.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color="black", linewidth=1)
        ax.set(xticks=[-2, 0, 2], yticks=[])
        if names is not None:
            ax.set_title(names[index], fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def curves(x, lines, x_label, y_label, title=None, log_x=False, log_y=False):
    """Draws one curve for each entry of `lines`, a dict of label to values along `x`."""
    figure, ax = _figure(figsize=(6.0, 3.6))
    for label, values in lines.items():
        ax.plot(x, values, marker="o" if len(x) <= 20 else None, markersize=4, label=label)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    ax.grid(alpha=0.3)
    if len(lines) > 1:
        ax.legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def curve_panels(panels, x_label, y_label, title=None):
    """Draws curves side by side, on one scale.

    Args:
        panels: Dict, panel title to a dict of label to `(x, y)`, two arrays.
        x_label: String.
        y_label: String.
        title: String, above all.
    """
    size = (2.3 * len(panels) + 0.4, 3.2)
    figure, axes = _figure(1, len(panels), figsize=size, squeeze=False, sharex=True, sharey=True)
    for (name, lines), ax in zip(panels.items(), axes[0], strict=True):
        for label, (x, y) in lines.items():
            ax.plot(x, y, marker="o", markersize=3, label=label)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel(x_label, fontsize=9)
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel(y_label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def heat_maps(panels, names, title=None):
    """Draws square matrices of values in [-1, 1] side by side.

    Args:
        panels: Dict, panel title to array `(n, n)`.
        names: Sequence of `n` strings, of the rows and the columns.
        title: String, above all.
    """
    figure, axes = _figure(1, len(panels), figsize=(3.7 * len(panels) + 2.0, 4.6), squeeze=False)
    for (name, matrix), ax in zip(panels.items(), axes[0], strict=True):
        shown = ax.imshow(matrix, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="nearest")
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        ax.set_yticks([])
        ax.set_title(name, fontsize=10)
    axes[0, 0].set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(shown, ax=axes, shrink=0.6)
    figure.suptitle(title, fontsize=11)
    return figure


def bars(categories, groups, y_label, title=None):
    """Draws grouped bars: `groups` is a dict of label to one value for each category."""
    figure, ax = _figure(figsize=(max(6.0, 0.75 * len(categories)), 3.4))
    width = 0.8 / len(groups)
    positions = np.arange(len(categories))
    for index, (label, values) in enumerate(groups.items()):
        ax.bar(positions + (index - (len(groups) - 1) / 2) * width, values, width, label=label)
    ax.set_xticks(positions, categories, rotation=35, ha="right", fontsize=8)
    ax.set_ylabel(y_label)
    if len(groups) > 1:
        figure.legend(loc="outside right upper", fontsize=8)
    figure.suptitle(title, fontsize=11)
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
    figure, ax = _figure(figsize=(6.0, 3.6))
    _density(ax, values, bins, "0.8")
    for label, density in lines.items():
        ax.plot(x, density, linewidth=2, label=label)
    ax.set(xlabel=x_label, ylabel="density")
    ax.legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure
