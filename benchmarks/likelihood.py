"""Importance-weighted log-likelihood: its time and its memory, by the number of samples.

    python benchmarks/likelihood.py

Trains a 20-dimensional VAE on Fashion-MNIST for two epochs, then calls
`evaluation.log_likelihood` on 1,000 test images, each number of samples in a
process of its own that holds nothing but the model and these images, and prints
one table. Memory is the growth of the process's peak during the call.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NUM_IMAGES = 1000
NUM_SAMPLES = (1, 50, 500, 2000)
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # in the units of `ru_maxrss`


def prepare(folder):
    """Trains and saves the model, and saves the images that it is measured on."""
    import keras
    import numpy as np

    from vae_keras import VAE, datasets, networks
    from vae_keras.optimizers import STEPS_AT_ONCE

    (x_train, _), (x_test, _) = datasets.load_fashion_mnist()
    keras.utils.set_random_seed(0)
    vae = VAE(*networks.dense(latent_dim=20, units=(256, 128)))
    vae.compile(keras.optimizers.Adam(1e-3), steps_per_execution=STEPS_AT_ONCE)
    vae.fit(x_train, batch_size=128, epochs=2, verbose=0)
    vae.save(folder / "vae.keras")
    np.save(folder / "x.npy", x_test[:NUM_IMAGES])


def measure(folder, num_samples):
    """Returns what the table shows about one number of samples."""
    import keras
    import numpy as np

    from vae_keras import evaluation

    vae = keras.saving.load_model(folder / "vae.keras")
    x = np.load(folder / "x.npy")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    values = evaluation.log_likelihood(vae, x, num_samples, seed=0)
    seconds = time.perf_counter() - start
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    error = values.std(ddof=1) / len(values) ** 0.5
    return [num_samples, seconds, growth / MEGABYTE, float(values.mean()), float(error)]


def run(*arguments):
    """Runs a part of this file in a fresh process; returns what it printed last."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1] if done.stdout else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepare", type=Path, help="the folder to write model and images to")
    parser.add_argument("--measure", nargs=2, help="such a folder and a number of samples")
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare(arguments.prepare)
    elif arguments.measure:
        print(json.dumps(measure(Path(arguments.measure[0]), int(arguments.measure[1]))))
    else:
        # This process stays small: on Linux a child's peak begins at its parent's.
        with tempfile.TemporaryDirectory() as folder:
            run("--prepare", folder)
            print(f"{'samples':>8}{'seconds':>10}{'MB more':>10}{'log p(x)':>12}{'error':>8}")
            for num_samples in NUM_SAMPLES:
                row = json.loads(run("--measure", folder, num_samples))
                print("{:>8}{:>10.1f}{:>10.0f}{:>12.2f}{:>8.2f}".format(*row), flush=True)


if __name__ == "__main__":
    main()
