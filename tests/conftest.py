"""Small models and images for every test, and a fixed seed before each."""

import os
import subprocess
import sys
import textwrap

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Before Keras, and in the processes that tests start too: their numbers are compared with ours to
# the last bit, and the training program computes with oneDNN.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# isort: split
import keras
import numpy as np
import pytest
from helpers import get_parameters, remove_noise, set_parameters

from vae_keras import VAE, networks

IMAGE_SHAPE = (8, 8, 1)


def pytest_configure(config):
    # Keras's own conversion of a variable to NumPy, at every `convert_to_numpy`.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation:DeprecationWarning")
    # JAX's word on NumPy's float64, which tests hand over and JAX computes in float32.
    config.addinivalue_line("filterwarnings", "ignore:Explicitly requested dtype:UserWarning")


@pytest.fixture(autouse=True)
def _same_seed():
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory):
    """On JAX one process's programs serve the others, and are compiled quickly rather than well.

    Those that tests start included. A test computes little: half of its time went into compiling.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    folder, seconds = str(tmp_path_factory.mktemp("compiled")), 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(seconds))
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)
        jax.config.update("jax_disable_most_optimizations", True)
        yield


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The folder of the decoded images, in a data folder of its own."""
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("VAE_KERAS_SOURCE", raising=False)
    return tmp_path / "data" / "cache"


@pytest.fixture
def images():
    """Ten images: a batch of four leaves a last batch of two."""
    return np.random.default_rng(0).random((10, *IMAGE_SHAPE), "float32")


@pytest.fixture
def make_networks():
    """A function that returns `(encoder, decoder)` for the images."""

    def make(**kwargs):
        return networks.dense(**{"image_shape": IMAGE_SHAPE, "units": (16,), **kwargs})

    return make


@pytest.fixture
def make_vae(make_networks):
    """A function that returns a small VAE; the same `parameters` give it the same weights.

    It runs eagerly, which spares a small model seconds of tracing, unless it is `traced`.
    """

    def make(cls=VAE, noise=True, optimizer=None, traced=False, parameters=None, **kwargs):
        vae = cls(*make_networks(), **kwargs)
        if not noise:
            remove_noise(vae)
        if parameters is not None:
            set_parameters(vae, parameters)
        vae.compile(optimizer or keras.optimizers.SGD(1e-3), run_eagerly=not traced)
        return vae

    return make


@pytest.fixture
def parameters(make_vae):
    """Weights for `make_vae`, far enough from the start that every term of the loss counts."""
    rng = np.random.default_rng(1)
    shapes = [value.shape for value in get_parameters(make_vae())]
    return [rng.normal(0.0, 0.3, shape).astype("float32") for shape in shapes]


@pytest.fixture
def policy():
    """Sets the dtype policy, for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def run_python():
    """Runs a script in a fresh process; returns what it prints."""

    def run(script, *arguments):
        command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run
