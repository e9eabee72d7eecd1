"""The KL divergence is the textbook's, in nats, one value per example."""

import keras
import numpy as np
import pytest
from helpers import with_double
from scipy import integrate, stats

from vae_keras import kl_divergence

SHAPES = [(3, 1), (3, 5), (3, 4, 4, 2)]


def posteriors(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, shape), rng.normal(0, 1, shape)


def kl(z_mean, z_log_var):
    return keras.ops.convert_to_numpy(kl_divergence(z_mean, z_log_var))


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, -3.0), (1.5, 0.0), (-2.0, 1.2)])
def test_kl_equals_its_defining_integral(mean, log_var):
    q, p = stats.norm(mean, np.exp(log_var / 2)), stats.norm(0, 1)
    expected, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -15, 15)
    np.testing.assert_allclose(kl([[mean]], [[log_var]]), [expected], rtol=1e-5)


def test_kl_is_the_mean_log_density_ratio_of_samples():
    mean, log_var = posteriors((1, 4))
    q = stats.norm(mean, np.exp(log_var / 2))
    z = q.rvs((200_000, 4), random_state=0)
    log_ratio = (q.logpdf(z) - stats.norm.logpdf(z)).sum(axis=1)
    standard_error = log_ratio.std() / np.sqrt(len(z))
    assert abs(log_ratio.mean() - kl(mean, log_var)[0]) < 4 * standard_error


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_vanishes_at_the_prior(shape):
    np.testing.assert_array_equal(kl(np.zeros(shape), np.zeros(shape)), np.zeros(shape[0]))


def test_kl_is_positive_away_from_the_prior():
    mean, log_var = posteriors((1000, 1))
    assert kl(mean, log_var).min() > 0


def test_kl_tells_the_mean_from_the_log_variance():
    # (mean^2 + variance - 1 - log variance) / 2, by hand
    np.testing.assert_allclose(kl([[2.0]], [[0.0]]), [2.0])
    np.testing.assert_allclose(kl([[0.0]], [[2.0]]), [(np.exp(2.0) - 3.0) / 2.0], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_adds_up_over_every_axis_but_the_first(shape):
    mean, log_var = posteriors(shape)
    one_by_one = kl(mean.reshape(-1, 1), log_var.reshape(-1, 1))
    np.testing.assert_allclose(kl(mean, log_var), one_by_one.reshape(3, -1).sum(1), rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        pytest.param("float64", "float64", marks=with_double),
    ],
)
def test_kl_is_computed_in_full_precision(given, returned):
    mean, log_var = (keras.ops.cast(array, given) for array in posteriors((3, 500)))
    result = kl_divergence(mean, log_var)
    exact = kl(keras.ops.cast(mean, "float64"), keras.ops.cast(log_var, "float64"))
    assert keras.backend.standardize_dtype(result.dtype) == returned
    np.testing.assert_allclose(keras.ops.convert_to_numpy(result), exact, rtol=1e-5)


def test_kl_of_a_wide_half_precision_posterior_is_finite():
    # exp(12) is above the greatest float16, 65,504.
    log_var = keras.ops.cast([[12.0]], "float16")
    np.testing.assert_allclose(kl(log_var * 0, log_var), (np.exp(12.0) - 13.0) / 2, rtol=1e-5)


def test_kl_of_no_examples_is_empty():
    assert kl(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)


def test_kl_of_means_and_log_variances_of_two_shapes_is_refused():
    with pytest.raises(ValueError, match=r"z_mean of shape \(4, 1\), z_log_var of shape \(4, 8\)"):
        kl_divergence(np.ones((4, 1)), np.zeros((4, 8)))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("log_var", [-80.0, 80.0, 1000.0])
def test_kl_does_not_overflow(dtype, log_var):
    z_log_var = keras.ops.cast(np.full((1, 4), log_var), dtype)
    assert np.isfinite(kl(np.zeros((1, 4), dtype), z_log_var)).all()
