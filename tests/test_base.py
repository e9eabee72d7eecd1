"""A VAE is a Keras model like others: subclassed, loaded, exported and fed as they are."""

import importlib.util

import keras
import numpy as np
import pytest
from helpers import BACKEND, Batches, on_jax, on_torch, remove_noise

from vae_keras import VAE, Autoencoder, evaluation, likelihoods, networks
from vae_keras.likelihoods import Gaussian

LAYERS = keras.layers


@keras.saving.register_keras_serializable(package="tests")
class WithOwnState(VAE):
    """Makes a layer, a weight and a metric after `super().__init__`, and uses them."""

    def __init__(self, *args, width=3, **kwargs):
        super().__init__(*args, **kwargs)
        self.width = width
        self.own_layer = LAYERS.Dense(width, name="own")
        self.own_weight = self.add_weight(shape=(2,), initializer="ones", name="shift")
        self.own_metric = keras.metrics.Mean(name="code_size")

    def call(self, x, training=None):
        parameters, z_mean, z_log_var, z = super().call(x, training)
        size = keras.ops.mean(self.own_layer(z) ** 2) + keras.ops.mean(self.own_weight)
        return parameters + 0.1 * size, z_mean, z_log_var, z

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.own_metric.update_state(keras.ops.mean(keras.ops.square(y_pred[1])))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="tests")
class MakesItsParts(VAE):
    """Takes arguments of its own alone, as a Keras model of a paper would."""

    def __init__(self, latent_dim=2, **kwargs):
        super().__init__(*networks.dense((8, 8, 1), latent_dim, units=(4,)), **kwargs)
        self.latent_dim = latent_dim

    def get_config(self):
        config = super().get_config()
        del config["encoder"], config["decoder"]
        return {**config, "latent_dim": self.latent_dim}


@keras.saving.register_keras_serializable(package="tests")
class WiderPosterior(VAE):
    def call(self, x, training=None):
        z_mean, z_log_var = self.encoder(x, training=training)
        z_log_var = z_log_var + 2.0
        z = self.sampling((z_mean, z_log_var))
        return self.decoder(z, training=training), z_mean, z_log_var


