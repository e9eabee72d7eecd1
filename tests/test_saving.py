"""A model comes back from its file as it was, in a process that knows only the package."""

import json

import keras
import numpy as np
import pytest
from helpers import assert_same_parameters, get_parameters

from vae_keras import VAE, Autoencoder, networks
from vae_keras.likelihoods import Bernoulli, Gaussian


@keras.saving.register_keras_serializable(package="tests")
class PlainEncoder(keras.Model):
    """An encoder that learns its input's shape from its first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.z_mean, self.z_log_var = keras.layers.Dense(2), keras.layers.Dense(2)

    def call(self, x):
        x = keras.ops.reshape(x, (-1, 64))
        return self.z_mean(x), self.z_log_var(x)


@keras.saving.register_keras_serializable(package="tests")
class AnnealedVAE(VAE):
    """A subclass with an argument of its own that passes the others on."""

    def __init__(self, *args, num_epochs=3, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_epochs = num_epochs

    def get_config(self):
        return {**super().get_config(), "num_epochs": self.num_epochs}


def nested_networks():
    trunk = keras.Sequential([keras.layers.Flatten(), keras.Sequential([keras.layers.Dense(8)])])
    x, z = keras.Input((8, 8, 1)), keras.Input((2,))
    hidden = trunk(x)
    encoder = keras.Model(x, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)])
    decoder = keras.Sequential([z, keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    return encoder, decoder


FRESH = """
    import sys
    import numpy as np
    import vae_keras
    import keras

    folder = sys.argv[1]
    vae = keras.saving.load_model(folder + "/half.keras")
    images = np.load(folder + "/images.npy")
    outputs = {
        "decoded": vae.decode(np.ones((2, 2))),
        "code": vae.encode(images),
        "beta": vae.beta,
        "log_scale": keras.ops.convert_to_numpy(vae.likelihood.log_scale),
        "class": f"{type(vae).__name__} {type(vae.likelihood).__name__}",
        "iterations": int(vae.optimizer.iterations),
    }
    outputs["loss"] = vae.fit(images, batch_size=4, shuffle=False, verbose=0).history["loss"]
    for index, variable in enumerate(vae.trainable_variables):
        outputs[f"parameter_{index}"] = keras.ops.convert_to_numpy(variable)
    np.savez(folder + "/fresh.npz", **outputs)
