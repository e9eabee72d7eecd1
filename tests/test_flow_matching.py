"""A flow is where mathematics says, carries noise to codes, and knows their density."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from vae_keras import VAE, evaluation, networks
from vae_keras.flow_matching import FlowMatching, solver

CORRELATIONS = np.array([[1.0, 0.8], [0.8, 1.0]])
MEAN, SCALE = np.array([3.0, -1.0]), np.array([2.0, 0.8])
CENTRES = np.array([[3.0, 0.0], [-3.0, 1.0], [0.0, -4.0]])
SPREAD = 0.4


def gaussian_codes(n, seed=0):
    noise = np.random.default_rng(seed).multivariate_normal([0, 0], CORRELATIONS, n)
    return (MEAN + SCALE * noise).astype("float32")


def mixture_codes(n, seed=0):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, n)
    codes = CENTRES[classes] + SPREAD * rng.standard_normal((n, 2))
    return codes.astype("float32"), classes


def trained(x, epochs=20, code_shape=(2,), **arguments):
    keras.utils.set_random_seed(0)
    flow = FlowMatching(code_shape, units=128, num_blocks=2, seed=0, **arguments)
    n = len(x[0] if isinstance(x, list) else x)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-n // 250))
    flow.compile(keras.optimizers.Adam(schedule))
    flow.fit(x, epochs=epochs, batch_size=250, verbose=0)
    return flow


@pytest.fixture(scope="module")
def gaussian():
    return trained(gaussian_codes(5_000), epochs=12)


@pytest.fixture(scope="module")
def mixture():
    return trained(list(mixture_codes(5_000)), num_classes=3)


def exact_velocity(t, correlations=CORRELATIONS):
    """The matrix that gives the mean velocity between `N(0, I)` and a Gaussian (Lipman et al.)."""
    identity = np.eye(len(correlations))
    spread = t**2 * correlations + (1 - t) ** 2 * identity
    return (t * correlations - (1 - t) * identity) @ np.linalg.inv(spread)


class ExactField(keras.Model):
    """The velocity of a Gaussian with one standard deviation for all numbers, in closed form."""

    def __init__(self, deviation):
        super().__init__()
        self.deviation = deviation

    def call(self, inputs):
        z, t = inputs
        t = ops.reshape(t, (-1, *[1] * (len(z.shape) - 1)))
        variance = self.deviation**2
        return (t * variance - (1 - t)) / (t**2 * variance + (1 - t) ** 2) * z


# Mathematics


@pytest.mark.parametrize("t", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_velocity_between_two_gaussians_is_that_of_the_closed_form(gaussian, t):
    rng = np.random.default_rng(1)
    spread = t**2 * CORRELATIONS + (1 - t) ** 2 * np.eye(2)
    z = rng.multivariate_normal([0, 0], spread, 1_000).astype("float32")
    right = z @ exact_velocity(t).T
    error = np.mean((gaussian.velocity(z, t) - right) ** 2)
    assert error < 0.05 * np.mean(right**2) + 0.01


def test_samples_of_a_gaussian_have_its_mean_and_covariance(gaussian):
    codes = gaussian.sample(4_000, seed=1)
    np.testing.assert_allclose(codes.mean(0), MEAN, atol=0.15)
    covariance = SCALE[:, None] * CORRELATIONS * SCALE
    np.testing.assert_allclose(np.cov(codes.T), covariance, atol=0.3, rtol=0.15)


def test_samples_of_a_mixture_are_none_that_a_test_can_tell_from_it(mixture):
    codes, fresh = mixture.sample(2_000, seed=1), mixture_codes(2_000, seed=5)[0]
    nearest = np.linalg.norm(codes[:, None] - CENTRES, axis=2)
    share = np.bincount(nearest.argmin(1), minlength=3) / len(codes)
    np.testing.assert_allclose(share, 1 / 3, atol=0.06)
    assert np.mean(nearest.min(1) < 4 * SPREAD) > 0.97
    for direction in ([1, 0], [0, 1], [0.6, 0.8], [0.6, -0.8]):
        distance = stats.ks_2samp(codes @ direction, fresh @ direction).statistic
        assert distance < 0.08


def test_the_solver_is_of_second_order_and_right_in_the_end():
    noise = np.random.default_rng(0).standard_normal((50, 3)).astype("float32")
    error = {}
    for num_steps in (8, 16, 32, 64):
        codes = solver.Solver(ExactField(0.5), num_steps, False).predict([noise], verbose=0)
        error[num_steps] = np.abs(codes - 0.5 * noise).max()
    assert error[64] < error[32] / 3 < error[16] / 9
    assert error[8] < 0.01
    back = solver.Solver(ExactField(0.5), 64, True).predict([0.5 * noise], verbose=0)
    np.testing.assert_allclose(back, noise, atol=5e-3)


@pytest.mark.parametrize("size", [3, 40])
def test_the_change_of_density_of_a_gaussian_is_exact(size):
    z = 0.5 * np.random.default_rng(0).standard_normal((20, size)).astype("float32")
    directions = solver.directions_of_divergence(20, (size,), exact_up_to=16, seed=0)
    assert directions.shape == (20, 3 if size == 3 else 1, size)
    density = solver.Density(ExactField(0.5), num_steps=64)
    noise, change = density.predict([z, directions], verbose=0)
    # Of a diagonal Jacobian the estimate along random signs is exact as well.
    np.testing.assert_allclose(change, size * np.log(2), rtol=1e-3)
    np.testing.assert_allclose(noise, 2 * z, rtol=0.02)


class Linear(keras.Model):
    """A velocity `J z` at all times."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix

    def call(self, inputs):
        return ops.matmul(inputs[0], ops.transpose(ops.convert_to_tensor(self.matrix)))


