"""Priors: their densities, their draws, and the VAE that follows them."""

import keras
import numpy as np
import pytest
from scipy import stats

from vae_keras import VAE, evaluation, kl_divergence, networks, priors
from vae_keras.latent import AggregatedPosterior
from vae_keras.optimizers import FusedAdam


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def built(prior, shape=(2,)):
    prior.build((None, *shape))
    return prior


@keras.saving.register_keras_serializable(package="tests")
class Shifted(priors.Prior):
    """A normal distribution whose mean is trained."""

    def build(self, input_shape):
        self.shift = self.add_weight(shape=input_shape[1:], initializer="zeros", name="shift")

    def log_prob(self, z):
        return keras.ops.sum(priors.log_normal(z, self.shift, keras.ops.zeros_like(z)), axis=-1)

    def sample(self, n, seed=None):
        return self.shift + keras.random.normal((n, *self.shift.shape), seed=seed)


class Uniform:
    """Not of Keras at all."""

    def log_prob(self, z):
        return keras.ops.zeros_like(z[:, 0])

    def sample(self, n, seed=None):
        return np.random.default_rng(seed).random((n, 2)).astype("float32")


def test_the_standard_normal_agrees_with_scipy():
    z = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")
    expected = stats.norm.logpdf(z).sum((1, 2))
    np.testing.assert_allclose(to_numpy(built(priors.StandardNormal()).log_prob(z)), expected, 1e-5)


def test_its_divergence_is_the_closed_form():
    mean, log_var = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    kl = to_numpy(built(priors.StandardNormal())(mean, log_var, mean))
    np.testing.assert_allclose(kl, to_numpy(kl_divergence(mean, log_var)), rtol=1e-6)


def test_the_sampled_divergence_has_the_closed_form_as_its_mean():
    mean, log_var = np.full((20000, 2), 0.7, "float32"), np.full((20000, 2), -1.0, "float32")
    z = mean + np.exp(log_var / 2) * np.random.default_rng(0).normal(size=mean.shape)
    sampled = to_numpy(built(Shifted())(mean, log_var, z.astype("float32")))
    closed = to_numpy(kl_divergence(mean, log_var))[0]
    assert abs(sampled.mean() - closed) < 4 * sampled.std() / np.sqrt(20000)
    assert sampled.std() > 0.1


def test_a_prior_with_weights_is_trained_and_saved_with_the_model(images, tmp_path):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=Shifted())
    vae.encoder.get_layer("z_mean").bias.assign([3.0, -2.0])
    vae.compile(keras.optimizers.Adam(0.1))
    vae.fit(images, epochs=40, verbose=0)
    shift = to_numpy(vae.prior.shift)
    means = vae.encode(images).mean(0)
    assert np.abs(shift).max() > 0.3
    np.testing.assert_allclose(shift, means, atol=1.0)
    vae.save(tmp_path / "vae.keras")
    copy = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(to_numpy(copy.prior.shift), shift)
    np.testing.assert_array_equal(copy.generate(3, seed=1), vae.generate(3, seed=1))


def test_evaluation_and_generation_follow_the_prior(images):
    parts = networks.dense((8, 8, 1), units=(4,))
    plain, shifted = VAE(*parts), VAE(*parts, prior=Shifted())
    same = [evaluation.elbo(vae, images, 400, seed=0).mean() for vae in (plain, shifted)]
    np.testing.assert_allclose(*same, atol=0.2)
    shifted.prior.shift.assign([4.0, 0.0])
    worse = evaluation.elbo(shifted, images, 400, seed=0).mean()
    assert worse < same[0] - 4.0
    better = [
        evaluation.log_likelihood(vae, images, 400, seed=0).mean() for vae in (plain, shifted)
    ]
    assert better[1] < better[0]
    assert not np.allclose(plain.generate(4, seed=0), shifted.generate(4, seed=0))


