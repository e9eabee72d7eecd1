"""Likelihoods are probability distributions, and their means are their means."""

import keras
import numpy as np
import pytest
from helpers import gradients
from scipy import integrate, special, stats

from vae_keras import VAE, likelihoods
from vae_keras.likelihoods import Bernoulli, ContinuousBernoulli, Gaussian, Likelihood

LOGITS = np.array([-30.0, -8.0, -0.5, -0.05, -1e-4, 0.0, 1e-4, 0.05, 0.5, 8.0, 30.0])


def score(likelihood, x, parameters, dtype="float64"):
    """`log p(x|z)` of each number on its own."""
    x, parameters = np.broadcast_arrays(x, parameters)
    columns = (np.reshape(array, (-1, 1)).astype(dtype) for array in (x, parameters))
    return keras.ops.convert_to_numpy(likelihood(*columns)).reshape(x.shape)


def scale_of(likelihood):
    return np.exp(keras.ops.convert_to_numpy(likelihood.log_scale))


def mean(likelihood, parameters):
    return keras.ops.convert_to_numpy(likelihood.mean(np.asarray(parameters, "float64")))


@pytest.mark.parametrize("x", [0, 1])
def test_bernoulli_agrees_with_scipy_on_black_and_white(x):
    logits = LOGITS[np.abs(LOGITS) < 10]  # beyond, the probability itself is rounded
    expected = stats.bernoulli(special.expit(logits)).logpmf(x)
    np.testing.assert_allclose(score(Bernoulli(), x, logits), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("x", [0.1, 0.5, 0.93])
def test_bernoulli_is_minus_the_cross_entropy_on_grey(x):
    expected = x * special.log_expit(LOGITS) + (1 - x) * special.log_expit(-LOGITS)
    np.testing.assert_allclose(score(Bernoulli(), x, LOGITS), expected, rtol=1e-6)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_integrates_to_one(logit):
    x, weight = np.polynomial.legendre.leggauss(200)  # on [-1, 1]
    density = np.exp(score(ContinuousBernoulli(), (x + 1) / 2, logit))
    np.testing.assert_allclose(np.sum(weight / 2 * density), 1.0, rtol=1e-6)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_mean_is_the_mean_of_its_density(logit):
    def integrand(x):
        return x * np.exp(logit * x - max(logit, 0.0))

    def normalizer(x):
        return np.exp(logit * x - max(logit, 0.0))

    expected = integrate.quad(integrand, 0, 1)[0] / integrate.quad(normalizer, 0, 1)[0]
    np.testing.assert_allclose(mean(ContinuousBernoulli(), logit), expected, atol=3e-6)


@pytest.mark.parametrize("sign", [-1, 1])
def test_continuous_bernoulli_has_no_step_where_its_series_ends(sign):
    logits = sign * np.array([0.1 - 1e-9, 0.1 + 1e-9])
    below, above = score(ContinuousBernoulli(), 0.0, logits)
    np.testing.assert_allclose(below, above, atol=1e-6)
    np.testing.assert_allclose(*mean(ContinuousBernoulli(), logits), atol=2e-6)


def test_continuous_bernoulli_is_uniform_at_logit_zero():
    x = np.linspace(0, 1, 5)
    np.testing.assert_allclose(score(ContinuousBernoulli(), x, 0.0), 0.0, atol=1e-12)


@pytest.mark.parametrize("likelihood", [Bernoulli(), ContinuousBernoulli()])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_gradients_are_what_is_seen_minus_what_is_expected(likelihood, x):
    # d/dlogit log p(x) = x - E[x] for any exponential family, at every logit.
    logits = np.array([-100.0, -1.0, -0.11, -0.09, 0.0, 0.09, 0.11, 1.0, 100.0], "float32")[:, None]
    (gradient,) = gradients(lambda tensor: likelihood(np.full_like(logits, x), tensor), logits)
    np.testing.assert_allclose(gradient, x - mean(likelihood, logits), atol=3e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 3.0])
def test_gaussian_agrees_with_scipy(scale):
    x, decoded = np.array([0.0, 0.2, 1.0]), np.array([0.1, -0.4, 0.9])
    expected = stats.norm(decoded, scale).logpdf(x)
    np.testing.assert_allclose(score(Gaussian(scale), x, decoded), expected, rtol=1e-5, atol=1e-5)


