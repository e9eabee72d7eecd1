"""What the picture of a sweep over `beta` shows: points, their `beta` and their tangents."""

import numpy as np
import pytest

Text = pytest.importorskip("matplotlib.text").Text
plots = pytest.importorskip("vae_keras.plots")
style = pytest.importorskip("vae_keras.plots.style")

pytestmark = pytest.mark.any_backend

BETAS = (1, 0.1, 16)  # in any order
RATE = np.array([6.0, 9.0, 2.0])
DISTORTION = np.array([258.0, 257.0, 280.0])


@pytest.fixture
def ax():
    return plots.rate_distortion(BETAS, RATE, DISTORTION).axes[0]


def test_a_title_stands_above_all():
    figure = plots.rate_distortion(BETAS, RATE, DISTORTION, "what it shows")
    assert figure.get_suptitle() == "what it shows"
    assert plots.rate_distortion(BETAS, RATE, DISTORTION).get_suptitle() == ""


def test_a_model_is_a_point_and_the_curve_runs_through_all(ax):
    curve, points, *_ = ax.lines
    np.testing.assert_array_equal(points.get_xydata(), np.stack([RATE, DISTORTION], axis=1))
    np.testing.assert_array_equal(curve.get_xdata(), np.sort(RATE))
    assert {tuple(point) for point in curve.get_xydata()} == {
        tuple(point) for point in points.get_xydata()
    }


def test_the_line_through_a_point_falls_by_beta_for_each_nat_of_rate(ax):
    tangents = ax.lines[2:]
    assert len(tangents) == len(BETAS)
    for beta, x, y, tangent in zip(BETAS, RATE, DISTORTION, tangents, strict=True):
        start, end = tangent.get_xydata()
        np.testing.assert_allclose((start + end) / 2, [x, y])
        assert (end - start)[1] / (end - start)[0] == pytest.approx(-beta)


def test_all_lines_are_as_long_as_the_eye_sees_them(ax):
    inside = ax.transData + ax.transAxes.inverted()
    lengths = [
        np.linalg.norm(np.diff(inside.transform(line.get_xydata()), axis=0))
        for line in ax.lines[2:]
    ]
    np.testing.assert_allclose(lengths, lengths[0])
    assert 0.1 < lengths[0] < 0.4


def test_beside_a_point_stands_its_beta(ax):
    said = {text.get_text(): text.xy for text in ax.texts}
    assert said == {
        rf"$\beta$ = {beta}": (x, y) for beta, x, y in zip(BETAS, RATE, DISTORTION, strict=True)
    }


def test_every_point_and_every_label_is_inside(ax):
    ax.figure.draw_without_rendering()
    frame = ax.get_window_extent()
    for x, y in ax.transData.transform(ax.lines[1].get_xydata()):
        assert frame.x0 < x < frame.x1
        assert frame.y0 < y < frame.y1
    whole = ax.figure.bbox
    for text in ax.texts:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1
        assert box.y1 <= whole.y1


def test_one_model_alone_has_its_picture():
    (ax,) = plots.rate_distortion([1], [6.0], [258.0]).axes
    low, high = ax.get_xlim()
    assert low < 6.0 < high


def test_its_type_can_be_read_and_it_fits_a_notebook(ax):
    sizes = [text.get_fontsize() for text in ax.figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 9
    assert ax.figure.get_figwidth() <= style.WIDTH + 0.1
    assert "nats" in ax.get_xlabel()
    assert "nats" in ax.get_ylabel()
