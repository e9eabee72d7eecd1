"""The examples of the docstrings run, as printed, and print what they say."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

import vae_keras
from vae_keras import VAE, Sampling, datasets, explorer, networks, plots
from vae_keras.datasets.synthetic import garments
from vae_keras.flow_matching import FlowMatching
from vae_keras.optimizers import FusedAdam
from vae_keras.priors import VampPrior

pytestmark = pytest.mark.any_backend


class Shown(doctest.OutputChecker):
    """Compares what an example shows; what it leaves out, such as a progress bar, may be."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


# Modules that run when they are imported, or need a backend that may not be here.
LEFT_OUT = ("__main__", "jax", "tensorflow", "torch")


def find_examples():
    modules = (m.name for m in pkgutil.walk_packages(vae_keras.__path__, "vae_keras."))
    for name in modules:
        if name.rpartition(".")[2] not in LEFT_OUT:
            found = doctest.DocTestFinder().find(importlib.import_module(name), globs={})
            yield from (test for test in found if test.examples)


def prepared(test):
    """What a reader has at hand by then: a few images, and a model whose codes are to the point."""
    y = np.arange(40) % 10
    x = garments.draw(y)[..., None].astype("float32") / 255
    latent_dim = 64 if "FlowMatching" in test.name else 2
    vae = VAE(*networks.dense(latent_dim=latent_dim, units=(16,)))
    vae.compile("sgd")
    names = {"x": x, "x_train": x, "y": y, "vae": vae, "keras": keras, "np": np}
    names |= {"names": ["Smiling", "Bangs", "Male", "Young"], "vectors": np.eye(4, 2)}
    names |= {"class_names": datasets.fashion_mnist.CLASS_NAMES}
    things = (VAE, Sampling, FlowMatching, FusedAdam, VampPrior, explorer, networks, plots)
    return names | {thing.__name__.rpartition(".")[2]: thing for thing in things}


@pytest.mark.parametrize("test", list(find_examples()), ids=lambda test: test.name)
def test_an_example_runs_as_it_is_printed(test, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    test.globs = prepared(test)
    told = []
    runner = doctest.DocTestRunner(Shown(), optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def test_there_are_examples():
    assert len(list(find_examples())) >= 8