def test_gaussian_mean_is_an_image():
    np.testing.assert_allclose(mean(Gaussian(), [-0.3, 0.4, 1.7]), [0.0, 0.4, 1.0])


def test_bernoulli_mean_is_the_probability():
    np.testing.assert_allclose(mean(Bernoulli(), LOGITS), special.expit(LOGITS))


def test_the_best_learned_scale_is_the_root_mean_squared_error(make_vae, images):
    likelihood = Gaussian(scale=1.0, learn_scale=True)
    vae = make_vae(noise=False, likelihood=likelihood)
    vae.encoder.trainable = vae.decoder.trainable = False
    # The loss curves by 2 per pixel there: a Newton step.
    vae.compile(keras.optimizers.SGD(0.5 / images[0].size))
    vae.fit(images, epochs=15, batch_size=len(images), verbose=0)
    decoded = vae.decoder.predict(vae.encode(images), verbose=0)
    error = np.sqrt(np.mean((images - decoded) ** 2))
    np.testing.assert_allclose(scale_of(likelihood), error, rtol=1e-4)
    assert abs(error - 1.0) > 0.1


def test_a_scale_that_is_not_learned_stays(make_vae, images):
    vae = make_vae(likelihood=Gaussian(scale=0.2), optimizer=keras.optimizers.SGD(1e-4))
    vae.fit(images, verbose=0)
    np.testing.assert_allclose(scale_of(vae.likelihood), 0.2, rtol=1e-6)


@pytest.mark.parametrize("likelihood", [Bernoulli(), ContinuousBernoulli(), Gaussian(0.3)])
class TestEveryLikelihood:
    def test_sums_its_values_over_every_axis_but_the_first(self, likelihood):
        rng = np.random.default_rng(0)
        x, parameters = rng.random((3, 4, 4, 2)), rng.normal(size=(3, 4, 4, 2))
        expected = score(likelihood, x, parameters).reshape(3, -1).sum(1)
        np.testing.assert_allclose(likelihood(x, parameters), expected, rtol=1e-5)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_scores_half_precision_in_float32(self, likelihood, dtype):
        rng = np.random.default_rng(0)
        x = rng.random((2, 5000)).astype("float32")
        parameters = keras.ops.cast(rng.normal(size=(2, 5000)), dtype)
        result = likelihood(x, parameters)
        expected = score(likelihood, x, keras.ops.cast(parameters, "float64")).sum(1)
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        np.testing.assert_allclose(result, expected, rtol=1e-5)

    def test_scores_8_bit_zeros_and_ones_as_numbers(self, likelihood):
        x, parameters = np.array([[0, 1, 1]]), np.array([[0.5, 2.0, -1.0]], "float32")
        expected = likelihood(x.astype("float32"), parameters)
        np.testing.assert_array_equal(likelihood(x.astype("uint8"), parameters), expected)

    def test_refuses_parameters_that_are_not_shaped_like_the_image(self, likelihood):
        with pytest.raises(ValueError, match=r"shape \(8, 8, 1\).*shape \(8, 8, 3\)"):
            likelihood(np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 8, 3)))

    def test_comes_back_from_its_configuration(self, likelihood):
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(likelihood)
        )
        x, parameters = np.full((1, 3), 0.2), np.array([[-1.0, 0.0, 2.0]])
        assert type(copy) is type(likelihood)
        np.testing.assert_array_equal(copy(x, parameters), likelihood(x, parameters))


def test_names_stand_for_layers():
    classes = {"bernoulli": Bernoulli, "continuous_bernoulli": ContinuousBernoulli}
    for name, cls in {**classes, "gaussian": Gaussian}.items():
        assert type(likelihoods.get(name)) is cls
    layer = Gaussian(0.1)
    assert likelihoods.get(layer) is layer


@pytest.mark.parametrize("identifier", ["poisson", None, 3, Bernoulli, keras.layers.Dense(2)])
def test_an_unknown_likelihood_is_refused_with_the_known_names(identifier):
    with pytest.raises(ValueError, match=r"`likelihood` must be one of.*'bernoulli'.*Received"):
        likelihoods.get(identifier)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_must_be_positive(scale):
    with pytest.raises(ValueError, match=r"`scale` must be > 0"):
        Gaussian(scale)


