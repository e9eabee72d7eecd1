"""A page that holds the decoder: as a file, in a notebook, as a widget."""

import html
import json
from importlib import resources
from pathlib import Path

from vae_keras.datasets import storage

REMEDY = "make room, or choose another place"
DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 0; }} html:has(.dark) {{ background: #0d1117; }}
{style}</style>
</head>
<body>
<main id="explorer"></main>
<script type="application/json" id="data">{data}</script>
<script type="module">
{module}
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.getElementById("explorer");
window.vaeKeras = mount(data, root);
fit(root);
</script>
</body>
</html>
"""


class Page:
    """An explorer: the decoder runs in the reader's browser, with its weights in the page.

    The last line of a notebook's cell shows it, in an inline frame, which takes the height of
    what it shows and the notebook's light or dark. In the page
    `window.vaeKeras.decode(name, code)` returns the picture of a code, an array of numbers in
    [0, 1].

    Args:
        data: Dict for JSON, what `explorer.js` shows.
        title: String.
        height: Integer, the pixels of the frame until it knows better.
    """

    def __init__(self, data, title, height):
        self.data, self.title, self.height = data, title, height

    def html(self):
        """Returns the whole page, as a string: it needs no network and no other file."""
        # No text of the data may end the script that holds it.
        data = json.dumps(self.data).replace("<", "\\u003c")
        return DOCUMENT.format(
            title=html.escape(self.title),
            style=_read("explorer.css"),
            data=data,
            module=_read("explorer.js"),
        )

    def save(self, path):
        """Writes the page as one file, which opens by a double click.

        Args:
            path: String or `Path`.

        Raises:
            OSError: if it cannot be written; no half of it is left behind.
        """
        with storage.atomic_write(Path(path).expanduser(), REMEDY) as file:
            file.write(self.html().encode())

    def widget(self):
        """Returns the explorer as an `anywidget`, for JupyterLab, Colab and VS Code.

        It stands in the notebook's own page, and can be laid out with other widgets. It needs a
        running kernel, where the frame goes on working without one.

        Returns:
            An `anywidget.AnyWidget`.

        Raises:
            ImportError: if anywidget is not installed.
        """
        import anywidget
        import traitlets

        class Explorer(anywidget.AnyWidget):
            _esm = _read("explorer.js")
            style = traitlets.Unicode().tag(sync=True)
            data = traitlets.Unicode().tag(sync=True)

        return Explorer(style=_read("explorer.css"), data=json.dumps(self.data))

    def __repr__(self):
        return f"<Page {self.title!r}: save() writes it>"

    def _repr_html_(self):
        # Not the widget, even where anywidget is installed: a frame works in JupyterLab, VS Code,
        # Colab and an exported page alike, with the kernel gone, after the notebook is opened
        # again, and without the network from which VS Code and Colab load a widget's manager.
        document = html.escape(self.html())
        return (
            f'<iframe title="{html.escape(self.title)}" srcdoc="{document}" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )


def _read(name):
    return resources.files("vae_keras.explorer").joinpath(name).read_text(encoding="utf-8")
