"""Drawings of the models: an autoencoder, a VAE, its graphical model, its bound, a second stage."""

import numpy as np
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Polygon

from vae_keras.plots.style import COLORS, NORMAL, SMALL, WIDTH, new_figure

ENCODER, DECODER, CODE, NOISE, GRADIENT = (COLORS[index] for index in (0, 1, 4, 3, 2))
PALE = 0.72  # how much of a fill is white


def _canvas(width, height, title):
    figure, ax = new_figure(figsize=(width, height))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    figure.suptitle(title)
    return figure, ax


def _pale(color):
    return [part + (1 - part) * PALE for part in color]


def _box(ax, center, size, text, color):
    corner = np.subtract(center, np.divide(size, 2))
    style = "round,pad=0,rounding_size=0.08"
    ax.add_patch(
        FancyBboxPatch(corner, *size, boxstyle=style, facecolor=_pale(color), edgecolor=color)
    )
    ax.text(*center, text, ha="center", va="center", fontsize=NORMAL)


def _network(ax, center, text, color, narrows):
    """A trapezium that narrows to the right, or widens."""
    x, y = center
    left, right = (0.7, 0.35) if narrows else (0.35, 0.7)
    corners = [(x - 0.5, y - left), (x - 0.5, y + left), (x + 0.5, y + right), (x + 0.5, y - right)]
    ax.add_patch(Polygon(corners, facecolor=_pale(color), edgecolor=color))
    ax.text(x, y, text, ha="center", va="center", fontsize=NORMAL)


def _arrow(ax, start, end, color="0.25", text=None, dashed=False, bend=0.0, above=True):
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=13, color=color, linewidth=1.4,
            linestyle="--" if dashed else "-", connectionstyle=f"arc3,rad={bend}",
            shrinkA=2, shrinkB=2,
        )
    )  # fmt: skip
    if text is not None:
        middle = np.add(start, end) / 2 + [0, 0.1 if above else -0.1]
        align = "bottom" if above else "top"
        ax.text(*middle, text, ha="center", va=align, fontsize=SMALL, color=color)


def _picture(ax, center, image, text, side=1.1):
    """An image, or an empty square where there is none, with a caption below."""
    x, y = center
    extent = (x - side / 2, x + side / 2, y - side / 2, y + side / 2)
    if image is None:
        _box(ax, center, (side, side), "", (0.6, 0.6, 0.6))
    else:
        shown = np.clip(np.squeeze(image), 0.0, 1.0)
        ax.imshow(shown, cmap="gray", vmin=0.0, vmax=1.0, extent=extent, interpolation="nearest")
        ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    ax.text(x, y - side / 2 - 0.08, text, ha="center", va="top", fontsize=SMALL)


def autoencoder(image=None, reconstruction=None, latent_dim=2, title=None):
    """Draws an autoencoder, the shapes written on it.

    Args:
        image: Array `(height, width, channels)` in [0, 1], what goes in.
        reconstruction: Array of the same shape, what comes out.
        latent_dim: Integer, the numbers of the code.
        title: String, above all.
    """
    figure, ax = _canvas(9.0, 2.3, title)
    pixels = "pixels" if image is None else f"{np.size(image):,} pixels"
    _picture(ax, (0.8, 1.3), image, pixels)
    _network(ax, (2.75, 1.3), "encoder", ENCODER, narrows=True)
    _box(ax, (4.5, 1.3), (0.8, 0.6), "$z$", CODE)
    ax.text(4.5, 0.9, f"code: {latent_dim} numbers", ha="center", va="top", fontsize=SMALL)
    _network(ax, (6.25, 1.3), "decoder", DECODER, narrows=False)
    _picture(ax, (8.2, 1.3), reconstruction, pixels)
    for start, end in ((1.4, 2.2), (3.3, 4.05), (4.95, 5.7), (6.8, 7.6)):
        _arrow(ax, (start, 1.3), (end, 1.3))
    _arrow(ax, (1.0, 1.9), (8.0, 1.9), GRADIENT, "the loss compares the two", bend=-0.08)
    ax.set(ylim=(0.2, 2.7))
    return figure