class FreeBits(VAE):
    """Computes its own loss, and nothing of ours."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        kl = self.prior(*y_pred[1:4])
        return keras.ops.mean(keras.ops.maximum(kl, 3.0) - self.likelihood(x, y_pred[0]))


class WithATerm(VAE):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs) + 100.0


class ReturnsMore(VAE):
    def call(self, x, training=None):
        outputs = super().call(x, training)
        return (*outputs, 2.0 * outputs[3])


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


class TestASubclass:
    def test_may_have_layers_weights_and_metrics_of_its_own(self, make_networks, images, tmp_path):
        model = WithOwnState(*make_networks(), width=4)
        model.compile(keras.optimizers.SGD(1e-2))
        history = model.fit(images, verbose=0).history
        assert {"loss", "reconstruction_loss", "kl_loss", "code_size"} == set(history)
        assert history["code_size"][0] > 0
        assert not np.array_equal(to_numpy(model.own_weight), np.ones(2))
        model.save(tmp_path / "model.keras")
        copy = keras.saving.load_model(tmp_path / "model.keras")
        assert (type(copy), copy.width) == (WithOwnState, 4)
        for one, two in zip(model.get_weights(), copy.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
        copy.fit(images, verbose=0)

    def test_may_take_arguments_of_its_own_alone(self, images, tmp_path):
        model = MakesItsParts(latent_dim=3, beta=2.0)
        assert MakesItsParts.from_config(model.get_config()).latent_dim == 3
        model.save(tmp_path / "model.keras")
        copy = keras.saving.load_model(tmp_path / "model.keras")
        assert (copy.latent_dim, copy.beta) == (3, 2.0)
        np.testing.assert_array_equal(copy.encode(images), model.encode(images))

    def test_is_evaluated_by_its_own_posterior(self, make_networks, parameters, images):
        model = WiderPosterior(*make_networks())
        plain = VAE(model.encoder, model.decoder)
        model.compile(run_eagerly=True)
        many = np.repeat(images[:2], 500, axis=0)
        loss = model.evaluate(many, verbose=0, return_dict=True)["loss"]
        bound = -evaluation.elbo(model, images[:2], num_samples=500, seed=0).mean()
        assert abs(loss - bound) < 0.3
        assert abs(bound + evaluation.elbo(plain, images[:2], 500, seed=0).mean()) > 1.0
        wider, narrower = (model.posterior(images)[1] for model in (model, plain))
        np.testing.assert_allclose(wider, narrower + 2.0, rtol=1e-5)

    def test_reports_the_loss_that_it_computes(self, make_networks, images):
        model = FreeBits(*make_networks())
        model.compile(keras.optimizers.SGD(0.0))
        history = model.fit(images, validation_data=(images,), verbose=0).history
        assert set(history) == {"loss", "val_loss"}
        bound = -evaluation.elbo(VAE(model.encoder, model.decoder), images, 100, seed=0).mean()
        for value in (history["loss"][0], history["val_loss"][0]):
            assert bound - 0.5 < value < bound + 3.5
        assert model.train_on_batch(images, return_dict=True)["loss"] > 1.0
        assert model.evaluate(images, verbose=0) > 1.0

    def test_reports_what_it_adds_to_the_loss(self, make_networks, images):
        model = WithATerm(*make_networks())
        model.compile(keras.optimizers.SGD(1e-3))
        logs = model.fit(images, batch_size=3, verbose=0).history
        parts = logs["reconstruction_loss"][0] + logs["kl_loss"][0]
        np.testing.assert_allclose(logs["loss"][0], parts + 100.0, rtol=1e-5)
        logs = model.evaluate(images, verbose=0, return_dict=True)
        parts = logs["reconstruction_loss"] + logs["kl_loss"]
        np.testing.assert_allclose(logs["loss"], parts + 100.0, rtol=1e-5)

    def test_of_a_loss_of_its_own_is_stopped_where_that_is_not_finite(self, make_networks, images):
        model = FreeBits(*make_networks())
        model.compile(keras.optimizers.SGD(1e30))
        with pytest.raises(FloatingPointError, match="not finite"):
            model.fit(images, batch_size=2, epochs=3, verbose=0)
        with pytest.raises(ValueError, match="values from"):
            model.fit(Batches(255.0 * images), verbose=0)

    def test_may_return_more_than_the_model_needs(self, make_networks, images):
        model = ReturnsMore(*make_networks())
        model.compile(keras.optimizers.SGD(0.0))
        plain = VAE(model.encoder, model.decoder)
        plain.compile()
        kl = [m.evaluate(images, verbose=0, return_dict=True)["kl_loss"] for m in (model, plain)]
        np.testing.assert_allclose(*kl, rtol=1e-5)
        assert len(model.predict(images, verbose=0)) == 5
        bounds = [evaluation.elbo(m, images, 50, seed=0) for m in (model, plain)]
        np.testing.assert_allclose(*bounds, rtol=1e-4)


class TestExport:
    @pytest.mark.parametrize("when", ["new", "loaded", "trained"])
    def test_gives_the_outputs_of_the_model(self, make_networks, images, tmp_path, when):
        pytest.importorskip("tensorflow")
        if BACKEND == "torch":
            pytest.skip("Keras exports no SavedModel from PyTorch")
        model = Autoencoder(*make_networks(variational=False))
        if when == "trained":
            model.compile("sgd")
            model.fit(images, verbose=0)
        if when == "loaded":
            model.save(tmp_path / "model.keras")
            model = keras.saving.load_model(tmp_path / "model.keras")
        model.export(tmp_path / "exported", verbose=False)
        import tensorflow as tf

        artifact = tf.saved_model.load(str(tmp_path / "exported"))
        served = artifact.serve(images)
        for one, two in zip(served, model.predict(images, verbose=0), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)

    def test_of_a_vae_draws_anew(self, make_vae, images, tmp_path):
        pytest.importorskip("tensorflow")
        if BACKEND == "torch":
            pytest.skip("Keras exports no SavedModel from PyTorch")
        vae = make_vae()
        vae.export(tmp_path / "exported", verbose=False)
        import tensorflow as tf

        artifact = tf.saved_model.load(str(tmp_path / "exported"))
        served = artifact.serve(images)
        np.testing.assert_allclose(served[1], vae.posterior(images)[0], rtol=1e-4, atol=1e-5)
        assert np.abs(artifact.serve(images)[3] - served[3]).max() > 0.1

    def test_of_a_vae_to_onnx_is_told(self, make_vae, tmp_path):
        with pytest.raises(ValueError, match=r"export its `encoder` and its `decoder`"):
            make_vae().export(tmp_path / "vae.onnx", format="onnx")

    @pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))), reason="needs ONNX"
    )
    def test_to_onnx_gives_the_outputs_of_the_model(self, make_networks, images, tmp_path):
        import onnxruntime

        model = Autoencoder(*make_networks(variational=False))
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
        served = session.run(None, {session.get_inputs()[0].name: images})
        for one, two in zip(served, model.predict(images, verbose=0), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


class TestWeightsFiles:
    def test_leave_beta_as_it_is(self, make_vae, images, tmp_path):
        one, four = make_vae(beta=1.0), make_vae(beta=4.0)
        one.save_weights(tmp_path / "one.weights.h5")
        four.load_weights(tmp_path / "one.weights.h5")
        assert four.beta == 4.0
        np.testing.assert_array_equal(four.encode(images), one.encode(images))

    def test_beta_is_no_weight(self, make_vae):
        names = [variable.name for variable in make_vae().weights]
        assert "beta" not in names

    @pytest.mark.skipif(
        tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15),
        reason="the files were written by Keras 3.15, which no older one reads",
    )
    def test_of_version_0_1_0_load(self, request):
        folder = request.path.parent / "files"
        expected = np.load(folder / "0.1.0.npz")
        vae = keras.saving.load_model(folder / "0.1.0.keras")
        images = expected["images"]
        np.testing.assert_allclose(vae.encode(images), expected["codes"], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(vae.decode(np.ones((1, 2))), expected["decoded"], rtol=1e-4)
        assert vae.beta == expected["beta"] == 2.0
        np.testing.assert_allclose(float(vae.likelihood.log_scale), expected["log_scale"])
        vae.fit(images, verbose=0)

        autoencoder = keras.saving.load_model(folder / "0.1.0-autoencoder.keras")
        np.testing.assert_allclose(autoencoder.reconstruct(images), expected["ae"], rtol=1e-4)
        assert autoencoder.likelihood.scale == 1.0  # what the name meant then

        parts = networks.dense((8, 8, 1), units=(4,))
        other = VAE(*parts, Gaussian(0.3, learn_scale=True), beta=5.0)
        other.load_weights(folder / "0.1.0.weights.h5")
        np.testing.assert_allclose(other.encode(images), expected["codes"], rtol=1e-4, atol=1e-6)
        assert other.beta == 5.0


class TestBeta:
    @pytest.mark.parametrize("through", ["callback", "closure"])
    def test_set_between_batches_counts_from_the_next_on(
        self, make_vae, parameters, images, through
    ):
        vae = make_vae(
            traced=True, noise=False, parameters=parameters, optimizer=keras.optimizers.SGD(0.0)
        )

        class Rise(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                model = self.model if through == "callback" else vae
                model.beta = float(batch)
                assert model.beta == batch

        x = np.concatenate([images[:4]] * 3)
        logs = vae.fit(x, batch_size=4, shuffle=False, callbacks=[Rise()], verbose=0).history
        # The mean of 0, 1 and 2.
        beta = (logs["loss"][0] - logs["reconstruction_loss"][0]) / logs["kl_loss"][0]
        np.testing.assert_allclose(beta, 1.0, rtol=1e-4)

    def test_must_be_finite(self, make_vae):
        with pytest.raises(ValueError, match=r"`beta` must be >= 0 and finite. Received: beta=inf"):
            make_vae(beta=float("inf"))


class TestMetrics:
    def test_of_compile_are_of_the_reconstruction(self, make_vae, parameters, images):
        vae = make_vae(noise=False, parameters=parameters)
        vae.compile(keras.optimizers.SGD(0.0), metrics=["mse"])
        clean = np.round(images)
        for y in (None, clean):
            target = images if y is None else y
            expected = np.mean((vae.reconstruct(images) - target) ** 2)
            history = vae.fit(images, y, validation_data=(images, y), verbose=0).history
            for name in ("mse", "val_mse"):
                np.testing.assert_allclose(history[name], [expected], rtol=1e-4)
        assert {"loss", "reconstruction_loss", "kl_loss", "mse"} <= set(history)

    def test_a_loss_of_compile_is_refused(self, make_vae, images):
        vae = make_vae()
        vae.compile("sgd", loss="mse")
        with pytest.raises(ValueError, match=r"computes its own loss.*`loss` of `compile`.*mse"):
            vae.fit(images)
        vae.compile("sgd", run_eagerly=True)
        vae.fit(images, verbose=0)

    def test_of_a_subclass_may_have_the_names_of_ours(self, make_vae, images):
        class Named(VAE):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.own = keras.metrics.Mean(name="kl_loss")

        vae = make_vae(Named)
        vae.own.update_state(7.0)
        assert vae.own in vae.metrics
        assert len(vae.metrics) == 5


class TestStreams:
    """Hold what arrays must hold, and are told so at the first batch."""

    def streams(self, x):
        yield Batches(x)
        yield from (((batch,) for batch in (x[:4], x[4:])),)
        if BACKEND == "tensorflow":
            import tensorflow as tf

            yield tf.data.Dataset.from_tensor_slices(x).batch(4)

    def test_of_8_bit_images_are_refused(self, make_vae, images):
        for stream in self.streams(np.float32(255 * images)):
            with pytest.raises(ValueError, match=r"values in \[0.0, 1.0\].*Divide 8-bit images"):
                make_vae().fit(stream, verbose=0)

    def test_of_values_below_zero_are_refused(self, make_vae, images):
        for stream in self.streams(2 * images - 1):
            with pytest.raises(ValueError, match=r"values in \[0.0, 1.0\].*from -0\.9") as error:
                make_vae(traced=True).fit(stream, verbose=0)
            assert "8-bit" not in str(error.value)

    def test_are_refused_by_evaluate_and_as_validation_data(self, make_vae, images):
        with pytest.raises(ValueError, match=r"values in \[0.0, 1.0\]"):
            make_vae().evaluate(Batches(255 * images), verbose=0)
        with pytest.raises(ValueError, match=r"values in \[0.0, 1.0\]"):
            make_vae().fit(images, validation_data=Batches(255 * images), verbose=0)

    def test_of_noisy_images_are_taken_as_arrays_are(self, make_vae, parameters, images):
        noisy = images + np.random.default_rng(0).normal(size=images.shape).astype("float32")
        vae, other = (make_vae(noise=False, parameters=parameters) for _ in range(2))
        options = {"shuffle": False, "verbose": 0}
        loss = vae.fit(noisy, images, batch_size=4, **options).history["loss"]
        assert other.fit(Batches(noisy, images), **options).history["loss"] == loss
        assert np.isfinite(vae.reconstruct(noisy)).all()
        assert np.isfinite(vae.encode(noisy)).all()

    def test_of_float64_train_as_float32(self, make_vae, parameters, images):
        double = images.astype("float64")
        for stream in self.streams(double):
            vae = make_vae(traced=True, noise=False, parameters=parameters)
            assert np.isfinite(vae.fit(stream, verbose=0).history["loss"]).all()
        vae = make_vae(parameters=parameters)
        assert np.isfinite(vae.train_on_batch(double)[0])

    def test_a_batch_by_itself_is_checked(self, make_vae, images):
        for method in ("train_on_batch", "test_on_batch"):
            with pytest.raises(ValueError, match=r"Argument `x` must hold values.*8-bit"):
                getattr(make_vae(), method)(255 * images)

    @pytest.mark.skipif(BACKEND == "torch", reason="Keras takes one step per execution")
    def test_are_refused_by_evaluate_in_several_steps_at_once(self, make_vae, images):
        vae = make_vae()
        vae.compile("sgd", steps_per_execution=2)
        with pytest.raises(ValueError, match=r"values in \[0.0, 1.0\]"):
            vae.evaluate(Batches(255 * np.concatenate([images] * 2)), verbose=0)

    def test_are_read_no_more_often_than_keras_reads_them(self, make_vae, make_networks, images):
        seen = []

        class Counting(Batches):
            def __getitem__(self, index):
                seen.append(index)
                return super().__getitem__(index)

        make_vae().fit(Counting(images), shuffle=False, verbose=0)
        ours = seen.copy()
        seen.clear()
        plain = keras.Sequential(make_networks(variational=False))
        plain.compile("sgd", "mse", run_eagerly=True)
        plain.fit(Counting(images, images), shuffle=False, verbose=0)
        # On some backends Keras looks at a batch before it trains a model that is not built.
        assert set(ours) == {0, 1, 2}
        assert len(ours) <= len(seen)


class TestWeights:
    """Of single values: the sum runs over what counts."""

    def test_leave_out_missing_entries(self, make_vae, parameters, images):
        present = (np.random.default_rng(3).random(images.shape) < 0.7).astype("float32")
        other = np.where(present, images, 0.9).astype("float32")
        vae = make_vae(noise=False, parameters=parameters)
        z_mean = vae.encode(images)
        logits = vae.decoder.predict(z_mean, verbose=0).astype("float64")
        expected = ((np.logaddexp(0, logits) - images * logits) * present).sum((1, 2, 3)).mean()
        for y in (images, other):
            loss = vae.evaluate(images, y, sample_weight=present, verbose=0, return_dict=True)
            np.testing.assert_allclose(loss["reconstruction_loss"], expected, rtol=1e-5)
        plain = vae.evaluate(images, verbose=0, return_dict=True)
        np.testing.assert_allclose(loss["kl_loss"], plain["kl_loss"], rtol=1e-5)

    def test_of_rows_count_for_all_their_pixels(self, make_vae, parameters, images):
        rows = np.random.default_rng(3).random((10, 8)).astype("float32")
        vae = make_vae(noise=False, parameters=parameters)
        whole = np.broadcast_to(rows[:, :, None, None], images.shape)
        losses = [
            vae.evaluate(images, images, sample_weight=weight, verbose=0)
            for weight in (rows, rows[..., None], rows[..., None, None], whole)
        ]
        for loss in losses[1:]:
            np.testing.assert_allclose(loss, losses[0], rtol=1e-5)

    def test_of_another_shape_are_refused(self, make_vae, images):
        with pytest.raises(ValueError, match=r"`sample_weight`.*shape \(10, 7\), images of shape"):
            make_vae().fit(images, images, sample_weight=np.ones((10, 7)), verbose=0)

    @pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0])
    def test_that_are_no_weights_are_told(self, make_vae, images, weight):
        weights = np.ones(10)
        weights[3] = weight
        vae = make_vae()
        for call in (
            lambda: vae.fit(images, sample_weight=weights),
            lambda: vae.fit(images, validation_data=(images, images, weights)),
        ):
            with pytest.raises(ValueError, match=r"`sample_weight` must hold finite numbers >= 0"):
                call()


class TestMasks:
    def make(self):
        """Sequences with one code for each step, where steps of zeros are masked."""
        x, z = keras.Input((None, 3)), keras.Input((None, 2))
        hidden = LAYERS.LSTM(4, return_sequences=True)(LAYERS.Masking()(x))
        encoder = keras.Model(x, [LAYERS.Dense(2)(hidden), LAYERS.Dense(2)(hidden)])
        decoder = keras.Model(z, LAYERS.Dense(3)(z))
        vae = VAE(encoder, decoder, Gaussian(0.5))
        remove_noise(vae)
        vae.compile(run_eagerly=True)
        return vae

    def test_are_passed_on_and_padded_steps_do_not_count(self, recwarn):
        vae = self.make()
        steps = np.random.default_rng(0).random((4, 5, 3)).astype("float32") + 0.1
        steps = np.clip(steps, 0, 1)
        padded = np.concatenate([steps, np.zeros((4, 3, 3), "float32")], axis=1)
        short, long = (vae.evaluate(x, verbose=0, return_dict=True) for x in (steps, padded))
        assert not [w for w in recwarn if "mask" in str(w.message)]
        np.testing.assert_allclose(long["kl_loss"], short["kl_loss"], rtol=1e-4)
        np.testing.assert_allclose(
            long["reconstruction_loss"], short["reconstruction_loss"], rtol=1e-4
        )

    @pytest.mark.parametrize("estimate", [evaluation.elbo, evaluation.log_likelihood])
    def test_padded_steps_do_not_count_in_the_bounds(self, estimate):
        vae = self.make()
        kernel = vae.decoder.layers[-1].kernel  # so that one code is as good as another
        kernel.assign(np.zeros(kernel.shape))
        steps = np.random.default_rng(0).random((4, 5, 3)).astype("float32")
        padded = np.concatenate([steps, np.zeros((4, 3, 3), "float32")], axis=1)
        short, long = (estimate(vae, x, num_samples=999, seed=0) for x in (steps, padded))
        np.testing.assert_allclose(long, short, atol=0.1)


class TestConditions:
    """A class as the second input of encoder and decoder."""

    def parts(self, encoder_takes_it=True):
        x, c, z = keras.Input((8, 8, 1)), keras.Input((3,)), keras.Input((2,))
        flat = LAYERS.Flatten()(x)
        hidden = LAYERS.Concatenate()([flat, c]) if encoder_takes_it else flat
        outputs = [LAYERS.Dense(2)(hidden), LAYERS.Dense(2)(hidden)]
        encoder = keras.Model([x, c] if encoder_takes_it else x, outputs)
        logits = LAYERS.Dense(64)(LAYERS.Concatenate()([z, c]))
        return encoder, keras.Model([z, c], LAYERS.Reshape((8, 8, 1))(logits))

    @pytest.mark.parametrize("encoder_takes_it", [True, False])
    def test_reach_both_parts_everywhere(self, images, tmp_path, encoder_takes_it):
        c = np.eye(3, dtype="float32")[np.arange(10) % 3]
        vae = VAE(*self.parts(encoder_takes_it))
        vae.compile(keras.optimizers.Adam(1e-2))
        first = vae.fit([images, c], epochs=2, batch_size=4, verbose=0).history["loss"]
        assert np.isfinite(first).all()
        codes = vae.encode([images, c])
        assert codes.shape == (10, 2)
        decoded = vae.decode(codes, condition=c)
        np.testing.assert_allclose(vae.reconstruct([images, c]), decoded, rtol=1e-5)
        assert np.abs(vae.decode(codes, condition=c[::-1]) - decoded).max() > 1e-4
        assert vae.generate(3, seed=0, condition=np.eye(3)).shape == (3, 8, 8, 1)
        loss = vae.evaluate([images, c], verbose=0, return_dict=True)["loss"]
        bound = -evaluation.elbo(vae, [images, c], num_samples=300, seed=0).mean()
        assert abs(loss - bound) < 3.0
        vae.save(tmp_path / "vae.keras")
        copy = keras.saving.load_model(tmp_path / "vae.keras")
        np.testing.assert_array_equal(copy.encode([images, c]), codes)
        np.testing.assert_array_equal(copy.decode(codes, condition=c), decoded)

    def test_come_in_streams_too(self, images):
        c = np.eye(3, dtype="float32")[np.arange(10) % 3]

        class Pairs(keras.utils.PyDataset):
            def __len__(self):
                return 2

            def __getitem__(self, index):
                rows = slice(5 * index, 5 * index + 5)
                return ((images[rows], c[rows]),)

        encoder, decoder = self.parts()
        histories = []
        for data, options in ((Pairs(), {}), ([images, c], {"batch_size": 5})):
            vae = VAE(keras.models.clone_model(encoder), keras.models.clone_model(decoder))
            vae.encoder.set_weights(encoder.get_weights())
            vae.decoder.set_weights(decoder.get_weights())
            remove_noise(vae)
            vae.compile(keras.optimizers.SGD(1e-3))
            histories.append(vae.fit(data, shuffle=False, verbose=0, **options).history["loss"])
        np.testing.assert_allclose(*histories, rtol=1e-5)

    def test_that_no_part_takes_are_told(self, make_vae, images):
        vae = make_vae()
        for call in (
            lambda: vae.fit([images, np.ones((10, 3))]),
            lambda: vae.encode([images, np.ones((10, 3))]),
            lambda: vae.generate(2, condition=np.ones((2, 3))),
        ):
            with pytest.raises(ValueError, match=r"Expected 0 conditions.*Received: 1"):
                call()

    def test_that_are_missing_are_told_and_the_model_lives(self, images):
        c = np.eye(3, dtype="float32")[np.arange(10) % 3]
        vae = VAE(*self.parts())
        vae.compile("sgd")
        vae.fit([images, c], verbose=0)
        for call in (
            lambda: vae.fit(images),
            lambda: vae.evaluate(images),
            lambda: vae.encode(images),
            lambda: vae.predict(images),
            lambda: vae.decode(np.zeros((2, 2))),
            lambda: vae.generate(2),
            lambda: evaluation.elbo(vae, images),
        ):
            with pytest.raises(ValueError, match=r"Expected 1 condition .*0. Pass a list, `\[ima"):
                call()
        with pytest.raises(ValueError, match=r"Received: 3. A list is one condition each"):
            vae.generate(3, condition=[0, 1, 2])
        assert vae.generate(2, condition=c[:2]).shape == (2, 8, 8, 1)
        vae.fit([images, c], verbose=0)

    def test_of_another_shape_or_number_or_of_nan_are_told(self, images):
        vae = VAE(*self.parts())
        vae.compile("sgd")
        c, nan = np.ones((10, 3)), np.full((10, 3), np.nan)
        for call, message in (
            (lambda: vae.generate(2, condition=np.ones(3)), r"of shape \(2, 3\).*shape \(3,\)"),
            (lambda: vae.decode(np.zeros((2, 2)), condition=c), r"of shape \(2, 3\).*\(10, 3\)"),
            (lambda: vae.encode([images, c[:, :2]]), r"of shape \(10, 3\).*shape \(10, 2\)"),
            (lambda: vae.fit([images, nan]), "must not hold NaN"),
            (lambda: vae.generate(10, condition=nan), "must not hold NaN"),
        ):
            with pytest.raises(ValueError, match=message):
                call()

    def test_may_be_changed_by_a_call_of_a_subclass(self, images):
        class OneHot(VAE):
            def call(self, x, training=None):
                return super().call([x[0], keras.ops.one_hot(x[1], 3)], training)

        labels = np.arange(10) % 3
        vae = OneHot(*self.parts())
        vae.compile("sgd")
        vae.fit([images, labels], verbose=0)
        assert vae.encode([images, labels]).shape == (10, 2)

    def test_of_the_decoder_alone_need_not_be_encoded(self, images):
        vae = VAE(*self.parts(encoder_takes_it=False))
        assert vae.encode(images).shape == (10, 2)
        with pytest.raises(ValueError, match="Expected 1 condition"):
            vae.reconstruct(images)

    def test_by_name_are_refused(self, images):
        vae = VAE(*self.parts())
        vae.compile("sgd")
        with pytest.raises(ValueError, match="a list of images and conditions"):
            vae.fit({"image": images, "label": np.ones((10, 3))})


class TestNothing:
    def test_to_learn_from_is_told(self, make_vae, images):
        for method in ("fit", "evaluate"):
            with pytest.raises(
                ValueError, match=r"`x` must hold at least one image.*\(0, 8, 8, 1\)"
            ):
                getattr(make_vae(), method)(images[:0])

    def test_has_no_codes_and_no_images(self, make_vae, images):
        vae = make_vae()
        assert vae.encode(images[:0]).shape == (0, 2)
        assert vae.decode(np.zeros((0, 2))).shape == vae.generate(0).shape == (0, 8, 8, 1)
        assert vae.reconstruct(images[:0]).shape == (0, 8, 8, 1)

    def test_to_predict_from_is_told(self, make_vae, images):
        with pytest.raises(ValueError, match="at least one image"):
            make_vae().predict(images[:0])

    def test_class_weights_are_told(self, make_vae, images):
        with pytest.raises(ValueError, match="`class_weight` must be None"):
            make_vae().fit(images, class_weight={0: 1.0})


class TestSettings:
    def test_a_seed_repeats_the_noise(self, make_networks, images):
        parts = make_networks()
        models = [VAE(*parts, seed=7) for _ in range(2)]
        draws = [to_numpy(model(images)[3]) for model in models]
        np.testing.assert_array_equal(*draws)
        assert VAE.from_config(models[0].get_config()).seed == 7

    def test_a_loaded_model_samples_in_its_own_precision(
        self, make_networks, images, tmp_path, policy
    ):
        policy("mixed_bfloat16")
        VAE(*make_networks()).save(tmp_path / "vae.keras")
        policy("float32")
        copy = keras.saving.load_model(tmp_path / "vae.keras")
        z = copy(images)[3]
        assert keras.backend.standardize_dtype(z.dtype) == "bfloat16"

    def test_tables_of_any_values_are_learned(self):
        table = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
        vae = VAE(*networks.dense((5,), units=(8,)), Gaussian(bounds=None))
        vae.compile(keras.optimizers.Adam(1e-2))
        loss = vae.fit(table, epochs=10, verbose=0).history["loss"]
        assert loss[-1] < loss[0]
        assert vae.reconstruct(table).min() < 0
        assert vae.generate(50, seed=0).shape == (50, 5)

    def test_a_table_may_exceed_its_bounds_by_rounding(self, make_vae, images):
        rounded = images.astype("float64")
        rounded[0, 0, 0, 0] = 1.0000000000000002
        make_vae().fit(rounded, verbose=0)

    @pytest.mark.parametrize("value", [1.07, 3.07, np.inf])
    def test_only_what_looks_like_8_bit_images_is_taken_for_them(self, make_vae, images, value):
        images[0, 0, 0, 0] = value
        with pytest.raises(ValueError, match="must hold") as error:
            make_vae().fit(images)
        assert "8-bit" not in str(error.value)

    def test_a_missing_channel_axis_is_named(self, make_vae, images):
        with pytest.raises(ValueError, match=r"`x\[..., None\]`"):
            make_vae().fit(images[..., 0])

    def test_a_third_output_of_the_encoder_is_named(self, make_networks):
        x = keras.Input((8, 8, 1))
        flat = LAYERS.Flatten()(x)
        encoder = keras.Model(x, [LAYERS.Dense(2)(flat) for _ in range(3)])
        with pytest.raises(ValueError, match="Leave out the third: the model samples by itself"):
            VAE(encoder, make_networks()[1])

    def test_8_bit_images_may_be_looked_at_where_others_are_scored(self, make_networks, images):
        x = keras.Input((8, 8, 1))
        encoder, decoder = make_networks()
        vae = VAE(keras.Model(x, encoder(LAYERS.Rescaling(1 / 255)(x))), decoder)
        vae.compile("sgd", run_eagerly=True)
        assert np.isfinite(vae.fit(255 * images, images, verbose=0).history["loss"]).all()

    def test_a_decoder_with_a_gate_or_a_scale_after_a_sigmoid_is_taken(self, make_networks):
        encoder, _ = make_networks()
        z = keras.Input((2,))
        gate = LAYERS.Dense(64, activation="sigmoid")(z)
        for logits in (
            LAYERS.Multiply()([LAYERS.Dense(64)(z), gate]),
            LAYERS.Rescaling(20.0, -10.0)(gate),
            keras.ops.log(gate / (1 - gate)),
        ):
            VAE(encoder, keras.Model(z, LAYERS.Reshape((8, 8, 1))(logits)))

    @pytest.mark.parametrize("where", ["dense", "layer", "nested"])
    def test_a_decoder_that_squashes_its_logits_is_refused(self, make_networks, where):
        encoder, decoder = make_networks()
        z = keras.Input((2,))
        if where == "dense":
            logits = LAYERS.Reshape((8, 8, 1))(LAYERS.Dense(64, activation="sigmoid")(z))
        elif where == "layer":
            logits = LAYERS.Activation("sigmoid")(decoder(z))
        else:
            logits = keras.Sequential(
                [LAYERS.Dense(64), LAYERS.Reshape((8, 8, 1)), LAYERS.Activation("sigmoid")]
            )(z)
        squashed = keras.Model(z, logits)
        with pytest.raises(ValueError, match=r"must return logits.*ends in sigmoid"):
            VAE(encoder, squashed)
        VAE(encoder, squashed, "gaussian")


@on_torch
class TestTorchTensors:
    def test_of_any_kind_are_taken(self, make_vae, images):
        import torch

        vae = make_vae()
        expected = vae.encode(images)
        tensor = torch.from_numpy(images)
        np.testing.assert_array_equal(vae.encode(tensor.requires_grad_()), expected)
        half = vae.encode(tensor.detach().to(torch.bfloat16))
        np.testing.assert_allclose(half, expected, atol=0.02)
        vae.fit(tensor.detach(), verbose=0)
        assert vae.generate(2).shape == (2, 8, 8, 1)

    def test_evaluation_keeps_no_gradients(self, make_vae, images):
        import torch

        vae, recorded = make_vae(), []
        call = vae.likelihood.log_density

        def log_density(x, parameters):
            recorded.append(parameters.requires_grad)
            return call(x, parameters)

        vae.likelihood.log_density = log_density
        evaluation.log_likelihood(vae, torch.from_numpy(images), num_samples=2)
        assert recorded == [False]


UNEVEN = """
    import os
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    import keras
    import numpy as np
    from vae_keras import VAE, networks

    keras.distribution.set_distribution(keras.distribution.DataParallel())
    vae = VAE(*networks.dense((8, 8, 1), units=(16,)))
    images = np.random.default_rng(0).random((8, 8, 8, 1), "float32")
    whole = vae.encode(images)
    np.testing.assert_allclose(vae.encode(images[:7]), whole[:7], rtol=1e-5)
    print(vae.reconstruct(images[:7]).shape, vae.generate(3).shape)
