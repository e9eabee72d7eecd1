"""Where a training step's time goes: feeding, forward, backward, optimizer, metrics.

    python benchmarks/parts.py

For each Keras backend that is installed, for the dense VAE (28x28, batches of 128) and the faces
VAE (64x64x3, batches of 32), as the notebooks train them: milliseconds of
- forward: `test_step` without metrics;
- backward: a step that keeps the gradients and changes nothing else, less the forward pass;
- optimizer: what `FusedAdam` adds to that, and `Adam`, `keras.optimizers.Adam`;
- metrics: what the three running means add to the step without them;
- feeding: what `fit` adds for each step, from an array and from `ImageBatches`;
- ceiling: the arithmetic of the step at the rate of one large matrix product.
All take turns; a difference is the median of each turn's difference.
"""

import argparse
import importlib
import itertools
import json
import statistics
import time

import processes
import steps
import throughput

BATCH_SIZES = {"dense": 128, "faces": 32}
ROUNDS, STEPS, FIT_STEPS = 12, 20, 150
COLUMNS = ("step", "forward", "backward", "FusedAdam", "Adam", "metrics", "array", "batches")


def without_metrics():
    """A VAE that trains as ours does and keeps no running means."""
    from vae_keras import VAE

    class Silent(VAE):
        metrics = ()

        def _track(self, x, y, **means):
            self.last = means.get("loss")  # the loss comes last

        def compute_metrics(self, *data):
            return {"loss": self.last}  # else a compiler leaves the forward pass out

    return Silent


def keep_gradients():
    """An optimizer that writes each gradient down, lest it is not computed, and moves nothing."""
    import keras

    class Keep(keras.optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            self.kept = self.add_optimizer_variables(variables, "kept")

        def update_step(self, gradient, variable, learning_rate):
            self.assign(self.kept[self._get_variable_index(variable)], gradient)

    return Keep


def contenders(model, x):
    """Functions that take one step each or, the last two, one of a `fit`, by name."""
    import keras
    import numpy as np

    from vae_keras.datasets import ImageBatches
    from vae_keras.optimizers import STEPS_AT_ONCE

    bare = importlib.import_module(f"bare.{keras.backend.backend()}")
    silent, on_device = without_metrics(), bare.on_device(x)

    def repeated(take):
        def run():
            for _ in range(STEPS):
                result = take(on_device)
            bare.wait(result)

        return run, STEPS

    def fit(data, **arguments):
        vae = steps.make_vae(model, steps_per_execution=STEPS_AT_ONCE)
        return lambda: vae.fit(data, verbose=0, **arguments), FIT_STEPS

    many = np.concatenate([x] * FIT_STEPS)
    bytes_ = np.rint(255 * many).astype("uint8")
    adam = keras.optimizers.Adam
    return {
        "step": repeated(bare.keras_step(steps.make_vae(model))),
        "Adam": repeated(bare.keras_step(steps.make_vae(model, optimizer=adam))),
        "silent": repeated(bare.keras_step(steps.make_vae(model, silent))),
        "kept": repeated(bare.keras_step(steps.make_vae(model, silent, keep_gradients()))),
        "forward": repeated(bare.keras_forward(steps.make_vae(model, silent))),
        "array": fit(many, batch_size=len(x)),
        "batches": fit(ImageBatches(bytes_, None, len(x), shuffle=True)),
    }


def measure(model):
    """Returns the milliseconds of each part, by the names of `COLUMNS`, and the ceiling's."""
    import numpy as np

    shape = (BATCH_SIZES[model], *steps.MODELS[model][0])
    x = np.random.default_rng(0).random(shape, "float32")
    product = throughput.matrix_product("float32")
    runs = contenders(model, x) | {"product": (product, 1)}
    times = {name: [] for name in runs}
    for turn, (name, (run, count)) in itertools.product(range(ROUNDS + 1), runs.items()):
        start = time.perf_counter()
        run()
        if turn:  # the first turn compiles and warms up
            times[name].append(1e3 * (time.perf_counter() - start) / count)

    def more(name, than):
        return statistics.median(np.subtract(times[name], times[than]).tolist())

    found = {name: statistics.median(times[name]) for name in ("step", "forward")}
    found["backward"], found["FusedAdam"] = more("kept", "forward"), more("silent", "kept")
    found["metrics"] = more("step", "silent")
    found["Adam"] = more("Adam", "step") + found["FusedAdam"]
    found |= {name: more(name, "step") for name in ("array", "batches")}
    flops = throughput.flops_per_image(steps.make_vae(model)) * len(x)
    product_flops = 2 * throughput.SIZE**3
    return {**found, "ceiling": flops / product_flops * statistics.median(times["product"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=steps.MODELS, help="one model on KERAS_BACKEND, as JSON")
    only = parser.parse_args().only
    if only:
        print(json.dumps(measure(only)))
        return
    names = (*COLUMNS, "ceiling")
    print(f"{'milliseconds':<20}", *(f"{name:>10}" for name in names), sep="")
    for backend, model in itertools.product(processes.BACKENDS, steps.MODELS):
        found, reason = processes.measure(__file__, backend, "--only", model)
        print(f"{backend:<12}{model:<8}", end="")
        if reason:
            print(f" not measured: {reason}", flush=True)
            continue
        print(*(f"{found[name]:>10.2f}" for name in names), sep="", flush=True)


if __name__ == "__main__":
    main()