def test_a_likelihood_of_ones_own_needs_only_a_density_and_a_mean(make_vae, images):
    class Laplace(Likelihood):
        def log_density(self, x, parameters):
            return -keras.ops.abs(x - parameters) - np.log(2.0)

        def mean(self, parameters):
            return keras.ops.clip(parameters, 0.0, 1.0)

    vae = make_vae(noise=False, likelihood=Laplace())
    decoded = vae.decoder.predict(vae.encode(images), verbose=0)
    expected = -stats.laplace(decoded).logpdf(images).sum(axis=(1, 2, 3)).mean()
    reported = vae.evaluate(images, verbose=0, return_dict=True)["reconstruction_loss"]
    np.testing.assert_allclose(reported, expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["log_density", "mean"])
def test_a_likelihood_without_a_method_says_which(method):
    with pytest.raises(NotImplementedError, match=f"Likelihood must implement `{method}`"):
        getattr(Likelihood(), method)(*[np.zeros(1)] * (2 if method == "log_density" else 1))


class TestTheScaleThatFollowsTheError:
    def train(self, make_vae, x, **options):
        vae = make_vae(noise=False, likelihood="gaussian", optimizer=keras.optimizers.SGD(0.0))
        vae.fit(x, epochs=3, verbose=0, **options)
        decoded = vae.decoder.predict(vae.encode(x), verbose=0)
        return vae, np.sqrt(np.mean((x - decoded) ** 2))

    def test_is_the_root_mean_squared_error(self, make_vae, images):
        vae, error = self.train(make_vae, images)
        np.testing.assert_allclose(scale_of(vae.likelihood), error, rtol=1e-4)

    def test_averages_over_batches(self, make_vae, images):
        vae, error = self.train(make_vae, images[:8], batch_size=4)
        np.testing.assert_allclose(scale_of(vae.likelihood), error, rtol=1e-3)

    def test_leaves_out_what_weighs_nothing(self, make_vae, images):
        present = np.ones_like(images)
        present[:, 4:] = 0.0
        vae = make_vae(noise=False, likelihood="gaussian", optimizer=keras.optimizers.SGD(0.0))
        vae.fit(images, images, sample_weight=present, verbose=0)
        decoded = vae.decoder.predict(vae.encode(images), verbose=0)
        error = np.sqrt(np.mean((images - decoded)[:, :4] ** 2))
        np.testing.assert_allclose(scale_of(vae.likelihood), error, rtol=1e-4)

    def test_stays_where_nothing_is_trained(self, make_vae, images):
        vae = make_vae(likelihood="gaussian")
        vae.evaluate(images, verbose=0)
        vae.predict(images, verbose=0)
        assert scale_of(vae.likelihood) == 1.0

    def test_is_kept_in_a_file(self, make_vae, images, tmp_path):
        vae, _ = self.train(make_vae, images)
        vae.save(tmp_path / "vae.keras")
        copy = keras.saving.load_model(tmp_path / "vae.keras")
        assert scale_of(copy.likelihood) == scale_of(vae.likelihood) != 1.0

    def test_makes_the_loss_the_density_at_that_scale(self, make_vae, images):
        vae, error = self.train(make_vae, images)
        decoded = vae.decoder.predict(vae.encode(images), verbose=0)
        expected = -stats.norm(decoded, error).logpdf(images).sum((1, 2, 3)).mean()
        reported = vae.evaluate(images, verbose=0, return_dict=True)["reconstruction_loss"]
        np.testing.assert_allclose(reported, expected, rtol=1e-4)


def test_unbounded_gaussian_mean_is_not_clipped():
    np.testing.assert_allclose(mean(Gaussian(bounds=None), [-3.0, 40.0]), [-3.0, 40.0])
    np.testing.assert_allclose(mean(Gaussian(bounds=(-1, 1)), [-3.0, 40.0]), [-1.0, 1.0])


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.0, 0.0), (0.0,), (0.0, float("nan"))])
def test_bounds_are_a_pair_in_order(bounds):
    with pytest.raises(ValueError, match=r"`bounds` must be `None` or a pair.*Received: bounds="):
        Gaussian(bounds=bounds)


class Summed(Bernoulli):
    def log_density(self, x, parameters):
        return keras.ops.sum(super().log_density(x, parameters))


