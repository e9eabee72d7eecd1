"""What the figures show: every picture, dot and curve in its place, by its name and colour."""

import io
import itertools

import keras
import numpy as np
import pytest

from vae_keras import VAE, latent, networks
from vae_keras.optimizers import STEPS_AT_ONCE

Image = pytest.importorskip("PIL.Image")
to_rgb = pytest.importorskip("matplotlib.colors").to_rgb
Text = pytest.importorskip("matplotlib.text").Text
plots = pytest.importorskip("vae_keras.plots")
style = pytest.importorskip("vae_keras.plots.style")
training = pytest.importorskip("vae_keras.plots.training")

pytestmark = pytest.mark.any_backend

# Petroff (2021), ten colours.
COLORS = [
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
]  # fmt: skip


def random_images(n, channels=1):
    """Images of 2 by 3 pixels, all different: no two axes can be taken for each other."""
    return np.random.default_rng(0).random((n, 2, 3, channels), "float32")


def place(ax):
    """The row and the column of a panel in its figure, from the top left."""
    spec = ax.get_subplotspec()
    return spec.rowspan.start, spec.colspan.start


def pictures(figure):
    """Row and column of an image, from the top left, to the array that it draws."""
    (ax,) = figure.axes
    extents = np.array([picture.get_extent() for picture in ax.images])
    left, bottom, right, top = (extents[:, i] for i in (0, 2, 1, 3))
    np.testing.assert_allclose((right - left) / 3, (bottom - top) / 2)  # of 2 by 3 pixels
    centres = np.stack([(bottom + top) / 2, (left + right) / 2], axis=1).round(6)
    rows, columns = (np.unique(centre, return_inverse=True)[1] for centre in centres.T)
    arrays = [np.asarray(picture.get_array()) for picture in ax.images]
    return dict(zip(zip(rows, columns, strict=True), arrays, strict=True))


def assert_apart(figure):
    """That no image covers a part of another, and all of each is within the axes."""
    (ax,) = figure.axes
    figure.draw_without_rendering()
    boxes = [picture.get_window_extent() for picture in ax.images]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert ax.bbox.x0 < box.x0 < box.x1 < ax.bbox.x1
        assert ax.bbox.y0 < box.y0 < box.y1 < ax.bbox.y1


def assert_pictures(figure, expected):
    assert_apart(figure)
    found = pictures(figure)
    assert found.keys() == expected.keys()
    for where, image in expected.items():
        np.testing.assert_array_equal(found[where], image.squeeze())


def assert_labels(figure, labels):
    """That each row of images has its label, at its middle."""
    (ax,) = figure.axes
    assert texts(ax.get_yticklabels()) == labels
    middles = {round(sum(picture.get_extent()[2:]) / 2, 6) for picture in ax.images}
    np.testing.assert_allclose(ax.get_yticks(), sorted(middles))


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
    plots.dots: ({"a": 1.0}, "x"),
    plots.image_maps: ({"a": (np.eye(2), random_images(2))},),
    plots.before_and_after: (random_images(2), random_images(2)),
    plots.schematics.autoencoder: (),
    plots.schematics.variational_autoencoder: (),
    plots.schematics.graphical_model: (),
    plots.schematics.evidence: (-5.0, 0.5),
    plots.schematics.second_stage: ((7, 7, 2),),
}


@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
def test_a_title_stands_above_all(draw):
    assert draw(*FIGURES[draw], title="what it shows").get_suptitle() == "what it shows"
    assert draw(*FIGURES[draw]).get_suptitle() == ""


