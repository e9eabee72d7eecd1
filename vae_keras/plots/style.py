"""One style for every figure: its dots, its colours and how a notebook saves it."""

import io
import sys

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from vae_keras import palette

SHOWN = 96  # dots an inch, as a browser shows a figure: type of 9 points has 12 of them
DPI = 2 * SHOWN  # as it is drawn, for screens with twice the dots
PHOTO_DPI = SHOWN  # of faces: more dots would show no more of their 64 pixels
PALETTE = 128  # colours in a saved picture without photographs: a quarter of the size
SHADES = 64  # in one that is grey
TILE = 0.85  # inches for one image
WIDTH = 9.4  # inches that a notebook has room for
SMALL, NORMAL, TITLE = 9, 10, 12  # points
COLORS = tuple(to_rgb(color) for color in palette.COLORS)
STYLE = {
    "font.size": NORMAL,
    "axes.titlesize": NORMAL,
    "axes.labelsize": NORMAL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "figure.titlesize": TITLE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "both",
    "grid.alpha": 0.3,
    "lines.linewidth": 2.0,
    "axes.prop_cycle": plt.cycler(color=COLORS),
}


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook saves with twice a screen's dots, and shows at its own size."""


def new_figure(*args, **kwargs):
    """Returns `plt.subplots(...)` in the package's style, for the notebook to show once."""
    kwargs = {"layout": "constrained", "dpi": DPI, "FigureClass": Figure, **kwargs}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(*args, **kwargs)
    plt.close(figure)  # else a notebook shows it twice
    return figure, axes


def tile_of(images):
    """Inches for one image: at least a dot of the screen for each of its pixels, and a margin."""
    return max(TILE, 1.1 * images.shape[1] / SHOWN)


def show_image(ax, image, extent=None):
    """Draws an image in [0, 1], grey or in colour, without axes; `extent` is that of `imshow`."""
    image = np.clip(np.asarray(image, "float32"), 0.0, 1.0)
    is_photograph = image.shape[-1] == 3
    ax.imshow(
        image.squeeze(),
        cmap="gray",
        vmin=0.0,
        vmax=1.0,
        # A grey garment shows its pixels; a face that is shown larger than it is, itself.
        interpolation="bicubic" if is_photograph else "nearest",
        extent=extent,
    )
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def has_photographs(figure):
    """Whether one of the figure's images is in colour: a palette would be too small for it."""
    arrays = (picture.get_array() for ax in figure.axes for picture in ax.images)
    return any(array.ndim == 3 for array in arrays)


def picture_of(figure):
    """Returns what a notebook saves: `(bytes, is_photograph, size on the screen)`."""
    from PIL import Image

    full, saved = io.BytesIO(), io.BytesIO()
    is_photograph = has_photographs(figure)
    dpi = PHOTO_DPI if is_photograph else DPI
    quickly = {"compress_level": 1}  # it is read again at once
    figure.savefig(full, format="png", bbox_inches="tight", dpi=dpi, pil_kwargs=quickly)
    picture = Image.open(full).convert("RGB")
    if is_photograph:
        picture.save(saved, format="jpeg", quality=70, optimize=True)
    else:
        colors = SHADES if _is_grey(picture) else PALETTE
        picture = picture.quantize(colors, dither=Image.Dither.NONE)
        picture.save(saved, format="png", optimize=True)
    width, height = (round(dots * SHOWN / dpi) for dots in picture.size)
    return saved.getvalue(), is_photograph, {"width": width, "height": height}


def _is_grey(picture):
    red, green, blue = picture.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _saved(figure):
    data, _, size = picture_of(figure)
    return data, size


def _as_png(figure):
    return None if has_photographs(figure) else _saved(figure)


def _as_jpeg(figure):
    return _saved(figure) if has_photographs(figure) else None


def _register_with_ipython():
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        # For our class alone: other figures are shown as they are elsewhere.
        formatters = shell.display_formatter.formatters
        formatters["image/png"].for_type(Figure, _as_png)
        formatters["image/jpeg"].for_type(Figure, _as_jpeg)


_register_with_ipython()
