"""Bounds equal the evidence where it is known; coverage and holes know the extremes."""

import math

import keras
import numpy as np
import pytest
from helpers import set_parameters
from keras import layers, ops
from scipy import special, stats

from vae_keras import VAE, Autoencoder, evaluation, likelihoods, losses, networks

NUM_PIXELS = 64
BOUNDS = [evaluation.elbo, evaluation.log_likelihood]


@pytest.fixture
def indifferent_vae():
    """Weights of zero: the posterior is the prior, and every pixel is on half the time."""
    vae = VAE(*networks.dense((8, 8, 1), latent_dim=2, units=(4,)))
    for variable in vae.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    return vae


@pytest.fixture
def uniform_vae(indifferent_vae):
    """A decoder of zeros under a posterior that is not the prior."""
    indifferent_vae.encoder.get_layer("z_mean").bias.assign([0.5, -0.5])
    indifferent_vae.encoder.get_layer("z_log_var").bias.assign([0.3, -0.3])
    return indifferent_vae


@pytest.fixture
def random_vae():
    return VAE(*networks.dense((8, 8, 1), latent_dim=2, units=(4,)))


@pytest.fixture
def x():
    return np.random.default_rng(0).random((5, 8, 8, 1), dtype="float32")


@pytest.mark.parametrize("bound", BOUNDS)
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


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_seed_repeats_a_bound(random_vae, x, bound):
    first, again = (bound(random_vae, x, num_samples=2, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_the_elbo_of_a_uniform_decoder_is_short_of_the_evidence_by_the_kl(uniform_vae, x):
    mean, log_var = uniform_vae.posterior(x)
    # The KL divergence by an integral over each coordinate, not by its formula.
    t = np.linspace(-12, 12, 4001)
    q = stats.norm(mean[..., None], np.exp(log_var[..., None] / 2))
    kl = np.trapezoid(q.pdf(t) * (q.logpdf(t) - stats.norm.logpdf(t)), t).sum(axis=1)
    evidence = -NUM_PIXELS * math.log(2)
    assert kl.min() > 0.1
    np.testing.assert_allclose(evaluation.elbo(uniform_vae, x), evidence - kl, rtol=1e-5)
    tight = evaluation.log_likelihood(uniform_vae, x, num_samples=20_000, seed=0)
    np.testing.assert_allclose(tight, evidence, atol=0.1)


def linear_gaussian(seed, scale=0.3, posterior="exact"):
    """A VAE that is linear and Gaussian throughout, and the distribution of its images.

    The columns of its decoder are orthogonal, so that the posterior is a
    diagonal Gaussian and an encoder can have it exactly; "prior" ignores the
    image, "wrong" is off in mean and variance.
    """
    rng = np.random.default_rng(seed)
    weights = np.linalg.qr(rng.standard_normal((5, 2)))[0] * [1.0, 0.4]
    bias = rng.uniform(0.3, 0.7, 5)
    variance = 1 / (1 + np.sum(weights**2, axis=0) / scale**2)
    to_mean = weights / scale**2 * variance
    if posterior == "prior":
        to_mean, variance = 0 * to_mean, 1
    elif posterior == "wrong":
        to_mean, variance = 0.3 * to_mean, 2 * variance
    image, z = keras.Input((5,)), keras.Input((2,))
    encoder = keras.Model(image, (layers.Dense(2)(image), layers.Dense(2)(image)))
    decoder = keras.Model(z, layers.Dense(5)(z))
    log_var = np.log(np.broadcast_to(variance, 2))
    set_parameters(encoder, [to_mean, -bias @ to_mean, np.zeros((5, 2)), log_var])
    set_parameters(decoder, [weights.T, bias])
    images = stats.multivariate_normal(bias, weights @ weights.T + scale**2 * np.eye(5))
    return VAE(encoder, decoder, likelihoods.Gaussian(scale)), images


@pytest.fixture
def vectors():
    return np.random.default_rng(7).random((10, 5), "float32")


def test_the_exact_posterior_makes_the_importance_weighted_bound_exact(vectors):
    vae, images = linear_gaussian(0)
    for num_samples in (1, 7):
        values = evaluation.log_likelihood(vae, vectors, num_samples, seed=0)
        np.testing.assert_allclose(values, images.logpdf(vectors), rtol=1e-5)
    elbo = evaluation.elbo(vae, vectors, num_samples=20_000, seed=0)
    np.testing.assert_allclose(elbo, images.logpdf(vectors), atol=0.05)


@pytest.mark.parametrize("posterior", ["prior", "wrong"])
def test_another_posterior_gives_a_bound_that_tightens_to_the_evidence(vectors, posterior):
    vae, images = linear_gaussian(1, posterior=posterior)
    evidence = images.logpdf(vectors)
    gaps = [
        evidence - evaluation.log_likelihood(vae, vectors, num_samples, seed=0)
        for num_samples in (1, 20, 20_000)
    ]
    assert gaps[0].mean() > 0.2 > abs(gaps[1].mean())
    np.testing.assert_allclose(gaps[2], 0, atol=0.1)
    assert np.all(evaluation.elbo(vae, vectors, num_samples=2000, seed=0) < evidence)


def test_densities_far_below_the_smallest_float_do_not_underflow(vectors):
    vae, images = linear_gaussian(2, scale=1e-3)
    evidence = images.logpdf(vectors)
    assert evidence.max() < -10_000
    values = evaluation.log_likelihood(vae, vectors, num_samples=3, seed=0)
    np.testing.assert_allclose(values, evidence, rtol=1e-3)


def draws_of(vae, x, num_samples, seed):
    """Posterior, codes and logits in float64, from the noise that the package draws."""
    mean, log_var = (array.astype("float64") for array in vae.posterior(x))
    shape = (num_samples, *mean.shape)
    epsilon = keras.random.normal(shape, seed=keras.random.SeedGenerator(seed))
    z = mean + np.exp(log_var / 2) * keras.ops.convert_to_numpy(epsilon)
    logits = vae.decoder.predict(z.reshape(-1, z.shape[2]), verbose=0)
    return mean, np.exp(log_var / 2), z, logits.reshape(num_samples, *x.shape).astype("float64")


def by_scipy(vae, x, num_samples, seed):
    mean, deviation, z, logits = draws_of(vae, x, num_samples, seed)
    pixels = stats.bernoulli.logpmf(x, special.expit(logits)).sum(axis=(2, 3, 4))
    ratio = (stats.norm.logpdf(z) - stats.norm.logpdf(z, mean, deviation)).sum(axis=2)
    weighted = special.logsumexp(pixels + ratio, axis=0) - math.log(num_samples)
    kl = (deviation**2 + mean**2 - 1).sum(axis=1) / 2 - np.log(deviation).sum(axis=1)
    return pixels.mean(axis=0) - kl, weighted


def by_torch(vae, x, num_samples, seed):
    torch = pytest.importorskip("torch")
    mean, deviation, z, logits = map(torch.tensor, draws_of(vae, x, num_samples, seed))
    independent = torch.distributions.Independent
    prior = independent(torch.distributions.Normal(0.0 * mean, 1.0 + 0.0 * mean), 1)
    posterior = independent(torch.distributions.Normal(mean, deviation), 1)
    pixels = independent(torch.distributions.Bernoulli(logits=logits), 3)
    log_p = pixels.log_prob(torch.tensor(x, dtype=torch.float64))
    weighted = torch.logsumexp(log_p + prior.log_prob(z) - posterior.log_prob(z), 0)
    elbo = log_p.mean(0) - torch.distributions.kl_divergence(posterior, prior)
    return elbo.numpy(), weighted.numpy() - math.log(num_samples)


@pytest.mark.parametrize("independent", [by_scipy, by_torch])
def test_both_bounds_agree_with_an_independent_implementation(random_vae, x, independent):
    x = (x > 0.5).astype("float32")
    elbo, weighted = independent(random_vae, x, num_samples=50, seed=3)
    assert np.all(weighted > elbo)
    np.testing.assert_allclose(evaluation.elbo(random_vae, x, 50, seed=3), elbo, rtol=1e-5)
    ours = evaluation.log_likelihood(random_vae, x, 50, seed=3)
    np.testing.assert_allclose(ours, weighted, rtol=1e-5)


@pytest.mark.parametrize("bound", BOUNDS)
def test_each_image_keeps_its_value_through_whole_and_partial_batches(monkeypatch, vectors, bound):
    monkeypatch.setattr(evaluation, "BATCH", 4)  # ten images: 4, 4 and 2
    monkeypatch.setattr(evaluation, "CHUNK", 60)  # three samples at a time for 4 images
    vae, images = linear_gaussian(3)
    values = bound(vae, vectors, num_samples=400, seed=0)
    np.testing.assert_allclose(values, images.logpdf(vectors), atol=0.3)


@pytest.mark.parametrize("bound", BOUNDS)
def test_no_more_images_are_held_for_more_samples(monkeypatch, random_vae, x, bound):
    held, decode = [], random_vae.decoder.call
    monkeypatch.setattr(evaluation, "CHUNK", 20 * NUM_PIXELS)

    def recorded(inputs, *args, **kwargs):
        held.append(len(inputs))
        return decode(inputs, *args, **kwargs)

    monkeypatch.setattr(random_vae.decoder, "call", recorded)
    bound(random_vae, x, num_samples=103)
    assert sum(held) == (103 + 1) * len(x)  # once more, for the model's own posterior
    assert max(held) == 20


def test_codes_may_have_any_rank(vectors):
    vae, images = linear_gaussian(4)
    to_grid, to_row = layers.Reshape((1, 2)), layers.Flatten()
    encoder = keras.Model(vae.encoder.inputs, [to_grid(tensor) for tensor in vae.encoder.outputs])
    z = keras.Input((1, 2))
    folded = VAE(encoder, keras.Model(z, vae.decoder(to_row(z))), vae.likelihood)
    values = evaluation.log_likelihood(folded, vectors, num_samples=2)
    np.testing.assert_allclose(values, images.logpdf(vectors), rtol=1e-5)


def test_half_precision_costs_little(policy, make_vae, parameters, images):
    exact = evaluation.log_likelihood(make_vae(parameters=parameters), images, 200, seed=0)
    policy("mixed_float16")
    half = evaluation.log_likelihood(make_vae(parameters=parameters), images, 200, seed=0)
    np.testing.assert_allclose(half, exact, rtol=2e-3)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("num_samples", [0, -1, 0.5])
def test_no_samples_give_no_estimate(random_vae, x, bound, num_samples):
    with pytest.raises(ValueError, match=r"`num_samples` must be >= 1. Received: num_samples="):
        bound(random_vae, x, num_samples=num_samples)


@pytest.mark.parametrize("bound", BOUNDS)
def test_bad_images_are_named(random_vae, x, bound):
    with pytest.raises(ValueError, match=r"`x` must hold at least one image"):
        bound(random_vae, x[:0])
    with pytest.raises(ValueError, match=r"`x` must hold values in .* and no NaN"):
        bound(random_vae, np.where(x > 0.9, np.nan, x))
    with pytest.raises(ValueError, match=r"`x` must be images of shape \(8, 8, 1\)"):
        bound(random_vae, x[:, :4])
    with pytest.raises(ValueError, match=r"`x` must be an array. Received: x of type generator"):
        bound(random_vae, (image for image in x))


@pytest.mark.parametrize("bound", BOUNDS)
def test_an_autoencoder_has_no_density_of_images(make_networks, images, bound):
    autoencoder = Autoencoder(*make_networks(variational=False))
    with pytest.raises(ValueError, match=r"`vae` must be a `VAE`.*no density.*type Autoencoder"):
        bound(autoencoder, images)


class OnePerPixel(likelihoods.Bernoulli):
    def call(self, x, parameters):
        return self.log_density(x, parameters)


class OnePerBatch(likelihoods.Bernoulli):
    def call(self, x, parameters):
        return keras.ops.sum(self.log_density(x, parameters))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("likelihood", [OnePerPixel, OnePerBatch])
def test_a_score_that_is_not_one_per_image_is_no_likelihood(
    make_networks, images, bound, likelihood
):
    vae = VAE(*make_networks(), likelihood())
    with pytest.raises(ValueError, match=f"one number per image.*{likelihood.__name__} returned"):
        bound(vae, images)


def test_codes_from_the_prior_cover_it_and_codes_elsewhere_do_not():
    codes = np.random.default_rng(1).standard_normal((4000, 2))
    assert evaluation.coverage(codes) == pytest.approx(1 - 2**-5, abs=0.02)
    assert evaluation.coverage(codes + 20) < 0.01
    assert evaluation.coverage(codes / 10) < 0.5


def test_one_dimension_is_covered_by_its_prior():
    codes = np.random.default_rng(1).standard_normal((4000, 1))
    assert evaluation.coverage(codes) == pytest.approx(1 - 2**-5, abs=0.02)
    # No code lies near the half of the draws that are negative.
    assert evaluation.coverage(np.abs(codes)) == pytest.approx(0.5, abs=0.05)


def test_a_unit_is_active_where_its_mean_varies():
    z_mean = np.random.default_rng(2).standard_normal((1000, 3)) * [1.0, 0.01, 0.5]
    assert evaluation.active_units(z_mean).tolist() == [True, False, True]
    assert evaluation.active_units(z_mean[:, :1]).tolist() == [True]
    assert evaluation.active_units(z_mean[:, 1:2]).tolist() == [False]


def test_a_unit_that_never_varies_is_not_active_far_from_0_either():
    # In float32 the mean of so many is off by 0.01, which would seem to be their spread.
    constant = np.full((200_000, 2), 51.3)
    assert evaluation.active_units(constant, threshold=1e-5).tolist() == [False, False]


@pytest.mark.parametrize("code_shape", [(2,), (2, 1)])
def test_the_kl_splits_into_information_and_mismatch_as_gaussians_do(code_shape):
    # Images are N(0, I), the code is 2 x plus noise of deviation 0.5: all parts have closed forms.
    image, code = keras.Input((2,)), keras.Input(code_shape)
    to_code = layers.Reshape(code_shape)
    z_mean, z_log_var = layers.Dense(2)(image), layers.Dense(2)(image)
    encoder = keras.Model(image, (to_code(z_mean), to_code(z_log_var)))
    encoder.set_weights([2 * np.eye(2), np.zeros(2), np.zeros((2, 2)), np.full(2, np.log(0.25))])
    decoder = keras.Model(code, layers.Dense(2)(layers.Flatten()(code)))
    vae = VAE(encoder, decoder, likelihoods.Gaussian(1.0, bounds=None))
    x = np.random.default_rng(0).standard_normal((8000, 2)).astype("float32")
    information, mismatch = evaluation.split_kl(vae, x, seed=1)  # not the draws that made `x`
    variance = 2**2 + 0.25
    assert information == pytest.approx(2 * 0.5 * np.log(variance / 0.25), abs=0.06)
    assert mismatch == pytest.approx(2 * 0.5 * (variance - 1 - np.log(variance)), abs=0.15)
    total = ops.convert_to_numpy(losses.kl_divergence(*vae.posterior(x))).mean()
    assert information + mismatch == pytest.approx(total, abs=0.15)


def test_information_is_zero_where_codes_say_nothing_and_log_n_where_they_say_all(random_vae, x):
    for layer in ("z_mean", "z_log_var"):
        random_vae.encoder.get_layer(layer).kernel.assign(np.zeros((4, 2)))
    information, mismatch = evaluation.split_kl(random_vae, x, seed=0)
    assert information == pytest.approx(0, abs=1e-5)
    assert mismatch == pytest.approx(0, abs=1e-5)
    random_vae.encoder.get_layer("z_mean").kernel.assign(np.full((4, 2), 1e2))
    random_vae.encoder.get_layer("z_log_var").bias.assign([-9.0, -9.0])
    assert evaluation.split_kl(random_vae, x)[0] == pytest.approx(np.log(len(x)), rel=1e-4)


class Decoder:
    """Draws each code as a picture: the function that it is given."""

    def __init__(self, decode):
        self.decode = decode


def test_a_code_is_in_a_hole_where_no_code_of_the_data_is_drawn_like_it():
    draw = Decoder(lambda z: np.repeat(z, 3, axis=1))  # a picture is its code, three times
    codes, z = np.array([[0.0], [1.0]]), np.array([[0.0], [0.04], [0.5], [1.06], [-2.0]])
    np.testing.assert_allclose(
        evaluation.hole_distances(draw, z, codes), [0.0, 0.04, 0.5, 0.06, 2.0], atol=1e-4
    )
    assert evaluation.hole_fraction(draw, z, codes) == 3 / 5
    assert evaluation.hole_fraction(draw, z, codes, tolerance=0.1) == 2 / 5


def test_the_distance_is_that_of_all_pixels_to_the_nearest_picture(monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", 100)  # fewer codes at a time than there are
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((2, 12))
    draw = Decoder(lambda z: (z @ weights).reshape(-1, 2, 2, 3))
    z, codes = rng.standard_normal((9, 2)), rng.standard_normal((40, 2))
    differences = draw.decode(z)[:, None] - draw.decode(codes)[None]
    expected = np.sqrt(np.mean(differences**2, axis=(2, 3, 4))).min(axis=1)
    np.testing.assert_allclose(evaluation.hole_distances(draw, z, codes), expected, rtol=1e-6)


def test_the_measure_does_not_depend_on_how_wide_the_codes_are_spread():
    rng = np.random.default_rng(3)
    z, codes = rng.standard_normal((200, 2)), rng.standard_normal((50, 2))
    narrow, wide = Decoder(np.tanh), Decoder(lambda z: np.tanh(z / 6))
    share = evaluation.hole_fraction(narrow, z, codes)
    assert 0.1 < share < 0.9
    assert evaluation.hole_fraction(wide, 6 * z, 6 * codes) == share


def test_a_picture_of_nan_is_a_hole():
    codes = np.random.default_rng(3).standard_normal((100, 2))
    assert evaluation.hole_fraction(Decoder(lambda z: z * np.nan), codes, codes) == 1.0


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((0, 2)), "at least one code"),
        (np.zeros(5), r"of shape \(n, latent_dim\). Received: .* of shape \(5,\)"),
        (np.full((9, 2), np.nan), "must not hold NaN"),
        (np.full((9, 2), -np.inf), "must not hold NaN or infinity"),
    ],
    ids=["none", "flat", "NaN", "infinity"],
)
def test_bad_codes_are_named(indifferent_vae, codes, message):
    good = np.zeros((9, 2))
    with pytest.raises(ValueError, match=f"`z_mean` .*{message}"):
        evaluation.active_units(codes)
    with pytest.raises(ValueError, match=f"`codes` .*{message}"):
        evaluation.coverage(codes)
    with pytest.raises(ValueError, match=f"`z` .*{message}"):
        evaluation.hole_fraction(indifferent_vae, codes, good)
    with pytest.raises(ValueError, match=f"`codes` .*{message}"):
        evaluation.hole_fraction(indifferent_vae, good, codes)