"""


def test_codes_of_another_shape_are_told_and_the_model_lives(make_vae, images, tmp_path):
    vae = make_vae()
    with pytest.raises(ValueError, match=r"`z` must be codes of shape \(2,\).*\(3, 5\)"):
        vae.decode(np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\)"):
        vae.predict(images[:, :5])
    vae.save(tmp_path / "vae.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "vae.keras").generate(2, seed=0), vae.generate(2, seed=0)
    )


REFUSED = {
    "a stream with labels": lambda vae, x: vae.fit(Batches(x, np.arange(10)), verbose=0),
    "weights like no image": lambda vae, x: vae.fit(x, sample_weight=np.ones((10, 7)), verbose=0),
    "a stream of another shape": lambda vae, x: vae.encode(Batches(x[:, :5])),
    "the same, evaluated": lambda vae, x: vae.evaluate(Batches(x[:, :5]), verbose=0),
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED.keys())
def test_a_model_survives_what_it_refuses(make_vae, images, use, tmp_path):
    vae = make_vae(traced=True)
    vae.fit(images, verbose=0)
    before, steps = vae.encode(images), int(vae.optimizer.iterations)
    with pytest.raises(ValueError, match=r"shape|must"):
        use(vae, images)
    np.testing.assert_array_equal(vae.encode(images), before)
    assert int(vae.optimizer.iterations) == steps
    vae.fit(images, verbose=0)
    vae.save(tmp_path / "vae.keras")


@on_jax
def test_an_error_in_a_later_batch_leaves_the_weights_of_the_step_before(make_vae, images):
    class Uneven(Batches):
        def __getitem__(self, index):
            (batch,) = super().__getitem__(index)
            return (batch[:, :5] if index else batch,)

    vae, other = make_vae(traced=True, noise=False), make_vae(traced=True, noise=False)
    other.set_weights(vae.get_weights())
    with pytest.raises(ValueError, match="shape"):
        vae.fit(Uneven(images), verbose=0, shuffle=False)
    other.fit(images[:4], batch_size=4, verbose=0)
    np.testing.assert_allclose(vae.encode(images), other.encode(images), rtol=1e-6)
    vae.fit(images, verbose=0)


def test_codes_of_any_length_are_drawn_by_a_sampler_alone():
    x, z = keras.Input((None, 3)), keras.Input((None, 2))
    encoder = keras.Model(x, [LAYERS.Dense(2)(x), LAYERS.Dense(2)(x)])
    vae = VAE(encoder, keras.Model(z, LAYERS.Dense(3)(z)), Gaussian(bounds=None))

    class OfLength4:
        def sample(self, n, seed):
            return np.zeros((n, 4, 2))

    with pytest.raises(ValueError, match=r"Codes of shape \(None, 2\) may have any length"):
        vae.generate(2)
    assert vae.generate(2, sampler=OfLength4()).shape == (2, 4, 3)


def test_images_are_none_or_more(make_vae):
    with pytest.raises(ValueError, match=r"`n` must be >= 0. Received: n=-1"):
        make_vae().generate(-1)


@on_jax
def test_two_devices_encode_an_odd_number_of_images(run_python):
    assert run_python(UNEVEN).endswith("(7, 8, 8, 1) (3, 8, 8, 1)\n")


def test_likelihoods_of_ones_own_may_have_parameters_of_any_shape(images):
    @keras.saving.register_keras_serializable(package="tests")
    class Laplace(likelihoods.Likelihood):
        """Mean and scale side by side along the last axis."""

        def parameters_shape(self, image_shape):
            return (*image_shape[:-1], 2 * image_shape[-1])

        def log_density(self, x, parameters):
            mean, log_scale = keras.ops.split(parameters, 2, axis=-1)
            error = keras.ops.abs(x - mean) * keras.ops.exp(-log_scale)
            return -error - log_scale - np.log(2.0)

        def mean(self, parameters):
            return keras.ops.split(parameters, 2, axis=-1)[0]

    encoder, _ = networks.dense((8, 8, 1), units=(4,))
    _, decoder = networks.dense((8, 8, 2), units=(4,))
    vae = VAE(encoder, decoder, Laplace())
    vae.compile("sgd")
    vae.fit(images, verbose=0)
    assert vae.reconstruct(images).shape == images.shape
    with pytest.raises(ValueError, match=r"must be shaped \(8, 8, 2\). Received.*\(8, 8, 1\)"):
        VAE(*networks.dense((8, 8, 1), units=(4,)), Laplace())


def test_a_density_of_a_subclass_sees_the_axes_of_the_image(make_vae, images):
    class OfTheLeft(likelihoods.Bernoulli):
        def log_density(self, x, parameters):
            left = np.zeros((8, 8, 1), "float32")
            left[:, :4] = 1.0
            return super().log_density(x, parameters) * left

    vae = make_vae(noise=False, likelihood=OfTheLeft())
    other = images.copy()
    other[:, :, 4:] = 0.3
    losses = [vae.evaluate(images, y, verbose=0) for y in (images, other)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_parts_that_are_all_frozen_leave_the_scale_to_be_found(make_vae, images):
    vae = make_vae(noise=False, likelihood="gaussian")
    vae.encoder.trainable = vae.decoder.trainable = False
    vae.compile("sgd", run_eagerly=True)
    vae.fit(images, verbose=0)
    error = np.sqrt(np.mean((vae.decoder.predict(vae.encode(images), verbose=0) - images) ** 2))
    np.testing.assert_allclose(np.exp(to_numpy(vae.likelihood.log_scale)), error, rtol=1e-4)


def test_what_predict_returns(make_vae, parameters, images):
    vae = make_vae(parameters=parameters)
    logits, z_mean, z_log_var, z = vae.predict(images, verbose=0)
    np.testing.assert_allclose((z_mean, z_log_var), vae.posterior(images), rtol=1e-5, atol=1e-6)
    assert logits.shape == images.shape
    assert z.shape == z_mean.shape
