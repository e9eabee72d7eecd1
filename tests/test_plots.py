"""What the figures show: every picture, dot and curve in its place, by its name and colour."""

import io

import numpy as np
import pytest

from vae_keras import latent

Image = pytest.importorskip("PIL.Image")
to_rgb = pytest.importorskip("matplotlib.colors").to_rgb
plots = pytest.importorskip("vae_keras.plots")

pytestmark = pytest.mark.any_backend

COLORS = [
    "tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple",
    "tab:brown", "tab:pink", "tab:gray", "tab:olive", "tab:cyan",
]  # fmt: skip


def random_images(n, channels=1):
    """Images of 2 by 3 pixels, all different: no two axes can be taken for each other."""
    return np.random.default_rng(0).random((n, 2, 3, channels), "float32")


def place(ax):
    """The row and the column of a panel in its figure, from the top left."""
    spec = ax.get_subplotspec()
    return spec.rowspan.start, spec.colspan.start


def pictures(figure):
    """Place of a panel to the array that it draws."""
    return {place(ax): np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images}


def assert_pictures(figure, expected):
    found = pictures(figure)
    assert found.keys() == expected.keys()
    for where, image in expected.items():
        np.testing.assert_array_equal(found[where], image.squeeze())


def on_screen(ax, x, y):
    """Where a point is drawn: pixels from the left, and from the bottom."""
    return ax.transData.transform((x, y))


def texts(labels):
    return [label.get_text() for label in labels]


def lines(ax):
    """Label to the points of its curve."""
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def bar_heights(ax):
    """Edges and heights of the histogram on `ax`."""
    (patch,) = ax.patches
    heights, edges, _ = patch.get_data()
    return edges, heights


FIGURES = {
    plots.image_grid: (random_images(3),),
    plots.image_rows: ({"a": random_images(3)},),
    plots.code_maps: ({"a": np.zeros((1, 2))}, [0], ["x"]),
    plots.latent_plane: (random_images(1), [0.0], [0.0]),
    plots.code_histograms: (np.zeros((3, 2)),),
    plots.curves: ([0, 1], {"a": [0, 1]}, "x", "y"),
    plots.curve_panels: ({"p": {"a": ([0], [1])}}, "x", "y"),
    plots.heat_maps: ({"a": np.eye(2)}, ["x", "y"]),
    plots.bars: (["x"], {"a": [1]}, "y"),
    plots.histogram: (np.zeros(3), np.arange(2), [0, 1], {"a": [0, 1]}, "x"),
}


@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
def test_a_title_stands_above_all(draw):
    assert draw(*FIGURES[draw], title="what it shows").get_suptitle() == "what it shows"
    assert draw(*FIGURES[draw]).get_suptitle() == ""


class TestSavedPicture:
    def test_keeps_its_size_and_its_colours_within_a_few_levels(self):
        image = np.linspace(0, 1, 64 * 64 * 3, dtype="float32").reshape(1, 64, 64, 3)
        figure = plots.image_grid(image, columns=1)
        full = io.BytesIO()
        figure.savefig(full, format="png", bbox_inches="tight")
        small = Image.open(io.BytesIO(plots._png_with_palette(figure)))
        full = Image.open(full)
        assert small.mode == "P"
        assert small.size == full.size
        difference = np.asarray(small.convert("RGB"), int) - np.asarray(full.convert("RGB"))
        assert np.abs(difference).mean() < 4

    def test_is_called_figure_as_everywhere_else(self):
        figure = plots.image_grid(np.zeros((2, 8, 8, 1)), columns=2)
        assert repr(figure).startswith("<Figure size ")

    @pytest.mark.parametrize("side", [28, 64])
    def test_has_a_dot_for_each_pixel_of_an_image(self, side):
        assert plots._tile(np.zeros((1, side, side, 1))) * plots.DPI >= side