def variational_autoencoder(
    image=None, reconstruction=None, latent_dim=2, gradient=False, title=None
):
    """Draws a VAE: mean and deviation, the noise, the code, and where the loss comes from.

    Args:
        image: Array `(height, width, channels)` in [0, 1], what goes in.
        reconstruction: Array of the same shape, what comes out.
        latent_dim: Integer, the numbers of the code.
        gradient: Boolean, whether to draw the path of the gradient, which runs
            through the code to mean and deviation, and not to the noise.
        title: String, above all.
    """
    figure, ax = _canvas(WIDTH, 3.5, title)
    pixels = "pixels" if image is None else f"{np.size(image):,} pixels"
    _picture(ax, (0.7, 2.0), image, pixels)
    _network(ax, (2.2, 2.0), "encoder", ENCODER, narrows=True)
    _box(ax, (3.75, 2.45), (0.75, 0.5), r"$\mu$", CODE)
    _box(ax, (3.75, 1.55), (0.75, 0.5), r"$\sigma$", CODE)
    ax.text(3.75, 2.75, f"{latent_dim} means", ha="center", va="bottom", fontsize=SMALL)
    ax.text(3.75, 1.25, f"{latent_dim} deviations", ha="center", va="top", fontsize=SMALL)
    _box(ax, (5.45, 2.0), (1.5, 0.55), r"$z = \mu + \sigma\,\varepsilon$", CODE)
    _box(ax, (5.45, 0.55), (1.9, 0.5), r"$\varepsilon \sim \mathcal{N}(0, I)$", NOISE)
    _network(ax, (7.2, 2.0), "decoder", DECODER, narrows=False)
    _picture(ax, (8.7, 2.0), reconstruction, pixels)
    _arrow(ax, (1.3, 2.0), (1.68, 2.0))
    _arrow(ax, (2.72, 2.1), (3.35, 2.45))
    _arrow(ax, (2.72, 1.9), (3.35, 1.55))
    _arrow(ax, (4.15, 2.45), (4.68, 2.1))
    _arrow(ax, (4.15, 1.55), (4.68, 1.9))
    _arrow(ax, (5.45, 0.82), (5.45, 1.7))
    _arrow(ax, (6.22, 2.0), (6.68, 2.0))
    _arrow(ax, (7.72, 2.0), (8.12, 2.0))
    frame = FancyBboxPatch((3.15, 0.9), 1.2, 2.15, boxstyle="round,pad=0,rounding_size=0.1",
                           facecolor="none", edgecolor=GRADIENT, linestyle=":")  # fmt: skip
    ax.add_patch(frame)
    ax.text(2.6, 0.3, "KL divergence of $\\mathcal{N}(\\mu, \\sigma^2)$\nto $\\mathcal{N}(0, I)$",
            ha="center", va="center", fontsize=SMALL, color=GRADIENT)  # fmt: skip
    _arrow(ax, (3.4, 0.5), (3.7, 0.88), GRADIENT, dashed=gradient)
    if gradient:
        _gradient_path(ax)
    else:
        _arrow(ax, (0.9, 2.65), (8.5, 2.65), GRADIENT, bend=-0.14)
        ax.text(7.6, 3.2, "reconstruction: the two compared", ha="center", fontsize=SMALL,
                color=GRADIENT)  # fmt: skip
    return figure


def _gradient_path(ax):
    """Draws the way of a VAE's gradient, through the code to mean and deviation."""
    ax.text(8.7, 2.95, "reconstruction", ha="center", fontsize=SMALL, color=GRADIENT)
    _arrow(ax, (8.4, 2.75), (5.5, 2.35), GRADIENT, dashed=True, bend=0.25)
    _arrow(ax, (5.2, 2.35), (4.15, 2.6), GRADIENT, dashed=True, bend=0.3)
    _arrow(ax, (5.0, 1.68), (4.15, 1.4), GRADIENT, dashed=True, bend=-0.2)
    ax.text(6.5, 3.25, "the gradient: through $z$, to $\\mu$ and $\\sigma$", ha="center",
            fontsize=SMALL, color=GRADIENT)  # fmt: skip
    ax.text(5.6, 1.2, "none to the noise", fontsize=SMALL, color="0.4")


def _node(ax, center, text, observed=False):
    fill = "0.85" if observed else "white"
    ax.add_patch(Ellipse(center, 0.7, 0.7, facecolor=fill, edgecolor="0.2", linewidth=1.4))
    ax.text(*center, text, ha="center", va="center", fontsize=NORMAL + 2)


