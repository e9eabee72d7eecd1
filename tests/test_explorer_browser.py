"""The page in a real browser: the pointer, the keys, the picture; no network and no error."""

import base64
import re

import numpy as np
import pytest
from browser import CHROMIUM, launch

from vae_keras import VAE, Autoencoder, evaluation, explorer, networks

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
PIXELS = """() => {
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  copy.drawImage(document.querySelector(".face"), 0, 0);
  return Array.from(copy.getImageData(0, 0, 16, 16).data);
}"""


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

    def assert_quiet(self):
        assert self.said == []
        assert len(self.asked) == 1  # the file itself


def make_plane():
    vae = VAE(*networks.dense((8, 8, 1), units=(16,)))
    autoencoder = Autoencoder(*networks.dense((8, 8, 1), units=(16,), variational=False))
    rng = np.random.default_rng(0)
    codes = {"autoencoder": rng.normal(size=(50, 2)) * 9, "VAE": rng.normal(size=(50, 2))}
    models = {"autoencoder": autoencoder, "VAE": vae}
    labels = rng.integers(0, 2, 50)
    return models, explorer.plane(models, codes, labels, ["shoe", "coat"])


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
    assert "z = (0.00, 0.00)" in words.inner_text()
    chart = opened.page.locator(".map").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    moved = words.inner_text()
    assert "z = (0.00, 0.00)" not in moved
    assert "nearest codes" in moved
    assert words.locator(".hole, .none").count() == 1
    chart.focus()
    opened.page.keyboard.press("ArrowUp")
    assert words.inner_text() != moved
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    opened.assert_quiet()


def test_the_buttons_of_a_plane_draw_and_walk(browser, tmp_path):
    _, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    words = opened.page.locator(".words").first
    walk = opened.page.get_by_role("button", name="Walk here from the mark")
    assert walk.is_disabled()
    opened.page.get_by_role("button", name="Mark this point").click()
    opened.page.get_by_role("button", name="Draw a code from N(0, I)").click()
    drawn = words.text_content()
    assert "z = (0.00, 0.00)" not in drawn
    walk.click()
    opened.page.wait_for_function(
        "text => document.querySelector('.words').textContent !== text", arg=drawn
    )
    opened.page.wait_for_function(
        "text => document.querySelector('.words').textContent === text", arg=drawn
    )
    opened.assert_quiet()


def test_shaded_are_the_places_that_are_holes(browser, tmp_path):
    models, page = make_plane()
    opened = Opened(browser, page, tmp_path / "plane.html")
    opened.page.get_by_role("button", name="Shade the holes").click()
    opened.page.wait_for_function("document.querySelectorAll('[data-shaded]').length === 2")
    shares = []
    for panel, name in enumerate(models):
        facts = opened.page.locator(".facts").nth(panel).inner_text()
        (shown,) = re.findall(r"Holes: ([\d.]+) % of this map", facts)
        given = page.data["panels"][panel]
        (left, low), (right, high) = given["limits"]["low"], given["limits"]["high"]
        middles = (np.arange(40) + 0.5) / 40
        places = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        places = (places * [right - left, high - low] + [left, low]).astype("float32")
        codes = np.frombuffer(base64.b64decode(given["codes"]), "<f4").reshape(-1, 2)
        share = evaluation.hole_fraction(models[name], places, codes)
        shares.append(share)
        assert abs(float(shown) / 100 - share) < 0.006
        inside = np.mean(np.linalg.norm(codes, axis=1) < np.sqrt(-2 * np.log(0.05)))
        assert f"{100 * inside:.{1 if inside < 0.1 else 0}f} % of its codes" in facts
    assert max(shares) > 0.2
    opened.assert_quiet()


def test_a_small_picture_is_taken_up_by_a_click(browser, tmp_path):
    vae = VAE(*networks.convolutional_map((16, 16, 3), 2, filters=(8,)), likelihood="gaussian")
    rng = np.random.default_rng(0)
    codes, drawn = rng.normal(size=(2, 3, 4, 4, 2)).astype("float32")
    vector = rng.normal(size=(1, 4, 4, 2)).astype("float32")
    page = explorer.attributes(vae, codes, vector, ["a"], samples={"flow": drawn}, what="face")
    opened = Opened(browser, page, tmp_path / "faces.html", viewport={"width": 390, "height": 800})
    opened.page.get_by_role("button", name="face 2, flow", exact=True).click()
    shown = np.reshape(opened.page.evaluate(PIXELS), (16, 16, 4))[:, :, :3] / 255
    np.testing.assert_allclose(shown, vae.decode(drawn[1:2])[0], atol=0.01)
    names = opened.page.locator(".row b").all_inner_texts()
    assert names == ["decoded", "prior N(0, I)", "flow"]
    opened.page.get_by_role("button", name="face 1, prior N(0, I)").click()
    other = np.reshape(opened.page.evaluate(PIXELS), (16, 16, 4))[:, :, :3] / 255
    assert np.abs(other - shown).max() > 0.01
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
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
        shown = np.reshape(opened.page.evaluate(PIXELS), (16, 16, 4))[:, :, :3] / 255
        expected = vae.decode(codes[:1] + presses / 20 * vector)[0]
        np.testing.assert_allclose(shown, expected, atol=0.01)
    opened.page.get_by_role("button", name="Reset").click()
    assert opened.page.locator("output").first.inner_text() == "0.0"
    opened.assert_quiet()
