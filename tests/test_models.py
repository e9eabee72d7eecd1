"""What the models compute, and that `fit` and `evaluate` report it."""

import keras
import numpy as np
import pytest
from helpers import Batches, Recorder, assert_same_history, get_parameters, remove_noise

from vae_keras import VAE, Autoencoder, Sampling, kl_divergence, latent, networks
from vae_keras.likelihoods import Gaussian

LIKELIHOODS = ["bernoulli", "continuous_bernoulli", "gaussian"]


def tf_batches(*arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(4)


def torch_batches(*arrays):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(*map(torch.from_numpy, arrays))
    return torch.utils.data.DataLoader(data, batch_size=4)


def evaluate(vae, *args, **kwargs):
    return vae.evaluate(*args, verbose=0, return_dict=True, **kwargs)


def losses(vae, x, y=None):
    """Both terms of each image's loss, for a VAE without noise, by NumPy's arithmetic."""
    z_mean, z_log_var = vae.posterior(x)
    logits = vae.decoder.predict(z_mean, verbose=0).astype("float64")
    target = x if y is None else y
    reconstruction = np.logaddexp(0, logits) - target * logits
    kl = (z_mean.astype("float64") ** 2 + np.exp(z_log_var) - 1 - z_log_var) / 2
    return {"reconstruction_loss": reconstruction.sum((1, 2, 3)), "kl_loss": kl.sum(1)}


def assert_logs(logs, reconstruction_loss, kl_loss, beta=1.0):
    np.testing.assert_allclose(logs["reconstruction_loss"], reconstruction_loss, rtol=1e-5)
    np.testing.assert_allclose(logs["kl_loss"], kl_loss, rtol=1e-4)
    np.testing.assert_allclose(logs["loss"], reconstruction_loss + beta * kl_loss, rtol=1e-5)


class TestLoss:
    @pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
    def test_is_the_reconstruction_loss_plus_beta_times_kl(
        self, make_vae, parameters, images, beta
    ):
        vae = make_vae(noise=False, parameters=parameters, beta=beta)
        expected = {name: loss.mean() for name, loss in losses(vae, images).items()}
        assert expected["kl_loss"] > 0.1
        assert_logs(evaluate(vae, images, batch_size=4), **expected, beta=beta)

    def test_is_a_sum_over_pixels(self, make_networks, images):
        # Every pixel of the image twice, and a decoder that repeats its output.
        encoder, decoder = make_networks()
        x = keras.Input((8, 16, 1))
        wide_encoder = keras.Model(x, encoder(x[:, :, :8]))
        z = keras.Input((2,))
        wide_decoder = keras.Model(z, keras.layers.Concatenate(axis=2)([decoder(z)] * 2))
        one, two = VAE(encoder, decoder), VAE(wide_encoder, wide_decoder)
        logs = []
        for vae, x in [(one, images), (two, np.concatenate([images] * 2, axis=2))]:
            remove_noise(vae)
            vae.compile(run_eagerly=True)
            logs.append(evaluate(vae, x))
        factor = logs[1]["reconstruction_loss"] / logs[0]["reconstruction_loss"]
        np.testing.assert_allclose(factor, 2.0, rtol=1e-5)
        np.testing.assert_allclose(logs[1]["kl_loss"], logs[0]["kl_loss"], rtol=1e-5)

    def test_is_a_sum_over_latent_dimensions(self, make_networks, images):
        encoder, decoder = make_networks()
        x, z = keras.Input((8, 8, 1)), keras.Input((4,))
        doubled = [keras.layers.Concatenate()([tensor] * 2) for tensor in encoder(x)]
        one = VAE(encoder, decoder)
        two = VAE(keras.Model(x, doubled), keras.Model(z, decoder(z[:, :2])))
        for vae in (one, two):
            vae.compile(run_eagerly=True)
        factor = evaluate(two, images)["kl_loss"] / evaluate(one, images)["kl_loss"]
        np.testing.assert_allclose(factor, 2.0, rtol=1e-5)

    def test_estimates_the_negative_evidence_lower_bound(self, make_vae, parameters, images):
        # The bound's expectation over z, by many draws in NumPy, against many evaluations.
        vae = make_vae(parameters=parameters)
        x = images[:1]
        z_mean, z_log_var = vae.posterior(x)
        noise = np.random.default_rng(0).normal(size=(4000, 2))
        logits = vae.decoder.predict(z_mean + np.exp(z_log_var / 2) * noise, verbose=0)
        direct = (np.logaddexp(0, logits) - x * logits).sum((1, 2, 3))
        reported = evaluate(vae, np.repeat(x, 4000, axis=0), batch_size=500)["reconstruction_loss"]
        standard_error = direct.std() * np.sqrt(2 / 4000)
        assert direct.std() > 0.1
        assert abs(reported - direct.mean()) < 4 * standard_error

    def test_adds_what_regularizers_ask(self, images):
        x, z = keras.Input((8, 8, 1)), keras.Input((2,))
        dense = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.7))
        flat = keras.layers.Flatten()(x)
        encoder = keras.Model(x, [dense(flat), keras.layers.Dense(2)(flat)])
        decoder = keras.Model(z, keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(z)))
        vae = VAE(encoder, decoder)
        vae.compile(run_eagerly=True)
        logs = evaluate(vae, images)
        penalty = logs["loss"] - logs["reconstruction_loss"] - logs["kl_loss"]
        kernel = keras.ops.convert_to_numpy(dense.kernel)
        np.testing.assert_allclose(penalty, 0.7 * np.sum(kernel**2), rtol=1e-4)

    def test_scores_the_target_where_there_is_one(self, make_vae, parameters, images):
        vae = make_vae(noise=False, parameters=parameters)
        clean = np.round(images)
        expected = {name: loss.mean() for name, loss in losses(vae, images, clean).items()}
        assert_logs(evaluate(vae, images, clean), **expected)
        plain = evaluate(vae, images)["reconstruction_loss"]
        assert abs(expected["reconstruction_loss"] - plain) > 0.01

    @pytest.mark.parametrize("likelihood", LIKELIHOODS)
    def test_of_an_autoencoder_is_the_reconstruction_loss_of_a_vae(self, images, likelihood):
        encoder, decoder = networks.dense((8, 8, 1), units=(16,))
        vae = VAE(encoder, decoder, likelihood)
        remove_noise(vae)
        autoencoder = Autoencoder(
            keras.Model(encoder.inputs, encoder.outputs[0]), decoder, likelihood
        )
        for model in (vae, autoencoder):
            model.compile(run_eagerly=True)
        logs = evaluate(autoencoder, images)
        assert logs["loss"] == logs["reconstruction_loss"]
        reported = evaluate(vae, images)["reconstruction_loss"]
        np.testing.assert_allclose(logs["loss"], reported, rtol=1e-6)

    def test_falls(self, images):
        for cls, variational in [(VAE, True), (Autoencoder, False)]:
            model = cls(*networks.dense((8, 8, 1), variational=variational))
            model.compile(keras.optimizers.Adam(1e-2))
            loss = model.fit(np.round(images), epochs=30, verbose=0).history["loss"]
            assert loss[-1] < loss[0] - 2.0


