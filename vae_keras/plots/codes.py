"""Codes on the plane: as dots by class, as images where they lie, and as histograms."""

import itertools

import numpy as np
from matplotlib import patheffects
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from vae_keras.plots.charts import density
from vae_keras.plots.style import COLORS, SMALL, new_figure, show_image

PANEL = 4.5  # inches
INK = Normalize(0.0, 1.0)
LETTER, LINE = 0.085, 0.16  # inches: of a letter of a name, and between two lines
AXES = ("first coordinate of the code", "second coordinate")


def _draw_dots(ax, codes, labels, class_names):
    ax.scatter(
        codes[:, 0],
        codes[:, 1],
        c=labels,
        cmap=ListedColormap(COLORS[: len(class_names)]),
        vmin=-0.5,
        vmax=len(class_names) - 0.5,
        s=4,
        alpha=0.7,
        linewidths=0,
        antialiased=False,  # smooth dots would take twice the room in a notebook
        rasterized=True,
    )


def _name_classes(ax, codes, labels, class_names):
    """Writes each name at the median of its codes: ten colours alone nobody can tell apart."""
    outline = [patheffects.withStroke(linewidth=3, foreground="white")]
    shown = np.unique(labels)
    ax.figure.draw_without_rendering()  # which gives the axes their place
    middles = [np.median(codes[labels == label], axis=0) for label in shown]
    places = ax.transData.transform(middles) / ax.figure.dpi
    widths = [LETTER * len(class_names[label]) for label in shown]
    places = ax.transAxes.inverted().transform(ax.figure.dpi * _without_overlap(places, widths))
    for label, place in zip(shown, places, strict=True):
        text = ax.text(*place, class_names[label], transform=ax.transAxes, fontsize=SMALL)
        text.set(ha="center", va="center", weight="bold", in_layout=False)
        text.set(color=[0.55 * part for part in COLORS[label]], path_effects=outline)


def _without_overlap(places, widths):
    """Moves texts up and down, places in inches, until none lies on another."""
    places = np.array(places)
    for _ in range(200):
        for one, other in itertools.combinations(range(len(places)), 2):
            across, up = places[other] - places[one]
            missing = LINE - abs(up)
            if abs(across) < (widths[one] + widths[other]) / 2 and missing > 1e-9:
                step = 0.5 * missing * (1.0 if up >= 0 else -1.0)
                places[one, 1] -= step
                places[other, 1] += step
    return places


def _draw_deviations(ax, codes, deviations, labels):
    widths, heights = 2.0 * deviations.T
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


def code_maps(panels, labels, class_names, title=None, limits=None, deviations=None):
    """Scatters codes on the plane, one panel each, coloured and named by class.

    Args:
        panels: Dict, panel title to array `(n, 2)`.
        labels: Integer array `(n,)`, the class of each code.
        class_names: Sequence of strings.
        title: String, above all.
        limits: Pair, the range of both axes; chosen by the codes where `None`.
        deviations: Dict, panel title to array `(n, 2)`: the standard deviations
            of posteriors, drawn as ellipses around their means, the codes.
    """
    labels = np.asarray(labels)
    figure, axes = new_figure(
        1, len(panels), figsize=(PANEL * len(panels) + 0.3, PANEL), squeeze=False
    )
    for (name, codes), ax in zip(panels.items(), axes[0], strict=True):
        _draw_dots(ax, codes, labels, class_names)
        if deviations is not None:
            _draw_deviations(ax, codes, deviations[name], labels)
        ax.set(xlabel=AXES[0], ylabel=AXES[1], xlim=limits, ylim=limits)
        ax.set_title(name)
    figure.suptitle(title)
    for codes, ax in zip(panels.values(), axes[0], strict=True):
        _name_classes(ax, codes, labels, class_names)
    return figure


def _apart(points, distance):
    """Indices of points no two of which are closer than that, the first come first."""
    kept = np.empty((0, 2))
    for index, point in enumerate(points):
        if not len(kept) or np.max(np.abs(kept - point), axis=1).min() >= distance:
            kept = np.concatenate([kept, point[None]])
            yield index


def image_maps(panels, title=None, size=0.3):
    """Pastes images where their codes lie on the plane, as many as do not overlap.

    Args:
        panels: Dict, panel title to a pair: codes, array `(n, 2)`, and their
            images, array `(n, height, width, 1)` in [0, 1].
        title: String, above all.
        size: Float, inches of an image.
    """
    side = 1.3 * PANEL if len(panels) == 1 else PANEL
    figure, axes = new_figure(1, len(panels), figsize=(side * len(panels), side), squeeze=False)
    for (name, (codes, images)), ax in zip(panels.items(), axes[0], strict=True):
        low, high = np.quantile(codes, [0.005, 0.995], axis=0)
        inside = np.flatnonzero(np.all((codes >= low) & (codes <= high), axis=1))
        places = (codes[inside] - low) / (high - low)
        edge = size / side * (high - low)
        low_edge, high_edge = low - edge, high + edge
        ax.set(xlim=(low_edge[0], high_edge[0]), ylim=(low_edge[1], high_edge[1]))
        ax.set(xlabel=AXES[0], ylabel=AXES[1])
        for index in inside[list(_apart(places, size / (0.75 * side)))]:
            picture = 1.0 - images[index].squeeze()  # ink on paper: no black squares on the plane
            zoom = 72 * size / picture.shape[0]  # 72 points an inch, and a point for a pixel
            box = OffsetImage(picture, zoom=zoom, cmap="gray", norm=INK, interpolation="nearest")
            ax.add_artist(AnnotationBbox(box, codes[index], frameon=False, pad=0))
        ax.set_title(name)
    figure.suptitle(title)
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
    figure, ax = new_figure(figsize=(5.6, 5.6 * len(rows) / len(columns) + 0.3))
    show_image(ax, picture)
    step = max(1, len(columns) // 8)
    ax.set_xticks(np.arange(len(columns))[::step] * width + width / 2)
    ax.set_xticklabels([f"{value:.1f}" for value in columns[::step]])
    ax.set_yticks(np.arange(len(rows))[::step] * height + height / 2)
    ax.set_yticklabels([f"{value:.1f}" for value in rows[::-1][::step]])
    ax.set(xlabel=AXES[0], ylabel=AXES[1])
    figure.suptitle(title)
    return figure


def code_histograms(codes, title=None, names=None):
    """Draws each coordinate's histogram against the density of N(0, 1).

    Args:
        codes: Array `(n, latent_dim)`.
        title: String, above all.
        names: Sequence of `latent_dim` strings, each above its histogram.
    """
    columns = min(10, codes.shape[1])
    rows = -(-codes.shape[1] // columns)
    size = (max(columns * 0.93, 5.0), rows * 1.1 + 0.5)
    figure, axes = new_figure(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    x = np.linspace(-4.0, 4.0, 81)
    for index, ax in enumerate(axes.flat):
        if index >= codes.shape[1]:
            ax.axis("off")
            continue
        density(ax, codes[:, index], np.linspace(-4.0, 4.0, 41), COLORS[0])
        ax.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color="black", linewidth=1)
        ax.set(xticks=[-2, 0, 2], yticks=[])
        if names is not None:
            ax.set_title(names[index], fontsize=SMALL)
    figure.suptitle(title)
    return figure