"""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, run_python):
    """A training that goes on here, and one that was saved and goes on in a fresh process."""
    folder = tmp_path_factory.mktemp("resumed")
    images = np.random.default_rng(0).random((10, 8, 8, 1), "float32")
    np.save(folder / "images.npy", images)
    keras.utils.set_random_seed(0)
    vae = VAE(*networks.dense((8, 8, 1), units=(16,)), Gaussian(0.3, learn_scale=True), beta=2.0)
    vae.compile(keras.optimizers.Adam(1e-2))
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    vae.fit(images, **options)
    vae.beta = 0.5
    vae.save(folder / "half.keras")
    expected = {
        "decoded": vae.decode(np.ones((2, 2))),
        "code": vae.encode(images),
        "beta": 0.5,
        "log_scale": keras.ops.convert_to_numpy(vae.likelihood.log_scale),
        "class": "VAE Gaussian",
        "iterations": 3,
    }
    expected["loss"] = vae.fit(images, **options).history["loss"]
    run_python(FRESH, folder)
    return expected, get_parameters(vae), dict(np.load(folder / "fresh.npz"))


class TestInAFreshProcess:
    def test_a_model_has_the_same_codes_and_images(self, resumed):
        expected, _, fresh = resumed
        np.testing.assert_allclose(fresh["code"], expected["code"], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(fresh["decoded"], expected["decoded"], rtol=1e-5)

    @pytest.mark.parametrize("name", ["beta", "log_scale", "class", "iterations"])
    def test_a_model_has_the_same(self, resumed, name):
        expected, _, fresh = resumed
        assert fresh[name] == expected[name]

    def test_the_saved_scale_is_the_learned_one(self, resumed):
        assert abs(resumed[2]["log_scale"] - np.log(0.3)) > 1e-3

    def test_training_goes_on_bit_by_bit_as_if_it_had_not_stopped(self, resumed):
        expected, parameters, fresh = resumed
        np.testing.assert_array_equal(fresh["loss"], expected["loss"])
        came_back = [fresh[f"parameter_{index}"] for index in range(len(parameters))]
        assert_same_parameters(came_back, parameters, rtol=0, atol=0)


def written(model):
    """The configuration as a file holds it, where a tuple is a list."""
    return json.dumps(model.get_config(), sort_keys=True)


def assert_comes_back(model, path, images):
    model.save(path)
    copy = keras.saving.load_model(path)
    assert type(copy) is type(model)
    np.testing.assert_array_equal(copy.encode(images), model.encode(images))
    np.testing.assert_array_equal(copy.reconstruct(images), model.reconstruct(images))
    assert written(copy) == written(model)
    return copy


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_a_vae_comes_back(make_vae, images, tmp_path, likelihood):
    vae = make_vae(likelihood=likelihood, beta=3.0, name="mine")
    copy = assert_comes_back(vae, tmp_path / "vae.keras", images)
    assert copy.name == "mine"
    assert copy.beta == 3.0
    np.testing.assert_array_equal(copy.generate(2, seed=0), vae.generate(2, seed=0))


def test_an_autoencoder_comes_back(make_networks, images, tmp_path):
    autoencoder = Autoencoder(*make_networks(variational=False), Gaussian(0.2))
    copy = assert_comes_back(autoencoder, tmp_path / "autoencoder.keras", images)
    assert copy.likelihood.scale == 0.2


def test_an_encoder_of_nested_models_comes_back(images, tmp_path):
    assert_comes_back(VAE(*nested_networks()), tmp_path / "vae.keras", images)


def test_a_subclassed_encoder_comes_back(make_networks, images, tmp_path):
    vae = VAE(PlainEncoder(), make_networks()[1])
    vae.compile(keras.optimizers.Adam())
    vae.fit(images, verbose=0)
    copy = assert_comes_back(vae, tmp_path / "vae.keras", images)
    np.testing.assert_array_equal(copy.generate(2, seed=0), vae.generate(2, seed=0))
    copy.fit(images, verbose=0)
    assert int(copy.optimizer.iterations) == 2


def test_a_subclass_with_an_argument_of_its_own_comes_back(make_networks, images, tmp_path):
    vae = AnnealedVAE(*make_networks(), beta=2.0, num_epochs=7)
    copy = assert_comes_back(vae, tmp_path / "vae.keras", images)
    assert (copy.num_epochs, copy.beta) == (7, 2.0)


def test_a_loaded_optimizer_goes_on_with_its_moments(make_vae, images, tmp_path):
    vae = make_vae(noise=False, optimizer=keras.optimizers.Adam(1e-2))
    vae.fit(images, verbose=0)
    vae.save(tmp_path / "vae.keras")
    copy = keras.saving.load_model(tmp_path / "vae.keras")
    moments = [
        [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
        for model in (vae, copy)
    ]
    assert_same_parameters(*moments, rtol=0, atol=0)
    assert any(np.abs(moment).max() > 0 for moment in moments[1][2:])


def test_mixed_precision_comes_back(make_vae, images, tmp_path, policy):
    policy("mixed_float16")
    vae = make_vae(optimizer=keras.optimizers.Adam())
    vae.fit(images, verbose=0)
    vae.save(tmp_path / "vae.keras")
    policy("float32")
    copy = keras.saving.load_model(tmp_path / "vae.keras")
    assert copy.dtype_policy.name == "mixed_float16"
    assert isinstance(copy.optimizer, keras.optimizers.LossScaleOptimizer)
    np.testing.assert_array_equal(copy.encode(images), vae.encode(images))


def test_weights_alone_can_be_saved(make_vae, images, tmp_path):
    likelihood = Gaussian(learn_scale=True)
    vae, other = make_vae(likelihood=likelihood), make_vae(likelihood=Gaussian(learn_scale=True))
    vae.fit(images, verbose=0)
    assert not np.allclose(other.encode(images), vae.encode(images))
    vae.save_weights(tmp_path / "vae.weights.h5")
    other.load_weights(tmp_path / "vae.weights.h5")
    np.testing.assert_array_equal(other.encode(images), vae.encode(images))
    assert float(other.likelihood.log_scale) == float(likelihood.log_scale) != 0.0


def test_the_best_epoch_is_kept_by_loss(make_vae, images, tmp_path):
    path = tmp_path / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    vae = make_vae()
    vae.fit(images, callbacks=[keep], verbose=0)
    np.testing.assert_array_equal(keras.saving.load_model(path).encode(images), vae.encode(images))


def test_every_argument_is_in_the_configuration(make_networks):
    encoder, decoder = make_networks()
    vae = VAE(encoder, decoder, Bernoulli(), beta=2.5, name="mine", dtype="float32")
    copy = VAE.from_config(vae.get_config())
    assert written(copy) == written(vae)
    assert (copy.beta, copy.name, type(copy.likelihood)) == (2.5, "mine", Bernoulli)
    assert copy.encoder.count_params() == encoder.count_params()
