"""The page of a training: which codes, and which directions, there are to explore."""

import numpy as np

from vae_keras import datasets, latent
from vae_keras.datasets import celeba
from vae_keras.explorer.pages import attributes, plane
from vae_keras.flow_matching import FlowMatching
from vae_keras.training import data
from vae_keras.training.checkpoint import Checkpoint, is_whole, load_whole
from vae_keras.training.devices import Devices
from vae_keras.training.output import BEST, FLOW, LAST

HELD_OUT = 1_000  # images whose codes are shown or moved
LEARNED = 4_000  # images whose codes the directions come from
DIRECTIONS = 8
SHOWN = ("Smiling", "Eyeglasses", "Blond_Hair", "Male", "Bangs", "Wearing_Hat", "Pale_Skin")
SAMPLES = 200  # codes of new images


def page_of(run):
    """Makes the page of a training.

    Codes of two numbers are shown on the plane, the garments by their class;
    of faces with attributes there is a slider for each of some attributes at
    the difference of the means, of other images one for each of the first
    principal directions, at two standard deviations. A second stage gives new
    images.

    Args:
        run: `Path` of the folder that `vae_keras.train` wrote.

    Returns:
        A `Page`.

    Raises:
        FileNotFoundError: if there is no model, or the images are gone.
        ValueError: if the model is damaged, or nothing that can be explored.
    """
    for name in (BEST, LAST):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"There is no {name} in {run}, the folder of a training by vae_keras.train. "
                "Give one that holds a model."
            )
    if not is_whole(run / BEST):
        raise ValueError(f"{run / BEST} is damaged: put a whole copy in its place.")
    settings = Checkpoint(run / LAST, Devices(1)).progress.settings
    images = data.load(settings)
    vae = load_whole(run / BEST, str(run / BEST))
    codes = vae.encode(images.first_held_out(HELD_OUT))
    if codes.shape[1:] == (2,):
        return _plane(vae, codes, settings)
    vectors, names = _directions(vae, images, settings)
    samples = _samples(run, codes.shape[1:])
    return attributes(vae, codes, vectors, names, samples=samples, what=_what(settings))


def _plane(vae, codes, settings):
    labels, class_names = np.zeros(len(codes), int), ["image"]
    if settings.data == "fashion":
        source = datasets.fashion_mnist.find_source(settings.source)
        labels = datasets.load_fashion_mnist(source)[1][1][: len(codes)]
        class_names = datasets.fashion_mnist.CLASS_NAMES
    return plane({"VAE": vae}, {"VAE": codes}, labels, class_names, _what(settings))


def _what(settings):
    return {"fashion": "garment", "faces": "face"}.get(settings.data, "image")


def _directions(vae, images, settings):
    array, positions = images.train
    positions = positions[:LEARNED]
    codes = vae.encode(np.divide(array[positions], 255, dtype="float32"))
    if settings.data != "faces":
        return _principal(codes)
    faces = datasets.load_celeba(image_size=array.shape[1], source=settings.source)
    names = [name for name in SHOWN if name in faces.attribute_names]
    has = faces.attributes[positions][
        :, [celeba.attribute_index(n, faces.attribute_names) for n in names]
    ]
    flat = latent.attribute_vectors(codes.reshape(len(codes), -1), has)
    return flat.reshape(-1, *codes.shape[1:]), names


def _principal(codes):
    flat = codes.reshape(len(codes), -1)
    _, deviations, directions = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    deviations = deviations / np.sqrt(len(flat))
    vectors = (2.0 * deviations[:, None] * directions)[:DIRECTIONS]
    names = [f"direction {number}" for number in range(1, len(vectors) + 1)]
    return vectors.reshape(-1, *codes.shape[1:]), names


def _samples(run, code_shape):
    """Returns codes that the second stage draws, where there is one of this model."""
    if not (run / FLOW).is_file() or not is_whole(run / FLOW):
        return {}
    flow = load_whole(run / FLOW, str(run / FLOW))
    fits = isinstance(flow, FlowMatching) and flow.code_shape == tuple(code_shape)
    return {"flow": flow.sample(SAMPLES, seed=0)} if fits else {}
