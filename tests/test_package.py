"""Importing the package imports nothing; using it imports Keras and NumPy, nothing heavier."""

import ast
import platform
from pathlib import Path

import pytest
from helpers import BACKEND

import vae_keras

ROOT = Path(vae_keras.__file__).parent


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(tree):
    """The module without its functions' bodies, which run later."""

    class DropFunctions(ast.NodeTransformer):
        def visit_FunctionDef(self, node):
            return None

    return DropFunctions().visit(tree)


def source(module):
    path = ROOT.parent / module.replace(".", "/")
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.exists():
            return ast.parse(candidate.read_text())
    return None  # a name inside a module, or a module of others


def loaded_with(module, seen):
    """Adds to `seen` all that importing `module` imports, through our own modules."""
    if module in seen:
        return
    seen.add(module)
    if module.split(".")[0] == "vae_keras" and (tree := source(module)) is not None:
        for name in imported(at_import(tree)):
            loaded_with(name, seen)


@pytest.fixture(scope="module")
def loaded():
    seen = set()
    for module in {*vae_keras.NAMES.values(), *vae_keras.MODULES} - {"plots"}:
        loaded_with(f"vae_keras.{module}", seen)
    return seen


def test_the_scan_follows_imports(loaded):
    assert {"keras", "numpy", "vae_keras.losses", "vae_keras.checks"} <= loaded


@pytest.mark.parametrize("package", ["tensorflow", "jax", "torch", "matplotlib", "PIL", "sklearn"])
def test_importing_the_package_does_not_import(loaded, package):
    assert package not in {name.split(".")[0] for name in loaded}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_backend_is_imported_by_its_own_modules_alone(backend):
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if any(name.split(".")[0] == backend for name in imported(ast.parse(path.read_text())))
    }
    assert importers <= {f"train_steps/{backend}.py", f"training/devices/{backend}.py"}


ALONE = """
    import sys
    sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))  # None: not to be imported
    import keras
    with_keras = set(sys.modules)
    import vae_keras
    import numpy as np
    new = {name.split(".")[0] for name in set(sys.modules) - with_keras}
    print(sorted(new - set(sys.stdlib_module_names)))
    vae = vae_keras.VAE(*vae_keras.networks.dense((8, 8, 1), units=(4,)))
    vae.compile("sgd")
    vae.fit(np.zeros((4, 8, 8, 1)), verbose=0)
    print(vae.generate(2).shape)
"""


def test_keras_numpy_and_one_backend_are_enough(run_python):
    others = {"tensorflow", "jax", "torch"} - {BACKEND}
    missing = ",".join(others | {"matplotlib", "PIL", "sklearn", "kagglehub", "IPython"})
    imported, shape = run_python(ALONE, missing).splitlines()
    assert imported == "['vae_keras']"
    assert shape == "(2, 8, 8, 1)"


NOTHING = """
    import os, sys
    before = dict(os.environ), set(sys.modules)
    import vae_keras
    assert dict(os.environ) == before[0]
    new = {name.split(".")[0] for name in set(sys.modules) - before[1]}
    print(sorted(new - set(sys.stdlib_module_names)))
    vae_keras.startup.use_onednn()
    print(os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
    assert "keras" not in sys.modules
    print(vae_keras.__version__, "VAE" in dir(vae_keras), hasattr(vae_keras, "nothing"))
"""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="is about x86")
@pytest.mark.parametrize("given", [None, "0"])
def test_importing_the_package_changes_nothing(run_python, monkeypatch, given):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if given is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    imported, onednn, names = run_python(NOTHING).splitlines()
    assert imported == "['vae_keras']"
    assert onednn == (given or "1")
    assert names == f"{vae_keras.__version__} True False"


@pytest.mark.parametrize(
    "imports",
    [
        "import vae_keras, keras",
        "import keras, vae_keras",
        "from vae_keras import VAE",
        "from vae_keras import explorer",
        "from vae_keras.checks import check_codes",
        "from vae_keras.losses import kl_divergence",
        "import vae_keras, importlib.util; importlib.util.find_spec('keras')",
    ],
)
def test_keras_knows_the_classes_whatever_comes_first(run_python, imports):
    script = f"""
        {imports}
        import keras
        for name in ("VAE", "Autoencoder", "Sampling", "Gaussian", "StandardNormal", "FusedAdam"):
            assert keras.saving.get_registered_object("vae_keras>" + name), name
        print("all")
    """
    assert run_python(script).endswith("all\n")
