"""Fashion-MNIST: time to a book's quality, and quality in a book's time.

    python benchmarks/fashion.py

Trains the convolutional VAE of a well-known book's shape, the 784-400-20 VAE of
PyTorch's examples (where torch is installed) and ours on every Keras backend that is
installed, each in a process of its own, one after another, and prints one table. Quality is
the negative evidence lower bound on the 10,000 test images, in nats per image; time is
training alone. The comparison is with our fastest backend.
"""

import argparse
import importlib.util
import json
import math
import subprocess
import sys
import time

import processes

BOOK_EPOCHS, TORCH_EPOCHS = 5, 10
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


def book():
    """The book's shape: convolutions 32-64-128 at 32x32, two latent numbers, batches of 100."""
    import keras
    from keras import layers

    from vae_keras import VAE

    x_train, x_test = load(32)
    keras.utils.set_random_seed(0)
    image = x = keras.Input((32, 32, 1))
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    encoder = keras.Model(image, (layers.Dense(2)(x), layers.Dense(2)(x)))
    z = keras.Input((2,))
    x = layers.Reshape((4, 4, 128))(layers.Dense(2048)(z))
    for filters in (128, 64, 32):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(x)
    decoder = keras.Model(z, layers.Conv2D(1, 3, padding="same")(x))
    vae = VAE(encoder, decoder)
    vae.compile(keras.optimizers.Adam(1e-3))
    seconds = 0.0
    for epoch in range(BOOK_EPOCHS):
        seconds += timed_fit(vae, x_train, batch_size=100)
        yield epoch + 1, seconds, vae.evaluate(x_test, batch_size=1000, verbose=0)[0]


def ours(latent_dim, units, all_epochs):
    """Dense networks, batches of 128, the learning rate warmed up and let down by a cosine."""
    import keras

    from vae_keras import VAE, networks
    from vae_keras.optimizers import FusedAdam

    at_once = 1 if keras.backend.backend() == "torch" else 8  # Keras allows no more on PyTorch
    x_train, x_test = load()
    for epochs in all_epochs:
        keras.utils.set_random_seed(0)
        vae = VAE(*networks.dense(latent_dim=latent_dim, units=units))
        steps = epochs * math.ceil(len(x_train) / 128)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps - steps // 10, alpha=0.0, warmup_target=5e-3, warmup_steps=steps // 10
        )
        vae.compile(FusedAdam(schedule), steps_per_execution=at_once)
        seconds = timed_fit(vae, x_train, batch_size=128, epochs=epochs)
        yield epochs, seconds, vae.evaluate(x_test, batch_size=1000, verbose=0)[0]


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
            yield epoch + 1, seconds, negative_elbo(x_test).item() / len(x_test)


CONTENDERS = {
    "2-D, the book's shape": book,
    "2-D, vae_keras": lambda: ours(2, (256, 128, 64), OURS_2D_EPOCHS),
    "20-D, PyTorch's example": pytorch_example,
    "20-D, vae_keras": lambda: ours(20, (256, 128), OURS_20D_EPOCHS),
}


def measure(name, backend):
    """Runs one contender in a fresh process; returns its `(epochs, seconds, nats)`."""
    command = [sys.executable, __file__, "--only", name]
    environment = processes.environment(backend)
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode:
        return []
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    for epochs, seconds, nats in rows:
        print(f"{name:<26}{backend:<12}{epochs:>6}{seconds:>9.1f}{nats:>9.2f}", flush=True)
    return rows


def fastest(rows_by_backend):
    """The backend whose epochs took the least time, and its rows."""
    measured = {backend: rows for backend, rows in rows_by_backend.items() if rows}
    return min(measured.items(), key=lambda item: item[1][-1][1])


def compare(theirs, ours):
    """Prints our time to their best quality, and our quality in their time."""
    _, seconds, nats = theirs[-1]
    reached = [row for row in ours if row[2] <= nats]
    in_time = [row for row in ours if row[1] <= seconds]
    if reached:
        print(f"  their {nats:.1f} nats in {reached[0][1]:.1f} s", end="")
        print(f": {seconds / reached[0][1]:.1f} times as fast as {seconds:.1f} s")
    if in_time:
        best = min(row[2] for row in in_time)
        print(f"  in their {seconds:.1f} s or less: {best:.1f} nats against {nats:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CONTENDERS, help="one contender, as JSON lines")
    only = parser.parse_args().only
    if only:
        for row in CONTENDERS[only]():
            print(json.dumps(row), flush=True)
        return
    installed = [name for name in processes.BACKENDS if importlib.util.find_spec(name)]
    print(f"{'model':<26}{'backend':<12}{'epochs':>6}{'seconds':>9}{'-ELBO':>9}")
    for theirs, mine in (list(CONTENDERS)[:2], list(CONTENDERS)[2:]):
        # The book's shape in TensorFlow, as the book has it.
        their_rows = measure(theirs, "torch" if "PyTorch" in theirs else "tensorflow")
        our_rows = {backend: measure(mine, backend) for backend in installed}
        if their_rows and any(our_rows.values()):
            backend, rows = fastest(our_rows)
            print(f"{mine} on {backend} against {theirs}:")
            compare(their_rows, rows)
        else:
            print(f"{mine} against {theirs}: not measured, one could not be run here")


if __name__ == "__main__":
    main()