def test_a_random_direction_estimates_the_trace_without_bias():
    matrix = np.random.default_rng(0).standard_normal((20, 20)).astype("float32")
    directions = solver.directions_of_divergence(4_000, (20,), exact_up_to=16, seed=0)
    z = np.zeros((4_000, 20), "float32")
    _, change = solver.Density(Linear(matrix), 1).predict([z, directions], verbose=0)
    assert change.std() > 1
    assert abs(-change.mean() - np.trace(matrix)) < 4 * change.std() / np.sqrt(4_000)


def test_the_density_of_a_trained_flow_is_that_of_its_codes(gaussian):
    codes = gaussian_codes(500, seed=3)
    covariance = SCALE[:, None] * CORRELATIONS * SCALE
    right = stats.multivariate_normal(MEAN, covariance).logpdf(codes)
    found = ops.convert_to_numpy(gaussian.log_prob(codes, num_steps=16))
    assert abs(np.mean(found - right)) < 0.1
    assert np.corrcoef(found, right)[0, 1] > 0.9


def test_back_to_noise_and_forward_again(mixture):
    codes, classes = mixture_codes(300, seed=4)
    noise = mixture.to_noise(codes, num_steps=64, condition=classes)
    assert abs(noise.std() - 1) < 0.15
    again = mixture.from_noise(noise, num_steps=64, condition=classes)
    assert np.mean(np.abs(again - codes)) < 0.05
    other = mixture.from_noise(noise, num_steps=64, condition=(classes + 1) % 3)
    nearest = np.linalg.norm(other[:, None] - CENTRES, axis=2).argmin(1)
    assert np.mean(nearest == (classes + 1) % 3) > 0.97


# Conditions


def test_what_is_asked_for_is_drawn_and_guidance_overdoes_it(mixture):
    for label in range(3):
        codes = mixture.sample(500, seed=1, condition=label)
        assert np.linalg.norm(codes.mean(0) - CENTRES[label]) < 0.2
        np.testing.assert_allclose(codes.std(0), SPREAD, rtol=0.2)
        guided = mixture.sample(500, seed=1, condition=label, guidance=3.0)
        # Away from where the other classes are, beyond the middle of its own.
        from_all = [np.linalg.norm(some.mean(0) - CENTRES.mean(0)) for some in (codes, guided)]
        assert from_all[1] > from_all[0] + 0.05
    mixed = mixture.sample(90, seed=1, condition=np.arange(90) % 3)
    nearest = np.linalg.norm(mixed[:, None] - CENTRES, axis=2).argmin(1)
    assert np.mean(nearest == np.arange(90) % 3) > 0.95


