"""Training on a GPU: images per second, the share of the chip, and where the rest goes.

    KERAS_BACKEND=jax python benchmarks/gpu.py

Trains the dense VAE and the faces VAE of `steps.py`, and a flow on codes of 7 x 7 x 2, on the GPU,
on the Keras backend in use, in float32, in tf32 (float32 whose matrix products round their factors
to ten binary digits) and in `mixed_bfloat16`, with small and with large batches, each in a process
of its own. Per row:
- the loss after the first 20 steps: the precisions must agree in it, up to the noise;
- images (or codes) per second through `train_step` on a batch that stays on the GPU;
- the arithmetic of the matrix products and convolutions, counted from the layers' shapes, beside
  the rate of one large matrix product of that precision, measured in the same process;
- the bytes moved, counted from the shapes too, beside the rate of one large copy. The count lets
  each layer read its input and write its output in each of three passes, and Adam move seven
  numbers for each parameter. What a compiler fuses or a cache holds is moved less: a rough figure;
- milliseconds of the step, what is added when each batch comes from host memory, and what `fit`
  adds to that: shuffling, callbacks, metrics, the checks of the data.
Without a GPU all of this runs on the processor, for a few steps on small batches and matrices, to
show that it runs; nothing but the loss is reported.
"""

import argparse
import dataclasses
import importlib
import itertools
import json
import math
import statistics
import time

import processes
import steps
import throughput