def test_codes_of_different_lengths_are_named(indifferent_vae):
    with pytest.raises(ValueError, match=r"same length of code.*\(9, 2\).*\(9, 3\)"):
        evaluation.hole_fraction(indifferent_vae, np.zeros((9, 2)), np.zeros((9, 3)))


@pytest.mark.parametrize("num_neighbors", [0, 9])
def test_coverage_needs_neighbours_among_the_codes(num_neighbors):
    with pytest.raises(ValueError, match=f"the 9 codes. Received: num_neighbors={num_neighbors}"):
        evaluation.coverage(np.random.default_rng(0).random((9, 2)), num_neighbors)


def test_the_frechet_distance_is_that_of_the_matrix_square_root():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    one = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    other = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 1.0
    covariances = np.cov(one.T), np.cov(other.T)
    expected = np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(sum(covariances))
    expected -= 2 * np.trace(sqrtm(covariances[0] @ covariances[1]).real)
    assert evaluation.frechet_distance(one, other) == pytest.approx(expected, rel=1e-4)
    assert evaluation.frechet_distance(other, one) == pytest.approx(expected, rel=1e-4)


def test_the_frechet_distance_of_a_shift_is_its_squared_length():
    features = np.random.default_rng(0).normal(size=(100, 3))
    assert evaluation.frechet_distance(features, features) < 1e-5
    assert evaluation.frechet_distance(features + np.array([0, 3, 4]), features) == pytest.approx(
        25
    )