def test_guidance_goes_as_many_times_as_far(mixture):
    z = np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    asked, free, at = (mixture._inputs(c, 5, 1.0)[0] for c in (1, None, 1))
    z, asked, free, at = map(ops.convert_to_tensor, (z, asked, free, at))
    two = solver.guided_velocity(mixture.field, z, 0.5, asked, free, 2.0 * ops.ones(5))
    one = solver.guided_velocity(mixture.field, z, 0.5, at)
    none = solver.guided_velocity(mixture.field, z, 0.5, free)
    one, two, none = map(ops.convert_to_numpy, (one, two, none))
    np.testing.assert_allclose(two, 2 * one - none, atol=1e-5)


def test_as_many_conditions_are_left_out_as_it_says():
    flow = FlowMatching((2,), condition_dim=2, condition_dropout=0.25, units=8, num_blocks=1)
    seen = []

    class Field(keras.Model):
        def call(self, inputs, training=None):
            seen.append(inputs[2])
            return inputs[0]

    flow.field = Field()
    x = [np.zeros((4_000, 2), "float32"), np.ones((4_000, 2), "float32")]
    flow(x, training=True)
    flow(x, training=False)
    left_out, kept = (1 - ops.convert_to_numpy(part) for part in seen)
    assert abs(left_out.mean() - 0.25) < 0.03
    assert np.all(left_out == left_out[:, :1])  # with the number that says that there is one
    assert np.all(kept == 0)


# As a Keras model


def test_saved_and_loaded_it_draws_the_same(mixture, tmp_path):
    mixture.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    arguments = {"seed": 3, "condition": 1, "guidance": 2.0}
    np.testing.assert_allclose(loaded.sample(5, **arguments), mixture.sample(5, **arguments), 1e-5)
    assert loaded.get_config() == mixture.get_config()


