"""The models of `benchmarks/published.py`: their bounds, held against ones that are written out."""

import math
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from vae_keras.losses import sum_per_example
from vae_keras.priors import VampPrior, log_normal

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def models():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import published_models
    finally:
        sys.path.remove(str(BENCHMARKS))
    return published_models


def normal(z, mean, log_var):
    return (-0.5 * ((z - mean) ** 2 * np.exp(-log_var) + log_var + np.log(2 * np.pi))).sum(axis=1)


def test_the_samples_of_an_importance_weighted_bound_are_of_one_draw(models):
    grey = np.full((3, *models.IMAGE_SHAPE), 0.5, "float32")
    vae = models.importance_weighted(5)(0, grey)
    outputs = vae(grey, training=True)
    loss = ops.convert_to_numpy(vae.compute_loss(grey, None, outputs, training=True))
    logits, z_mean, z_log_var, z, binary = map(ops.convert_to_numpy, outputs)
    assert len(binary) == 3
    assert len(z) == 15
    x = np.repeat(binary, 5, axis=0)
    log_x = (x * logits - np.logaddexp(0, logits)).sum(axis=(1, 2, 3))
    log_weights = log_x + normal(z, 0.0, np.zeros_like(z)) - normal(z, z_mean, z_log_var)
    bounds = np.logaddexp.reduce(log_weights.reshape(3, 5), axis=1) - math.log(5)
    assert loss == pytest.approx(-bounds.mean(), rel=1e-5)


@pytest.mark.parametrize("made_of", ["hierarchical", "hierarchical_vamp"])
def test_the_divergence_of_two_levels_is_the_mean_log_ratio(models, made_of):
    images = np.random.default_rng(0).random((500, *models.IMAGE_SHAPE), "float32")
    vae = getattr(models, made_of)(0, images)
    vae.build((None, *models.IMAGE_SHAPE))
    for weight in vae.trainable_variables:  # away from where both divergences are near zero
        if weight.path.endswith(("kernel", "bias")):
            weight.assign(1.15 * weight + 0.3 * weight.path.endswith("bias"))
    many = np.repeat(images[:1].round(), 10_000, axis=0)
    _, z_mean, z_log_var, z = vae.outputs_of(many, training=False)
    divergence = ops.convert_to_numpy(vae.prior(z_mean, z_log_var, z))
    log_q = sum_per_example(log_normal(z, z_mean, z_log_var))
    ratio = ops.convert_to_numpy(log_q - vae.prior.log_prob(z))
    error = np.std(ratio - divergence) / math.sqrt(len(ratio))
    assert abs(np.mean(ratio - divergence)) < 5 * error + 1e-4


def test_a_mixture_by_matrix_products_is_that_of_the_package(models):
    images = np.random.default_rng(0).random((20, *models.IMAGE_SHAPE), "float32")
    vae = models.vamp(0, images)
    z = keras.random.normal((50, 40), seed=0)
    ours, theirs = models.Vamp.log_prob(vae.prior, z), VampPrior.log_prob(vae.prior, z)
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (ours, theirs)), rtol=1e-5)
