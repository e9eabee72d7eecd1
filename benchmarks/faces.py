"""Faces: the book's network and loss beside ours, at the same images seen and the same seconds.

    python benchmarks/faces.py [--epochs 40]

Each contender trains in a process of its own, one after another, on the photographs that
`load_celeba` finds (drawn faces where there are none), and is measured on held-out ones after
every epoch: the mean squared error of a decoded face, between 0 and 1. Seconds are those of
training alone, compiling included. The book's loss, 2,000 times the mean squared error plus the KL
divergence, is that of a Gaussian whose scale is fixed at 1.75; beside it stands the book's network
with the scale learned, which tells what the loss does from what the network does. Our code is a
map; beside it stands the same training with a list of 64 numbers.
"""

import argparse
import json
import math
import subprocess
import sys
import time

import processes

OUR_EPOCHS, OUR_BATCH = 7, 32  # those of notebook 07
BOOK_BATCH, BOOK_LATENT_DIM, BOOK_CHANNELS, BOOK_STAGES = 128, 200, 64, 5
BOOK_SCALE = math.sqrt(64 * 64 * 3 / (2 * 2_000))
STANDS_STILL = 0.01  # a smaller gain of the best error, over `PATIENCE` epochs, is none
PATIENCE = 5


def load():
    """Returns training and held-out images as float32 between 0 and 1."""
    from vae_keras import datasets

    faces = datasets.load_celeba()
    print(f"{faces.source} faces", file=sys.stderr)
    images = faces.images[:].astype("float32") / 255
    return images[~faces.is_test], images[faces.is_test]


def book_networks():
    """Five strided convolutions with batch normalization, and their mirror image."""
    import keras
    from keras import layers

    def stage(x, convolution):
        x = convolution(BOOK_CHANNELS, 3, strides=2, padding="same")(x)
        return layers.LeakyReLU()(layers.BatchNormalization()(x))

    image = x = keras.Input((64, 64, 3))
    for _ in range(BOOK_STAGES):
        x = stage(x, layers.Conv2D)
    shape = x.shape[1:]
    x = layers.Flatten()(x)
    outputs = [layers.Dense(BOOK_LATENT_DIM)(x), layers.Dense(BOOK_LATENT_DIM)(x)]
    z = keras.Input((BOOK_LATENT_DIM,))
    y = layers.LeakyReLU()(layers.BatchNormalization()(layers.Dense(math.prod(shape))(z)))
    y = layers.Reshape(shape)(y)
    for _ in range(BOOK_STAGES):
        y = stage(y, layers.Conv2DTranspose)
    y = layers.Conv2DTranspose(3, 3, padding="same", activation="sigmoid")(y)
    return keras.Model(image, outputs), keras.Model(z, y)


def book(scale=None):
    """The book's network, batch and optimizer; the scale is learned where it is not given."""
    import keras

    from vae_keras import VAE, likelihoods

    vae = VAE(*book_networks(), likelihood=likelihoods.Gaussian(scale))
    vae.compile(keras.optimizers.Adam(5e-4))
    return vae, BOOK_BATCH


def ours(num_images, networks_of):
    """Notebook 07's model and optimizer, with networks of a name."""
    from vae_keras import VAE, networks
    from vae_keras.optimizers import FusedAdam, warmup_and_cosine

    vae = VAE(*getattr(networks, networks_of)(), likelihood="gaussian")
    steps = OUR_EPOCHS * math.ceil(num_images / OUR_BATCH)
    learning_rate = warmup_and_cosine(3e-3, steps)
    vae.compile(FusedAdam(learning_rate, beta_2=0.99, global_clipnorm=2e4))
    return vae, OUR_BATCH


CONTENDERS = {
    "the book": lambda num_images: book(BOOK_SCALE),
    "its network, scale learned": lambda num_images: book(),
    "vae_keras, 64 numbers": lambda num_images: ours(num_images, "convolutional"),
    "vae_keras": lambda num_images: ours(num_images, "convolutional_map"),
}


def stands_still(errors):
    """Whether the last epochs have hardly lowered the best error before them."""
    earlier, recent = errors[:-PATIENCE], errors[-PATIENCE:]
    return len(earlier) > PATIENCE and min(recent) > (1 - STANDS_STILL) * min(earlier)


def train(name, epochs):
    """Prints `[epochs, images seen, seconds, held-out error]` as JSON after each epoch."""
    import keras
    import numpy as np

    x_train, x_test = load()
    keras.utils.set_random_seed(0)
    vae, batch_size = CONTENDERS[name](len(x_train))
    errors, is_ours = [], name.startswith("vae_keras")

    class Measure(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            now = time.perf_counter()
            errors.append(float(np.mean((vae.reconstruct(x_test) - x_test) ** 2)))
            seen, seconds = (epoch + 1) * len(x_train), now - self.start
            print(json.dumps([epoch + 1, seen, seconds, errors[-1]]), flush=True)
            self.model.stop_training = not is_ours and stands_still(errors)
            self.start += time.perf_counter() - now  # measuring is not training

    epochs = OUR_EPOCHS if is_ours else epochs
    vae.fit(x_train, batch_size=batch_size, epochs=epochs, callbacks=[Measure()], verbose=0)


def measure(name, epochs):
    """Runs one contender in a fresh process; returns its rows."""
    command = [sys.executable, __file__, "--epochs", str(epochs), "--only", name]
    environment = processes.environment("tensorflow")
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    for epoch, seen, seconds, error in rows:
        print(f"{name:<28}{epoch:>7}{seen:>12,}{seconds:>9.1f}{error:>10.4f}", flush=True)
    return rows


def nearest(rows, column, value):
    """The last row that has not gone beyond `value` in a column."""
    return max((row for row in rows if row[column] <= value), default=rows[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40, help="of the book's, at most")
    parser.add_argument("--only", choices=CONTENDERS, help="one contender, as JSON lines")
    given = parser.parse_args()
    if given.only:
        train(given.only, given.epochs)
        return
    print(f"{'model':<28}{'epochs':>7}{'images seen':>12}{'seconds':>9}{'error':>10}")
    rows = {name: measure(name, given.epochs) for name in CONTENDERS}
    _, seen, seconds, error = rows["vae_keras"][-1]
    print(f"\nvae_keras: {error:.4f} after {seen:,} images, {seconds:.0f} s")
    for name in list(CONTENDERS)[:-1]:
        by_images, in_time = nearest(rows[name], 1, seen), nearest(rows[name], 2, seconds)
        least = min(rows[name], key=lambda row: row[3])
        print(
            f"{name}: {by_images[3]:.4f} after as many images, {in_time[3]:.4f} in as many seconds,"
            f" {least[3]:.4f} at its best, after {least[0]} epochs and {least[2]:.0f} s"
        )


if __name__ == "__main__":
    main()