def test_an_object_of_no_library_is_a_prior(images):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=Uniform())
    vae.compile("sgd", run_eagerly=True)
    assert np.isfinite(vae.fit(images, verbose=0).history["loss"]).all()
    z = Uniform().sample(5, 3)
    np.testing.assert_allclose(vae.generate(5, seed=3), vae.decode(z), rtol=1e-5)


@pytest.mark.parametrize("prior", ["normal", priors.StandardNormal, Uniform])
def test_anything_else_is_refused(prior):
    with pytest.raises(ValueError, match="`prior` must be a `Prior` or have methods"):
        VAE(*networks.dense((8, 8, 1)), prior=prior)


def test_a_prior_that_computes_with_numpy_is_told_in_a_step_and_the_model_lives(images):
    parts = networks.dense((8, 8, 1), units=(4,))
    prior = AggregatedPosterior(*VAE(*parts).posterior(images))
    vae = VAE(*parts, prior=prior)
    vae.compile("sgd")
    with pytest.raises(ValueError, match=r"AggregatedPosterior, must compute with `keras.ops`"):
        vae.fit(images)
    assert np.isfinite(evaluation.elbo(vae, images)).all()


class WithNumpy(priors.Prior):
    def log_prob(self, z):
        return -np.square(np.asarray(z)).sum(axis=1)


class Wrong(Uniform):
    def log_prob(self, z):
        return np.there_is_no_such(z)


def test_a_prior_of_ones_own_is_told_so_too_and_other_errors_are_not_taken_for_it(images):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=WithNumpy())
    vae.compile("sgd")
    with pytest.raises(ValueError, match="WithNumpy, must compute with"):
        vae.fit(images)
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=Wrong())
    vae.compile("sgd")
    for use in (vae.fit, lambda x: evaluation.elbo(vae, x)):
        with pytest.raises(AttributeError, match="there_is_no_such"):
            use(images)


class Summed(Uniform):
    def log_prob(self, z):
        return keras.ops.sum(super().log_prob(z))


class Kept(Uniform):
    def log_prob(self, z):
        return keras.ops.reshape(super().log_prob(z), (-1, 1))


@pytest.mark.parametrize("prior", [Summed(), Kept()])
def test_nats_that_are_not_one_number_for_each_code_are_refused(images, prior):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=prior)
    vae.compile("sgd", run_eagerly=True)
    for use in (vae.fit, lambda x: evaluation.elbo(vae, x)):
        with pytest.raises(ValueError, match=rf"{type(prior).__name__}, must return nats of shape"):
            use(images)


def test_a_mixture_of_posteriors_agrees_with_scipy(images):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=priors.VampPrior(images[:5]))
    means, log_vars = (to_numpy(part) for part in vae.encoder(images[:5]))
    z = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")
    each = stats.norm.logpdf(z[:, None], means, np.exp(log_vars / 2)).sum(-1)
    expected = np.logaddexp.reduce(each, axis=1) - np.log(5)
    np.testing.assert_allclose(to_numpy(vae.prior.log_prob(z)), expected, rtol=1e-4, atol=1e-4)


def test_of_a_large_mixture_all_components_count(images, monkeypatch):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=priors.VampPrior(images[:7]))
    z = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")
    at_once = to_numpy(vae.prior.log_prob(z))
    monkeypatch.setattr(priors, "MIXTURE_CHUNK", 6)  # three components of two numbers
    np.testing.assert_allclose(to_numpy(vae.prior.log_prob(z)), at_once, rtol=1e-5)


def test_a_mixture_is_drawn_from_all_its_components(images):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=priors.VampPrior(images[:2]))
    vae.encoder.get_layer("z_log_var").bias.assign([-8.0, -8.0])
    means, log_vars = (to_numpy(part) for part in vae.encoder(images[:2]))
    draws = to_numpy(vae.prior.sample(400, seed=1))
    nearest = np.argmin(np.linalg.norm(draws[:, None] - means, axis=-1), axis=1)
    assert 0.4 < nearest.mean() < 0.6
    standardized = (draws - means[nearest]) / np.exp(log_vars[nearest] / 2)
    assert 0.9 < standardized.std() < 1.1
    np.testing.assert_array_equal(draws, to_numpy(vae.prior.sample(400, seed=1)))