class TestWeights:
    def test_multiply_the_loss_of_their_image(self, make_vae, parameters, images):
        vae = make_vae(noise=False, parameters=parameters)
        weight = np.array([0, 2, 1, 0.5, 3, 1, 1, 0, 1, 4], "float32")
        expected = {name: (weight * loss).mean() for name, loss in losses(vae, images).items()}
        logs = evaluate(vae, images, images, sample_weight=weight, batch_size=4)
        assert_logs(logs, **expected)

    @pytest.mark.parametrize("give", ["keyword", "position"])
    def test_count_without_targets_too(self, make_vae, parameters, images, give):
        # Keras itself drops weights that come without targets.
        vae = make_vae(noise=False, parameters=parameters)
        weight = np.arange(10, dtype="float32")
        expected = evaluate(vae, images, images, sample_weight=weight)
        if give == "keyword":
            assert evaluate(vae, images, sample_weight=weight) == expected
        else:
            loss, *_ = vae.evaluate(images, None, 32, 0, weight)
            assert loss == expected["loss"]
        assert abs(expected["loss"] - evaluate(vae, images)["loss"]) > 1.0

    def test_count_in_validation_data_without_targets(self, make_vae, parameters, images):
        vae = make_vae(noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(0.0))
        weight = np.arange(10, dtype="float32")
        data = (images, None, weight)
        history = vae.fit(images, validation_data=data, verbose=0).history
        expected = evaluate(vae, images, images, sample_weight=weight)
        np.testing.assert_allclose(history["val_loss"], [expected["loss"]], rtol=1e-6)

    def test_of_zero_hide_an_image_from_the_gradient(self, make_vae, parameters, images):
        weight = np.ones(10, "float32")
        weight[[2, 7]] = 0
        other = images.copy()
        other[[2, 7]] = 1 - other[[2, 7]]
        trained = []
        for x in (images, other):
            vae = make_vae(noise=False, parameters=parameters)
            vae.fit(x, sample_weight=weight, shuffle=False, verbose=0)
            trained.append(get_parameters(vae))
        for before, one, two in zip(parameters, *trained, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-8)
            assert np.abs(one - before).max() > 0