class TestSavedPicture:
    def saved(self, figure):
        data, is_photograph, size = style.picture_of(figure)
        return Image.open(io.BytesIO(data)), is_photograph, size

    def drawn(self, figure, dpi):
        full = io.BytesIO()
        figure.savefig(full, format="png", bbox_inches="tight", dpi=dpi)
        return Image.open(full).convert("RGB")

    @pytest.mark.parametrize(
        ("channels", "kind", "dpi"), [(1, "PNG", style.DPI), (3, "JPEG", style.PHOTO_DPI)]
    )
    def test_keeps_its_dots_and_its_colours_within_a_few_levels(self, channels, kind, dpi):
        image = np.linspace(0, 1, 64 * 64 * channels, dtype="float32")
        figure = plots.image_grid(image.reshape(1, 64, 64, channels), columns=1)
        saved, is_photograph, _ = self.saved(figure)
        full = self.drawn(figure, dpi)
        assert (saved.format, is_photograph) == (kind, channels == 3)
        assert saved.size == full.size
        difference = np.asarray(saved.convert("RGB"), int) - np.asarray(full)
        assert np.abs(difference).mean() < 2

    def test_is_shown_at_half_its_dots_so_that_a_sharp_screen_has_them_all(self):
        saved, _, size = self.saved(plots.curves([0, 1], {"a": [0, 1]}, "x", "y"))
        assert saved.width == pytest.approx(2 * size["width"], abs=1)
        assert saved.height == pytest.approx(2 * size["height"], abs=1)

    def test_a_notebook_is_given_one_of_the_two_kinds(self):
        grey, colour = (plots.image_grid(random_images(1, channels)) for channels in (1, 3))
        assert style._as_png(grey)[0].startswith(b"\x89PNG")
        assert style._as_jpeg(grey) is None
        assert style._as_jpeg(colour)[0].startswith(b"\xff\xd8")
        assert style._as_png(colour) is None

    def test_is_called_figure_as_everywhere_else(self):
        figure = plots.image_grid(np.zeros((2, 8, 8, 1)), columns=2)
        assert repr(figure).startswith("<Figure size ")

    @pytest.mark.parametrize("side", [28, 64])
    def test_has_a_dot_of_the_screen_for_each_pixel_of_an_image(self, side):
        assert style.tile_of(np.zeros((1, side, side, 1))) * style.SHOWN >= side

    @pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
    def test_its_type_can_be_read_and_it_fits_a_notebook(self, draw):
        figure = draw(*FIGURES[draw])
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes, default=9) >= 9
        assert figure.get_figwidth() <= style.WIDTH + 0.1