class TestImages:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_grid_is_read_row_by_row(self, channels):
        images = random_images(5, channels)
        figure = plots.image_grid(images, columns=3, captions=list("abcde"))
        expected = {(index // 3, index % 3): image for index, image in enumerate(images)}
        assert_pictures(figure, expected)
        captions = {place(ax): ax.get_title() for ax in figure.axes}
        assert captions == dict(zip(expected, "abcde", strict=True)) | {(1, 2): ""}

    def test_a_label_stands_beside_its_row(self):
        rows = {"two": random_images(2), "three": random_images(3) / 2}
        figure = plots.image_rows(rows)
        assert_pictures(
            figure,
            {(0, i): image for i, image in enumerate(rows["two"])}
            | {(1, i): image for i, image in enumerate(rows["three"])},
        )
        labels = {place(ax): ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()}
        assert labels == {(0, 0): "two", (1, 0): "three"}

    def test_places_without_an_image_are_blank(self):
        figure = plots.image_grid(random_images(4), columns=3)
        assert [place(ax) for ax in figure.axes if not ax.axison] == [(1, 1), (1, 2)]
        figure = plots.image_rows({"one": random_images(1), "two": random_images(2)})
        assert [place(ax) for ax in figure.axes if not ax.axison] == [(0, 1)]

    def test_0_is_black_and_1_is_white_whatever_the_image_holds(self):
        dark = np.full((1, 2, 3, 1), 0.25)
        dark[0, 0, 0] = 0.5
        picture = plots.image_grid(dark).axes[0].images[0]
        shades = picture.to_rgba(np.array([[0.0, 0.5, 1.0]]))[0, :, :3]
        np.testing.assert_allclose(shades, [[0.0] * 3, [0.5] * 3, [1.0] * 3], atol=0.01)

    def test_what_lies_beyond_black_and_white_is_cut(self):
        image = np.array([[-1.0, 0.5, 2.0], [0.0, 0.25, 1.0]]).reshape(1, 2, 3, 1)
        picture = plots.image_grid(image).axes[0].images[0].get_array()
        np.testing.assert_array_equal(picture, [[0.0, 0.5, 1.0], [0.0, 0.25, 1.0]])

    def test_an_image_stands_upright(self):
        ax = plots.image_grid(random_images(1)).axes[0]
        assert on_screen(ax, 0, 0)[1] > on_screen(ax, 0, 1)[1]  # the first row is above the second
        assert on_screen(ax, 0, 0)[0] < on_screen(ax, 1, 0)[0]


class TestCodeMaps:
    NAMES = ("shirt", "bag", "boot", "coat")

    def draw(self, **kwargs):
        """Two panels; the first class and the last have no codes."""
        rng = np.random.default_rng(0)
        panels = {"left": rng.normal(size=(6, 2)), "right": rng.normal(size=(6, 2)) + 1.0}
        labels = np.array([2, 1, 1, 2, 2, 1])
        figure = plots.code_maps(panels, labels, self.NAMES, **kwargs)
        *axes, bar = figure.axes
        return panels, labels, axes, bar

    def test_the_first_coordinate_runs_to_the_right_and_the_second_upwards(self):
        panels, _, axes, _ = self.draw()
        assert [place(ax) for ax in axes] == [(0, 0), (0, 1)]
        for ax, (name, codes) in zip(axes, panels.items(), strict=True):
            assert ax.get_title() == name
            assert (ax.get_xlabel(), ax.get_ylabel()) == ("first coordinate", "second coordinate")
            np.testing.assert_array_equal(ax.collections[0].get_offsets(), codes)
            assert (np.diff([on_screen(ax, 0, 0), on_screen(ax, 1, 1)], axis=0) > 0).all()

    def test_a_class_has_its_colour_on_the_map_and_on_the_bar(self):
        _, labels, axes, bar = self.draw()
        assert texts(bar.get_yticklabels()) == list(self.NAMES)
        for ax in axes:
            dots = ax.collections[0]
            dots.update_scalarmappable()
            expected = [to_rgb(COLORS[label]) for label in labels]
            np.testing.assert_allclose(dots.get_facecolors()[:, :3], expected)
        mapped = dots.colorbar.cmap(dots.colorbar.norm(bar.get_yticks()))[:, :3]
        np.testing.assert_allclose(mapped, [to_rgb(color) for color in COLORS[:4]])

    def test_limits_hold_for_both_axes_of_every_panel(self):
        _, _, axes, _ = self.draw(limits=(-2.0, 3.0))
        assert [ax.get_xlim() for ax in axes] == [ax.get_ylim() for ax in axes] == [(-2.0, 3.0)] * 2
        panels, _, axes, _ = self.draw()
        for ax, codes in zip(axes, panels.values(), strict=True):
            low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
            assert (low < codes.min(axis=0)).all()
            assert (codes.max(axis=0) < high).all()

    def test_an_ellipse_reaches_one_deviation_from_its_code(self):
        deviations = {name: np.array([[0.1, 0.3]] * 5 + [[0.4, 0.2]]) for name in ("left", "right")}
        deviations["right"] = deviations["right"] * 2.0
        panels, labels, axes, _ = self.draw(deviations=deviations)
        for ax, (name, codes) in zip(axes, panels.items(), strict=True):
            _, ellipses = ax.collections
            np.testing.assert_array_equal(ellipses.get_offsets(), codes)
            np.testing.assert_allclose(
                ellipses.get_facecolors()[:, :3], [to_rgb(COLORS[label]) for label in labels]
            )
            ax.figure.draw_without_rendering()  # which gives the ellipses their sizes
            circle_to_ellipse = ellipses.get_transforms()[:, :2, :2]
            circle_to_screen = ellipses.get_transform().get_matrix()[:2, :2] @ circle_to_ellipse
            one_on_screen = on_screen(ax, 1, 1) - on_screen(ax, 0, 0)
            reach = np.linalg.norm(circle_to_screen, axis=2) / one_on_screen
            np.testing.assert_allclose(reach, deviations[name], rtol=1e-6)


class TestLatentPlane:
    def assert_each_code_is_drawn_where_it_lies(self, ax, code_to_image):
        """By the ticks: beside each pair of them lies the picture of that code."""
        picture = np.asarray(ax.images[0].get_array())
        height, width = next(iter(code_to_image.values())).shape[:2]
        columns = dict(zip(texts(ax.get_xticklabels()), ax.get_xticks(), strict=True))
        rows = dict(zip(texts(ax.get_yticklabels()), ax.get_yticks(), strict=True))
        for (first, second), image in code_to_image.items():
            # Half a pixel from the middle at most, and a pixel's place is its own middle.
            left = round(columns[first] - width / 2)
            top = round(rows[second] - height / 2)
            tile = picture[top : top + height, left : left + width]
            np.testing.assert_array_equal(tile.reshape(image.shape), image)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_code_is_drawn_where_its_coordinates_say(self, channels):
        columns, rows = np.array([-2.0, 0.0, 2.0, 4.0]), np.array([5.0, 6.0, 7.0])
        images = random_images(12, channels)
        codes = [(f"{column:.1f}", f"{row:.1f}") for row in rows[::-1] for column in columns]
        figure = plots.latent_plane(images, columns, rows)
        (ax,) = figure.axes
        self.assert_each_code_is_drawn_where_it_lies(ax, dict(zip(codes, images, strict=True)))

    def test_coordinates_grow_to_the_right_and_upwards(self):
        (ax,) = plots.latent_plane(random_images(4), [-1.0, 1.0], [-2.0, 2.0]).axes
        assert texts(ax.get_xticklabels()) == ["-1.0", "1.0"]
        assert (np.diff([on_screen(ax, x, 0)[0] for x in ax.get_xticks()]) > 0).all()
        up = dict(zip(texts(ax.get_yticklabels()), ax.get_yticks(), strict=True))
        assert on_screen(ax, 0, up["2.0"])[1] > on_screen(ax, 0, up["-2.0"])[1]
        # And the picture itself is drawn with its first row above: the ticks speak of it.
        picture = ax.images[0]
        assert picture.origin == "upper"
        np.testing.assert_array_equal(picture.get_extent(), [-0.5, 5.5, 3.5, -0.5])
        assert ax.get_xlim() == (-0.5, 5.5)
        assert ax.get_ylim() == (3.5, -0.5)

    def test_a_large_plane_names_every_other_code(self):
        (ax,) = plots.latent_plane(random_images(16 * 16), np.arange(16), np.arange(16)).axes
        assert texts(ax.get_xticklabels()) == [f"{value}.0" for value in range(0, 16, 2)]
        assert texts(ax.get_yticklabels()) == [f"{value}.0" for value in range(15, 0, -2)]
        np.testing.assert_allclose(ax.get_xticks(), np.arange(0, 16, 2) * 3 + 1, atol=0.5)
        np.testing.assert_allclose(ax.get_yticks(), np.arange(0, 16, 2) * 2 + 0.5, atol=0.5)

    def test_the_packages_grid_is_drawn_where_it_lies(self):
        codes, side = latent.grid(4)
        assert len({f"{value:.1f}" for value in side}) == 4
        images = (codes.reshape(-1, 1, 2, 1) + 4.0) / 8.0  # each shows its code
        (ax,) = plots.latent_plane(images, side, side).axes
        names = [tuple(f"{value:.1f}" for value in code) for code in codes]
        drawn = np.clip(images.astype("float32"), 0.0, 1.0)
        self.assert_each_code_is_drawn_where_it_lies(ax, dict(zip(names, drawn, strict=True)))


class TestCodeHistograms:
    def test_each_coordinate_stands_under_its_name_row_by_row(self):
        centers = np.linspace(-2.0, 2.0, 12)
        codes = centers + np.random.default_rng(0).uniform(-0.05, 0.05, (50, 12))
        names = [f"z{index}" for index in range(12)]
        figure = plots.code_histograms(codes, names=names)
        used = [ax for ax in figure.axes if ax.axison]
        assert len(figure.axes) == 20
        assert [ax.get_title() for ax in used] == names
        assert [place(ax) for ax in used] == [(index // 10, index % 10) for index in range(12)]
        for ax, center in zip(used, centers, strict=True):
            edges, heights = bar_heights(ax)
            middle = np.average((edges[1:] + edges[:-1]) / 2, weights=heights)
            assert middle == pytest.approx(center, abs=0.15)

    def test_one_scale_serves_all_and_the_curve_is_the_standard_normals(self):
        rng = np.random.default_rng(0)
        figure = plots.code_histograms(rng.normal(size=(20_000, 2)) * [1.0, 0.5])
        for ax, deviation in zip(figure.axes, [1.0, 0.5], strict=True):
            edges, heights = bar_heights(ax)
            (line,) = ax.lines
            x, density = line.get_data()
            np.testing.assert_allclose(density, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))
            middles = (edges[1:] + edges[:-1]) / 2
            own = np.exp(-((middles / deviation) ** 2) / 2) / np.sqrt(2 * np.pi) / deviation
            np.testing.assert_allclose(heights, own, atol=0.06)
        assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
        assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()

    def test_codes_beyond_the_axis_do_not_swell_the_others(self):
        codes = np.array([[0.1]] * 25 + [[9.0]] * 75)
        edges, heights = bar_heights(plots.code_histograms(codes).axes[0])
        assert np.sum(heights * np.diff(edges)) == pytest.approx(0.25)


class TestCurves:
    def test_a_curve_goes_through_its_points_under_its_name(self):
        x, found = [1, 10, 100], {"up": [1, 2, 3], "down": [3, 2, 1]}
        (ax,) = plots.curves(x, found, "size", "loss").axes
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("size", "loss")
        assert texts(ax.get_legend().get_texts()) == ["up", "down"]
        for label, points in lines(ax).items():
            np.testing.assert_array_equal(points, np.stack([x, found[label]], axis=1))

    @pytest.mark.parametrize("log_x", [False, True])
    @pytest.mark.parametrize("log_y", [False, True])
    def test_scales_are_those_asked_for(self, log_x, log_y):
        (ax,) = plots.curves([1, 10], {"a": [1, 2]}, "x", "y", log_x=log_x, log_y=log_y).axes
        assert (ax.get_xscale() == "log", ax.get_yscale() == "log") == (log_x, log_y)
        assert ax.get_legend() is None  # one curve needs none

    def test_panels_share_a_scale_and_a_legend(self):
        panels = {
            "first": {"a": ([0, 1], [2, 3]), "b": ([4, 5], [6, 7])},
            "second": {"a": ([0, 10], [20, 30]), "b": ([40, 50], [60, 70])},
        }
        figure = plots.curve_panels(panels, "cost", "gain")
        left, right = figure.axes
        for ax, (name, curves) in zip((left, right), panels.items(), strict=True):
            assert (ax.get_title(), ax.get_xlabel()) == (name, "cost")
            for label, points in lines(ax).items():
                np.testing.assert_array_equal(points, np.transpose(curves[label]))
        assert left.get_ylabel() == "gain"
        assert (left.get_xlim(), left.get_ylim()) == (right.get_xlim(), right.get_ylim())
        (legend,) = figure.legends
        assert texts(legend.get_texts()) == ["a", "b"]
        for ax in (left, right):
            assert [line.get_color() for line in ax.lines] == [
                line.get_color() for line in legend.get_lines()
            ]

    def test_a_histogram_is_a_density_as_the_curves_are(self):
        values, bins = np.array([0.5, 0.5, 1.5, 7.0]), np.array([0.0, 1.0, 3.0])
        x, curves = [0.0, 1.0], {"one": np.array([0.1, 0.2]), "two": np.array([0.3, 0.4])}
        (ax,) = plots.histogram(values, bins, x, curves, "area").axes
        edges, heights = bar_heights(ax)
        np.testing.assert_array_equal(edges, bins)
        np.testing.assert_allclose(heights, [2 / 4 / 1.0, 1 / 4 / 2.0])  # 7 is beyond the bins
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("area", "density")
        assert texts(ax.get_legend().get_texts()) == ["one", "two"]
        for label, points in lines(ax).items():
            np.testing.assert_array_equal(points, np.stack([x, curves[label]], axis=1))


class TestHeatMaps:
    MATRIX = np.array([[1.0, 0.5, -0.25], [0.0, 1.0, 0.75], [-0.5, 0.125, 0.875]])

    def draw(self):
        figure = plots.heat_maps({"a": self.MATRIX, "b": self.MATRIX / 4}, ["x", "y", "z"])
        return figure.axes

    def test_rows_run_down_and_columns_to_the_right_under_their_names(self):
        left, right, _ = self.draw()
        for ax, scale in ((left, 1), (right, 4)):
            np.testing.assert_array_equal(ax.images[0].get_array(), self.MATRIX / scale)
            np.testing.assert_array_equal(ax.get_xticks(), [0, 1, 2])
            assert texts(ax.get_xticklabels()) == ["x", "y", "z"]
            assert on_screen(ax, 0, 0)[1] > on_screen(ax, 0, 1)[1]
            assert on_screen(ax, 0, 0)[0] < on_screen(ax, 1, 0)[0]
            np.testing.assert_array_equal(ax.images[0].get_extent(), [-0.5, 2.5, 2.5, -0.5])
        np.testing.assert_array_equal(left.get_yticks(), [0, 1, 2])
        assert texts(left.get_yticklabels()) == ["x", "y", "z"]
        assert [left.get_title(), right.get_title()] == ["a", "b"]

    def test_one_colour_means_one_value_in_every_panel(self):
        left, right, bar = self.draw()
        for picture in (left.images[0], right.images[0]):
            (low, zero, high) = picture.to_rgba(np.array([[-1.0, 0.0, 1.0]]))[0, :, :3]
            assert low[2] > 2 * low[0]  # blue
            assert high[0] > 2 * high[2]  # red
            assert zero.min() > 0.95
        assert bar.get_ylim() == (-1.0, 1.0)


class TestBars:
    def test_a_bar_stands_over_its_category_as_high_as_its_value(self):
        groups = {"before": [1.0, 2.0, 3.0], "after": [6.0, 5.0, 4.0]}
        figure = plots.bars(["x", "y", "z"], groups, "share")
        (ax,) = figure.axes
        assert ax.get_ylabel() == "share"
        assert texts(ax.get_xticklabels()) == ["x", "y", "z"]
        (legend,) = figure.legends
        assert texts(legend.get_texts()) == ["before", "after"]
        colors = [patch.get_facecolor() for patch in legend.get_patches()]
        middles = []
        for container, (label, values) in zip(ax.containers, groups.items(), strict=True):
            assert container.get_label() == label
            assert [bar.get_height() for bar in container] == values
            assert {bar.get_facecolor() for bar in container} == {colors[len(middles)]}
            middles.append([bar.get_x() + bar.get_width() / 2 for bar in container])
        np.testing.assert_allclose(np.mean(middles, axis=0), ax.get_xticks())  # around its tick
        np.testing.assert_allclose(np.diff(middles, axis=0), 0.4)  # side by side, none overlaps
        assert ax.patches[0].get_width() == pytest.approx(0.4)

    def test_one_group_needs_no_legend(self):
        assert plots.bars(["x"], {"a": [1.0]}, "y").legends == []
