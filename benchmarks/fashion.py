"""Fashion-MNIST: time to a book's quality, and quality in a book's time.

    python benchmarks/fashion.py

Trains the convolutional VAE of a well-known book, the 784-400-20 VAE of PyTorch's examples
(where torch is installed) and ours on every Keras backend that is installed, each in a process of
its own, one after another, and prints one table. Quality is the negative evidence lower bound on
the 10,000 test images, in nats per image; time is training alone. The comparison is with our
fastest backend.

The book's loss is 500 times a mean over 32 x 32 pixels plus the KL divergence, which is that of
`beta` = 1024 / 500. So it is compared twice: both trained at that `beta` and measured by that
loss, and both at `beta` = 1. Two rows have our network and our recipe written by hand, in JAX (the
loops of `benchmarks/bare/`) and in PyTorch as its examples are written: what does the package cost,
and what does the recipe gain? Two more rows cross the networks with the recipes (batch, learning
rate, optimizer): how much is the one, and how much the other? The book's networks see pictures
padded to 32 x 32 with black, which costs them a little.
"""

import argparse
import importlib
import importlib.util
import json
import math
import subprocess
import sys
import time

import processes

BOOK_EPOCHS, TORCH_EPOCHS = 5, 10
BOOK_BETA = 32 * 32 / 500
OURS_2D_EPOCHS, OURS_20D_EPOCHS = (1, 2, 5, 10, 20), (2, 3, 4, 5, 8)


def load(size=28):
    """Returns train and test images, `(n, size, size, 1)`, padded with black."""
    import numpy as np

    from vae_keras import datasets

    (x_train, _), (x_test, _) = datasets.load_fashion_mnist()
    margin = (size - 28) // 2
    padding = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    return np.pad(x_train, padding), np.pad(x_test, padding)


def timed_fit(model, x, **kwargs):
    """Trains, and returns the seconds it took, compiling included."""
    start = time.perf_counter()
    model.fit(x, verbose=0, **kwargs)
    return time.perf_counter() - start


def book_networks():
    """Convolutions 32-64-128 at 32x32, and two latent numbers."""
    import keras
    from keras import layers

    image = x = keras.Input((32, 32, 1))
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    encoder = keras.Model(image, (layers.Dense(2)(x), layers.Dense(2)(x)))
    z = keras.Input((2,))
    x = layers.Reshape((4, 4, 128))(layers.Dense(2048)(z))
    for filters in (128, 64, 32):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(x)
    return encoder, keras.Model(z, layers.Conv2D(1, 3, padding="same")(x))


def our_networks(latent_dim=2, units=(256, 128, 64)):
    from vae_keras import networks

    return networks.dense(latent_dim=latent_dim, units=units)


def book_recipe(size, make_networks, beta=1.0):
    """Trains for the book's epochs in its batches, at one learning rate."""
    import keras

    from vae_keras import VAE

    x_train, x_test = load(size)
    keras.utils.set_random_seed(0)
    vae = VAE(*make_networks(), beta=beta)
    vae.compile(keras.optimizers.Adam(1e-3))
    seconds = 0.0
    for epoch in range(BOOK_EPOCHS):
        seconds += timed_fit(vae, x_train, batch_size=100)
        yield epoch + 1, seconds, *score(vae, x_test)


def our_recipe(size, make_networks, all_epochs, beta=1.0):
    """Trains in batches of 128, the learning rate warmed up and let down by a cosine."""
    import keras

    from vae_keras import VAE
    from vae_keras.optimizers import STEPS_AT_ONCE, FusedAdam, warmup_and_cosine

    x_train, x_test = load(size)
    for epochs in all_epochs:
        keras.utils.set_random_seed(0)
        vae = VAE(*make_networks(), beta=beta)
        schedule = warmup_and_cosine(5e-3, epochs * math.ceil(len(x_train) / 128))
        vae.compile(FusedAdam(schedule), steps_per_execution=STEPS_AT_ONCE)
        seconds = timed_fit(vae, x_train, batch_size=128, epochs=epochs)
        yield epochs, seconds, *score(vae, x_test)


def by_hand(all_epochs):
    """Trains our network by our recipe without Keras, which only makes and scores the weights."""
    import keras
    import numpy as np
    from bare import maths

    from vae_keras import VAE

    bare = importlib.import_module(f"bare.{keras.backend.backend()}")
    options = {"compiled": False} if keras.backend.backend() == "torch" else {}
    x_train, x_test = load()
    rng = np.random.default_rng(0)
    for epochs in all_epochs:
        keras.utils.set_random_seed(0)
        vae = VAE(*our_networks())
        vae.compile()
        weights = [np.array(keras.ops.convert_to_numpy(w)) for w in vae.trainable_variables]
        start = time.perf_counter()
        rates = rise_and_fall(5e-3, epochs * math.ceil(len(x_train) / 128))
        take, read = bare.make(maths.dense, weights, rates, **options)
        for _ in range(epochs):
            order = rng.permutation(len(x_train))
            for first in range(0, len(x_train), 128):
                result = take(bare.on_device(x_train[order[first : first + 128]]))
        bare.wait(result)
        seconds = time.perf_counter() - start
        for variable, value in zip(vae.trainable_variables, read(), strict=True):
            variable.assign(np.array(value))
        yield epochs, seconds, *score(vae, x_test)


def rise_and_fall(peak, steps):
    """The learning rates of `warmup_and_cosine`, by hand."""
    import numpy as np

    step, warmup = np.arange(steps), max(1, steps // 10)
    fall = (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup))) / 2
    return peak * (0.05 + 0.95 * np.where(step < warmup, step / warmup, fall))