def test_a_density_that_is_summed_over_the_batch_is_refused(make_vae, images):
    vae = make_vae(likelihood=Summed())
    with pytest.raises(ValueError, match=r"The likelihood, Summed, must return nats of shape"):
        vae.fit(images, verbose=0)


def test_a_scale_per_pixel_agrees_with_scipy():
    x, m, log_scale = np.random.default_rng(0).normal(size=(3, 4, 5))
    likelihood = likelihoods.GaussianPerPixel(bounds=None)
    result = likelihood(x, np.stack([m, log_scale], axis=-1))
    expected = stats.norm(m, np.exp(log_scale)).logpdf(x).sum(1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(result), expected, rtol=1e-5)
    np.testing.assert_allclose(mean(likelihood, np.stack([m, log_scale], -1)), m, rtol=1e-6)


def test_a_scale_per_pixel_has_a_least():
    likelihood = likelihoods.GaussianPerPixel(min_scale=0.1)
    result = likelihood(np.zeros((1, 1)), np.array([[[0.0, -50.0]]]))
    expected = stats.norm(0, 0.1).logpdf(0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(result), [expected], rtol=1e-5)


def test_a_mixture_agrees_with_scipy():
    rng = np.random.default_rng(0)
    logits, means, log_scales = rng.normal(size=(3, 4, 5, 2))
    x = rng.normal(size=(4, 5))
    likelihood = likelihoods.GaussianMixture(2, bounds=None)
    parameters = np.concatenate([logits, means, log_scales], axis=-1)
    weights = special.softmax(logits, axis=-1)
    density = np.sum(weights * stats.norm(means, np.exp(log_scales)).pdf(x[..., None]), axis=-1)
    result = keras.ops.convert_to_numpy(likelihood(x, parameters))
    np.testing.assert_allclose(result, np.log(density).sum(1), rtol=1e-5)
    np.testing.assert_allclose(mean(likelihood, parameters), np.sum(weights * means, -1), rtol=1e-5)


def test_categorical_levels_agree_with_scipy():
    rng = np.random.default_rng(0)
    logits, levels = rng.normal(size=(3, 4, 256)), rng.integers(0, 256, (3, 4))
    likelihood = likelihoods.Categorical(256, bounds=(0.0, 1.0))
    result = keras.ops.convert_to_numpy(likelihood((levels / 255).astype("float32"), logits))
    log_p = special.log_softmax(logits, axis=-1)
    expected = np.take_along_axis(log_p, levels[..., None], -1)[..., 0].sum(1)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    expected = special.softmax(logits, -1) @ (np.arange(256) / 255)
    np.testing.assert_allclose(mean(likelihood, logits), expected, rtol=1e-5)


def test_categorical_tokens_are_integers():
    tokens = np.array([[0, 2, 1], [2, 2, 0]])
    logits = np.random.default_rng(0).normal(size=(2, 3, 3))
    likelihood = likelihoods.Categorical(3)
    expected = np.take_along_axis(special.log_softmax(logits, -1), tokens[..., None], -1)
    result = keras.ops.convert_to_numpy(likelihood(tokens, logits))
    np.testing.assert_allclose(result, expected[..., 0].sum(1), rtol=1e-5)
    np.testing.assert_array_equal(mean(likelihood, logits), logits.argmax(-1))


LEVELS = np.linspace(-1.0, 1.0, 16, dtype="float32")


def of_levels(logits, means, log_scales):
    """`(parameters, probabilities of the 16 levels)` of mixtures, by SciPy."""
    edges = np.concatenate([[-np.inf], (LEVELS[1:] + LEVELS[:-1]) / 2, [np.inf]]).astype("float64")
    below = stats.logistic.cdf(
        edges[:, None], means[..., None, :], np.exp(log_scales[..., None, :])
    )
    weights = special.softmax(logits, axis=-1)
    expected = np.sum(np.diff(below, axis=-2) * weights[..., None, :], axis=-1)
    return np.concatenate([logits, means, log_scales], axis=-1).astype("float32"), expected