def test_saved_and_loaded_it_is_trained_on_as_if_it_had_not_been(tmp_path):
    codes = gaussian_codes(500)
    flow = FlowMatching((2,), units=24, num_blocks=1, seed=0)
    flow.compile(keras.optimizers.Adam(1e-3))
    flow.fit(codes, epochs=1, batch_size=250, shuffle=False, verbose=0)
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    for model in (flow, loaded):
        model.fit(codes, epochs=1, batch_size=250, shuffle=False, verbose=0)
    for one, other in zip(flow.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_seed_gives_the_same_codes_and_none_gives_others(gaussian):
    assert np.array_equal(gaussian.sample(3, seed=1), gaussian.sample(3, seed=1))
    assert not np.array_equal(gaussian.sample(3), gaussian.sample(3))
    none = np.zeros((0, 2))
    assert gaussian.sample(0).shape == gaussian.to_noise(none).shape == (0, 2)
    assert gaussian.velocity(none, 0.5).shape == (0, 2)
    assert ops.convert_to_numpy(gaussian.log_prob(none)).shape == (0,)


class Explode(keras.callbacks.Callback):
    """Makes the loss infinite from one epoch on, as a learning rate that is too high does."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            bias = self.model.field.layers[-2].bias
            bias.assign(np.full(bias.shape, np.inf))


def test_a_loss_that_is_not_finite_stops_it_with_the_last_good_weights():
    flow = FlowMatching((2,), units=8, num_blocks=1, seed=0)
    flow.compile("adam")
    good = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            good.append([np.copy(array) for array in self.model.get_weights()])

    arguments = {"batch_size": 50, "epochs": 3, "callbacks": [Keep(), Explode()], "verbose": 0}
    with pytest.raises(FloatingPointError, match=r"step 1 of epoch 2: .*end of epoch 1"):
        flow.fit(gaussian_codes(100), **arguments)
    assert len(good) == 1
    for one, two in zip(flow.get_weights(), good[0], strict=True):
        np.testing.assert_array_equal(one, two)
    flow.field.layers[-2].bias.assign([np.nan, 0.0])
    with pytest.raises(FloatingPointError, match="not finite since step 1"):
        flow.evaluate(gaussian_codes(100), verbose=0)


def test_many_codes_are_drawn_in_parts_as_if_they_were_drawn_at_once(gaussian, monkeypatch):
    at_once = gaussian.sample(10, seed=3)
    densities = ops.convert_to_numpy(gaussian.log_prob(at_once))
    monkeypatch.setattr("vae_keras.flow_matching.model.BATCH", 4)
    np.testing.assert_allclose(gaussian.sample(10, seed=3), at_once, rtol=1e-5, atol=1e-5)
    in_parts = ops.convert_to_numpy(gaussian.log_prob(at_once))
    np.testing.assert_allclose(in_parts, densities, rtol=1e-4, atol=1e-4)


def test_half_precision_leaves_classes_and_codes_their_digits():
    codes = np.random.default_rng(0).normal(1000.0, 0.1, (64, 2)).astype("float32")
    flow = FlowMatching((2,), num_classes=1000, units=9, num_blocks=1, dtype="mixed_bfloat16")
    flow.adapt(codes)
    flow.seed_generator.state.assign([0, 1])
    assert {layer.compute_dtype for layer in flow.field.layers if layer.weights} == {"bfloat16"}
    seen = []
    as_input = flow._as_input
    flow._as_input = lambda condition: seen.append(as_input(condition)) or seen[-1]
    velocity, target = flow([codes, np.full(64, 999)])
    assert ops.convert_to_numpy(seen[0])[:, 999].min() == 1.0
    # A target is a standardized code less noise: of variance 2.
    assert 1.5 < ops.convert_to_numpy(target).var() < 2.6
    assert keras.backend.standardize_dtype(velocity.dtype) == "float32"


def test_conditions_are_checked_in_evaluation_and_of_held_out_codes(mixture):
    codes, _ = mixture_codes(10)
    nines = [codes, np.full(10, 9)]
    with pytest.raises(ValueError, match="from 0 to 2"):
        mixture.evaluate(nines, verbose=0)
    with pytest.raises(ValueError, match="from 0 to 2"):
        mixture.fit([codes, np.zeros(10)], validation_data=(nines,), verbose=0)
    with pytest.raises(ValueError, match="a pair"):
        mixture.evaluate(codes, verbose=0)


def test_it_learns_on_held_out_codes_too(gaussian):
    untrained = FlowMatching((2,), units=8, num_blocks=1)
    untrained.adapt(gaussian_codes(100))
    untrained.compile()
    held_out = gaussian_codes(1_000, seed=8)
    assert gaussian.evaluate(held_out, verbose=0) < 0.8 * untrained.evaluate(held_out, verbose=0)


def test_maps_and_numbers_that_never_vary():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((500, 3, 3, 2)).astype("float32")
    codes[:, 1, 1, 0] = 7.0
    flow = trained(codes, epochs=2, code_shape=(3, 3, 2))
    drawn = flow.sample(10, seed=0)
    assert drawn.shape == (10, 3, 3, 2)
    assert np.all(drawn[:, 1, 1, 0] == 7.0)
    other = codes[:3].copy()
    other[:, 1, 1, 0] = 50.0
    densities = [ops.convert_to_numpy(flow.log_prob(some, 2)) for some in (codes[:3], other)]
    assert np.isfinite(densities).all()
    assert np.array_equal(*densities)
    assert np.array_equal(*(flow.to_noise(some, 2) for some in (codes[:3], other)))


def test_it_is_a_sampler_and_a_prior_of_a_vae():
    rng = np.random.default_rng(0)
    x = rng.random((200, 8, 8, 1)).astype("float32")
    parts = networks.dense((8, 8, 1), latent_dim=2, units=(16,))
    vae = VAE(*parts)
    codes = vae.encode(x) + rng.standard_normal((200, 2)).astype("float32")
    flow = trained(codes, epochs=2)
    assert vae.generate(3, seed=0, sampler=flow).shape == (3, 8, 8, 1)
    other = VAE(*parts, prior=flow)
    assert other.generate(3, seed=0).shape == (3, 8, 8, 1)
    assert np.isfinite(evaluation.elbo(other, x[:5], seed=0)).all()
    other.compile("adam")
    with pytest.raises(ValueError, match="cannot `fit` or `evaluate` with it"):
        other.fit(x, verbose=0)


def test_a_stream_after_adapt():
    codes = gaussian_codes(100)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (codes[50 * index : 50 * index + 50],)

    flow = FlowMatching((2,), units=8, num_blocks=1)
    flow.compile("adam")
    with pytest.raises(ValueError, match="`adapt`"):
        flow.fit(Batches(), verbose=0)
    flow.adapt(codes)
    assert np.isfinite(flow.fit(Batches(), verbose=0).history["loss"][0])

    class Pairs(Batches):
        def __getitem__(self, index):
            return ((*super().__getitem__(index), np.zeros(50)),)

    flow = FlowMatching((2,), num_classes=2, units=8, num_blocks=1)
    flow.compile("adam")
    flow.adapt(codes)
    assert np.isfinite(flow.fit(Pairs(), verbose=0).history["loss"][0])
    with pytest.raises(ValueError, match="a pair"):
        flow.fit(Batches(), verbose=0)


# Bad input


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 3, "condition_dim": 2}, "not both"),
        ({"condition_dropout": 1.0}, "condition_dropout=1.0"),
    ],
)
def test_settings_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        FlowMatching((2,), **arguments)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((10, 3)), r"of shape \(2,\).*\(10, 3\)"),
        (np.full((10, 2), np.nan), "NaN"),
        (np.ones((10, 2)), "10 times the same code"),
        (np.zeros((1, 2)), "at least two"),
        ([np.zeros((10, 2)), np.zeros(10)], "takes no condition"),
        ([np.zeros((10, 2))] * 3, "3 parts"),
    ],
)
def test_codes_that_nothing_can_be_learned_from(codes, message):
    flow = FlowMatching((2,), units=8, num_blocks=1)
    flow.compile("adam")
    with pytest.raises(ValueError, match=message):
        flow.fit(codes, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_steps": 0}, "num_steps=0"),
        ({"n": -1}, "n=-1"),
        ({"condition": 3}, "from 0 to 2.*3.0"),
        ({"condition": 0.5}, "integers"),
        ({"condition": [0, 1]}, r"\(5,\), or \(\) for all.*\(2,\)"),
        ({"guidance": 2.0}, "towards a condition"),
    ],
)
def test_wishes_that_cannot_be_granted(mixture, arguments, message):
    with pytest.raises(ValueError, match=message):
        mixture.sample(**{"n": 5, **arguments})


def test_conditions_that_are_missing_or_were_never_left_out(gaussian):
    with pytest.raises(ValueError, match="takes no condition"):
        gaussian.sample(2, condition=1)
    flow = FlowMatching((2,), condition_dim=2, condition_dropout=0.0, units=8, num_blocks=1)
    flow.compile("adam")
    with pytest.raises(ValueError, match="a pair"):
        flow.fit(gaussian_codes(10), verbose=0)
    with pytest.raises(ValueError, match="second part of `x`"):
        flow.fit(gaussian_codes(10), np.ones((10, 2)), verbose=0)
    for arguments in ({}, {"condition": [1, 0], "guidance": 2.0}):
        with pytest.raises(ValueError, match="condition_dropout=0"):
            flow.sample(2, **arguments)
    assert flow.sample(2, condition=[1, 0]).shape == (2, 2)
    with pytest.raises(ValueError, match="NaN"):
        flow.sample(2, condition=[np.nan, 0])


def test_weights_count_and_what_a_flow_does_not_take_is_refused():
    codes = gaussian_codes(64)
    flow = FlowMatching((2,), units=8, num_blocks=1, seed=0)
    flow.compile("sgd", run_eagerly=True)
    nothing = np.zeros(64, "float32")
    assert flow.fit(codes, sample_weight=nothing, verbose=0).history["loss"] == [0.0]
    assert flow.evaluate(codes, sample_weight=nothing, verbose=0) == 0.0
    assert flow.evaluate(codes, verbose=0) > 0.1
    held_out = {"validation_data": (codes, None, nothing), "validation_batch_size": 64}
    assert flow.fit(codes, verbose=0, **held_out).history["val_loss"] == [0.0]
    assert flow.fit(codes, verbose=0, validation_data=(codes,)).history["val_loss"][0] > 0.1
    with pytest.raises(ValueError, match="`class_weight` must be None"):
        flow.fit(codes, class_weight={0: 1.0})
    for weight in (np.nan, -1.0):
        with pytest.raises(ValueError, match=r"`sample_weight` must hold finite numbers >= 0"):
            flow.fit(codes, sample_weight=np.full(64, weight))
    flow.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"computes its own loss.*argument `loss`"):
        flow.fit(codes)
    with pytest.raises(ValueError, match=r"export `flow\.field`"):
        flow.export("nowhere")


def test_metrics_of_compile_are_of_the_velocity():
    flow = FlowMatching((2,), units=8, num_blocks=1, seed=0)
    flow.compile("sgd", metrics=["mean_squared_error"])
    flow.fit(gaussian_codes(64), verbose=0)
    results = flow.evaluate(gaussian_codes(64), verbose=0, return_dict=True)
    np.testing.assert_allclose(results["mean_squared_error"], results["loss"], rtol=1e-5)