PRECISIONS = ("float32", "tf32", "mixed_bfloat16")
MODELS = {**steps.MODELS, "flow": ((7, 7, 2), 256)}
LARGE_BATCH = {"dense": 8192, "faces": 1024, "flow": 8192}
FED_IMAGES = 25_600  # at least: an epoch of few steps would be all beginning and end
FIRST_STEPS = 20
COLUMNS = ("loss", "images/s", "TFLOP/s", "ceiling", "share", "GB/s", "ceiling", "share")
COLUMNS += ("step ms", "feeding", "fit")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is run: `matrix` are the rows of a square one, `copy` the numbers copied."""

    steps: int
    fed_steps: int
    rounds: int = 5
    matrix: int = 8192
    copy: int = 2**29


DRY_RUN = Sizes(steps=2, fed_steps=2, rounds=1, matrix=256, copy=2**16)


def gpu_name():
    """Returns the name of the GPU that the Keras backend in use trains on, or `None`."""
    import keras

    backend = importlib.import_module(keras.backend.backend())
    if keras.backend.backend() == "torch":
        return backend.cuda.get_device_name() if backend.cuda.is_available() else None
    if keras.backend.backend() == "jax":
        device = backend.devices()[0]
        return device.device_kind if device.platform == "gpu" else None
    gpus = backend.config.list_physical_devices("GPU")
    return backend.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else None


def set_precision(precision):
    """Makes models and matrix products that are made from now on compute in that precision."""
    import keras

    backend, rounded = importlib.import_module(keras.backend.backend()), precision == "tf32"
    if precision == "mixed_bfloat16":
        keras.config.set_dtype_policy(precision)
    elif keras.backend.backend() == "torch":
        backend.set_float32_matmul_precision("high" if rounded else "highest")
        backend.backends.cudnn.allow_tf32 = rounded
    elif keras.backend.backend() == "jax":
        chosen = "tensorfloat32" if rounded else "highest"
        backend.config.update("jax_default_matmul_precision", chosen)
    else:
        backend.config.experimental.enable_tensor_float_32_execution(rounded)


def wait(result):
    """Waits for a nested result by reading one number: a GPU works in the order of the calls."""
    import keras

    tensor = keras.tree.flatten(result)[0]
    number = tensor[(0,) * len(tensor.shape)]
    return float(keras.ops.convert_to_numpy(keras.ops.cast(number, "float32")))


def seconds_of(function, repeat, rounds):
    """Returns the median over the rounds of the seconds of one of `repeat` calls in a row."""
    seconds = []
    for turn in range(rounds + 1):
        start = time.perf_counter()
        for _ in range(repeat):
            result = function()
        wait(result)
        if turn:  # the first one compiles and warms up
            seconds.append((time.perf_counter() - start) / repeat)
    return statistics.median(seconds)


def ceilings(precision, sizes):
    """Returns the FLOP/s of a large matrix product and the bytes/s of a large copy."""
    import keras
    from keras import ops

    jit = importlib.import_module("jax").jit if keras.backend.backend() == "jax" else lambda f: f
    dtype = "bfloat16" if precision == "mixed_bfloat16" else "float32"
    # Not zeros: a chip that switches fewer bits is allowed to run faster.
    matrix = ops.cast(keras.random.normal((sizes.matrix, sizes.matrix), seed=0), dtype)
    product, copy = jit(ops.matmul), jit(lambda x: x + 1.0)
    seconds = seconds_of(lambda: product(matrix, matrix), 10, sizes.rounds)
    numbers = ops.zeros((sizes.copy,), "float32")
    copy_seconds = seconds_of(lambda: copy(numbers), 10, sizes.rounds)
    return 2 * sizes.matrix**3 / seconds, 2 * 4 * sizes.copy / copy_seconds


def make_model(name):
    """Returns the model, compiled, its weights the same every time."""
    if name != "flow":
        return steps.make_vae(name)
    import keras

    from vae_keras.flow_matching import FlowMatching
    from vae_keras.optimizers import FusedAdam

    keras.utils.set_random_seed(0)
    flow = FlowMatching(MODELS[name][0], seed=0)
    flow.compile(FusedAdam(1e-3))
    flow.optimizer.build(flow.trainable_variables)
    return flow


def bytes_per_step(model, batch_size):
    """Returns the bytes that a step moves, as the head of this file counts them."""
    import keras

    networks = throughput.networks_of(model)
    size = 2 if networks[0].compute_dtype == "bfloat16" else 4
    free = (keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Reshape)
    values = sum(
        math.prod(tensor.shape[1:])
        for part in networks
        for layer in part.layers
        if not isinstance(layer, free)
        for tensor in keras.tree.flatten((layer.input, layer.output))
    )
    return 3 * size * (batch_size * values + model.count_params()) + 7 * 4 * model.count_params()


def measure(name, precision, batch_size, num_steps):
    """Trains, and returns one row: the GPU's name, then a number for each of `COLUMNS`.

    Without a GPU the row is `[None, loss]`.
    """
    import keras
    import numpy as np

    set_precision(precision)
    gpu = gpu_name()
    sizes = Sizes(num_steps, max(20, FED_IMAGES // batch_size)) if gpu else DRY_RUN
    x = np.random.default_rng(0).random((batch_size, *MODELS[name][0]), "float32")
    resident = keras.ops.convert_to_tensor(x)
    model = make_model(name)
    take = importlib.import_module(f"bare.{keras.backend.backend()}").keras_step(model)
    loss = [wait(take(resident)["loss"]) for _ in range(FIRST_STEPS)][-1]

    step = seconds_of(lambda: take(resident), sizes.steps, sizes.rounds)
    fed = seconds_of(lambda: take(keras.ops.convert_to_tensor(x)), sizes.fed_steps, sizes.rounds)
    many = np.concatenate([x] * sizes.fed_steps)
    fit = seconds_of(lambda: fit_once(model, many, batch_size), 1, sizes.rounds) / sizes.fed_steps
    flops = throughput.flops_per_image(model) * batch_size / step
    moved = bytes_per_step(model, batch_size) / step
    most_flops, most_moved = ceilings(precision, sizes)
    if gpu is None:
        return [None, loss]
    numbers = [batch_size / step]
    numbers += [flops / 1e12, most_flops / 1e12, flops / most_flops]
    numbers += [moved / 1e9, most_moved / 1e9, moved / most_moved]
    numbers += [1e3 * step, 1e3 * (fed - step), 1e3 * (fit - fed)]
    return [gpu, loss, *numbers]


def fit_once(model, x, batch_size):
    import numpy as np

    return np.array(model.fit(x, batch_size=batch_size, verbose=0).history["loss"])


def print_row(name, batch_size, precision, values):
    print(f"{name:<7}{batch_size:>6} {precision:<15}", end="")
    for column, value in zip(COLUMNS, values, strict=False):
        form = ".0%" if column == "share" else ",.0f" if column in ("images/s", "GB/s") else ".2f"
        print(f"{value:>11{form}}", end="")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="timed steps, five times over")
    parser.add_argument("--only", nargs=3, help="a model, precision and batch size, as JSON")
    given = parser.parse_args()
    if given.only:
        model, precision, batch_size = given.only
        print(json.dumps(measure(model, precision, int(batch_size), given.steps)))
        return
    import keras

    backend, gpus = keras.backend.backend(), set()
    print(f"{'model':<7}{'batch':>6} {'precision':<15}", *(f"{c:>11}" for c in COLUMNS), sep="")
    for model, precision, large in itertools.product(MODELS, PRECISIONS, (False, True)):
        if large and gpus == {None}:
            continue  # a dry run is over sooner with small batches
        batch_size = LARGE_BATCH[model] if large else MODELS[model][1]
        arguments = ("--steps", str(given.steps), "--only", model, precision, str(batch_size))
        row, reason = processes.measure(__file__, backend, *arguments)
        gpu, *values = row or [None]
        print_row(model, batch_size, precision, values)
        print("" if gpu else f"   not measured: {reason or 'no GPU'}", flush=True)
        gpus |= {gpu} if row else set()
    names = (
        ", ".join(filter(None, gpus)) or "the processor alone: a dry run, which measures nothing"
    )
    print(f"{backend} on {names}")


if __name__ == "__main__":
    main()
