"""Sampling draws from the posterior, and gradients pass through the draw."""

import keras
import numpy as np
import pytest
from helpers import gradients, with_double
from scipy import stats

from vae_keras import Sampling


def draw(layer, z_mean, z_log_var):
    return keras.ops.convert_to_numpy(layer((z_mean, z_log_var)))


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (3.0, -2.0), (-1.0, 1.5)])
def test_draws_follow_the_posterior(mean, log_var):
    full = np.ones((50, 400), "float32")
    z = draw(Sampling(seed=0), mean * full, log_var * full).ravel()
    assert stats.kstest(z, stats.norm(mean, np.exp(log_var / 2)).cdf).pvalue > 0.001


def test_coordinates_are_drawn_independently():
    zeros = np.zeros((5000, 4), "float32")
    correlation = np.corrcoef(draw(Sampling(seed=0), zeros, zeros).T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=4 / np.sqrt(5000))


def test_every_call_draws_new_noise():
    layer, zeros = Sampling(seed=0), np.zeros((5000, 1), "float32")
    first, second = draw(layer, zeros, zeros), draw(layer, zeros, zeros)
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 4 / np.sqrt(5000)


@pytest.mark.parametrize("training", [True, False])
def test_noise_is_drawn_in_training_and_in_inference(training):
    zeros = np.zeros((100, 1), "float32")
    z = Sampling(seed=0)((zeros, zeros), training=training)
    assert keras.ops.convert_to_numpy(z).std() > 0.5


def test_the_same_seed_gives_the_same_draws():
    zeros = np.zeros((4, 2), "float32")
    one, same, other = (draw(Sampling(seed=seed), zeros, zeros) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, same)
    assert not np.isclose(one, other).any()


def test_the_global_seed_fixes_the_draws_of_a_layer_without_one():
    zeros = np.zeros((4, 2), "float32")
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        draws.append(draw(Sampling(), zeros, zeros))
    np.testing.assert_array_equal(*draws)
    assert not np.isclose(draw(Sampling(), zeros, zeros), draws[0]).any()


@pytest.mark.parametrize("shape", [(6,), (6, 2), (6, 3, 2), (6, 4, 4, 2)])
def test_codes_of_any_rank_keep_their_shape(shape):
    zeros = np.zeros(shape, "float32")
    z = draw(Sampling(seed=0), zeros, zeros)
    assert z.shape == shape
    assert len(np.unique(z)) == z.size


def test_a_posterior_without_variance_gives_its_mean():
    mean = np.arange(6, dtype="float32").reshape(3, 2)
    z = draw(Sampling(), mean, np.full((3, 2), -200.0, "float32"))
    np.testing.assert_allclose(z, mean, atol=1e-40)


def test_gradients_pass_through_the_draw():
    z_mean = np.array([[0.3, -1.0], [2.0, 0.0]], "float32")
    z_log_var = np.array([[0.5, -2.0], [0.0, 1.0]], "float32")
    z = draw(Sampling(seed=0), z_mean, z_log_var)
    layer = Sampling(seed=0)
    by_mean, by_log_var = gradients(lambda *inputs: layer(inputs), z_mean, z_log_var)
    np.testing.assert_allclose(by_mean, np.ones((2, 2)))
    np.testing.assert_allclose(by_log_var, (z - z_mean) / 2, rtol=1e-5, atol=1e-6)


def test_a_functional_model_may_sample():
    inputs = keras.Input((3,))
    z = Sampling(seed=0)((inputs, 0 * inputs))
    model = keras.Model(inputs, z)
    assert z.shape == (None, 3)
    assert model.predict(np.zeros((5, 3)), verbose=0).std() > 0.3


def test_the_configuration_keeps_the_seed():
    layer = Sampling(seed=5, name="code")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    zeros = np.zeros((4, 2), "float32")
    assert copy.name == "code"
    np.testing.assert_array_equal(draw(copy, zeros, zeros), draw(layer, zeros, zeros))


def sampling_model(seed=None):
    inputs = keras.Input((3,))
    return keras.Model(inputs, Sampling(seed, name="code")((inputs, inputs)))


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_saved_layer_goes_on_with_the_noise_that_follows(tmp_path, name):
    model, zeros = sampling_model(), np.zeros((4, 3), "float32")
    first = model.predict(zeros, verbose=0)
    if name.endswith(".keras"):
        model.save(tmp_path / name)
        copy = keras.saving.load_model(tmp_path / name)
    else:
        model.save_weights(tmp_path / name)
        copy = sampling_model()
        copy.load_weights(tmp_path / name)
    second = model.predict(zeros, verbose=0)
    np.testing.assert_array_equal(copy.predict(zeros, verbose=0), second)
    assert not np.isclose(first, second).any()


