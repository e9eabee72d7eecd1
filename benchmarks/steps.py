"""What a training step costs: ours against a loop written by hand, and against Keras's own.

    python benchmarks/steps.py

For each Keras backend that is installed, and for the dense VAE (28x28, batches of 256) and the
faces VAE (64x64x3, batches of 64), milliseconds per step with Adam of
- bare: the same maths in the backend's own operations, jitted, no Keras (`benchmarks/bare/`);
- ours: `VAE.train_step`, compiled as `fit` compiles it, with `FusedAdam`;
- Adam: the same with `keras.optimizers.Adam`;
- Keras: the step that `keras.Model` would take with the same `compute_loss` and Keras's Adam;
- fit: ours through `VAE.fit` on an array as the notebooks call it, with feeding, metrics and
  callbacks, ten times as many steps.
The batch of the others stays where it is. All take turns, so that other work on the machine slows
all of them; the table gives medians, of the milliseconds and of each turn's ratio to the bare loop.
"""

import argparse
import importlib
import itertools
import json
import statistics
import time

import processes

MODELS = {"dense": ((28, 28, 1), 256), "faces": ((64, 64, 3), 64)}
ROUNDS, STEPS = 15, {"dense": 20, "faces": 4}
FIT_STEPS = {name: 10 * steps for name, steps in STEPS.items()}


def make_vae(model, cls=None, optimizer=None, **options):
    """A VAE for that model, compiled, its weights the same every time."""
    import keras

    from vae_keras import VAE, networks
    from vae_keras.likelihoods import Gaussian
    from vae_keras.optimizers import FusedAdam

    keras.utils.set_random_seed(0)
    if model == "dense":
        vae = (cls or VAE)(*networks.dense())
    else:
        vae = (cls or VAE)(*networks.convolutional(), Gaussian(learn_scale=True))
    vae.compile((optimizer or FusedAdam)(1e-3), **options)
    if not vae.built:  # a subclass
        vae.build((None, *vae.image_shape))
    vae.optimizer.build(vae.trainable_variables)
    return vae


def repeated(bare, take, x):
    """A function that takes `steps` steps on one batch, which stays where it is."""
    on_device = bare.on_device(x)

    def run(steps):
        for _ in range(steps):
            result = take(on_device)
        bare.wait(result)
        return result

    return run


def our_step(model, x):
    """Returns a function that takes `steps` steps of `VAE.train_step`, and the VAE."""
    import keras

    bare = importlib.import_module(f"bare.{keras.backend.backend()}")
    vae = make_vae(model)
    return repeated(bare, bare.keras_step(vae), x), vae


def contenders(model, x):
    """Functions that take `steps` steps each, by name; `x` is one batch."""
    import keras
    import numpy as np
    from bare import maths

    from vae_keras import VAE
    from vae_keras.optimizers import STEPS_AT_ONCE

    bare = importlib.import_module(f"bare.{keras.backend.backend()}")
    adam = keras.optimizers.Adam
    keras_step = type("KerasStep", (VAE,), {"train_step": keras.Model.train_step})
    ours, unfused = make_vae(model), make_vae(model, optimizer=adam)
    theirs = make_vae(model, keras_step, adam)
    fitted = make_vae(model, steps_per_execution=STEPS_AT_ONCE)
    parameters = [np.array(keras.ops.convert_to_numpy(p)) for p in ours.trainable_variables]
    loss = {"dense": maths.dense, "faces": maths.convolutional}[model]

    many = np.concatenate([x] * FIT_STEPS[model])

    def fit(_):
        fitted.fit(many, batch_size=len(x), verbose=0)

    return {
        "bare": repeated(bare, bare.make(loss, parameters, [1e-3])[0], x),
        "ours": repeated(bare, bare.keras_step(ours), x),
        "Adam": repeated(bare, bare.keras_step(unfused), x),
        "Keras": repeated(bare, bare.keras_step(theirs), x),
        "fit": fit,
    }


def measure(model):
    """Returns each contender's median milliseconds per step, and median ratio to the bare loop."""
    import numpy as np

    image_shape, batch_size = MODELS[model]
    x = np.random.default_rng(0).random((batch_size, *image_shape), "float32")
    runs, steps = contenders(model, x), STEPS[model]
    check_same_maths({name: runs[name](1) for name in ("bare", "ours", "Adam", "Keras")})
    seconds = {name: [] for name in runs}
    for turn, (name, run) in itertools.product(range(ROUNDS + 2), runs.items()):
        start = time.perf_counter()
        run(steps)
        if turn >= 2:  # the first turns compile and warm up
            taken = FIT_STEPS[model] if name == "fit" else steps
            seconds[name].append((time.perf_counter() - start) / taken)
    return {
        name: (
            1e3 * statistics.median(values),
            statistics.median(np.divide(values, seconds["bare"]).tolist()),
        )
        for name, values in seconds.items()
    }


def check_same_maths(results):
    """Stops where the first losses differ by more than the noise of one sample per image."""
    bare = dict(zip(("loss", "reconstruction_loss", "kl_loss"), results.pop("bare"), strict=True))
    for logs in results.values():
        for name, value in logs.items():
            first = float(bare[name])
            assert abs(float(value) - first) < 1e-3 * abs(first), (name, float(value), first)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=MODELS, help="one model on KERAS_BACKEND, as JSON")
    only = parser.parse_args().only
    if only:
        print(json.dumps(measure(only)))
        return
    print(f"{'backend':<12}{'model':<8}{'bare ms':>9}", end="")
    print(*(f"{name:>15}" for name in ("ours", "Adam", "Keras", "fit")), sep="")
    for backend, model in itertools.product(processes.BACKENDS, MODELS):
        times, reason = processes.measure(__file__, backend, "--only", model)
        if reason:
            print(f"{backend:<12}{model:<8} not measured: {reason}", flush=True)
            continue
        bare, _ = times.pop("bare")
        cells = (f"{milliseconds:9.2f} {ratio:4.2f}x" for milliseconds, ratio in times.values())
        print(f"{backend:<12}{model:<8}{bare:>9.2f}", *cells, sep="", flush=True)


if __name__ == "__main__":
    main()