def test_levels_of_logistics_agree_with_scipy():
    parameters, expected = of_levels(*np.random.default_rng(0).normal(size=(3, 4, 5, 2)))
    likelihood = likelihoods.DiscretizedLogisticMixture(2, 16, (-1.0, 1.0))
    p = [
        np.exp(keras.ops.convert_to_numpy(likelihood.log_density(np.full((4, 5), x), parameters)))
        for x in LEVELS
    ]
    np.testing.assert_allclose(np.moveaxis(p, 0, -1), expected, rtol=2e-4)
    x = LEVELS[np.random.default_rng(1).integers(0, 16, (4, 5))]
    chosen = np.sum(expected * (x[..., None] == LEVELS), axis=-1)
    result = keras.ops.convert_to_numpy(likelihood(x, parameters))
    np.testing.assert_allclose(result, np.log(chosen).sum(axis=1), rtol=1e-4)
    between = x + np.where(x < 0, 0.4, -0.4).astype("float32") * np.diff(LEVELS)[0]
    result = keras.ops.convert_to_numpy(likelihood(between, parameters))
    np.testing.assert_allclose(result, np.log(chosen).sum(axis=1), rtol=1e-4)


def test_the_mean_of_levels_is_theirs_to_half_a_step_even_where_a_mean_is_far_outside():
    rng = np.random.default_rng(0)
    logits, means = rng.normal(size=(2, 50, 3))
    means[:, 0] = -40.0  # certainly the first level
    parameters, p = of_levels(logits, means, rng.normal(-2.0, 1.0, size=(50, 3)))
    decoded = mean(likelihoods.DiscretizedLogisticMixture(3, 16, (-1.0, 1.0)), parameters)
    np.testing.assert_allclose(decoded, p @ LEVELS, atol=np.diff(LEVELS)[0] / 2)
    broad = [logits, means, np.full((50, 3), -1.0)]  # where a level is no step, but a slope
    parameters, p = of_levels(*broad)
    decoded = mean(likelihoods.DiscretizedLogisticMixture(3, 16, (-1.0, 1.0)), parameters)
    np.testing.assert_allclose(decoded, p @ LEVELS, atol=0.01)


@pytest.mark.parametrize(
    ("m", "log_scale", "expected"),
    [(0.4, -100.0, 0.4), (0.4, 8.0, 0.5), (0.4, 100.0, 0.5), (1e30, 0.0, 1.0), (-1e30, 100.0, 0.0)],
)
def test_no_scale_and_no_mean_is_too_large_or_too_small_for_the_mean(m, log_scale, expected):
    decoded = mean(likelihoods.DiscretizedLogisticMixture(1), np.array([m, log_scale], "float32"))
    np.testing.assert_allclose(decoded, expected, atol=1e-3)


def test_a_scale_has_a_least_and_a_greatest():
    likelihood = likelihoods.DiscretizedLogisticMixture(1)
    x = np.float32(100 / 255)
    for log_scale, scale in ((-60.0, 0.1 / 255), (60.0, 1000.0)):
        result = likelihood.log_density(x, np.array([100 / 255, log_scale], "float32"))
        half = 0.5 / 255 / scale
        expected = np.log(np.diff(stats.logistic.cdf([-half, half])))
        np.testing.assert_allclose(keras.ops.convert_to_numpy(result), expected[0], rtol=1e-3)


@pytest.mark.parametrize("log_scale", [-60.0, -8.0, 0.0, 30.0, 100.0])
def test_the_probabilities_of_all_levels_sum_to_one_and_their_gradients_are_finite(log_scale):
    likelihood = likelihoods.DiscretizedLogisticMixture(1)
    x = (np.arange(256) / 255).astype("float32")
    for where in (-30.0, 0.0, 0.4, 2.0):
        one = np.array([where, log_scale], "float32")
        log_p = keras.ops.convert_to_numpy(likelihood.log_density(x, np.tile(one, (256, 1))))
        np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-3)
        (gradient,) = gradients(
            lambda each: likelihood.log_density(x, each), np.tile(one, (256, 1))
        )
        assert np.isfinite(gradient).all()


