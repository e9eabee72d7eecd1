"""A training that makes no sense is stopped, in a sentence, with its weights saved."""

import time

import keras
import numpy as np
import pytest
from helpers import Batches, get_parameters

from vae_keras import VAE, networks
from vae_keras.watch import Guard, NotFinite


class Explode(keras.callbacks.Callback):
    """Makes the loss infinite from one step on, as a learning rate that is too high does."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            bias = self.model.decoder.layers[-2].bias
            bias.assign(np.full(bias.shape, np.inf))


@pytest.mark.parametrize("validate", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_a_loss_that_is_not_finite_stops_fit(make_vae, images, traced, validate):
    vae = make_vae(traced=traced)
    x = np.concatenate([images] * 8)
    saved = []

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            saved.append(self.model.get_weights())

    data = (images, images) if validate else None
    message = (
        r"not finite since step 6 of epoch 3: \{'loss': .*'reconstruction_loss'.*learning rate"
    )
    with pytest.raises(FloatingPointError, match=message) as error:
        vae.fit(
            x,
            batch_size=10,
            epochs=5,
            callbacks=[Save(), Explode(2, 5)],
            validation_data=data,
            verbose=0,
        )
    assert "kl_loss" not in str(error.value)
    assert "weights of the end of epoch 2" in str(error.value)
    for one, two in zip(vae.get_weights(), saved[1], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_first_step_is_named_where_its_report_comes_late(make_vae, images, monkeypatch):
    report = Guard.on_train_batch_end

    def report_late(guard, batch, logs=None):
        if batch == 3:
            time.sleep(0.5)
        report(guard, batch, logs)

    monkeypatch.setattr(Guard, "on_train_batch_end", report_late)
    x = np.concatenate([images] * 8)
    with pytest.raises(FloatingPointError, match="since step 4 of epoch 1"):
        make_vae().fit(x, batch_size=2, callbacks=[Explode(0, 3)], verbose=0)


def test_in_the_first_epoch_the_first_weights_come_back(make_vae, images):
    vae = make_vae()
    before = get_parameters(vae)
    vae.optimizer.learning_rate = 1e30
    with pytest.raises(FloatingPointError, match="weights before the first again"):
        vae.fit(images, batch_size=2, epochs=3, verbose=0)
    for one, two in zip(get_parameters(vae), before, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_variance_that_spikes_does_not_end_a_training(make_networks, images):
    vae = VAE(*make_networks())
    kernel = vae.encoder.get_layer("z_log_var").kernel
    kernel.assign(np.full(kernel.shape, 1e4))
    vae.compile(keras.optimizers.Adam(1e-3))
    history = vae.fit(images, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert max(history["kl_loss"]) < 1e6


def test_a_nan_in_a_stream_is_told(make_vae, images):
    images[7, 0, 0, 0] = np.nan
    with pytest.raises((FloatingPointError, ValueError), match=r"not finite|must hold"):
        make_vae().fit(Batches(images), verbose=0)


def test_keras_need_not_wait_for_a_step_to_call_it():
    # As Keras decides it: on TensorFlow it waits in any case.
    mine, none = (keras.callbacks.CallbackList(given)._async_train for given in ([Guard()], []))
    assert mine == none


def test_weights_that_the_first_step_makes_are_told_to_be_lost(images):
    class Late(VAE):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.late = keras.layers.Dense(4)

        def call(self, inputs, training=None):
            self.late(keras.ops.reshape(inputs, (-1, 64)))
            return super().call(inputs, training=training)

    vae = Late(*networks.dense((8, 8, 1), units=(4,)))
    guard = Guard()
    guard.set_model(vae)
    guard.on_train_begin()
    guard.on_epoch_begin(0)
    vae(images)
    with pytest.raises(NotFinite):
        guard.on_train_batch_end(0, {"loss": np.nan})
    with pytest.raises(FloatingPointError, match="weights are lost") as error:
        guard.explain()
    assert "has the weights" not in str(error.value)


def test_callbacks_may_be_one_a_list_or_none(make_vae, images):
    seen = []
    one = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    for callbacks in (None, one, [one]):
        make_vae().fit(images, callbacks=callbacks, verbose=0)
    assert seen == [0, 0]


def test_nothing_of_it_is_reported(images):
    vae = VAE(*networks.dense((8, 8, 1), units=(4,)))
    vae.compile("sgd", run_eagerly=True)
    assert set(vae.fit(images, verbose=0).history) == {"loss", "reconstruction_loss", "kl_loss"}
    assert len(vae.evaluate(images, verbose=0)) == 3
