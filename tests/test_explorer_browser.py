"""The page in a real browser: the pointer, the keys, the picture; no network and no error."""

import base64
import itertools
import re
import time

import numpy as np
import pytest
from browser import CHROMIUM, launch

from vae_keras import VAE, Autoencoder, explorer, networks

pytestmark = [pytest.mark.any_backend, pytest.mark.any_version]
sync_api = pytest.importorskip("playwright.sync_api")
if CHROMIUM is None:
    pytest.skip("needs Chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


# On a canvas of the test's own: reading the page's again and again is told on the console.
PIXELS = """(canvas, places) => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // of which a map shows what is not drawn on
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  const start = ([row, column]) => 4 * (row * copy.width + column);
  return places.map((place) => Array.from(data.subarray(start(place), start(place) + 3)));
}"""
SIDE = 640  # dots of a map
RADIUS = np.sqrt(-2 * np.log(0.05))  # of the circle that holds 95 % of the draws from N(0, I)
WIDE = "document.documentElement.scrollWidth <= window.innerWidth"
TWO_FRAMES = "new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))"
VISIBLE = "thumbs => thumbs.filter(thumb => thumb.style.visibility !== 'hidden').length"


class Opened:
    """A page that was opened from disk, and what it said and asked for."""

    def __init__(self, browser, page, path, **context):
        page.save(path)
        self.page = browser.new_page(**context)
        self.page.set_default_timeout(120_000)  # other tests may run beside
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("[data-ready]")

    def decode(self, name, code):
        call = "([name, code]) => window.vaeKeras.decode(name, code)"
        return np.array(self.page.evaluate(call, [name, [float(number) for number in code]]))

    def pixels(self, locator, rows, columns, step=1, start=0):
        """What a canvas shows, in [0, 1], every so many dots."""
        places = [[start + step * y, start + step * x] for y in range(rows) for x in range(columns)]
        return np.reshape(locator.evaluate(PIXELS, places), (rows, columns, 3)) / 255

    def dot(self, locator, row, column):
        return np.array(locator.evaluate(PIXELS, [[round(row), round(column)]])[0]) / 255

    def point(self, panel):
        """The code that the words below a map tell."""
        text = self.page.locator(".words").nth(panel).inner_text()
        return np.array(re.findall(r"z = \((\S+), (\S+)\)", text)[0], float)

    def press(self, name):
        self.page.get_by_role("button", name=name).click()

    def at(self, panel, across, down):
        """The place of the window that is there on a map."""
        chart = self.page.locator(".map").nth(panel)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def assert_quiet(self):
        assert self.said == []
        assert len(self.asked) == 1  # the file itself


def make_plane(class_names=("shoe", "coat", "bag")):
    vae = VAE(*networks.dense((8, 8, 1), units=(16,)))
    autoencoder = Autoencoder(*networks.dense((8, 8, 1), units=(16,), variational=False))
    rng = np.random.default_rng(0)
    for model in (autoencoder, vae):  # large weights: there are holes
        for variable in model.decoder.weights:
            variable.assign(rng.normal(0.0, 1.2, variable.shape))
    codes = {"autoencoder": rng.normal(size=(50, 2)) * 9, "VAE": rng.normal(size=(50, 2))}
    models = {"autoencoder": autoencoder, "VAE": vae}
    labels = rng.integers(0, len(class_names), 50)
    return models, explorer.plane(models, codes, labels, class_names)


def shown_codes(panel):
    return np.frombuffer(base64.b64decode(panel["codes"]), "<f4").reshape(-1, 2)


def distances(images, reference):
    """To the nearest of the reference, as a share of what the image itself has."""
    images, reference = (np.reshape(some, (len(some), -1)) for some in (images, reference))
    apart = np.linalg.norm(images[:, None] - reference, axis=2).min(axis=1)
    return apart / np.linalg.norm(images, axis=1)


def decoded(model, codes):
    return model.decode(np.asarray(codes, "float32"))


@pytest.mark.parametrize("context", [{}, {"viewport": {"width": 390, "height": 800}}])
def test_a_plane_draws_what_lies_where_the_pointer_is(browser, tmp_path, context):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html", **context)
    for name, model in models.items():
        code = np.array([0.5, -1.0])
        np.testing.assert_allclose(
            opened.decode(name, code), model.decode(code[None].astype("float32")).ravel(), atol=1e-3
        )
    words = opened.page.locator(".words").first
    first = shown_codes(page.data["panels"][0])[0]
    np.testing.assert_allclose(opened.point(0), first, atol=0.006)
    before = words.inner_text()
    chart = opened.page.locator(".map").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    moved = words.inner_text()
    assert moved != before
    assert "nearest codes" in moved
    assert words.locator(".hole, .none").count() == 1
    chart.focus()
    opened.page.keyboard.press("ArrowUp")
    assert words.inner_text() != moved
    assert opened.page.evaluate(WIDE)
    opened.assert_quiet()


def test_the_maps_are_compared_by_numbers(browser, tmp_path):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    shares = (np.arange(20) + 0.5) / 20  # 400 draws, spread evenly over N(0, I)
    radius, turn = np.meshgrid(
        np.sqrt(-2 * np.log(1 - shares)), 2 * np.pi * np.arange(0.5, 20) / 20
    )
    draws = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1).reshape(-1, 2)
    missed = []
    for panel, model in zip(page.data["panels"], models.values(), strict=True):
        codes, labels = shown_codes(panel), np.array(panel["labels"])
        missed.append(np.mean(distances(decoded(model, draws), decoded(model, codes)) > 0.2))
        near = np.argsort(np.linalg.norm(draws[:, None] - codes, axis=2), axis=1)[:, :10]
        met = len({np.bincount(labels[some]).argmax() for some in near})
        inside = np.mean(np.linalg.norm(codes, axis=1) < RADIUS)
        facts = opened.page.locator(".facts").nth(len(missed) - 1)
        first, second, third = facts.locator("b").all_inner_texts()
        assert abs(float(first.removesuffix(" %")) / 100 - inside) < 0.006
        assert abs(float(second.removesuffix(" %")) / 100 - missed[-1]) < 0.006
        assert third == f"{met} of 3"
    assert max(missed) > 0.1
    scale = opened.page.locator(".scale").first.inner_text()
    widths = [
        panel["limits"]["high"][0] - panel["limits"]["low"][0] for panel in page.data["panels"]
    ]
    assert (
        f"{widths[0]:.1f} wide, {widths[0] / widths[1]:.1f} times as wide as that of VAE" in scale
    )
    assert "times" not in opened.page.locator(".scale").nth(1).inner_text()
    text = opened.page.locator("body").inner_text()  # nothing is left that was to come
    assert "…" not in text
    assert "compare:" not in text
    assert "counting" not in text
    opened.assert_quiet()