class TestImages:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_grid_is_read_row_by_row(self, channels):
        images = random_images(5, channels)
        figure = plots.image_grid(images, columns=3, captions=list("abcde"))
        expected = {(index // 3, index % 3): image for index, image in enumerate(images)}
        assert_pictures(figure, expected)
        ax = figure.axes[0]
        assert texts(ax.texts) == list("abcde")
        for text, picture in zip(ax.texts, ax.images, strict=True):
            left, right, _, top = picture.get_extent()
            assert left < text.get_position()[0] < right
            assert top - 0.1 < text.get_position()[1] < top  # above its image, and near

    def test_a_label_stands_beside_its_row(self):
        rows = {"two": random_images(2), "three": random_images(3) / 2}
        figure = plots.image_rows(rows)
        assert_pictures(
            figure,
            {(0, i): image for i, image in enumerate(rows["two"])}
            | {(1, i): image for i, image in enumerate(rows["three"])},
        )
        assert_labels(figure, ["two", "three"])

    @pytest.mark.parametrize("name", ["image_grid", "image_rows", "before_and_after"])
    def test_an_image_is_as_large_as_is_asked_for(self, name):
        arguments = {
            "image_grid": (random_images(4, 3), 4),
            "image_rows": ({"one": random_images(4, 3)},),
            "before_and_after": (random_images(4, 3), random_images(4, 3)),
        }
        small, large = (getattr(plots, name)(*arguments[name], tile=tile) for tile in (1.0, 2.0))
        assert large.get_figwidth() - small.get_figwidth() == pytest.approx(4.0)

    def test_places_without_an_image_are_blank(self):
        figure = plots.image_grid(random_images(4), columns=3)
        assert list(pictures(figure)) == [(0, 0), (0, 1), (0, 2), (1, 0)]
        figure = plots.image_rows({"one": random_images(1), "two": random_images(2)})
        assert list(pictures(figure)) == [(0, 0), (1, 0), (1, 1)]
        assert all(not spine.get_visible() for spine in figure.axes[0].spines.values())

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
        left, right, bottom, top = ax.images[0].get_extent()
        assert on_screen(ax, left, top)[1] > on_screen(ax, left, bottom)[1]
        assert on_screen(ax, left, top)[0] < on_screen(ax, right, top)[0]
        assert ax.images[0].origin == "upper"  # the first row is at the top


class TestCodeMaps:
    NAMES = ("shirt", "bag", "boot", "coat")

    def draw(self, **kwargs):
        """Two panels; the first class and the last have no codes."""
        rng = np.random.default_rng(0)
        panels = {"left": rng.normal(size=(6, 2)), "right": rng.normal(size=(6, 2)) + 1.0}
        labels = np.array([2, 1, 1, 2, 2, 1])
        figure = plots.code_maps(panels, labels, self.NAMES, **kwargs)
        return panels, labels, figure.axes

    def test_the_first_coordinate_runs_to_the_right_and_the_second_upwards(self):
        panels, _, axes = self.draw()
        assert [place(ax) for ax in axes] == [(0, 0), (0, 1)]
        for ax, (name, codes) in zip(axes, panels.items(), strict=True):
            assert ax.get_title() == name
            assert ax.get_xlabel() == "first coordinate of the code"
            assert ax.get_ylabel() == "second coordinate"
            np.testing.assert_array_equal(ax.collections[0].get_offsets(), codes)
            assert (np.diff([on_screen(ax, 0, 0), on_screen(ax, 1, 1)], axis=0) > 0).all()

    def test_a_class_has_its_colour(self):
        _, labels, axes = self.draw()
        for ax in axes:
            dots = ax.collections[0]
            dots.update_scalarmappable()
            expected = [to_rgb(COLORS[label]) for label in labels]
            np.testing.assert_allclose(dots.get_facecolors()[:, :3], expected)

    def test_a_name_stands_at_the_median_of_its_class_and_on_no_other(self):
        panels, labels, axes = self.draw()
        for ax, codes in zip(axes, panels.values(), strict=True):
            assert texts(ax.texts) == ["bag", "boot"]  # of the classes that have codes
            for text, label in zip(ax.texts, (1, 2), strict=True):
                x, y = np.median(codes[labels == label], axis=0)
                place = ax.transAxes.transform(text.get_position()) - on_screen(ax, x, y)
                assert np.abs(place / ax.figure.dpi).max() < 0.2  # inches

    def test_names_at_one_place_are_written_apart(self):
        codes = np.zeros((4, 2)) + np.arange(4)[:, None] * 1e-3
        (ax,) = plots.code_maps({"a": codes}, np.arange(4), self.NAMES).axes
        ax.figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in ax.texts]
        for one, other in itertools.combinations(boxes, 2):
            assert min(one.y1, other.y1) - max(one.y0, other.y0) < 0.1 * one.height

    def test_limits_hold_for_both_axes_of_every_panel(self):
        _, _, axes = self.draw(limits=(-2.0, 3.0))
        assert [ax.get_xlim() for ax in axes] == [ax.get_ylim() for ax in axes] == [(-2.0, 3.0)] * 2
        panels, _, axes = self.draw()
        for ax, codes in zip(axes, panels.values(), strict=True):
            low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
            assert (low < codes.min(axis=0)).all()
            assert (codes.max(axis=0) < high).all()

    def test_an_ellipse_reaches_one_deviation_from_its_code(self):
        deviations = {name: np.array([[0.1, 0.3]] * 5 + [[0.4, 0.2]]) for name in ("left", "right")}
        deviations["right"] = deviations["right"] * 2.0
        panels, labels, axes = self.draw(deviations=deviations)
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


class TestImageMaps:
    def draw(self, codes, images):
        (ax,) = plots.image_maps({"map": (codes, images)}).axes
        boxes = [child for child in ax.get_children() if hasattr(child, "offsetbox")]
        return ax, boxes

    def test_an_image_lies_where_its_code_does_as_ink_on_paper(self):
        codes = np.array([[-3.0, 5.0], [0.0, 0.0], [3.0, -5.0]])
        images = random_images(3)
        ax, boxes = self.draw(codes, images)
        found = {tuple(box.xy): box.offsetbox.get_data() for box in boxes}
        assert found.keys() <= {tuple(code) for code in codes}
        assert (0.0, 0.0) in found
        for code, image in zip(codes, images, strict=True):
            if tuple(code) in found:
                np.testing.assert_allclose(found[tuple(code)], 1.0 - image.squeeze())
        assert (np.diff([on_screen(ax, 0, 0), on_screen(ax, 1, 1)], axis=0) > 0).all()

    def test_no_image_lies_on_another(self):
        rng = np.random.default_rng(0)
        ax, boxes = self.draw(rng.normal(size=(300, 2)), rng.random((300, 8, 8, 1)))
        ax.figure.draw_without_rendering()
        assert len(boxes) > 20
        extents = [box.offsetbox.get_window_extent() for box in boxes]
        for one, other in itertools.combinations(extents, 2):
            assert not one.shrunk(0.9, 0.9).overlaps(other.shrunk(0.9, 0.9))


class TestBeforeAndAfter:
    def test_pairs_and_their_change_stand_below_each_other(self):
        before, after = random_images(5, 3), random_images(5, 3)[::-1]
        figure = plots.before_and_after(before, after, columns=3)
        found = pictures(figure)
        for index in range(5):
            block, column = divmod(index, 3)
            change = 0.5 + np.mean(after[index] - before[index], axis=-1)
            for part, image in enumerate((before[index], after[index], change)):
                np.testing.assert_allclose(found[3 * block + part, column], image, atol=1e-6)
        assert_labels(figure, ["before", "after", "change"] * 2)
        assert len(found) == 15

    def test_where_nothing_changes_the_change_is_grey(self):
        same = random_images(1, 3)
        found = pictures(plots.before_and_after(same, same))
        np.testing.assert_allclose(found[2, 0], 0.5)


class TestDots:
    def test_a_dot_lies_at_its_value_beside_its_name_and_number(self):
        values = {"first": 3.0, "second": 0.5}
        figure = plots.dots(values, "nats", form="{:.1f}", bounds={"real": 0.25})
        (ax,) = figure.axes
        names = dict(zip(ax.get_yticks(), texts(ax.get_yticklabels()), strict=True))
        drawn, bound = ax.lines
        found = {names[y]: x for x, y in drawn.get_xydata()}
        assert found == values
        assert on_screen(ax, 0, drawn.get_ydata()[0])[1] > on_screen(ax, 0, drawn.get_ydata()[1])[1]
        np.testing.assert_array_equal(bound.get_xdata(), [0.25, 0.25])
        assert texts(ax.texts) == ["3.0", "0.5", "real"]
        assert ax.get_xlabel() == "nats"


class TestSchematics:
    def test_an_autoencoder_says_how_many_numbers_go_in_and_through(self):
        image = random_images(1)[0]
        figure = plots.schematics.autoencoder(image, image / 2, latent_dim=7)
        (ax,) = figure.axes
        said = texts(ax.texts)
        assert "code: 7 numbers" in said
        assert said.count("6 pixels") == 2
        shown = [np.asarray(picture.get_array()) for picture in ax.images]
        np.testing.assert_array_equal(shown[0], image.squeeze())
        np.testing.assert_array_equal(shown[1], image.squeeze() / 2)

    def test_the_gradient_is_drawn_where_it_is_asked_for(self):
        plain = plots.schematics.variational_autoencoder()
        path = plots.schematics.variational_autoencoder(gradient=True)
        assert not any("gradient" in text for text in texts(plain.axes[0].texts))
        assert any("gradient" in text for text in texts(path.axes[0].texts))
        assert len(path.axes[0].patches) > len(plain.axes[0].patches)

    def test_the_evidence_is_the_bound_and_the_gap(self):
        (ax,) = plots.schematics.evidence(-5.0, 0.5).axes
        heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
        (gap,) = (text for text in heights if text.startswith("gap") and "0.50 nats" in text)
        assert heights["-4.50 nats"] > heights[gap] > heights["-5.00 nats"]

    def test_the_second_stage_writes_the_shape_of_the_code(self):
        said = texts(plots.schematics.second_stage((7, 7, 2)).axes[0].texts)
        assert said.count("code\n7 x 7 x 2".replace("x", "\N{MULTIPLICATION SIGN}")) == 2


class TestTrainingCurve:
    def fit(self, model, **kwargs):
        curve = plots.TrainingCurve("some")
        x = np.random.default_rng(0).random((64, 8), "float32")
        history = model.fit(x, x, epochs=2, verbose=0, callbacks=[curve], **kwargs)
        return curve, history.history

    def model(self, **options):
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
        model.compile("sgd", "mse", **options)
        return model

    def test_steps_taken_at_once_are_one_point(self):
        curve, history = self.fit(self.model(steps_per_execution=STEPS_AT_ONCE), batch_size=4)
        done, values = np.transpose(curve.points["loss"])
        assert len(values) == 32 // STEPS_AT_ONCE
        means = values.reshape(2, -1).mean(axis=1)
        np.testing.assert_allclose(means, history["loss"], rtol=1e-4)
        np.testing.assert_allclose(np.diff(done), STEPS_AT_ONCE / 16)

    def test_the_points_of_an_epoch_have_its_mean(self):
        curve, history = self.fit(self.model(), batch_size=4)
        done, values = np.transpose(curve.points["loss"])
        assert len(values) == 32
        for epoch in range(2):
            inside = (done > epoch) & (done < epoch + 1)
            np.testing.assert_allclose(values[inside].mean(), history["loss"][epoch], rtol=1e-4)
        np.testing.assert_allclose(done, (np.arange(32) + 0.5) / 16)

    def test_validation_stands_at_the_end_of_its_epoch(self):
        x = np.zeros((4, 8), "float32")
        curve, history = self.fit(self.model(), batch_size=8, validation_data=(x, x))
        np.testing.assert_allclose(
            curve.points["val_loss"], np.stack([[1, 2], history["val_loss"]], axis=1)
        )

    def test_the_figure_has_a_panel_for_each_part_of_the_loss(self):
        vae = VAE(*networks.dense((2, 3, 1), latent_dim=1, units=(4,)))
        vae.compile("sgd")
        curve = plots.TrainingCurve("the VAE")
        images = random_images(40)
        vae.fit(images, epochs=3, batch_size=4, verbose=0, callbacks=[curve])
        figure = curve.figure()
        titles = [ax.get_title().split(" ends at ")[0] for ax in figure.axes]
        assert titles == ["loss", "reconstruction", "KL divergence"]
        assert figure.get_suptitle().startswith("the VAE: 3 epochs, ")
        assert {ax.get_ylabel() for ax in figure.axes} == {"nats per image"}

    def test_pictures_take_a_small_share_of_the_time_however_slow_they_are(self, monkeypatch):
        clock, times = [0.0], []

        def draw(self):
            times.append(clock[0])
            clock[0] += 2.0

        monkeypatch.setattr(training.time, "perf_counter", lambda: clock[0])
        monkeypatch.setattr(plots.TrainingCurve, "_display", draw)
        curve = plots.TrainingCurve()
        curve.set_params({"steps": 400})
        curve.on_train_begin()
        curve.on_epoch_begin(0)
        for batch in range(400):
            clock[0] += 1.0
            curve.on_train_batch_end(batch, {"loss": 1.0})
        assert times[0] < 15  # it is seen soon that something happens
        assert 5 < len(times) < 0.06 * clock[0] / 2

    @pytest.mark.filterwarnings("ignore")  # a generator is not shuffled, and ends when it ends
    def test_a_training_whose_length_is_not_known_has_a_point_for_each_epoch(self):
        def batches():
            for _ in range(6):
                x = np.zeros((4, 8), "float32")
                yield x, x

        curve = plots.TrainingCurve()
        self.model().fit(batches(), epochs=1, verbose=0, callbacks=[curve])
        assert [done for done, _ in curve.points["loss"]] == [1]


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
        for label, points in lines(ax).items():
            np.testing.assert_array_equal(points, np.stack([x, found[label]], axis=1))

    def test_a_curves_name_stands_at_its_end_in_its_colour(self):
        found = {"up": [1, 2, 3], "down": [3, 2, 1], "near down": [3, 2, 1.001]}
        (ax,) = plots.curves([1, 10, 100], found, "size", "loss").axes
        ax.figure.draw_without_rendering()
        assert texts(ax.texts) == list(found)
        boxes = [text.get_window_extent() for text in ax.texts]
        for text, line, box in zip(ax.texts, ax.lines, boxes, strict=True):
            np.testing.assert_allclose(to_rgb(text.get_color()), 0.8 * np.array(line.get_color()))
            end = on_screen(ax, *line.get_xydata()[-1])
            assert box.x0 > end[0]
            assert abs((box.y0 + box.y1) / 2 - end[1]) < 0.2 * ax.figure.dpi  # a fifth of an inch
        for one, other in itertools.combinations(boxes, 2):
            assert min(one.y1, other.y1) - max(one.y0, other.y0) < 0.1 * one.height

    @pytest.mark.parametrize("log_x", [False, True])
    def test_few_integers_are_the_ticks(self, log_x):
        (ax,) = plots.curves([1, 2, 4, 8], {"a": [1, 2, 3, 4]}, "x", "y", log_x=log_x).axes
        assert texts(ax.get_xticklabels()) == ["1", "2", "4", "8"]
        np.testing.assert_array_equal(ax.get_xticks(), [1, 2, 4, 8])

    def test_of_many_integers_some_are_the_ticks(self):
        (ax,) = plots.curves(range(1, 21), {"a": np.arange(20)}, "number", "y").axes
        ticks = ax.get_xticks()
        np.testing.assert_array_equal(ticks, np.round(ticks))
        assert 4 < len(ticks) < 20

    def test_few_values_are_the_ticks_of_a_logarithmic_axis(self):
        (ax,) = plots.curves([0.1, 1, 4], {"a": [1, 2, 3]}, "x", "y", log_x=True).axes
        assert texts(ax.get_xticklabels()) == ["0.1", "1", "4"]

    @pytest.mark.parametrize("ratio", [20, 1e5])
    def test_a_short_logarithmic_axis_has_more_than_powers_of_ten(self, ratio):
        x = np.geomspace(0.1, 0.1 * ratio, 61)
        for figure in (
            plots.curves(x, {"a": x}, "x", "y", log_x=True),
            plots.dots({"a": x[0], "b": x[-1]}, "x", log_x=True),
        ):
            figure.draw_without_rendering()
            labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
            assert ({"0.2", "0.5", "1"} <= set(labels)) == (ratio < 100)
            assert len(labels) < 12

    @pytest.mark.parametrize("log_x", [False, True])
    @pytest.mark.parametrize("log_y", [False, True])
    def test_scales_are_those_asked_for(self, log_x, log_y):
        (ax,) = plots.curves([1, 10], {"a": [1, 2]}, "x", "y", log_x=log_x, log_y=log_y).axes
        assert (ax.get_xscale() == "log", ax.get_yscale() == "log") == (log_x, log_y)
        assert not ax.texts  # one curve needs no name

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
