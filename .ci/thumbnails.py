"""Cuts the README's pictures from the notebooks' saved outputs.

python .ci/thumbnails.py
"""

import base64
import io
import json
from pathlib import Path

from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SIZE = (300, 190)  # dots, shown at half that on a sharp screen
PICTURES = {  # number of a notebook: id of the cell whose picture it is
    "01": "cell-26",
    "02": "cell-18b",
    "03": "vae-06",
    "04": "cell-25",
    "05": "elbo-22",
    "06": "cell-36",
    "07": "faces-57",
    "08": "second-43",
    "09": "reuse-19",
}
OVERVIEW = "04"  # whose picture is the README's first, too


def pictures(path):
    """Yields the id of each cell that has a picture, and the picture's file."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            for kind in ("image/png", "image/jpeg"):
                if kind in output.get("data", {}):
                    yield cell["id"], base64.b64decode(output["data"][kind])


def main():
    folder = NOTEBOOKS / "thumbnails"
    folder.mkdir(exist_ok=True)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        number = path.name[:2]
        content = dict(pictures(path))[PICTURES[number]]
        if number == OVERVIEW:
            (NOTEBOOKS / "overview.png").write_bytes(content)
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        picture.thumbnail(SIZE, Image.Resampling.LANCZOS)
        picture.quantize(128).save(folder / f"{number}.png", optimize=True)
        print(number, picture.size, (folder / f"{number}.png").stat().st_size)


if __name__ == "__main__":
    main()
