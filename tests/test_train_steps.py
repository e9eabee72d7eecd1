"""The train step takes the gradient of the loss that is logged, in every way Keras can run it."""

import functools
import shutil

import keras
import numpy as np
import numpy_vae
import pytest
from helpers import (
    BACKEND,
    assert_same_history,
    assert_same_parameters,
    fix_noise,
    get_parameters,
    on_jax,
    on_tensorflow,
    remove_noise,
)

from vae_keras import VAE, Autoencoder, networks, train_steps
from vae_keras.likelihoods import Bernoulli, Gaussian

several_steps = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras takes one step per execution on PyTorch"
)

needs_compiler = pytest.mark.skipif(
    BACKEND == "torch" and not shutil.which("g++"), reason="PyTorch compiles with g++"
)


class KerasStepVAE(VAE):
    """The same model, trained by the step that Keras itself would take."""

    train_step = keras.Model.train_step


def train(vae, x, **kwargs):
    options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, **kwargs}
    return vae.fit(x, **options).history


@pytest.mark.parametrize(
    "optimizer",
    [lambda: keras.optimizers.SGD(1e-3), lambda: keras.optimizers.Adam(1e-3)],
    ids=["SGD", "Adam"],
)
@pytest.mark.parametrize("noise", [False, True])
def test_a_step_equals_the_default_step_of_keras(make_vae, parameters, images, optimizer, noise):
    histories, trained = [], []
    for cls in (VAE, KerasStepVAE):
        vae = make_vae(
            cls, noise, optimizer(), traced=True, parameters=parameters, likelihood="gaussian"
        )
        vae.sampling.seed_generator.state.assign([3, 0])
        histories.append(train(vae, images, y=np.round(images), sample_weight=np.arange(10.0)))
        trained.append(get_parameters(vae))
    assert_same_history(*histories)
    assert_same_parameters(*trained)
    assert max(np.abs(new - old).max() for new, old in zip(*trained, strict=True)) < 1e-5


def test_an_autoencoder_steps_as_keras_does(images):
    parts = networks.dense((8, 8, 1), units=(16,), variational=False)
    likelihood = functools.partial(Gaussian, learn_scale=True)
    assert_steps_as_keras_does(Autoencoder, parts, images, likelihood)


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_what_layers_add_to_the_loss_is_trained_against_as_keras_does(policy, images, name):
    policy(name)
    x, z = keras.Input((8, 8, 1)), keras.Input((2,))
    flat = keras.layers.BatchNormalization()(keras.layers.Flatten()(x))
    flat = keras.layers.Dense(
        4, activity_regularizer=keras.regularizers.L2(10.0), kernel_regularizer="l2"
    )(flat)
    encoder = keras.Model(x, [keras.layers.Dense(2)(flat), keras.layers.Dense(2)(flat)])
    decoder = keras.Model(z, keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(z)))
    history = assert_steps_as_keras_does(VAE, (encoder, decoder), images)
    assert history["loss"][0] > history["reconstruction_loss"][0] + history["kl_loss"][0] + 0.1


def assert_steps_as_keras_does(cls, parts, images, likelihood=Bernoulli):
    """Trains the networks by our step and by that of Keras; returns our history."""
    keras_step = type("KerasStep", (cls,), {"train_step": keras.Model.train_step})
    ours, theirs = (
        model(*map(keras.models.clone_model, parts), likelihood()) for model in (cls, keras_step)
    )
    theirs.set_weights(ours.get_weights())
    histories = []
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(1e-4))
        if cls is VAE:
            remove_noise(model)
        histories.append(train(model, images))
    assert_same_history(*histories)
    for one, two in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)
    return histories[0]


HOW = [
    {"run_eagerly": True},
    {"jit_compile": False},
    pytest.param({"jit_compile": True}, marks=needs_compiler),
    pytest.param({"steps_per_execution": 2}, marks=several_steps),
    pytest.param({"steps_per_execution": 2, "jit_compile": True}, marks=several_steps),
]


