"""The explorer in a real JupyterLab: as an inline frame and as a widget; and how it is saved."""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, launch

from vae_keras import VAE, explorer, networks

pytestmark = [pytest.mark.any_backend, pytest.mark.any_version]
sync_api = pytest.importorskip("playwright.sync_api")
for needed in ("jupyterlab", "nbclient", "PIL"):
    pytest.importorskip(needed)
if CHROMIUM is None:
    pytest.skip("needs Chromium", allow_module_level=True)

SAVE = Path(__file__).resolve().parents[1] / ".ci" / "save_notebooks.py"
FRAME = """\
import json, sys
from vae_keras.explorer.page import Page
print("a warning", file=sys.stderr)
page = Page(json.load(open("page.json")), "Latent spaces", 900)
page"""
WIDGET = "page.widget()"
has_anywidget = importlib.util.find_spec("anywidget") is not None
CODE = np.array([[0.5, -1.0]], "float32")


def write_notebook(folder, vae, *sources):
    """Writes a notebook, and beside it what the explorer is to show."""
    rng = np.random.default_rng(0)
    codes, labels = rng.normal(size=(50, 2)), rng.integers(0, 2, 50)
    page = explorer.plane({"VAE": vae}, {"VAE": codes}, labels, ["shoe", "coat"], "garment")
    (folder / "page.json").write_text(json.dumps(page.data))
    cells = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": source,
         "execution_count": None, "outputs": []}
        for number, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}}
    path = folder / "00_tiny.ipynb"
    path.write_text(json.dumps(content | {"nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture(scope="module")
def vae():
    return VAE(*networks.dense((8, 8, 1), units=(16,)))


@pytest.fixture(scope="module")
def lab(tmp_path_factory, vae):
    """JupyterLab, dark, of a browser that is light; the page of a notebook that was run in it."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    sources = [FRAME, WIDGET] if has_anywidget else [FRAME]
    notebook = write_notebook(folder / "notebooks", vae, *sources)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    theme = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
    theme.mkdir(parents=True)
    (theme / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "run", "IPYTHONDIR": "ipython"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={address.rpartition(':')[2]}"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    command += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        wait_for(lambda: urllib.request.urlopen(f"{address}/api", timeout=1), OSError)
        with sync_api.sync_playwright() as playwright:
            browser = launch(playwright)
            yield Lab(browser, f"{address}/lab/tree/{notebook.name}?reset", address)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


def wait_for(look, trouble, seconds=60):
    for _ in range(2 * seconds):
        try:
            return look()
        except trouble:
            time.sleep(0.5)
    pytest.fail(f"nothing after {seconds} s")


class Lab:
    """A notebook in JupyterLab whose cells were run, what the explorer said and what was asked."""

    def __init__(self, browser, url, address):
        self.page = page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(120_000)  # other tests may run beside
        self.said, self.asked = [], []
        page.on("pageerror", lambda error: self.listen(error.stack or str(error)))
        page.on("console", lambda message: self.listen(f"{message.text} {message.location['url']}"))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(url)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        shown, dialog = ".jp-OutputArea-output iframe", ".jp-Dialog .jp-mod-accept"
        page.add_locator_handler(page.locator(dialog), lambda accept: accept.click())
        for _ in range(5):  # nothing runs where the kernel is not there yet, or it is asked for
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_text("Run All Cells", exact=True).first.click()
            with contextlib.suppress(sync_api.TimeoutError):
                page.wait_for_selector(f"{shown}, {dialog}", timeout=20_000)
            if page.locator(shown).count():
                break
        self.own = ("data:", "blob:", "about:", address)

    def asked_elsewhere(self):
        return [url for url in self.asked if not url.startswith(self.own)]

    def listen(self, text):
        # JupyterLab has messages and errors of its own, in `static/`: those are not ours to mend.
        if "/static/" not in text:
            self.said.append(text)

    def frame(self):
        """Returns the explorer's frame, when all is drawn there."""
        handle = self.page.wait_for_selector(".jp-OutputArea-output iframe")
        frame = handle.content_frame()
        frame.wait_for_selector("[data-ready]")
        return handle, frame


def decoded(place):
    """What the explorer decodes, in a page or a frame, an array."""
    call = "code => window.vaeKeras.decode('VAE', code)"
    return np.reshape(place.evaluate(call, CODE[0].tolist()), (1, 8, 8, 1))


def test_a_frame_in_jupyterlab_follows_the_pointer_and_the_theme(lab, vae):
    handle, frame = lab.frame()
    np.testing.assert_allclose(decoded(frame), vae.decode(CODE), atol=1e-3)
    words, chart = frame.locator(".words"), frame.locator(".map")
    first = words.inner_text()
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    moved = words.inner_text()
    assert moved != first
    chart.focus()
    lab.page.keyboard.press("ArrowUp")
    assert words.inner_text() != moved
    # The colours of JupyterLab, not of the browser, and no bar to scroll by.
    assert frame.locator(".vae-keras.dark").count() == 1
    height = frame.evaluate("document.querySelector('.vae-keras').getBoundingClientRect().height")
    assert abs(handle.bounding_box()["height"] - height) < 2
    assert lab.asked_elsewhere() == []
    assert lab.said == []


@pytest.mark.skipif(not has_anywidget, reason="needs anywidget")
def test_a_widget_in_jupyterlab_keeps_its_keys_and_its_style(lab, vae):
    page = lab.page
    page.wait_for_selector(".jp-OutputArea-output .vae-keras[data-ready]")
    np.testing.assert_allclose(decoded(page), vae.decode(CODE), atol=1e-3)
    cells = "[...document.querySelectorAll('.jp-Cell')]"
    active = f"{cells}.findIndex(cell => cell.classList.contains('jp-mod-active'))"
    chart, words = page.locator(".vae-keras .map"), page.locator(".vae-keras .words")
    chart.scroll_into_view_if_needed()
    chart.hover()
    chart.click()
    before, cell = words.inner_text(), page.evaluate(active)
    assert cell == 1
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    assert words.inner_text() != before
    page.keyboard.press("b")  # of a notebook: a cell below
    assert page.evaluate(active) == cell
    assert page.evaluate(f"{cells}.length") == 2
    assert page.locator(".vae-keras.dark").count() == 1
    # What is ours is styled, and nothing else: a button of the page keeps its border.
    styles = "e => getComputedStyle(e).borderRadius + getComputedStyle(e).padding"
    ours = page.locator(".vae-keras button").first.evaluate(styles)
    theirs = page.evaluate(
        f"({styles})(document.body.appendChild(document.createElement('button')))"
    )
    assert ours != theirs
    assert lab.asked_elsewhere() == []
    assert lab.said == []


def test_saving_a_notebook_leaves_a_picture_of_the_explorer(tmp_path, vae):
    notebook = write_notebook(tmp_path, vae, FRAME, "print('shown')")
    done = subprocess.run(
        [sys.executable, SAVE, notebook], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    text = notebook.read_text(encoding="utf-8")
    content = json.loads(text)
    assert text == json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (picture,), (printed,) = (cell["outputs"] for cell in content["cells"])
    assert sorted(picture["data"])[0] in ("image/jpeg", "image/png")
    assert sorted(picture["data"])[1:] == ["text/plain"]
    assert printed["text"] == ["shown\n"]
    assert [cell["metadata"] for cell in content["cells"]] == [{}, {}]
    assert len(text) < 120_000


def test_a_notebook_that_fails_stays_as_it_was(tmp_path, vae):
    notebook = write_notebook(tmp_path, vae, "assert False, 'no claim'")
    before = notebook.read_bytes()
    command = [sys.executable, SAVE, notebook]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "00_tiny.ipynb stays as it was" in done.stderr
    assert notebook.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00_tiny.ipynb", "page.json"]
