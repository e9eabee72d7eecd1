"""Trains what the site's explorers show, and writes it beside this file, as JSON.

python docs/explorers/make.py [garments] [faces]

The garments are Fashion-MNIST, as in notebook 4; the faces are drawn, as no weights that were
trained on photographs are passed on, and otherwise those of notebook 7.
"""

import json
import math
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from vae_keras import VAE, Autoencoder, datasets, explorer, judges, latent, networks
from vae_keras.flow_matching import FlowMatching
from vae_keras.optimizers import FusedAdam, warmup_and_cosine

SEED = 0
CODE_SHAPE = (8, 8, 4)
EDITED = ("Smiling", "Eyeglasses", "Blond_Hair", "Male", "Bangs", "Wearing_Hat")
STRENGTHS = (1, 1.25, 1.5, 2, 2.5, 3)
SHOWN, DRAWN = 40, 40  # codes of faces to begin with, and new ones of each distribution


def garments():
    (x_train, _), (x_test, y_test) = datasets.load_fashion_mnist("real")
    models = {
        "autoencoder": Autoencoder(*networks.dense(latent_dim=2, variational=False)),
        "VAE": VAE(*networks.dense(latent_dim=2)),
    }
    for model in models.values():
        model.compile(FusedAdam(warmup_and_cosine(1e-2, 3 * math.ceil(len(x_train) / 250))))
        model.fit(x_train, epochs=3, batch_size=250, verbose=0)
    codes = {name: model.encode(x_test[:2_000]) for name, model in models.items()}
    names = datasets.fashion_mnist.CLASS_NAMES
    return explorer.plane(models, codes, y_test[:2_000], names, what="garment")


def faces():
    data = datasets.load_celeba(source="synthetic")
    train, held_out = np.flatnonzero(~data.is_test), np.flatnonzero(data.is_test)
    for_vectors, for_first, for_second = (train[start::3] for start in range(3))
    vae = face_model(data.images, train)
    codes, held_out_codes = (vae.encode(in_unit(data, rows)) for rows in (for_vectors, held_out))
    has, held_out_has = data.attributes[for_vectors], data.attributes[held_out]

    # One judge chooses how far a slider goes, and another, which has not been asked, counts.
    trials = []
    for rows, network, blur in ((for_first, "strided", 0.0), (for_second, "pooled", 1.5)):
        judge = judges.Judge(data.attribute_names, network, blur=blur)
        judge.fit(data.images[rows], data.attributes[rows])
        half = slice(len(trials), None, 2)
        trials.append(judges.EditTrial(judge, vae, held_out_codes[half], held_out_has[half]))
    vectors, measured = [], {}
    every = latent.attribute_vectors(codes, has)
    for name in EDITED:
        vector = every[datasets.celeba.attribute_index(name, data.attribute_names)]
        success, side_effects = trials[0].measure(name, [s * vector for s in STRENGTHS])
        curve = judges.Curve(np.array(STRENGTHS), success, side_effects)
        vectors.append(judges.choose({"": curve}, aim=0.9).strength * vector)
        measured[name] = trials[1].count(name, vectors[-1])

    samples = {
        "Gaussian": latent.fit_gaussian(codes).sample(DRAWN, SEED),
        "flow": flow_of(vae, in_unit(data, train)).sample(DRAWN, SEED),
    }
    some = held_out_codes[:SHOWN]
    return explorer.attributes(vae, some, vectors, EDITED, measured, samples, what="face")


def in_unit(data, rows):
    return data.images[rows].astype("float32") / 255


def face_model(images, train, epochs=7):
    encoder, decoder = networks.convolutional_map((64, 64, 3), channels=CODE_SHAPE[-1])
    row = keras.Input((math.prod(CODE_SHAPE),))  # judges and Gaussians take rows of numbers
    encoder = keras.Model(encoder.input, [layers.Flatten()(part) for part in encoder.output])
    decoder = keras.Model(row, decoder(layers.Reshape(CODE_SHAPE)(row)))
    vae = VAE(encoder, decoder, likelihood="gaussian")
    batches = datasets.ImageBatches(images, train, 32, shuffle=True, seed=SEED)
    rate = warmup_and_cosine(3e-3, epochs * len(batches))
    vae.compile(FusedAdam(rate, beta_2=0.99, global_clipnorm=2e4))
    vae.fit(batches, epochs=epochs, verbose=0)
    return vae


def flow_of(vae, images, epochs=20):
    draws = ops.convert_to_numpy(vae.sampling(vae.posterior(images)))
    flow = FlowMatching(draws.shape[1:], units=256, seed=SEED)
    rate = warmup_and_cosine(1e-3, epochs * math.ceil(len(draws) / 256))
    flow.compile(FusedAdam(rate, beta_2=0.99))
    flow.fit(draws, epochs=epochs, batch_size=256, verbose=0)
    return flow


def main(names):
    for name in names or ("garments", "faces"):
        keras.utils.set_random_seed(SEED)
        started = time.perf_counter()
        page = {"garments": garments, "faces": faces}[name]()
        path = Path(__file__).with_name(f"{name}.json")
        given = {"title": page.title, "height": page.height, "data": page.data}
        path.write_text(json.dumps(given) + "\n", encoding="utf-8")
        seconds = time.perf_counter() - started
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {seconds:.0f} s")
        for edited, (success, side_effects) in page.data.get("measured", {}).items():
            print(f"  {edited}: seen on {success:.0%}, other verdicts changed: {side_effects:.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
