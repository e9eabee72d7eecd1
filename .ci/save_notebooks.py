"""Executes notebooks and saves their outputs as they are committed.

    python .ci/save_notebooks.py NOTEBOOK ...

On the data and the backend of the environment. A notebook in which a claim fails stays as it was.
Where a cell shows a page of the explorer, two megabytes of it, a picture of the page is saved.
Needs Chromium, and playwright to drive it.
"""

import argparse
import base64
import contextlib
import html
import io
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH = 780  # CSS pixels of the page: two maps side by side; a notebook may weigh 900 kB
COLORS = 64  # of a PNG: maps and text need no more
QUALITY = 48  # of a JPEG, which faces want
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def show_a_hole(page):
    """The holes shaded, and the pointer in the one that is nearest to the middle of a map."""
    page.get_by_role("button", name="Shade the holes").click()
    count = page.locator(".map").count()
    shaded = f"document.querySelectorAll('[data-shaded]').length === {count}"
    page.wait_for_function(shaded, timeout=120_000)
    box = page.locator(".map").first.bounding_box()
    steps = [number / 20 - 0.5 for number in range(1, 20)]
    for x, y in sorted(((x, y) for x in steps for y in steps), key=lambda p: p[0] ** 2 + p[1] ** 2):
        page.mouse.move(box["x"] + (0.5 + x) * box["width"], box["y"] + (0.5 + y) * box["height"])
        if page.locator(".words").first.locator(".hole").count():
            break


def put_on_eyeglasses(page):
    """The slider at 1, as it was counted."""
    press(page.get_by_role("slider", name="Eyeglasses"), 20)


def draw_from_the_flow(page):
    """A garment that the flow has drawn."""
    page.get_by_role("button", name="garment 5, flow, no class", exact=True).click()


def press(slider, times):
    for _ in range(times):
        slider.press("ArrowRight")


POSES = {  # how the page of a notebook is held for its picture
    "04": show_a_hole,
    "07": put_on_eyeglasses,
    "08": draw_from_the_flow,
}


def execute(path):
    """Returns the notebook, executed and without what differs from run to run."""
    notebook = nbformat.read(path, 4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", record_timing=False, resources=resources
    ).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return notebook


def framed(output):
    """Returns the explorer's page that an output shows, or `None`."""
    found = re.match(r'<iframe [^>]*srcdoc="([^"]*)"', output.get("data", {}).get("text/html", ""))
    return html.unescape(found[1]) if found else None


def picture(browser, text, pose):
    """Returns a picture of a page: its kind and its bytes, PNG or JPEG, whichever is smaller."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(path.as_uri())
        page.wait_for_selector("[data-ready]")
        if pose:
            pose(page)
        shot = page.locator(".vae-keras").screenshot()
        page.close()
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    png, jpeg = io.BytesIO(), io.BytesIO()
    # This method keeps the colours of small things: of dots, and of the words that are a verdict.
    few = image.quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(png, "PNG", optimize=True)
    image.save(jpeg, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    files = {"image/png": png.getvalue(), "image/jpeg": jpeg.getvalue()}
    return min(files.items(), key=lambda pair: len(pair[1]))


def replace_pages(notebook, browser, pose):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if text := framed(output):
                kind, content = picture(browser, text, pose)
                said = "A picture of the explorer: run the cell."
                encoded = base64.b64encode(content).decode()
                output.data = nbformat.from_dict({kind: encoded, "text/plain": said})


def write(notebook, path):
    """Writes a notebook whole or not at all."""
    text = json.dumps(json.loads(nbformat.writes(notebook)), indent=1, ensure_ascii=False) + "\n"
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def chromium():
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        sys.exit("There is no Chromium, which takes the picture of the explorer: install it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


def main(arguments=None):
    """Returns the exit code: 1 where a claim has failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    failed = []
    with chromium() as browser:
        for path in parser.parse_args(arguments).notebooks:
            try:
                notebook = execute(path)
            except CellExecutionError as error:
                print(f"{path.name} stays as it was: {str(error)[-1500:]}", file=sys.stderr)
                failed.append(path)
                continue
            replace_pages(notebook, browser, POSES.get(path.name[:2]))
            write(notebook, path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