def test_ten_draws_are_decoded_on_each_map_and_their_holes_framed(browser, tmp_path):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    before = opened.pixels(opened.page.locator(".strip canvas").first, 8, 8)
    opened.press("Draw ten new images")
    assert (
        np.abs(opened.pixels(opened.page.locator(".strip canvas").first, 8, 8) - before).max()
        > 0.01
    )
    places, framed = [], []
    for number, (panel, model) in enumerate(zip(page.data["panels"], models.values(), strict=True)):
        strip = opened.page.locator(".strip").nth(number)
        assert strip.locator("canvas").count() == 10
        reference = decoded(model, shown_codes(panel))
        places.append([])
        for index in range(10):
            thumb = strip.locator("button").nth(index)
            thumb.hover()  # the point goes there
            places[-1].append(opened.point(number))
            image = opened.pixels(thumb.locator("canvas"), 8, 8)[..., :1]
            np.testing.assert_allclose(image, decoded(model, [places[-1][-1]])[0], atol=0.03)
            is_hole = "hole" in thumb.get_attribute("class")
            away = distances(image[None], reference)[0]
            assert is_hole == (away > 0.2) or abs(away - 0.2) < 0.01
            assert (
                is_hole
                == ("hole" in thumb.inner_text())
                == ("hole" in thumb.get_attribute("aria-label"))
            )
            framed.append(is_hole)
        caption = opened.page.locator(".caption").nth(number).inner_text()
        assert f"{sum(framed[-10:])} of 10 are holes" in caption
    np.testing.assert_array_equal(*places)
    assert 0 < sum(framed) < 20
    opened.assert_quiet()