def score(vae, x_test):
    """Returns the negative bound at `beta` = 1, and the loss that the book minimizes, in nats."""
    loss = vae.evaluate(x_test, batch_size=1000, verbose=0, return_dict=True)
    reconstruction, kl = loss["reconstruction_loss"], loss["kl_loss"]
    return reconstruction + kl, reconstruction + BOOK_BETA * kl


def pytorch_example():
    """PyTorch's example: 784-400-20, batches of 128, Adam at 1e-3."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    x_train, x_test = (torch.from_numpy(x.reshape(len(x), 784)) for x in load())
    hidden, mean, log_var = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
    model = nn.ModuleList([hidden, mean, log_var, decoder])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def negative_elbo(x):
        features = F.relu(hidden(x))
        z_mean, z_log_var = mean(features), log_var(features)
        z = z_mean + torch.exp(0.5 * z_log_var) * torch.randn_like(z_mean)
        reconstruction = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        return reconstruction - 0.5 * torch.sum(1 + z_log_var - z_mean**2 - z_log_var.exp())

    seconds = 0.0
    for epoch in range(TORCH_EPOCHS):
        start = time.perf_counter()
        for batch in torch.randperm(len(x_train)).split(128):
            optimizer.zero_grad()
            negative_elbo(x_train[batch]).backward()
            optimizer.step()
        seconds += time.perf_counter() - start
        with torch.no_grad():
            yield epoch + 1, seconds, negative_elbo(x_test).item() / len(x_test), None


CONTENDERS = {
    "2-D, the book": lambda: book_recipe(32, book_networks, BOOK_BETA),
    "2-D, the book at beta 1": lambda: book_recipe(32, book_networks),
    "2-D, its network, our recipe": lambda: our_recipe(32, book_networks, (BOOK_EPOCHS,)),
    "2-D, our network, its recipe": lambda: book_recipe(28, our_networks),
    "2-D, vae_keras at its beta": lambda: our_recipe(28, our_networks, (1, 2, 5), BOOK_BETA),
    "2-D, vae_keras": lambda: our_recipe(28, our_networks, OURS_2D_EPOCHS),
    "2-D, our recipe by hand": lambda: by_hand((1, 2, 5)),
    "20-D, PyTorch's example": pytorch_example,
    "20-D, vae_keras": lambda: our_recipe(
        28, lambda: our_networks(20, (256, 128)), OURS_20D_EPOCHS
    ),
}
NATS, BOOK_LOSS = 2, 3  # columns of a row: at `beta` = 1, and the loss that the book minimizes


def measure(name, backend):
    """Runs one contender in a fresh process; returns its `(epochs, seconds, nats, loss)`."""
    command = [sys.executable, __file__, "--only", name]
    environment = processes.environment(backend)
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode:
        return []
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    for epochs, seconds, nats, loss in rows:
        print(f"{name:<30}{backend:<12}{epochs:>6}{seconds:>9.1f}{nats:>9.2f}", end="")
        print(f"{loss:>13.2f}" if loss else "", flush=True)
    return rows


def fastest(rows_by_backend):
    """The backend whose epochs took the least time, and its rows."""
    measured = {backend: rows for backend, rows in rows_by_backend.items() if rows}
    return min(measured.items(), key=lambda item: item[1][-1][1])


def compare(theirs, ours, column):
    """Prints our time to their last quality, and our quality in their time."""
    seconds, nats = theirs[-1][1], theirs[-1][column]
    reached = [row for row in ours if row[column] <= nats]
    in_time = [row for row in ours if row[1] <= seconds]
    if reached:
        print(f"  their {nats:.1f} nats in {reached[0][1]:.1f} s", end="")
        print(f": {seconds / reached[0][1]:.1f} times as fast as {seconds:.1f} s")
    if in_time:
        best = min(row[column] for row in in_time)
        print(f"  in their {seconds:.1f} s or less: {best:.1f} nats against {nats:.1f}")


def compare_all(theirs, mine, installed, column=NATS):
    """Runs two contenders, ours on every backend, and compares them in one number."""
    # The book's network in TensorFlow, as the book has it.
    their_rows = measure(theirs, "torch" if "PyTorch" in theirs else "tensorflow")
    our_rows = {backend: measure(mine, backend) for backend in installed}
    if their_rows and any(our_rows.values()):
        backend, rows = fastest(our_rows)
        what = "the book's loss" if column == BOOK_LOSS else "nats at beta 1"
        print(f"{mine} on {backend} against {theirs}, by {what}:")
        compare(their_rows, rows, column)
    else:
        print(f"{mine} against {theirs}: not measured, one could not be run here")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CONTENDERS, help="one contender, as JSON lines")
    only = parser.parse_args().only
    if only:
        for row in CONTENDERS[only]():
            print(json.dumps(row), flush=True)
        return
    installed = [name for name in processes.BACKENDS if importlib.util.find_spec(name)]
    head = f"{'model':<30}{'backend':<12}{'epochs':>6}{'seconds':>9}{'-ELBO':>9}"
    print(f"{head}{'book loss':>13}")
    compare_all("2-D, the book", "2-D, vae_keras at its beta", installed, BOOK_LOSS)
    compare_all("2-D, the book at beta 1", "2-D, vae_keras", installed)
    for backend in [name for name in installed if name != "tensorflow"]:
        measure("2-D, our recipe by hand", backend)
    for name in ("2-D, its network, our recipe", "2-D, our network, its recipe"):
        measure(name, "tensorflow")
    compare_all("20-D, PyTorch's example", "20-D, vae_keras", installed)


if __name__ == "__main__":
    main()