class TestTwentySteps:
    """Of gradient descent, from the same weights on the same data with the same noise."""

    @pytest.mark.parametrize("options", HOW, ids=str)
    def test_equal_those_of_numpy(self, make_vae, parameters, images, options):
        images = images[:8]
        vae = make_vae(parameters=parameters, beta=2.0)
        fix_noise(vae, 0.7)
        vae.compile(keras.optimizers.SGD(3e-3), **options)
        history = train(vae, images, epochs=10)

        batches = [images[:4].reshape(4, -1), images[4:].reshape(4, -1)] * 10
        losses, expected = numpy_vae.train(parameters, batches, 2.0, 0.7, 3e-3)
        for name, column in zip(vae.loss_names, losses.T, strict=True):
            np.testing.assert_allclose(history[name], column.reshape(10, 2).mean(1), rtol=1e-5)
        assert_same_parameters(get_parameters(vae), expected, rtol=1e-4, atol=1e-6)
        assert losses[-1, 0] < losses[0, 0] - 1.0

    @pytest.mark.parametrize("options", HOW[1:], ids=str)
    def test_draw_new_noise_each(self, make_vae, parameters, images, options):
        vae = make_vae(parameters=parameters)
        vae.compile(keras.optimizers.SGD(0.0), **options)
        loss = train(vae, images, batch_size=5, epochs=4)["reconstruction_loss"]
        assert len(set(loss)) == 4


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
class TestMixedPrecision:
    @pytest.fixture
    def make_mixed(self, make_vae, parameters, policy):
        def make(name, optimizer):
            policy(name)
            return make_vae(traced=True, noise=False, parameters=parameters, optimizer=optimizer)

        return make

    def test_takes_the_first_update_of_float32(
        self, make_vae, make_mixed, parameters, images, name
    ):
        plain = make_vae(noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(1e-3))
        mixed = make_mixed(name, keras.optimizers.SGD(1e-3))
        plain.train_on_batch(images)
        # A step that overflows in float16 is skipped, and the next scales the loss less.
        for _ in range(10):
            mixed.train_on_batch(images)
            if not np.array_equal(mixed.trainable_variables[0], parameters[0]):
                break
        expected, update = (
            np.concatenate([value.ravel() for value in get_parameters(vae)])
            - np.concatenate([value.ravel() for value in parameters])
            for vae in (plain, mixed)
        )
        assert np.linalg.norm(expected) > 0
        distance = np.linalg.norm(update - expected) / np.linalg.norm(expected)
        assert distance < 0.03

    def test_learns_as_in_float32(self, make_vae, make_mixed, parameters, images, policy, name):
        vae = make_mixed(name, keras.optimizers.Adam(1e-2))
        x = np.round(images)
        loss = train(vae, x, epochs=15, batch_size=10)["loss"]
        policy("float32")
        exact = make_vae(noise=False, parameters=parameters, optimizer=keras.optimizers.Adam(1e-2))
        exact = train(exact, x, epochs=15, batch_size=10)["loss"]
        assert exact[-1] < exact[0] - 5.0
        np.testing.assert_allclose(loss, exact, atol=0.05)
        assert vae.encoder.compute_dtype == name.removeprefix("mixed_")
        assert vae.generate(2).dtype == np.float32


def test_accumulated_gradients_of_two_batches_are_those_of_both(make_vae, parameters, images):
    images = images[:8]
    at_once = make_vae(noise=False, parameters=parameters)
    # Traced, because accumulation counts its steps inside the graph.
    accumulating = keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2)
    in_two = make_vae(traced=True, noise=False, parameters=parameters, optimizer=accumulating)
    train(at_once, images, batch_size=8, epochs=1)
    train(in_two, images, batch_size=4, epochs=1)
    assert_same_parameters(get_parameters(in_two), get_parameters(at_once))
    assert np.abs(get_parameters(in_two)[0] - parameters[0]).max() > 1e-5


def test_gradients_are_clipped(make_vae, parameters, images):
    clipping = keras.optimizers.SGD(1.0, global_clipnorm=0.1)
    vae = make_vae(noise=False, parameters=parameters, optimizer=clipping)
    train(vae, images, batch_size=10, epochs=1)
    updates = zip(get_parameters(vae), parameters, strict=True)
    norm = np.sqrt(sum(np.sum((new - old) ** 2) for new, old in updates))
    np.testing.assert_allclose(norm, 0.1, rtol=1e-4)


def test_regularizers_are_trained_against(make_vae, parameters, images):
    vae = make_vae(noise=False, parameters=parameters)
    strict = make_vae(noise=False, parameters=parameters)
    strict.encoder.layers[2].kernel_regularizer = keras.regularizers.L2(0.5)
    strict.encoder.layers[2].kernel.regularizer = strict.encoder.layers[2].kernel_regularizer
    for model in (vae, strict):
        train(model, images, batch_size=10, epochs=1)
    # The gradient of 0.5 * sum(w^2) is w; the learning rate 0.001.
    difference = get_parameters(vae)[0] - get_parameters(strict)[0]
    np.testing.assert_allclose(difference, 1e-3 * parameters[0], rtol=1e-3, atol=1e-7)


