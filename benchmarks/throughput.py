"""Images per second of training, beside what the processor's matrix products would allow.

    python benchmarks/throughput.py

For each Keras backend that is installed, the dense VAE and the faces VAE of `steps.py`, in float32
and in `mixed_bfloat16`: images per second through `VAE.train_step`; the arithmetic of the layers'
matrix products and convolutions per second; the rate of one large matrix product in the same
backend and precision, measured in turns with it; and the fraction that the first is of the second.
What is left of 1 is element-wise work, the optimizer, products too small to fill the processor,
and the backend's own overhead.
"""

import argparse
import itertools
import json
import statistics
import time

import processes
import steps

PRECISIONS = ("float32", "mixed_bfloat16")
SIZE, ROUNDS = 2048, 9


def networks_of(model):
    """Returns the networks of a VAE or of a flow."""
    return (model.encoder, model.decoder) if hasattr(model, "encoder") else (model.field,)


def flops_per_image(model):
    """Multiplications and additions in one training step's products, per image (or code).

    Forward, once more for the gradient by the weights, and once more for the
    gradient by the inputs, which the first layer does not need (nor does a flow's for the time,
    a fiftieth of it, which is counted).
    """
    import keras

    forward = []
    for part in networks_of(model):
        for layer in part.layers:
            if isinstance(layer, keras.layers.Dense):
                forward.append(2 * layer.kernel.shape[0] * layer.kernel.shape[1])
            elif isinstance(layer, keras.layers.Conv2D):
                height, width = layer.output.shape[1:3]
                size = layer.kernel.shape
                forward.append(2 * height * width * size[0] * size[1] * size[2] * size[3])
    return 3 * sum(forward) - forward[0]


def matrix_product(dtype):
    """A function that multiplies two matrices; its cost is `2 * SIZE**3`."""
    import keras
    import numpy as np
    from keras import ops

    matrix = np.random.default_rng(0).random((SIZE, SIZE), "float32") / SIZE
    left, right = (ops.cast(array, dtype) for array in (matrix, matrix.T))
    if keras.backend.backend() == "jax":
        import jax

        product = jax.jit(ops.matmul)
        return lambda: jax.block_until_ready(product(left, right))
    if keras.backend.backend() == "tensorflow":
        # The sum waits for the product without copying it out.
        return lambda: float(ops.sum(ops.matmul(left, right)[0]))
    return lambda: ops.matmul(left, right)


def measure(model, precision):
    """Returns images per second, and GFLOP/s of the training and of the matrix product."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy(precision)
    image_shape, batch_size = steps.MODELS[model]
    x = np.random.default_rng(0).random((batch_size, *image_shape), "float32")
    train, vae = steps.our_step(model, x)
    product = matrix_product(precision.removeprefix("mixed_"))
    seconds = {"train": [], "product": []}
    for turn in range(ROUNDS + 2):
        for name, run in (("train", lambda: train(steps.STEPS[model])), ("product", product)):
            start = time.perf_counter()
            run()
            if turn >= 2:  # the first turns compile and warm up
                seconds[name].append(time.perf_counter() - start)
    train_seconds, product_seconds = map(statistics.median, seconds.values())
    per_second = steps.STEPS[model] * batch_size / train_seconds
    rate = per_second * flops_per_image(vae) / 1e9
    return per_second, rate, 2 * SIZE**3 / product_seconds / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs=2, help="a model and a precision on KERAS_BACKEND")
    only = parser.parse_args().only
    if only:
        print(json.dumps(measure(*only)))
        return
    print(f"{'backend':<12}{'model':<8}{'precision':<16}", end="")
    print(f"{'images/s':>10}{'GFLOP/s':>10}{'ceiling':>10}{'fraction':>10}")
    for row in itertools.product(processes.BACKENDS, steps.MODELS, PRECISIONS):
        backend, model, precision = row
        rates, reason = processes.measure(__file__, backend, "--only", model, precision)
        print(f"{backend:<12}{model:<8}{precision:<16}", end="")
        if reason:
            print(f" not measured: {reason}", flush=True)
            continue
        images, ours, ceiling = rates
        print(f"{images:>10.0f}{ours:>10.0f}{ceiling:>10.0f}{ours / ceiling:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