def test_a_pin_stays_while_the_pointer_looks_elsewhere(browser, tmp_path):
    _, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    mouse, words = opened.page.mouse, opened.page.locator(".words").nth(1)
    mouse.click(*opened.at(1, 0.7, 0.3))
    pinned = opened.point(1)
    limits = page.data["panels"][1]["limits"]
    expected = limits["low"] + np.array([0.7, 0.7]) * np.subtract(limits["high"], limits["low"])
    np.testing.assert_allclose(pinned, expected, atol=0.05)
    assert "Pinned" in words.inner_text()
    mouse.move(*opened.at(1, 0.4, 0.6))
    assert np.abs(opened.point(1) - pinned).max() > 0.1
    assert "Pinned" not in words.inner_text()
    mouse.move(2, 2)
    np.testing.assert_array_equal(opened.point(1), pinned)
    assert "Pinned" in words.inner_text()
    # Dark, around where it is: the ring of the pin, which that of the point does not cover.
    chart = opened.page.locator(".map").nth(1)
    assert opened.dot(chart, 0.3 * SIDE, 0.7 * SIDE + 20).max() < 0.3
    mouse.click(*opened.at(1, 0.4, 0.6))
    assert np.abs(opened.point(1) - pinned).max() > 0.1
    assert "Pinned" in words.inner_text()
    opened.page.keyboard.press("Escape")
    assert "Pinned" not in words.inner_text()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.keyboard.press("Enter")
    assert "Pinned" in words.inner_text()
    opened.assert_quiet()


def test_a_walk_from_the_pin_leaves_its_pictures(browser, tmp_path):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    strip = opened.page.locator(".strip").first.locator("button")
    opened.page.mouse.click(*opened.at(0, 0.05, 0.05))
    pin = opened.point(0)
    busy = "document.querySelector('.words').ariaBusy === 'true'"
    opened.press("Walk between two images")
    begin = time.perf_counter()
    opened.page.wait_for_function(busy)
    opened.page.wait_for_timeout(1500)
    assert 1 < strip.evaluate_all(VISIBLE) < 10
    opened.page.wait_for_function(f"!({busy})")
    assert 3 < time.perf_counter() - begin < 20
    assert strip.evaluate_all(VISIBLE) == 10
    end = opened.point(0)
    for number, code in ((0, pin), (4, pin + 4 / 9 * (end - pin)), (9, end)):
        image = opened.pixels(strip.nth(number).locator("canvas"), 8, 8)[..., :1]
        np.testing.assert_allclose(image, decoded(models["autoencoder"], [code])[0], atol=0.03)
    assert re.match(
        r"From the pin to (shoe|coat|bag): \d+ of 10",
        opened.page.locator(".caption").first.inner_text(),
    )
    np.testing.assert_allclose(end, codes_near(page.data["panels"][0], end), atol=0.01)
    other = codes_near(page.data["panels"][1], opened.point(1))
    np.testing.assert_allclose(opened.point(1), other, atol=0.01)
    opened.assert_quiet()


def test_a_pin_is_that_of_the_same_image_on_the_other_map(browser, tmp_path):
    _, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    one, other = (shown_codes(panel) for panel in page.data["panels"])
    opened.page.mouse.click(*opened.at(1, 0.7, 0.3))
    nearest = np.linalg.norm(other - opened.point(1), axis=1).argmin()
    np.testing.assert_allclose(opened.point(0), one[nearest], atol=0.006)
    pinned = opened.page.locator(".words", has_text="Pinned")
    assert pinned.count() == 2
    opened.page.locator(".strip").first.locator("button").nth(3).click()
    np.testing.assert_array_equal(opened.point(0), opened.point(1))  # the same draw
    assert pinned.count() == 2
    opened.page.keyboard.press("Escape")  # though no map has the focus
    assert pinned.count() == 0
    opened.assert_quiet()


def test_the_nearest_picture_stands_beside_the_one_that_is_drawn(browser, tmp_path):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    for number, (panel, model) in enumerate(zip(page.data["panels"], models.values(), strict=True)):
        opened.page.mouse.click(*opened.at(number, 0.45, 0.55))
        known = decoded(model, shown_codes(panel))
        image = opened.decode(list(models)[number], opened.point(number)).reshape(8, 8, 1)
        nearest = known[np.sum((known - image) ** 2, axis=(1, 2, 3)).argmin()]
        shown = opened.pixels(opened.page.locator(".closest").nth(number), 8, 8)[..., :1]
        np.testing.assert_allclose(shown, nearest, atol=0.01)
    opened.assert_quiet()