MIRRORED = """
    import numpy as np
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    import contextlib, sys
    import keras
    sys.path.insert(0, sys.argv[1])
    from helpers import assert_same_history, assert_same_parameters, get_parameters
    from helpers import remove_noise, set_parameters
    from vae_keras import VAE, Sampling, networks
    from vae_keras.optimizers import FusedAdam

    images = np.random.default_rng(0).random((16, 8, 8, 1), "float32")
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2

    def train(optimizer, scope, images=images):
        with scope:
            keras.utils.set_random_seed(0)
            vae = VAE(*networks.dense((8, 8, 1), units=(16,)), beta=3.0)
            remove_noise(vae)
            vae.compile(optimizer(1e-2))
        before = get_parameters(vae)
        fit = vae.fit(images, batch_size=8, epochs=2, shuffle=False, verbose=0)
        assert np.abs(get_parameters(vae)[0] - before[0]).max() > 1e-4
        # Keras itself averages the first batch over replicas, so it must be even.
        evaluated = vae.evaluate(images, batch_size=8, verbose=0)
        return {**fit.history, "evaluated": evaluated}, get_parameters(vae)

    # Adam divides by the root of what rounding has moved.
    rounding = {"rtol": 1e-3, "atol": 1e-5}
    for optimizer, tolerances in (keras.optimizers.SGD, {}), (FusedAdam, rounding):
        one, two = (train(optimizer, s) for s in (contextlib.nullcontext(), strategy.scope()))
        assert_same_history(one[0], two[0])
        assert_same_parameters(one[1], two[1], **tolerances)

    # A last batch of one image, of which a replica has none.
    few = images[:9]
    one, two = (
        train(keras.optimizers.SGD, s, few) for s in (contextlib.nullcontext(), strategy.scope())
    )
    assert_same_history(one[0], two[0])
    assert_same_parameters(one[1], two[1])

    with strategy.scope():
        sampling = Sampling(seed=0)
    zeros = np.zeros((100, 2), "float32")
    alone = Sampling(seed=0)
    for _ in range(2):
        draws = strategy.run(tf.function(lambda: sampling((zeros, zeros)))).values
        np.testing.assert_array_equal(draws[0], alone((zeros, zeros)))
        assert abs(np.corrcoef(np.ravel(draws[0]), np.ravel(draws[1]))[0, 1]) < 0.3
    print("same")
"""


@on_tensorflow
def test_two_replicas_train_as_one_and_draw_noise_of_their_own(run_python, request):
    assert run_python(MIRRORED, request.path.parent).endswith("same\n")


SHARDED = """
    import os, sys
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    import keras
    import numpy as np
    sys.path.insert(0, sys.argv[1])
    from helpers import assert_same_history, assert_same_parameters, get_parameters
    from vae_keras import VAE, networks

    images = np.random.default_rng(0).random((16, 8, 8, 1), "float32")
    models, histories = [], []
    for devices in (1, 2):
        chosen = keras.distribution.list_devices()[:devices]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=chosen))
        keras.utils.set_random_seed(0)
        vae = VAE(*networks.dense((8, 8, 1), units=(16,)), beta=3.0)
        vae.compile(keras.optimizers.SGD(1e-2))
        before = get_parameters(vae)
        fit = vae.fit(images, batch_size=8, epochs=2, shuffle=False, verbose=0)
        assert len(vae.trainable_variables[0].value.sharding.device_set) == devices
        models.append(vae)
        histories.append(fit.history)
    assert_same_history(*histories)
    assert_same_parameters(*map(get_parameters, models), rtol=1e-4)
    assert np.abs(get_parameters(vae)[0] - before[0]).max() > 1e-4
    print("same")
"""


@on_jax
def test_two_devices_train_as_one_with_the_same_noise(run_python, request):
    assert run_python(SHARDED, request.path.parent).endswith("same\n")


def test_a_backend_without_a_step_is_refused_by_name():
    with pytest.raises(ImportError, match=r"backends.*'tensorflow'.*KERAS_BACKEND='openvino'"):
        train_steps.load("openvino")
