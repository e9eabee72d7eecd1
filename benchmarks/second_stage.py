"""The second stage: a VAE whose code is a map, and a flow that learns to draw such maps.

    python benchmarks/second_stage.py [fashion | faces ...]

Trains both on each Keras backend that is installed, each in a process of its own, one after
another: garments on maps of 7 x 7 x 2 at `beta` = 0.1, faces on maps of 8 x 8 x 4 at `beta` = 1.
New images come from the prior, from a Gaussian and mixtures of Gaussians fitted to the same codes,
and from the flow, with more and more steps; beside them stand reconstructions and real images. Of
each the table has the Fréchet distance to real held-out images in the features of a classifier (of
the ten classes, or of five attributes), which has seen the training images alone. It compares as
many images each time, and which images a row is of is said once: the codes are those of the
training images, reconstructions and real images are held out, and not those that are compared with.

`loop` is the time of `FlowMatching.sample` beside that of a bare compiled loop over the same
network, both for 1,000 samples in 16 steps, the median of each turn's ratio.
"""

import argparse
import functools
import importlib.util
import json
import math
import statistics
import sys
import time

import processes

STEPS = (4, 8, 16, 32)
SAMPLES = 1_000  # whose seconds are told
TURNS = 5
ATTRIBUTES = ("Smiling", "Eyeglasses", "Blond_Hair", "Male", "Bangs")
RECIPES = {
    "fashion": {
        "network": {"channels": 2, "filters": (32,)},
        "vae": {"likelihood": "bernoulli", "beta": 0.1},
        "vae_fit": {"peak": 5e-3, "epochs": 4, "batch_size": 128},
        "mixtures": (10, 30),
        "units": 256,
        "flow_fit": {"peak": 3e-3, "epochs": 8, "batch_size": 256},
    },
    "faces": {
        "network": {"channels": 4, "filters": (32, 64)},
        "vae": {"likelihood": "gaussian", "beta": 1.0},
        "vae_fit": {"peak": 3e-3, "epochs": 7, "batch_size": 32, "global_clipnorm": 2e4},
        "mixtures": (3, 10, 20),
        "units": 512,
        "flow_fit": {"peak": 1e-3, "epochs": 60, "batch_size": 256},
    },
}


def load(data):
    """Returns training images and what a classifier learns of them, then held-out ones."""
    from vae_keras import datasets

    if data == "fashion":
        (x_train, y_train), (x_test, y_test) = datasets.load_fashion_mnist()
        return x_train, y_train, x_test, y_test
    faces = datasets.load_celeba()
    images = faces.images[:].astype("float32") / 255
    has = faces.attributes[:, [faces.attribute_names.index(name) for name in ATTRIBUTES]]
    has, held_out = has.astype("float32"), faces.is_test
    return images[~held_out], has[~held_out], images[held_out], has[held_out]


def train(model, x, y=None, peak=1e-3, epochs=1, batch_size=128, **adam):
    """Trains with a learning rate that is warmed up and let down; returns the seconds."""
    import keras

    from vae_keras.optimizers import FusedAdam, warmup_and_cosine

    steps = epochs * math.ceil(len(x) / batch_size)
    optimizer = FusedAdam(warmup_and_cosine(peak, steps), beta_2=0.99, **adam)
    loss = {}
    if y is not None:
        kind = "sparse_categorical" if y.ndim == 1 else "binary"
        loss["loss"] = f"{kind}_crossentropy"
    keras.utils.set_random_seed(0)
    model.compile(optimizer, **loss)
    start = time.perf_counter()
    model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=0)
    return time.perf_counter() - start


def classifier(image_shape, y):
    """Returns a classifier, and the part of it that gives the features."""
    import keras
    from keras import layers

    image = x = keras.Input(image_shape)
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, strides=2, padding="same")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    is_classes = y.ndim == 1
    size, activation = (int(y.max()) + 1, "softmax") if is_classes else (y.shape[1], "sigmoid")
    return keras.Model(image, layers.Dense(size, activation=activation)(x)), keras.Model(image, x)


