"""Pictures of images: grids, labelled rows, pairs before and after."""

import numpy as np

from vae_keras.plots.style import NORMAL, SMALL, new_figure, show_image, tile_of

PAIR = 2.1  # inches of an image whose change is to be seen
GAP = 0.06  # inches between images
CAPTION = 0.2  # inches


class _Board:
    """One set of axes with a place for each image: axes of its own would cost 20 ms each.

    Args:
        rows: Integer.
        columns: Integer.
        tile: Float, inches of a place.
        space: Pair of floats, inches beside and above the places.
        caption: Float, inches above each image.
    """

    def __init__(self, rows, columns, tile, space, caption=0.0):
        self.caption = caption / tile
        self.gap = GAP / tile
        height = rows * (1 + self.caption)
        size = (columns * tile + space[0], height * tile + space[1])
        self.figure, self.ax = new_figure(figsize=size)
        self.ax.set_anchor("N")  # below the title
        self.limits = {"xlim": (0, columns), "ylim": (height, 0)}

    def show(self, image, row, column, caption=None):
        """Draws an image at its place, as large as it holds."""
        height, width = image.shape[:2]
        half = (1 - self.gap) / 2 / max(height, width)
        x, y = column + 0.5, self.middle(row)
        edges = (x - half * width, x + half * width, y + half * height, y - half * height)
        show_image(self.ax, image, edges)
        if caption is not None:
            above = edges[-1] - self.gap / 2
            self.ax.text(x, above, caption, ha="center", va="bottom", fontsize=SMALL)

    def middle(self, row):
        """Returns where the middle of a row of images is, from the top."""
        return (row + 1) * (1 + self.caption) - 0.5

    def finish(self, title, labels=None):
        """Writes the title above all and the labels beside the rows; returns the figure."""
        self.ax.set(**self.limits)
        if labels is not None:
            places = [self.middle(row) for row in range(len(labels))]
            self.ax.set_yticks(places, labels, fontsize=NORMAL)
            self.ax.tick_params(left=False, pad=1)
        self.figure.suptitle(title)
        return self.figure


def image_grid(images, columns=8, title=None, captions=None, tile=None):
    """Draws images in rows.

    Args:
        images: Array `(n, height, width, channels)` in [0, 1].
        columns: Integer, images in a row.
        title: String, above all.
        captions: Sequence of `n` strings, each above its image.
        tile: Float, inches of an image; small ones where `None`.
    """
    rows, tile = -(-len(images) // columns), tile or tile_of(images)
    board = _Board(rows, columns, tile, (0.0, 0.4), 0.0 if captions is None else CAPTION)
    for index, image in enumerate(images):
        caption = None if captions is None else captions[index]
        board.show(image, *divmod(index, columns), caption)
    return board.finish(title)


def image_rows(rows, title=None, tile=None):
    """Draws labelled rows of images.

    Args:
        rows: Dict, label to array `(n, height, width, channels)` in [0, 1].
        title: String, above all.
        tile: Float, inches of an image; small ones where `None`.
    """
    columns = max(len(images) for images in rows.values())
    tile = tile or max(tile_of(images) for images in rows.values())
    board = _Board(len(rows), columns, tile, (1.2, 0.4))
    for row, images in enumerate(rows.values()):
        for column, image in enumerate(images):
            board.show(image, row, column)
    return board.finish(title, list(rows))


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
    board = _Board(blocks * len(parts), columns, tile, (0.7, 0.4))
    for part, images in enumerate(parts.values()):
        for index, image in enumerate(images):
            block, column = divmod(index, columns)
            board.show(image, block * len(parts) + part, column)
    return board.finish(title, blocks * list(parts))