def test_pseudo_inputs_are_trained_within_their_bounds_and_kept(images, tmp_path):
    encoder, decoder = networks.dense((8, 8, 1), units=(4,))
    vae = VAE(encoder, decoder, prior=priors.VampPrior(images[:6]))
    assert len(vae.trainable_variables) == len(encoder.weights) + len(decoder.weights) + 1
    vae.compile(keras.optimizers.Adam(0.05))
    vae.fit(images, epochs=3, verbose=0)
    assert np.abs(to_numpy(vae.prior.pseudo_inputs) - images[:6]).max() > 0.01
    vae.prior.pseudo_inputs.assign(vae.prior.pseudo_inputs * 0 + 7.0)
    ones = to_numpy(encoder(np.ones((6, 8, 8, 1), "float32"))[0])
    np.testing.assert_allclose(to_numpy(vae.prior.components()[0]), ones, rtol=1e-5)
    vae.save(tmp_path / "vae.keras")
    for copy in (keras.saving.load_model(tmp_path / "vae.keras"), keras.models.clone_model(vae)):
        assert copy.prior.encoder is copy.encoder
    copy = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(copy.generate(3, seed=1), vae.generate(3, seed=1))


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, FusedAdam])
def test_a_pixel_that_a_step_takes_beyond_its_bounds_comes_back(images, optimizer):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)), prior=priors.VampPrior(images[:6]))
    vae.prior.pseudo_inputs.assign(vae.prior.pseudo_inputs * 0 + 1.5)
    vae.compile(optimizer(0.05))
    vae.fit(images, epochs=20, verbose=0)
    trained = to_numpy(vae.prior.pseudo_inputs)
    assert trained.min() >= 0.0
    assert trained.max() <= 1.0
    assert trained.min() < 0.99


def test_the_mixture_lowers_the_divergence(images):
    parts = networks.dense((8, 8, 1), units=(4,))
    parts[0].get_layer("z_log_var").bias.assign([-4.0, -4.0])
    z = [to_numpy(part) for part in parts[0](images)]
    plain, mixed = VAE(*parts), VAE(*parts, prior=priors.VampPrior(images))
    draws = z[0] + np.exp(z[1] / 2) * np.random.default_rng(0).normal(size=z[0].shape)
    of_plain, of_mixed = (
        to_numpy(model.prior(*z, draws.astype("float32"))).mean() for model in (plain, mixed)
    )
    # What a mixture of these very posteriors leaves is information, at most log n.
    assert of_mixed < min(of_plain, np.log(len(images)) + 0.1)


@pytest.mark.parametrize("given", [0, np.zeros((0, 8, 8, 1))])
def test_a_mixture_of_nothing_is_refused(given):
    with pytest.raises(ValueError, match="`pseudo_inputs` must be one image or more"):
        priors.VampPrior(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((3, 8, 8)), "must be images of shape"),
        (np.full((3, 8, 8, 1), np.nan), "NaN"),
        (np.full((3, 8, 8, 1), 3.0), r"values in \[0.0, 1.0\]"),
    ],
)
def test_pseudo_inputs_are_images_as_the_encoder_takes_them(given, message):
    with pytest.raises(ValueError, match=message):
        VAE(*networks.dense((8, 8, 1), units=(4,)), prior=priors.VampPrior(given))


def test_a_mixture_belongs_to_one_model(images):
    prior = priors.VampPrior(3)
    VAE(*networks.dense((8, 8, 1), units=(4,)), prior=prior)
    with pytest.raises(ValueError, match="of this model's own"):
        VAE(*networks.dense((8, 8, 1), units=(4,)), prior=prior)