def codes_near(panel, code):
    codes = shown_codes(panel)
    return codes[np.linalg.norm(codes - code, axis=1).argmin()]


def test_a_walk_is_over_at_once_where_no_motion_is_wanted_and_leaves_its_line(browser, tmp_path):
    _, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html", reduced_motion="reduce")
    opened.page.mouse.click(*opened.at(0, 0.05, 0.95))
    low, high = (np.array(page.data["panels"][0]["limits"][name]) for name in ("low", "high"))
    pin = end = opened.point(0)
    while np.linalg.norm((end - pin) / (high - low)) < 0.5:  # else its pictures' numbers touch
        opened.press("Walk between two images")
        opened.page.evaluate(TWO_FRAMES)
        assert opened.page.locator(".words").first.get_attribute("aria-busy") == "false"
        end = opened.point(0)
    thumbs = opened.page.locator(".strip").first.locator("button")
    assert thumbs.evaluate_all(VISIBLE) == 10
    x, y = SIDE * (pin + 3 / 18 * (end - pin) - low) / (high - low)  # between second and third
    dot = opened.dot(opened.page.locator(".map").first, SIDE - y, x)
    np.testing.assert_allclose(dot, np.array([0x6E, 0x77, 0x81]) / 255, atol=0.02)


def test_new_draws_end_a_walk(browser, tmp_path):
    _, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    opened.press("Walk between two images")
    opened.page.wait_for_timeout(300)
    opened.press("Draw ten new images")
    opened.page.wait_for_timeout(300)
    assert opened.page.locator(".words").first.get_attribute("aria-busy") == "false"
    assert opened.page.locator(".caption").first.inner_text().startswith("Ten draws")
    assert opened.page.locator(".strip").first.locator("button").evaluate_all(VISIBLE) == 10
    opened.page.mouse.click(*opened.at(0, 0.3, 0.3))  # the maps listen again
    assert "Pinned" in opened.page.locator(".words").first.inner_text()


def test_shaded_are_the_places_that_are_holes(browser, tmp_path):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    opened.page.evaluate("""() => {
      window.progress = [];
      const scale = document.querySelector(".scale");
      const look = () => window.progress.push(scale.textContent);
      new MutationObserver(look).observe(scale, { childList: true, subtree: true });
    }""")
    opened.press("Shade the holes")
    opened.page.wait_for_function("document.querySelectorAll('[data-shaded]').length === 2")
    seen = opened.page.evaluate("window.progress.join()")
    assert re.search(r"Looking for holes: [\d.]+ %", seen)
    middles = (np.arange(40) + 0.5) / 40
    for number, (panel, model) in enumerate(zip(page.data["panels"], models.values(), strict=True)):
        low, high = (np.array(panel["limits"][name]) for name in ("low", "high"))
        places = low + np.stack(np.meshgrid(middles, 1 - middles), axis=-1) * (high - low)
        reference = decoded(model, shown_codes(panel))
        is_hole = distances(decoded(model, places.reshape(-1, 2)), reference).reshape(40, 40) > 0.2
        assert 0.05 < is_hole.mean() < 0.95
        text = opened.page.locator(".scale").nth(number).inner_text()
        (shown,) = re.findall(r"Holes: ([\d.]+) % of this map", text)
        assert abs(float(shown) / 100 - is_hole.mean()) < 0.006
        chart = opened.page.locator(".map").nth(number)
        corners = opened.pixels(chart, 40, 40, step=16, start=2)  # what is drawn over them is small
        assert np.mean((corners[..., 0] - corners[..., 1] > 0.1) == is_hole) > 0.97
        opened.press("Shade the holes")
        assert opened.page.locator("[data-shaded]").count() == 0
        corners = opened.pixels(chart, 40, 40, step=16, start=2)
        assert np.mean(corners[..., 0] - corners[..., 1] > 0.1) < 0.02
        opened.press("Shade the holes")
        assert opened.page.locator("[data-shaded]").count() == 2
    opened.assert_quiet()


