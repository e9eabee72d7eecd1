"""Bounds equal the evidence where it is known; coverage and holes know the extremes."""

import math

import numpy as np
import pytest

from vae_keras import VAE, evaluation, networks

NUM_PIXELS = 64


@pytest.fixture
def indifferent_vae():
    """Weights of zero: the posterior is the prior, and every pixel is on half the time."""
    vae = VAE(*networks.dense((8, 8, 1), latent_dim=2, units=(4,)))
    for variable in vae.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    return vae


@pytest.fixture
def random_vae():
    return VAE(*networks.dense((8, 8, 1), latent_dim=2, units=(4,)))


@pytest.fixture
def x():
    return np.random.default_rng(0).random((5, 8, 8, 1), dtype="float32")


@pytest.mark.parametrize("bound", [evaluation.elbo, evaluation.log_likelihood])
def test_a_bound_is_the_evidence_where_the_posterior_is_exact(indifferent_vae, x, bound):
    values = bound(indifferent_vae, x, num_samples=3, seed=0)
    np.testing.assert_allclose(values, np.full(5, -NUM_PIXELS * math.log(2)), rtol=1e-5)


def test_the_elbo_is_the_negative_loss_that_the_model_reports(random_vae, x):
    random_vae.compile("sgd")
    loss = np.mean([random_vae.evaluate(x, verbose=0)[0] for _ in range(50)])
    elbo = evaluation.elbo(random_vae, x, num_samples=2000, seed=0).mean()
    assert elbo == pytest.approx(-loss, abs=0.5)


def test_the_elbo_never_exceeds_the_importance_weighted_bound(random_vae, x):
    elbo = evaluation.elbo(random_vae, x, num_samples=2000, seed=0)
    assert np.all(elbo <= evaluation.log_likelihood(random_vae, x, num_samples=2000, seed=0))


@pytest.mark.parametrize("bound", [evaluation.elbo, evaluation.log_likelihood])
def test_a_seed_repeats_a_bound(random_vae, x, bound):
    first, again = (bound(random_vae, x, num_samples=2, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("bound", [evaluation.elbo, evaluation.log_likelihood])
def test_bad_input_is_named(random_vae, x, bound):
    with pytest.raises(ValueError, match="`num_samples` must be >= 1"):
        bound(random_vae, x, num_samples=0)
    with pytest.raises(ValueError, match="at least one image"):
        bound(random_vae, x[:0])
    with pytest.raises(ValueError, match="no NaN"):
        bound(random_vae, np.full_like(x, np.nan))


def test_codes_from_the_prior_cover_it_and_codes_elsewhere_do_not():
    codes = np.random.default_rng(1).standard_normal((4000, 2))
    assert evaluation.coverage(codes) == pytest.approx(1 - 2**-5, abs=0.02)
    assert evaluation.coverage(codes + 20) < 0.01
    assert evaluation.coverage(codes / 10) < 0.5


def test_a_unit_is_active_where_its_mean_varies():
    z_mean = np.random.default_rng(2).standard_normal((1000, 3)) * [1.0, 0.01, 0.5]
    assert evaluation.active_units(z_mean).tolist() == [True, False, True]


def test_a_code_that_decodes_to_anything_else_is_a_hole(indifferent_vae):
    # Every image of this model is encoded to 0: only codes near 0 come back.
    codes = np.random.default_rng(3).standard_normal((1000, 2))
    far, near = np.full((10, 2), 3.0), np.full((10, 2), 0.01)
    assert evaluation.hole_fraction(indifferent_vae, far, codes) == 1.0
    assert evaluation.hole_fraction(indifferent_vae, near, codes) == 0.0