class TestFit:
    @pytest.mark.parametrize("make", [tf_batches, Batches, torch_batches])
    @pytest.mark.parametrize("num_arrays", [1, 2, 3])
    def test_takes_streams_of_batches_as_arrays(
        self, make_vae, parameters, images, make, num_arrays
    ):
        data = (images, np.round(images), np.arange(10, dtype="float32"))[:num_arrays]
        from_arrays = make_vae(noise=False, parameters=parameters)
        from_stream = make_vae(traced=num_arrays == 3, noise=False, parameters=parameters)
        options = {"epochs": 2, "shuffle": False, "verbose": 0}
        expected = from_arrays.fit(*data[:2], batch_size=4, **options, **weighted(data))
        history = from_stream.fit(make(*data), **options)
        assert_same_history(history.history, expected.history)

    def test_logs_the_mean_over_the_epoch_with_a_smaller_last_batch(
        self, make_vae, parameters, images
    ):
        vae = make_vae(
            traced=True, noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(0.0)
        )
        recorder = Recorder()
        expected = {name: loss.mean() for name, loss in losses(vae, images).items()}
        history = vae.fit(images, batch_size=4, epochs=2, callbacks=[recorder], verbose=0).history
        for epoch in range(2):
            assert_logs({name: values[epoch] for name, values in history.items()}, **expected)
        assert set(recorder.logs) == {"loss", "reconstruction_loss", "kl_loss"}

    @pytest.mark.parametrize("make", [tf_batches, Batches, torch_batches])
    def test_validates_on_a_stream(self, make_vae, parameters, images, make):
        x, y = images[:4], np.round(images[:4])
        vae = make_vae(noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(0.0))
        history = vae.fit(images, validation_data=make(x, y), verbose=0).history
        for name, value in evaluate(vae, x, y).items():
            np.testing.assert_allclose(history[f"val_{name}"], [value], rtol=1e-6)

    def test_validates_on_what_it_is_given(self, make_vae, parameters, images):
        x, y = images[:4], np.round(images[:4])
        vae = make_vae(noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(0.0))
        alone, pair = evaluate(vae, x), evaluate(vae, x, y)
        for data, expected in [(x, alone), ((x,), alone), ((x, y), pair)]:
            history = vae.fit(images, validation_data=data, verbose=0).history
            for name, value in expected.items():
                np.testing.assert_allclose(history[f"val_{name}"], [value], rtol=1e-6)

    def test_splits_off_the_last_images_for_validation(self, make_vae, parameters, images):
        vae = make_vae(noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(0.0))
        history = vae.fit(images, validation_split=0.3, verbose=0).history
        np.testing.assert_allclose(history["loss"], evaluate(vae, images[:7])["loss"], rtol=1e-6)
        expected = evaluate(vae, images[7:])["loss"]
        np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-6)

    def test_takes_its_arguments_in_the_order_of_keras(self, make_vae, images):
        vae, recorder = make_vae(), Recorder()
        # x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data
        history = vae.fit(images, None, 5, 2, 0, [recorder], 0.0, (images,)).history
        assert int(vae.optimizer.iterations) == 4
        assert set(recorder.logs) == set(history)
        assert len(history["val_kl_loss"]) == 2

    @pytest.mark.parametrize("verbose", [1, 2])
    def test_prints_every_loss(self, make_vae, images, capsys, verbose):
        make_vae().fit(images, verbose=verbose)
        printed = capsys.readouterr().out
        for name in ("loss: ", "reconstruction_loss: ", "kl_loss: "):
            assert f" {name}" in printed

    def test_follows_a_beta_that_a_callback_changes(self, make_vae, parameters, images):
        class WarmUp(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.model.beta = 3.0 * epoch

        vae = make_vae(traced=True, noise=False, parameters=parameters)
        history = vae.fit(images, epochs=3, callbacks=[WarmUp()], verbose=0).history
        loss, kl = np.array(history["loss"]), np.array(history["kl_loss"])
        beta = (loss - np.array(history["reconstruction_loss"])) / kl
        np.testing.assert_allclose(beta, [0.0, 3.0, 6.0], atol=1e-3)
        assert vae.beta == 6.0

    def test_of_a_beta_of_zero_leaves_the_log_variance_alone(self, make_vae, parameters, images):
        vae = make_vae(noise=False, parameters=parameters, beta=0.0)
        before = keras.ops.convert_to_numpy(vae.encoder.get_layer("z_log_var").kernel)
        vae.fit(images, verbose=0)
        after = keras.ops.convert_to_numpy(vae.encoder.get_layer("z_log_var").kernel)
        np.testing.assert_array_equal(before, after)

    def test_trains_dropout_and_normalization_and_evaluates_without(self, images):
        x, z = keras.Input((8, 8, 1)), keras.Input((2,))
        hidden = keras.layers.BatchNormalization(name="norm")(keras.layers.Flatten()(x))
        hidden = keras.layers.Dropout(0.5, seed=0)(hidden)
        encoder = keras.Model(x, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)])
        decoder = keras.Model(z, keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(z)))
        vae = VAE(encoder, decoder)
        remove_noise(vae)
        vae.compile(keras.optimizers.SGD(0.0))
        first, again = evaluate(vae, images), evaluate(vae, images)
        assert first == again
        history = vae.fit(images, verbose=0).history
        assert abs(history["loss"][0] - first["loss"]) > 1e-3
        moving = keras.ops.convert_to_numpy(encoder.get_layer("norm").moving_mean)
        np.testing.assert_allclose(moving, 0.01 * images.reshape(10, -1).mean(0), rtol=1e-4)