def test_a_vae_of_levels_learns_and_comes_back(tmp_path):
    x = (np.arange(24) % 4 / 3).astype("float32")[:, None] * np.ones((1, 5), "float32")
    image, z = keras.Input((5,)), keras.Input((2,))
    encoder = keras.Model(image, [keras.layers.Dense(2)(image), keras.layers.Dense(2)(image)])
    decoder = keras.Model(z, keras.layers.Reshape((5, 6))(keras.layers.Dense(30)(z)))
    vae = VAE(encoder, decoder, likelihoods.DiscretizedLogisticMixture(2, num_levels=4))
    vae.compile(keras.optimizers.Adam(0.05))
    loss = vae.fit(x, epochs=60, verbose=0).history["loss"]
    assert loss[-1] < 0.6 * loss[0]
    assert loss[-1] > 0  # of a probability
    vae.save(tmp_path / "vae.keras")
    copy = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(copy.reconstruct(x), vae.reconstruct(x))
    with pytest.raises(ValueError, match=r"values in \[0.0, 1.0\]"):
        vae.fit(x + 1)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize(
    ("likelihood", "density"),
    [
        (likelihoods.GaussianMixture(1), stats.norm(0.4, 0.1).pdf(0.5)),
        (
            likelihoods.DiscretizedLogisticMixture(1, num_levels=3),
            np.diff(stats.logistic(0.4, 0.1).cdf([0.25, 0.75])),
        ),
    ],
)
def test_one_component_needs_no_weight(likelihood, density):
    parameters = np.array([[[1.7, 0.4, np.log(0.1)]]], "float32")[..., -likelihood.num_parameters :]
    result = keras.ops.convert_to_numpy(likelihood(np.array([[0.5]], "float32"), parameters))
    np.testing.assert_allclose(result, [np.log(density).item()], rtol=1e-4)
    np.testing.assert_allclose(mean(likelihood, parameters), [[0.4]], atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_components": 0}, "`num_components` must be an integer >= 1. Received"),
        ({"num_levels": 1}, "`num_levels` must be an integer >= 2. Received"),
        ({"bounds": None}, "`bounds` must be a pair, .* Received: bounds=None"),
        ({"bounds": (1.0, 0.0)}, r"`bounds` must be .*a pair.*Received: bounds=\(1.0, 0.0\)"),
    ],
)
def test_levels_that_there_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        likelihoods.DiscretizedLogisticMixture(**options)


@pytest.mark.parametrize("value", [0, 2.0, "3", None])
@pytest.mark.parametrize("name", ["GaussianMixture", "Categorical", "DiscretizedLogisticMixture"])
def test_a_count_is_an_integer(name, value):
    with pytest.raises(ValueError, match=rf"must be an integer >= .*Received: num_.*={value!r}"):
        getattr(likelihoods, name)(value)


def test_a_vae_of_tokens_learns_and_comes_back(tmp_path):
    tokens = np.repeat(np.arange(4), 6)[:, None] * np.ones((1, 5), "int32")
    x, z = keras.Input((5,), dtype="int32"), keras.Input((2,))
    flat = keras.layers.Flatten()(keras.layers.Embedding(4, 3)(x))
    encoder = keras.Model(x, [keras.layers.Dense(2)(flat), keras.layers.Dense(2)(flat)])
    decoder = keras.Model(z, keras.layers.Reshape((5, 4))(keras.layers.Dense(20)(z)))
    vae = VAE(encoder, decoder, likelihoods.Categorical(4))
    vae.compile(keras.optimizers.Adam(0.05))
    loss = vae.fit(tokens.astype("int32"), epochs=40, verbose=0).history["loss"]
    assert loss[-1] < 0.6 * loss[0]
    vae.save(tmp_path / "vae.keras")
    copy = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(copy.reconstruct(tokens), vae.reconstruct(tokens))
    with pytest.raises(ValueError, match=r"values in \[0.0, 3.0\]"):
        vae.fit(tokens + 1)


@pytest.mark.parametrize(
    "likelihood",
    [
        likelihoods.GaussianPerPixel(0.1, bounds=None),
        likelihoods.GaussianMixture(3, 0.1, (-1.0, 1.0)),
        likelihoods.Categorical(7, (0.0, 1.0)),
        likelihoods.Categorical(7),
        likelihoods.DiscretizedLogisticMixture(2, 16, (-1.0, 1.0)),
        Gaussian(bounds=(-1.0, 1.0)),
    ],
)
def test_likelihoods_with_arguments_come_back_from_their_configurations(likelihood):
    config = keras.saving.serialize_keras_object(likelihood)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == likelihood.get_config()
    assert copy.bounds == likelihood.bounds


def test_parameters_of_the_wrong_number_are_refused():
    with pytest.raises(ValueError, match=r"must be shaped \(4, 2\). Received.*\(4,\).*\(4, 3\)"):
        likelihoods.GaussianPerPixel()(np.zeros((2, 4)), np.zeros((2, 4, 3)))
