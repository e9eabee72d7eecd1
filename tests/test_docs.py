"""The site's pages: their code runs, and the reference names all that is public."""

import base64
import importlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import BACKEND

import vae_keras
from vae_keras import datasets
from vae_keras.datasets.synthetic import faces, garments
from vae_keras.flow_matching import FlowMatching

pytestmark = pytest.mark.any_backend

DOCS = Path(__file__).resolve().parents[1] / "docs"
GLOSSARY = DOCS.parent / "notebooks" / "06_what_the_bound_does.ipynb"
PAGES = sorted((DOCS / "howto").glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
ON = {"# with TensorFlow": "tensorflow", "# with JAX": "jax"}  # the first line of some blocks
FEW = 96  # images
TRACED = ("likelihood", "second-stage")  # pages of many steps

# What a module shares with its neighbours, and tells no reader of.
INNER = {
    "datasets.celeba": {"draw_ahead", "load_celeba"},  # that is in `datasets`
    "datasets.fashion_mnist": {
        "data_files_folder",
        "draw_ahead",
        "load_fashion_mnist",
        "missing_files",
    },
    "likelihoods": {"Bounded", "DecodedScale", "PerValue", "in_rows"},
    "losses": {"in_full_precision", "kl_per_dimension", "sum_per_example", "weigh"},
    "priors": {"OfObject", "log_normal", "log_prob"},
    "sampling": {"KeepsNoise", "SeedGenerator"},
    "startup": {"quiet_start", "redirected"},
}
# Beside what the package names itself: modules of a reader's own interest.
OTHERS = ("claims", "datasets.celeba", "datasets.fashion_mnist", "datasets.synthetic.faces")
OTHERS += ("datasets.synthetic.garments", "plots.schematics")


@pytest.fixture
def _small_data(monkeypatch, tmp_path):
    """A few drawn garments for Fashion-MNIST, and a folder of photos, where the code runs."""
    labels = np.arange(FEW) % 10
    images = garments.draw(labels)[..., None].astype("float32") / 255
    data = (images, labels), (images[: FEW // 2], labels[: FEW // 2])
    monkeypatch.setattr(datasets, "load_fashion_mnist", lambda: data)
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "data"))
    # A flow that is small where nothing else is said: the same code in a fifth of the time.
    arguments = inspect.signature(FlowMatching.__init__).parameters.values()
    small = {"units": 32, "num_blocks": 1}
    defaults = [small.get(p.name, p.default) for p in arguments if p.default is not p.empty]
    monkeypatch.setattr(FlowMatching.__init__, "__defaults__", tuple(defaults))
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)


def write_photos():
    pil = pytest.importorskip("PIL.Image")
    for number, image in enumerate(faces.draw(faces.sample_factors(40))):
        pil.fromarray(image).save(f"photos/{number}.png")


@pytest.fixture
def _eager(page):
    """Spares TensorFlow the tracing of models that take a few steps."""
    if BACKEND != "tensorflow" or page.stem in TRACED:
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run:UserWarning")
@pytest.mark.usefixtures("_small_data", "_eager", "policy")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, capsys):
    names = {}
    if page.stem == "own-images":
        write_photos()
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if ON.get(block.partition("\n")[0], BACKEND) == BACKEND:
            exec(compile(block, page.name, "exec"), names)
    if page.stem == "likelihood":
        assert "1.000" in capsys.readouterr().out.split()  # the integral of a density


def public_names():
    """All names that the package and its modules offer, as `vae_keras.module.name`."""
    found = {f"vae_keras.{name}" for name in vae_keras.NAMES}
    for module_name in {*vae_keras.MODULES, *OTHERS}:
        module = importlib.import_module(f"vae_keras.{module_name}")
        offered = getattr(module, "__all__", None) or defined_in(module)
        for name in set(offered) - INNER.get(module_name, set()):
            thing = getattr(module, name)
            is_again = getattr(thing, "__name__", "") in vae_keras.NAMES
            if not (inspect.ismodule(thing) or is_again):
                found.add(f"vae_keras.{module_name}.{name}")
    return found


def defined_in(module):
    for name, thing in vars(module).items():
        is_ours = getattr(thing, "__module__", None) == module.__name__
        if is_ours and not name.startswith("_") and callable(thing):
            yield name


def test_the_reference_has_every_public_name_and_no_other():
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    listed = re.findall(r"^\.\. auto\w+:: (\S+)$", text, re.M)
    assert len(listed) == len(set(listed))
    missing = public_names() - set(listed)
    assert not missing, "docs/reference/ lacks these: add them there, or to INNER here"
    for name in listed:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_the_readmes_first_picture_is_that_of_notebook_04_and_so_are_its_numbers():
    (path,) = (DOCS.parent / "notebooks").glob("04_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    picture = base64.b64encode((path.parent / "overview.png").read_bytes()).decode()
    saved = [output.get("data", {}).get("image/png", "").replace("\n", "") for output in outputs]
    assert picture in saved, "run .ci/thumbnails.py"
    printed = "".join(text for output in outputs for text in output.get("text", []))
    holes = re.findall(r"^(?:autoencoder|VAE), .*? ([\d.]+)%", printed, re.M)
    (told,) = re.findall(r"^!\[(New garments .*)\]", (DOCS.parent / "README.md").read_text(), re.M)
    assert re.findall(r"(\d+) %", told) == [f"{float(share):.0f}" for share in holes]


def glossary_names():
    """What the last column of the glossary calls by a name of the package."""
    cells = json.loads(GLOSSARY.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| term |"))
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        code = line.strip("| ").rpartition("|")[2]
        if "above" not in code:  # a function of the notebook's own
            yield from re.findall(r"`([\w.]+)`", code)


def test_what_the_glossary_names_is_there():
    names = list(glossary_names())
    assert len(names) > 20
    for name in names:
        thing = vae_keras
        for part in name.split("."):
            assert hasattr(thing, part) or part in ("decoder", "encoder"), name
            thing = getattr(thing, part, None)
