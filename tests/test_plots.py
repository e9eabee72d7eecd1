"""How figures are saved in a notebook."""

import io

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
plots = pytest.importorskip("vae_keras.plots")

pytestmark = pytest.mark.any_backend


def test_a_saved_picture_keeps_its_size_and_its_colours_within_a_few_levels():
    image = np.linspace(0, 1, 64 * 64 * 3, dtype="float32").reshape(1, 64, 64, 3)
    figure = plots.image_grid(image, columns=1)
    full = io.BytesIO()
    figure.savefig(full, format="png", bbox_inches="tight")
    small = Image.open(io.BytesIO(plots._png_with_palette(figure)))
    assert small.mode == "P"
    assert small.size == Image.open(full).size
    difference = np.asarray(small.convert("RGB"), int) - np.asarray(Image.open(full).convert("RGB"))
    assert np.abs(difference).mean() < 4


def test_a_figure_is_called_figure_as_everywhere_else():
    figure = plots.image_grid(np.zeros((2, 8, 8, 1)), columns=2)
    assert repr(figure).startswith("<Figure size ")


@pytest.mark.parametrize("side", [28, 64])
def test_an_image_has_a_dot_for_each_of_its_pixels(side):
    assert plots._tile(np.zeros((1, side, side, 1))) * plots.DPI >= side