def test_a_file_without_the_state_of_the_noise_loads(tmp_path, monkeypatch):
    model, zeros = sampling_model(seed=5), np.zeros((4, 3), "float32")
    with monkeypatch.context() as patch:
        patch.setattr(Sampling, "save_own_variables", lambda self, store: None)
        model.save(tmp_path / "old.keras")
    copy = keras.saving.load_model(tmp_path / "old.keras")
    np.testing.assert_array_equal(copy.predict(zeros, verbose=0), model.predict(zeros, verbose=0))


@pytest.mark.parametrize(
    "dtype",
    ["mixed_float16", "mixed_bfloat16", pytest.param("float64", marks=with_double)],
)
def test_codes_come_in_the_compute_dtype(dtype):
    layer, zeros = Sampling(seed=0, dtype=dtype), np.zeros((4, 2), "float32")
    assert keras.backend.standardize_dtype(layer((zeros, zeros)).dtype) == layer.compute_dtype


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(4, 2)], r"two tensors, `\(z_mean, z_log_var\)`.*of shape"),
        ([(4, 2)] * 3, r"two tensors, `\(z_mean, z_log_var\)`"),
        ([(4, 2), (4, 3)], r"same shape.*z_mean of shape \(4, 2\), z_log_var of shape \(4, 3\)"),
    ],
)
def test_what_is_not_a_mean_and_its_log_variance_is_refused(shapes, message):
    arrays = tuple(np.zeros(shape, "float32") for shape in shapes)
    with pytest.raises(ValueError, match=message):
        Sampling()(arrays if len(arrays) > 1 else arrays[0])


def test_shapes_are_compared_at_every_call():
    layer = Sampling()
    layer((np.zeros((4, 2)), np.zeros((4, 2))))
    with pytest.raises(ValueError, match=r"z_mean of shape \(4, 1\), z_log_var of shape \(4, 2\)"):
        layer((np.zeros((4, 1)), np.zeros((4, 2))))
    with pytest.raises(ValueError, match="must have the same shape"):
        layer((keras.KerasTensor((None, 1)), keras.KerasTensor((None, 2))))


def test_sizes_that_are_not_known_yet_may_be_equal():
    z = Sampling()((keras.KerasTensor((None, None, 4)), keras.KerasTensor((None, 10, 4))))
    assert z.shape == (None, None, 4)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("log_var", [-80.0, 80.0, 500.0])
def test_no_variance_overflows(dtype, log_var):
    layer, zeros = Sampling(seed=0, dtype=dtype), np.zeros((50, 20), "float32")
    z = keras.ops.cast(layer((zeros, zeros + log_var)), "float32")
    assert np.isfinite(keras.ops.convert_to_numpy(z)).all()


def test_a_mask_is_passed_on():
    x = keras.Input((None, 3))
    masked = keras.layers.Masking()(x)
    z = Sampling()((masked, masked))
    last = keras.layers.LSTM(2)(z)
    model = keras.Model(x, last)
    steps = np.ones((1, 3, 3), "float32")
    padded = np.concatenate([steps, np.zeros((1, 2, 3), "float32")], axis=1)
    model.layers[2].call = lambda inputs: inputs[0]
    np.testing.assert_allclose(
        model.predict(padded, verbose=0), model.predict(steps, verbose=0), rtol=1e-5
    )


@keras.saving.register_keras_serializable(package="tests")
class Tempered(Sampling):
    """A subclass with a weight of its own."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.temperature = self.add_weight(shape=(), initializer="ones", name="temperature")


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_weight_of_a_subclass_comes_back(tmp_path, name):
    def make():
        x = keras.Input((3,))
        return keras.Model(x, Tempered(name="code")((x, x)))

    model, zeros = make(), np.zeros((4, 3), "float32")
    model.get_layer("code").temperature.assign(0.25)
    if name.endswith(".keras"):
        model.save(tmp_path / name)
        copy = keras.saving.load_model(tmp_path / name)
    else:
        model.save_weights(tmp_path / name)
        copy = make()
        copy.load_weights(tmp_path / name)
    assert float(copy.get_layer("code").temperature) == 0.25
    np.testing.assert_array_equal(copy.predict(zeros, verbose=0), model.predict(zeros, verbose=0))
