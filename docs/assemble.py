"""Brings together what the site shows and what lies elsewhere: nothing of it is kept by hand.

The notebooks and their glossary, the explorers with the JavaScript of today, and MathJax.
"""

import json
import shutil
from importlib import metadata
from pathlib import Path

from vae_keras.explorer import Page

DOCS = Path(__file__).resolve().parent
NOTEBOOKS = DOCS.parent / "notebooks"
MADE = DOCS / "_made"  # not tracked, nor is the copy of the notebooks
GLOSSARY = "06_what_the_bound_does.ipynb"
# In a frame of the site: what _static/site.js says and wants to know.
IN_FRAME = """<script>
if (window.parent !== window) {
  const explorer = document.getElementById("explorer");
  document.documentElement.style.overflow = "hidden";
  addEventListener("message", ({ data }) => {
    if (data.theme) document.documentElement.dataset.theme = data.theme;
  });
  new ResizeObserver(() => {
    parent.postMessage({ height: Math.ceil(explorer.getBoundingClientRect().height) }, "*");
  }).observe(explorer);
}
</script>
</body>"""
MATHJAX = ("django-static-mathjax", "mathjax/static/mathjax/", ("es5/tex-svg.js", "LICENSE"))


def main():
    copy_notebooks()
    copy_glossary()
    copy_mathjax()
    save_explorers()


def copy_newer(source, target):
    """Copies a file that has changed: Sphinx reads again what is newer than its last build."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)


def write_newer(text, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def copy_notebooks():
    """Copies notebooks and their pictures, where the README's links find them, too."""
    for source in [*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.rglob("*.png")]:
        copy_newer(source, DOCS / "notebooks" / source.relative_to(NOTEBOOKS))


def copy_glossary():
    cells = json.loads((NOTEBOOKS / GLOSSARY).read_text(encoding="utf-8"))["cells"]
    lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    start = next(i for i, row in enumerate(rows) if row.startswith("| term | 한국어 |"))
    write_newer("\n".join(rows[start:]) + "\n", MADE / "glossary.txt")


def copy_mathjax():
    package, inside, names = MATHJAX
    distribution = metadata.distribution(package)
    for name in names:
        source = Path(distribution.locate_file(inside + name))
        copy_newer(source, MADE / "static" / "mathjax" / source.name)


def save_explorers():
    for path in sorted((DOCS / "explorers").glob("*.json")):
        given = json.loads(path.read_text(encoding="utf-8"))
        target = MADE / "extra" / "explorers" / f"{path.stem}-alone.html"
        page = Page(given["data"], given["title"], given["height"]).html()
        write_newer(page.replace("</body>", IN_FRAME), target)