def weighted(data):
    return {"sample_weight": data[2]} if len(data) == 3 else {}


class TestCodesAndImages:
    @pytest.mark.parametrize("likelihood", LIKELIHOODS)
    def test_images_are_float32_in_0_1(self, make_vae, parameters, images, likelihood):
        vae = make_vae(parameters=parameters, likelihood=likelihood)
        codes = np.random.default_rng(0).normal(0, 20, (6, 2))
        for made in (vae.decode(codes), vae.reconstruct(images[:6]), vae.generate(6)):
            assert isinstance(made, np.ndarray)
            assert made.dtype == np.float32
            assert made.shape == (6, 8, 8, 1)
            assert made.min() >= 0.0
            assert made.max() <= 1.0
            assert made.std() > 0.0

    def test_a_sampler_takes_the_place_of_the_prior(self, make_vae, parameters):
        vae = make_vae(parameters=parameters)
        codes = np.random.default_rng(0).normal(3.0, 0.1, (50, 2))
        sampler = latent.fit_gaussian(codes)
        made = vae.generate(6, seed=1, sampler=sampler)
        np.testing.assert_array_equal(made, vae.decode(sampler.sample(6, seed=1)))
        assert np.any(made != vae.generate(6, seed=1))

    def test_decoding_gives_the_mean_of_the_likelihood(self, make_vae, parameters):
        vae = make_vae(parameters=parameters)
        codes = np.array([[0.3, -2.0]])
        logits = vae.decoder.predict(codes, verbose=0)
        np.testing.assert_allclose(vae.decode(codes), 1 / (1 + np.exp(-logits)), rtol=1e-5)

    def test_the_code_is_the_mean_of_the_posterior(self, make_vae, parameters, images):
        vae = make_vae(parameters=parameters)
        z_mean, z_log_var = vae.encoder.predict(images, verbose=0)
        np.testing.assert_array_equal(vae.encode(images), z_mean)
        np.testing.assert_array_equal(vae.posterior(images)[1], z_log_var)
        assert vae.encode(images).dtype == np.float32

    def test_reconstructing_is_encoding_and_decoding(self, make_vae, parameters, images):
        vae = make_vae(parameters=parameters)
        expected = vae.decode(vae.encode(images))
        np.testing.assert_allclose(vae.reconstruct(images, batch_size=3), expected, rtol=1e-5)

    def test_codes_of_a_stream_are_those_of_its_images(self, make_vae, images):
        vae = make_vae()
        np.testing.assert_allclose(vae.encode(Batches(images)), vae.encode(images), rtol=1e-5)

    def test_generating_with_a_seed_can_be_repeated(self, make_vae, parameters):
        vae = make_vae(parameters=parameters)
        first = vae.generate(5, seed=1)
        np.testing.assert_array_equal(first, vae.generate(5, seed=1))
        assert not np.allclose(first, vae.generate(5, seed=2))
        assert not np.allclose(vae.generate(5), vae.generate(5))

    def test_generating_draws_codes_from_the_prior(self):
        # A decoder that shows its code: the image is the code, moved into [0, 1].
        encoder, _ = networks.dense((1, 2, 1), units=(2,))
        z = keras.Input((2,))
        decoder = keras.Model(z, keras.layers.Reshape((1, 2, 1))(z * 0.1 + 0.5))
        vae = VAE(encoder, decoder, likelihood="gaussian")
        codes = (vae.generate(5000, seed=0).reshape(-1, 2) - 0.5) / 0.1
        np.testing.assert_allclose(codes.mean(0), 0.0, atol=0.06)
        np.testing.assert_allclose(np.cov(codes.T), np.eye(2), atol=0.1)

    def test_a_code_may_be_a_map(self, images):
        x, z = keras.Input((8, 8, 1)), keras.Input((4, 4, 3))
        encoder = keras.Model(
            x, [keras.layers.Conv2D(3, 2, strides=2)(x), keras.layers.Conv2D(3, 2, strides=2)(x)]
        )
        decoder = keras.Model(z, keras.layers.Conv2DTranspose(1, 2, strides=2)(z))
        vae = VAE(encoder, decoder)
        vae.compile(run_eagerly=True)
        z_mean, z_log_var = vae.posterior(images)
        assert vae.encode(images).shape == (10, 4, 4, 3)
        assert vae.reconstruct(images).shape == vae.generate(10).shape == images.shape
        kl = keras.ops.convert_to_numpy(kl_divergence(z_mean, z_log_var)).mean()
        np.testing.assert_allclose(evaluate(vae, images)["kl_loss"], kl, rtol=1e-5)

    def test_a_subclassed_encoder_is_built_by_the_first_images(self, images):
        decoder = keras.Sequential([keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
        vae = VAE(PlainEncoder(), decoder)
        with pytest.raises(ValueError, match="call or fit the model on images first"):
            vae.generate(2)
        vae.compile(run_eagerly=True)
        vae.fit(images, verbose=0)
        assert vae.generate(2).shape == (2, 8, 8, 1)
        assert vae.encode(images).shape == (10, 2)

    def test_an_autoencoder_gives_codes_and_images(self, make_networks, images):
        autoencoder = Autoencoder(*make_networks(latent_dim=3, variational=False))
        codes = autoencoder.encode(images)
        assert codes.shape == (10, 3)
        assert autoencoder.reconstruct(images).shape == images.shape
        np.testing.assert_array_equal(autoencoder.decode(codes), autoencoder.reconstruct(images))


class PlainEncoder(keras.Model):
    """An encoder that learns its input's shape from its first call."""

    def __init__(self):
        super().__init__()
        self.z_mean, self.z_log_var = keras.layers.Dense(2), keras.layers.Dense(2)

    def call(self, x):
        x = keras.ops.reshape(x, (-1, 64))
        return self.z_mean(x), self.z_log_var(x)


def test_calling_a_vae_gives_parameters_and_posterior(make_vae, parameters, images):
    vae = make_vae(noise=False, parameters=parameters)
    outputs = [keras.ops.convert_to_numpy(output) for output in vae(images)]
    np.testing.assert_allclose(outputs[1], vae.posterior(images)[0], rtol=1e-5)
    np.testing.assert_allclose(outputs[2], vae.posterior(images)[1], rtol=1e-5, atol=1e-7)
    decoded = vae.decoder.predict(outputs[1], verbose=0)
    np.testing.assert_allclose(outputs[0], decoded, rtol=1e-4, atol=1e-6)


def test_calling_a_vae_decodes_a_sample_of_the_posterior(make_vae, parameters, images):
    vae = make_vae(parameters=parameters)
    z_mean, z_log_var = vae.posterior(images)
    vae.sampling.seed_generator.state.assign([5, 0])
    drawn = Sampling(seed=5)((z_mean, z_log_var))
    decoded = vae.decoder.predict(keras.ops.convert_to_numpy(drawn), verbose=0)
    output = keras.ops.convert_to_numpy(vae(images)[0])
    np.testing.assert_allclose(output, decoded, rtol=1e-4, atol=1e-5)


def test_equal_seeds_give_equal_trainings(make_vae, images):
    histories = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        histories.append(make_vae().fit(images, epochs=2, verbose=0).history)
    assert histories[0] == histories[1]


def test_the_learned_scale_is_trained_with_the_networks(make_vae, images):
    vae = make_vae(likelihood=Gaussian(learn_scale=True))
    before = float(vae.likelihood.log_scale)
    vae.fit(images, verbose=0)
    assert float(vae.likelihood.log_scale) < before


def test_parts_that_are_frozen_are_not_trained(make_vae, parameters, images):
    vae = make_vae(parameters=parameters)
    vae.encoder.trainable = False
    vae.compile(keras.optimizers.SGD(1e-3))
    before = vae.encode(images), vae.decode(np.ones((1, 2)))
    vae.fit(images, verbose=0)
    np.testing.assert_array_equal(vae.encode(images), before[0])
    assert not np.allclose(vae.decode(np.ones((1, 2))), before[1])


def test_the_optimizer_is_built_before_the_first_step_is_traced(make_vae, images):
    vae, built = make_vae(), []
    vae.compile("adam")
    on_begin = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: built.append(vae.optimizer.built)
    )
    vae.fit(images, callbacks=[on_begin], verbose=0)
    assert built == [True]
