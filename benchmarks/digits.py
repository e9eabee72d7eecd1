"""Statically binarized digits: a plain dense VAE against the published 88.6 nats.

    python benchmarks/digits.py                     # the whole run: hours on two cores
    python benchmarks/digits.py --file mnist.npz    # digits that are at hand
    python benchmarks/digits.py --data fashion      # garments, where the digits cannot be had

300-300 gated dense units, 40 latent dimensions, batches of 100, beta warmed up
from 0 to 1 over the first 100 epochs, early stopping on 10,000 validation images
with a patience of 50 epochs, and at the end the importance-weighted
log-likelihood of the test images with 5,000 samples each: the setting in which
Tomczak & Welling (2018) report 88.56 nats for the VAE with a standard prior.
Each pixel is drawn once, on with a probability of its grey value. Encoder and
decoder are made here, as a user's own would be.
"""

import argparse
import math
import socket
import sys
import time

import keras
import numpy as np
from keras import layers

from vae_keras import VAE, datasets, evaluation
from vae_keras.optimizers import STEPS_AT_ONCE

PUBLISHED = {"digits": 88.56, "fashion": None}
LATENT_DIM, UNITS = 40, (300, 300)
BATCH_SIZE, LEARNING_RATE, PATIENCE = 100, 5e-4, 50
SECONDS_TO_WAIT = 10  # for a network that swallows packets


def load_digits(path):
    """Returns the grey digits, `(60000, 28, 28)` and `(10000, 28, 28)`, from 0 to 255."""
    if path:
        with np.load(path) as arrays:
            return arrays["x_train"], arrays["x_test"]
    socket.setdefaulttimeout(SECONDS_TO_WAIT)
    try:
        (x_train, _), (x_test, _) = keras.datasets.mnist.load_data()
    except Exception:  # Keras raises a bare one where a download fails
        sys.exit(
            "The digits are not at hand and could not be downloaded: give them as "
            "`--file mnist.npz`, or run on garments with `--data fashion`."
        )
    return x_train, x_test


def load(arguments):
    """Returns black and white images to train, validate and test with, `(n, 28, 28, 1)`."""
    if arguments.data == "fashion":
        (x_train, _), (x_test, _) = datasets.load_fashion_mnist()
    else:
        x_train, x_test = (x[..., None] / 255 for x in load_digits(arguments.file))
    rng = np.random.default_rng(0)
    x_train, x_test = ((rng.random(x.shape) < x).astype("float32") for x in (x_train, x_test))
    x_train, x_validate = x_train[:-10_000], x_train[-10_000:]
    return x_train[: arguments.images], x_validate[: arguments.images], x_test[: arguments.images]


def gated(x, units):
    """A dense layer, each of its units let through by a gate of its own."""
    gate = layers.Dense(units, activation="sigmoid")(x)
    return layers.Multiply()([layers.Dense(units)(x), gate])


def gated_networks():
    """Returns encoder and decoder: 784-300-300-40 and 40-300-300-784."""
    image = keras.Input((28, 28, 1))
    x = layers.Flatten()(image)
    for units in UNITS:
        x = gated(x, units)
    encoder = keras.Model(image, (layers.Dense(LATENT_DIM)(x), layers.Dense(LATENT_DIM)(x)))
    z = x = keras.Input((LATENT_DIM,))
    for units in reversed(UNITS):
        x = gated(x, units)
    return encoder, keras.Model(z, layers.Reshape((28, 28, 1))(layers.Dense(28 * 28)(x)))


class WarmUp(keras.callbacks.Callback):
    """Raises beta from 0 to 1 over the first epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.model.beta = min(1.0, epoch / self.epochs)


class Progress(keras.callbacks.Callback):
    """Prints a line now and then."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 25 == 0:
            print(
                f"epoch {epoch:>4}, beta {self.model.beta:.2f}: reconstruction "
                f"{logs['reconstruction_loss']:.2f}, KL {logs['kl_loss']:.2f}, "
                f"validation -ELBO {logs['val_reconstruction_loss'] + logs['val_kl_loss']:.2f}",
                flush=True,
            )


def train(vae, x_train, x_validate, arguments):
    """Trains to the best validation ELBO at beta = 1; returns the history."""
    vae.compile(keras.optimizers.Adam(LEARNING_RATE), steps_per_execution=STEPS_AT_ONCE)
    callbacks = [
        WarmUp(arguments.warm_up),
        Progress(),
        keras.callbacks.TerminateOnNaN(),
        # Before the end of the warm-up the losses of two epochs are not comparable.
        keras.callbacks.EarlyStopping(
            "val_loss",
            patience=PATIENCE,
            mode="min",
            restore_best_weights=True,
            start_from_epoch=arguments.warm_up,
        ),
    ]
    return vae.fit(
        x_train,
        batch_size=BATCH_SIZE,
        epochs=arguments.epochs,
        validation_data=(x_validate,),
        callbacks=callbacks,
        verbose=0,
    ).history


def report(vae, x_test, history, seconds, arguments):
    """Prints the table."""
    accidents = sum(not math.isfinite(value) for values in history.values() for value in values)
    elbo = evaluation.elbo(vae, x_test, num_samples=10, seed=0)
    values = evaluation.log_likelihood(vae, x_test, arguments.samples, seed=0)
    active = evaluation.active_units(vae.encode(x_test)).sum()
    print(f"\n{'epochs, all at most':<34}{len(history['loss']):>6} of {arguments.epochs}")
    print(f"{'seconds of training':<34}{seconds:>10.0f}")
    print(f"{'losses that were not finite':<34}{accidents:>10}")
    print(f"{'active units':<34}{active:>10} of {LATENT_DIM}")
    print(f"{'-ELBO, test':<34}{-elbo.mean():>10.2f}")
    error = values.std(ddof=1) / math.sqrt(len(values))
    print(f"{f'-log p(x), {arguments.samples} samples':<34}{-values.mean():>10.2f} +- {error:.2f}")
    if published := PUBLISHED[arguments.data]:
        print(f"{'published (the whole run)':<34}{published:>10.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=PUBLISHED, default="digits")
    parser.add_argument("--file", help="mnist.npz, as keras.datasets keeps it")
    parser.add_argument("--epochs", type=int, default=2000, help="at most")
    parser.add_argument("--warm-up", type=int, default=100, help="epochs from beta = 0 to 1")
    parser.add_argument("--images", type=int, help="of each split, for a short run")
    parser.add_argument("--samples", type=int, default=5000, help="for each test image")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    x_train, x_validate, x_test = load(arguments)
    print(f"{arguments.data}: {len(x_train)} images to train on, {len(x_test)} to test with")
    vae = VAE(*gated_networks(), likelihood="bernoulli")
    start = time.perf_counter()
    history = train(vae, x_train, x_validate, arguments)
    report(vae, x_test, history, time.perf_counter() - start, arguments)


if __name__ == "__main__":
    main()