def measure(data):
    """Yields `(name, value)`: seconds, errors and distances."""
    import keras
    import numpy as np

    from vae_keras import VAE, evaluation, latent, networks
    from vae_keras.flow_matching import FlowMatching

    recipe = RECIPES[data]
    x_train, y_train, x_test, y_test = load(data)
    half = len(x_test) // 2
    keras.utils.set_random_seed(0)
    judge, features_of = classifier(x_train.shape[1:], y_train)
    train(judge, x_train, y_train, epochs=2 if data == "fashion" else 10)
    right = (
        (judge.predict(x_test, verbose=0) > 0.5) == (y_test > 0.5)
        if y_test.ndim > 1
        else (judge.predict(x_test, verbose=0).argmax(1) == y_test)
    )
    yield "classifier right", float(np.mean(right))
    reference = features_of.predict(x_test[:half], verbose=0)

    def distance(images):
        features = features_of.predict(images[:half], verbose=0)
        return evaluation.frechet_distance(features, reference)

    vae = VAE(*networks.convolutional_map(x_train.shape[1:], **recipe["network"]), **recipe["vae"])
    yield "first stage, s", train(vae, x_train, **recipe["vae_fit"])
    decoded = vae.reconstruct(x_test)
    yield "held-out squared error", float(np.mean((decoded - x_test) ** 2))
    codes = vae.encode(x_train)
    flow = FlowMatching(codes.shape[1:], units=recipe["units"], seed=0)
    yield "flow's numbers", flow.count_params()
    yield "second stage, s", train(flow, codes, **recipe["flow_fit"])

    yield "distance, prior", distance(vae.generate(half, seed=1))
    fits = {"Gaussian": latent.fit_gaussian}
    for number in recipe["mixtures"]:
        fits[f"{number} Gaussians"] = functools.partial(latent.fit_mixture, num_components=number)
    for name, fit in fits.items():
        start = time.perf_counter()
        sampler = fit(codes.reshape(len(codes), -1))
        yield f"{name}, s", time.perf_counter() - start
        drawn = sampler.sample(half, seed=1).reshape(half, *codes.shape[1:])
        yield f"distance, {name}", distance(vae.decode(drawn))
    for num_steps in STEPS:
        flow.sample(SAMPLES, num_steps=num_steps)  # compiles
        start = time.perf_counter()
        flow.sample(SAMPLES, seed=2, num_steps=num_steps)
        yield f"{SAMPLES:,} samples, {num_steps} steps, s", time.perf_counter() - start
        drawn = flow.sample(half, seed=1, num_steps=num_steps)
        yield f"distance, flow, {num_steps} steps", distance(vae.decode(drawn))
    yield "distance, reconstructions", distance(decoded[half:])
    yield "distance, real images", distance(x_test[half:])
    yield "loop", loop_ratio(flow)


def loop_ratio(flow):
    """Returns the time of `sample` as a multiple of that of a loop compiled by hand."""
    import numpy as np

    noise = np.random.default_rng(0).standard_normal((SAMPLES, *flow.code_shape)).astype("float32")
    by_hand = bare_loop(flow.field, 16)
    by_hand(noise)
    ratios = []
    for _ in range(TURNS):
        start = time.perf_counter()
        by_hand(noise)
        between = time.perf_counter()
        flow.from_noise(noise, num_steps=16)
        ratios.append((time.perf_counter() - between) / (between - start))
    return statistics.median(ratios)


def bare_loop(field, num_steps):
    """Returns a function from noise to codes, Heun's steps written out for the backend in use."""
    import keras
    import numpy as np

    width = 1.0 / num_steps

    def step(z, t):
        times = keras.ops.full((z.shape[0],), t, "float32")
        slope = field([z, times])
        ahead = field([z + width * slope, times + width])
        return z + width / 2 * (slope + ahead)

    if keras.backend.backend() == "jax":
        import jax

        @jax.jit
        def follow(z):
            times = width * jax.numpy.arange(num_steps)
            return jax.lax.scan(lambda z, t: (step(z, t), None), z, times)[0]
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function
        def follow(z):
            for number in tf.range(num_steps):
                z = step(z, width * tf.cast(number, "float32"))
            return z
    else:
        import torch

        @torch.no_grad()
        def follow(z):
            for number in range(num_steps):
                z = step(z, width * number)
            return z

    return lambda noise: np.asarray(follow(keras.ops.convert_to_tensor(noise)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", default=list(RECIPES), help="fashion, faces or both")
    parser.add_argument("--only", action="store_true", help="here, as a line of JSON")
    given = parser.parse_args()
    if given.only:
        from vae_keras import startup

        startup.start_keras()
        rows = []
        for name, value in measure(given.data[0]):
            rows.append([name, value])
            print(name, value, file=sys.stderr, flush=True)
        print(json.dumps(rows))
        return
    installed = [name for name in processes.BACKENDS if importlib.util.find_spec(name)]
    for data in given.data:
        for backend in installed:
            rows, reason = processes.measure(__file__, backend, data, "--only")
            print(f"{data} on {backend}" + ("" if rows else f": not measured, {reason}"))
            for name, value in rows or ():
                print(f"  {name:<32}{value:>12,.4f}", flush=True)


if __name__ == "__main__":
    main()