def graphical_model(title=None):
    """Draws the graphical model: code, image, decoder and encoder, and the plate of the images."""
    figure, ax = _canvas(6.4, 2.9, title)
    _node(ax, (2.4, 2.1), "$z$")
    _node(ax, (2.4, 0.95), "$x$", observed=True)
    ax.text(0.75, 1.0, r"$\phi$", ha="center", va="center", fontsize=NORMAL + 2)
    ax.text(4.3, 1.0, r"$\theta$", ha="center", va="center", fontsize=NORMAL + 2)
    _arrow(ax, (2.4, 1.75), (2.4, 1.3))
    _arrow(ax, (4.15, 1.0), (2.76, 0.95))
    _arrow(ax, (0.9, 1.1), (2.1, 1.95), dashed=True)
    _arrow(ax, (2.12, 1.15), (2.12, 1.88), dashed=True, bend=0.4)
    frame = FancyBboxPatch((1.5, 0.4), 1.9, 2.2, boxstyle="round,pad=0,rounding_size=0.1",
                           facecolor="none", edgecolor="0.5")  # fmt: skip
    ax.add_patch(frame)
    ax.text(3.33, 0.45, "N images", ha="right", va="bottom", fontsize=SMALL, color="0.4")
    notes = (
        (2.4, "code: $p(z) = \\mathcal{N}(0, I)$"),
        (1.9, "solid: decoder $p_\\theta(x \\mid z)$"),
        (1.55, "dashed: encoder $q_\\phi(z \\mid x)$"),
        (0.5, "grey: observed"),
    )
    for y, text in notes:
        ax.text(3.6, y, text, va="center", fontsize=SMALL)
    return figure


def evidence(bound, gap, title=None):
    """Draws the evidence and the bound as two levels, in nats, and the gap between them.

    Args:
        bound: Number, the ELBO.
        gap: Number, the KL divergence from the encoder's q to the posterior.
        title: String, above all.
    """
    figure, ax = _canvas(WIDTH, 2.2, title)
    levels = ((1.75, ENCODER, "evidence $\\log p(x)$", bound + gap), (0.4, DECODER, "ELBO", bound))
    for y, color, name, value in levels:
        ax.plot([2.2, 7.4], [y, y], color=color, linewidth=3)
        ax.text(2.0, y, name, ha="right", va="center", fontsize=NORMAL)
        ax.text(7.6, y, f"{value:.2f} nats", va="center", fontsize=NORMAL)
    _arrow(ax, (3.2, 0.42), (3.2, 1.73), GRADIENT)
    _arrow(ax, (3.2, 1.73), (3.2, 0.42), GRADIENT)
    divergence = "$\\mathrm{KL}(q \\,\\|\\, p(z \\mid x)) \\geq 0$"
    ax.text(3.4, 1.08, f"gap: {divergence}, {gap:.2f} nats", va="center", fontsize=NORMAL)
    return figure


def second_stage(code_shape, image=None, reconstruction=None, new=None, title=None):
    """Draws the two stages: one learns the code, the other how codes are distributed.

    Args:
        code_shape: Tuple of integers, the shape of a code.
        image: Array `(height, width, channels)` in [0, 1], of the training set.
        reconstruction: Array of the same shape, what the decoder makes of its code.
        new: Array of the same shape, what the decoder makes of a code that was drawn.
        title: String, above all.
    """
    shape = " \N{MULTIPLICATION SIGN} ".join(str(size) for size in code_shape)
    figure, ax = _canvas(WIDTH, 4.1, title)
    ax.text(0.1, 3.85, "first stage: a VAE learns the code", fontsize=NORMAL, color="0.3")
    _picture(ax, (0.9, 2.95), image, "image")
    _network(ax, (2.75, 2.95), "encoder", ENCODER, narrows=True)
    _box(ax, (4.6, 2.95), (1.3, 0.7), f"code\n{shape}", CODE)
    _network(ax, (6.4, 2.95), "decoder", DECODER, narrows=False)
    _picture(ax, (8.3, 2.95), reconstruction, "reconstruction")
    ax.text(0.1, 1.62, "second stage: a flow learns the codes", fontsize=NORMAL, color="0.3")
    _box(ax, (0.9, 0.85), (1.3, 0.7), f"noise\n{shape}", NOISE)
    _box(ax, (2.75, 0.85), (1.2, 0.7), "flow,\n16 steps", GRADIENT)
    _box(ax, (4.6, 0.85), (1.3, 0.7), f"code\n{shape}", CODE)
    _network(ax, (6.4, 0.85), "decoder", DECODER, narrows=False)
    _picture(ax, (8.3, 0.85), new, "new image")
    for y in (2.95, 0.85):
        for start, end in ((1.6, 2.15), (3.35, 3.9), (5.3, 5.85), (6.95, 7.65)):
            _arrow(ax, (start, y), (end, y))
    _arrow(ax, (4.6, 2.55), (4.6, 1.25), dashed=True)
    ax.text(4.72, 1.9, "trained on these", va="center", fontsize=SMALL, color="0.3")
    return figure