def test_the_frechet_distance_of_one_feature_is_that_of_two_normals():
    rng = np.random.default_rng(0)
    one, other = rng.normal(1.0, 2.0, (500, 1)), rng.normal(4.0, 0.5, (300, 1))
    expected = (one.mean() - other.mean()) ** 2 + (one.std(ddof=1) - other.std(ddof=1)) ** 2
    assert evaluation.frechet_distance(one, other) == pytest.approx(expected, rel=1e-5)
    assert evaluation.frechet_distance(other, one) == pytest.approx(expected, rel=1e-5)


def test_the_frechet_distance_of_features_that_never_vary_is_that_of_their_means():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(500, 2)), rng.normal(2.0, 3.0, (300, 2))
    expected = evaluation.frechet_distance(one, other)
    dead = (np.insert(part, 1, value, axis=1) for part, value in ((one, 0.0), (other, 0.3)))
    assert evaluation.frechet_distance(*dead) == pytest.approx(expected + 0.09, rel=1e-5)
    constant = np.full((9, 2), 1.0), np.full((5, 2), 4.0)
    assert evaluation.frechet_distance(*constant) == pytest.approx(18.0)


@pytest.mark.parametrize(
    ("features", "reference", "message"),
    [
        (np.zeros((9, 2)), np.zeros((9, 3)), r"one length.*\(9, 2\).*\(9, 3\)"),
        (np.zeros((1, 2)), np.zeros((9, 2)), r"two rows.*\(1, 2\)"),
        (np.full((9, 2), np.nan), np.zeros((9, 2)), "`features` must not hold NaN"),
        (np.zeros((9, 2)), np.full((9, 2), np.inf), "`reference` must not hold NaN or infinity"),
        (np.zeros((9, 2)), np.zeros(9), "`reference` must hold at least one"),
    ],
)
def test_features_that_cannot_be_compared_are_named(features, reference, message):
    with pytest.raises(ValueError, match=message):
        evaluation.frechet_distance(features, reference)
