"""Pictures of images: grids, labelled rows, pairs before and after."""

import numpy as np

from vae_keras.plots.style import NORMAL, SMALL, new_figure, show_image, tile_of

PAIR = 2.1  # inches of an image whose change is to be seen


def image_grid(images, columns=8, title=None, captions=None, tile=None):
    """Draws images in rows.

    Args:
        images: Array `(n, height, width, channels)` in [0, 1].
        columns: Integer, images in a row.
        title: String, above all.
        captions: Sequence of `n` strings, each above its image.
        tile: Float, inches of an image; small ones where `None`.
    """
    rows = -(-len(images) // columns)
    tile = tile or tile_of(images)
    height = tile + (0.2 if captions is not None else 0.0)
    figure, axes = new_figure(
        rows, columns, figsize=(columns * tile, rows * height + 0.4), squeeze=False
    )
    for index, ax in enumerate(axes.flat):
        if index < len(images):
            show_image(ax, images[index])
            if captions is not None:
                ax.set_title(captions[index], fontsize=SMALL)
        else:
            ax.axis("off")
    figure.suptitle(title)
    return figure


def image_rows(rows, title=None, tile=None):
    """Draws labelled rows of images.

    Args:
        rows: Dict, label to array `(n, height, width, channels)` in [0, 1].
        title: String, above all.
        tile: Float, inches of an image; small ones where `None`.
    """
    columns = max(len(images) for images in rows.values())
    tile = tile or max(tile_of(images) for images in rows.values())
    size = (columns * tile + 1.2, len(rows) * tile + 0.4)
    figure, axes = new_figure(len(rows), columns, figsize=size, squeeze=False)
    for (label, images), row in zip(rows.items(), axes, strict=True):
        for index, ax in enumerate(row):
            if index < len(images):
                show_image(ax, images[index])
            else:
                ax.axis("off")
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=NORMAL)
    figure.suptitle(title)
    return figure


def before_and_after(before, after, title=None, columns=4, labels=("before", "after"), tile=PAIR):
    """Draws pairs of images large, one below the other, and below them what has changed.

    The third image of each is the difference, channels averaged: grey where
    nothing changed, lighter where the image has become lighter.

    Args:
        before: Array `(n, height, width, channels)` in [0, 1].
        after: Array of the same shape.
        title: String, above all.
        columns: Integer, pairs in a row.
        labels: Pair of strings, beside the images.
        tile: Float, inches of an image.
    """
    change = 0.5 + np.mean(np.subtract(after, before), axis=-1, keepdims=True)
    parts = {labels[0]: before, labels[1]: after, "change": change}
    blocks = -(-len(before) // columns)
    size = (columns * tile + 0.6, blocks * len(parts) * tile + 0.5)
    figure, axes = new_figure(blocks * len(parts), columns, figsize=size, squeeze=False)
    for number, ax in enumerate(axes.flat):
        row, column = divmod(number, columns)
        block, part = divmod(row, len(parts))
        label, images = list(parts.items())[part]
        index = block * columns + column
        if index < len(images):
            show_image(ax, images[index])
        else:
            ax.axis("off")
        if column == 0:
            ax.set_ylabel(label, fontsize=NORMAL)
    figure.suptitle(title)
    return figure