def test_the_first_screen_holds_the_words_the_maps_and_the_draws(browser, tmp_path):
    _, page = make_plane(("Trouser", "Ankle boot", "T-shirt/top", "Pullover", "Sandal"))
    view = {"width": 1280, "height": 800}
    opened = Opened(browser, page, tmp_path / "plane.html", viewport=view)
    for name in ("h1", ".help", ".first", ".map", ".facts", ".strip"):
        for box in (some.bounding_box() for some in opened.page.locator(name).all()):
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 800
    for width in (1280, 1000, 780, 390):
        opened.page.set_viewport_size(view | {"width": width})
        assert opened.page.evaluate(WIDE)
        for chart in opened.page.locator(".chart").all():
            boxes = [name.bounding_box() for name in chart.locator(".name").all()]
            assert len(boxes) == 6  # with that of the circle
            for one, other in itertools.combinations(boxes, 2):
                assert not overlap(one, other)


def overlap(one, other):
    return all(
        min(one[start] + one[size], other[start] + other[size]) - max(one[start], other[start]) > 3
        for start, size in (("x", "width"), ("y", "height"))
    )


def test_a_map_without_classes_does_without_their_names(browser, tmp_path):
    _, page = make_plane(("image",))
    opened = Opened(browser, page, tmp_path / "plane.html")
    assert opened.page.locator(".name").count() == 0
    assert opened.page.locator(".facts").first.locator("b").count() == 2
    assert "nearest codes" not in opened.page.locator(".words").first.inner_text()
    opened.press("Walk between two images")
    opened.page.wait_for_function("document.querySelector('.words').ariaBusy === 'false'")
    opened.assert_quiet()


def test_a_small_picture_is_taken_up_by_a_click(browser, tmp_path):
    vae = VAE(*networks.convolutional_map((16, 16, 3), 2, filters=(8,)), likelihood="gaussian")
    rng = np.random.default_rng(0)
    codes, drawn = rng.normal(size=(2, 3, 4, 4, 2)).astype("float32")
    vector = rng.normal(size=(1, 4, 4, 2)).astype("float32")
    page = explorer.attributes(vae, codes, vector, ["a"], samples={"flow": drawn}, what="face")
    opened = Opened(browser, page, tmp_path / "faces.html", viewport={"width": 390, "height": 800})
    taken = opened.page.locator(".thumb[aria-pressed=true]")
    label = "els => els.map((el) => el.ariaLabel)"
    taken.wait_for()
    assert taken.evaluate_all(label) == ["face 1, decoded"]  # where one begins
    opened.page.get_by_role("button", name="face 2, flow", exact=True).click()
    assert taken.evaluate_all(label) == ["face 2, flow"]
    shown = opened.pixels(opened.page.locator(".face"), 16, 16)
    np.testing.assert_allclose(shown, vae.decode(drawn[1:2])[0], atol=0.01)
    names = opened.page.locator(".row b").all_inner_texts()
    assert names == ["decoded", "prior N(0, I)", "flow"]
    opened.page.get_by_role("button", name="face 1, prior N(0, I)").click()
    other = opened.pixels(opened.page.locator(".face"), 16, 16)
    assert np.abs(other - shown).max() > 0.01
    opened.page.get_by_role("button", name="others").nth(1).click()
    opened.page.wait_for_function("document.querySelector('.thumb[aria-pressed=true]') === null")
    assert opened.page.evaluate(WIDE)
    opened.assert_quiet()


def test_a_slider_moves_the_code_along_its_vector(browser, tmp_path):
    vae = VAE(*networks.convolutional_map((16, 16, 3), 2, filters=(8,)), likelihood="gaussian")
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(3, 4, 4, 2)).astype("float32")
    vector = rng.normal(size=(1, 4, 4, 2)).astype("float32")
    page = explorer.attributes(vae, codes, vector, ["Smiling"], {"Smiling": (0.92, 0.068)})
    opened = Opened(browser, page, tmp_path / "faces.html", color_scheme="dark")
    assert "seen on 92 %, changes 6.8 %" in opened.page.locator(".slider").first.inner_text()
    for presses in (0, 20):  # of a twentieth each
        opened.page.locator("input").first.focus()
        for _ in range(presses):
            opened.page.keyboard.press("ArrowRight")
        shown = opened.pixels(opened.page.locator(".face"), 16, 16)
        expected = vae.decode(codes[:1] + presses / 20 * vector)[0]
        np.testing.assert_allclose(shown, expected, atol=0.01)
    opened.page.get_by_role("button", name="Reset").click()
    assert opened.page.locator("output").first.inner_text() == "0.0"
    opened.assert_quiet()
