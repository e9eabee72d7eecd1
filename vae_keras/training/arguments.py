"""The command line of `python -m vae_keras.train`."""

import argparse
import math
from pathlib import Path

from vae_keras import likelihoods
from vae_keras.datasets.sources import SOURCES
from vae_keras.training.devices.peers import CONNECT_SECONDS
from vae_keras.training.recipes import CODES, MAPS, RECIPES, is_own
from vae_keras.training.settings import AS_RECIPE

DESCRIPTION = """Trains a VAE on garments (`fashion`: Fashion-MNIST) or `faces` (CelebA), with the
recipe of the notebooks, or on images of your own: the JPEG and PNG files of a folder, with all
folders in it, or of a zip archive, with the recipe of the faces. They are cropped to the square in
the middle; one in ten is held out. All accelerators of this machine are used."""

EPILOG = """The folder --output receives best.keras and last.keras (keras.saving.load_model reads
them once vae_keras is imported), a README.md that says how, settings.json, history.csv, sheets/
with reconstructions and samples after each epoch, and tensorboard/ where TensorBoard is installed.
With --second-stage it receives flow.keras, second-stage.csv and sheets of new images, too: the flow
learns the codes that best.keras has for the training images, and is trained anew where more epochs
have made another model the best.
A run that was stopped, by whatever, goes on from its last whole epoch with --resume, and ends where
it would have ended. With --resume --epochs it goes on to that number, finished or not: from there
on the learning rate is that of a run of so many epochs. The Keras backend is chosen by the
environment variable KERAS_BACKEND."""

LAST_PORT = 65_535


def parse(arguments=None):
    """Reads the command line.

    Args:
        arguments: List of strings. Defaults to those of the command line.

    Returns:
        An `argparse.Namespace`; `None` stands for what was not given.
    """
    parser = argparse.ArgumentParser("python -m vae_keras.train", None, DESCRIPTION, EPILOG)
    _add_training(parser.add_argument_group("what is trained, and how"))
    _add_output(parser.add_argument_group("output"))
    _add_hosts(parser.add_argument_group("several hosts (KERAS_BACKEND=jax)"))
    given = parser.parse_args(arguments)
    if given.data is None and (given.output is None or not given.resume):
        parser.error("--data is required, except with --resume and --output")
    if given.output is None:
        given.output = Path("runs") / (Path(given.data).name.removesuffix(".zip") or "images")
    _check_output(parser, given)
    _check_hosts(parser, given)
    return given


def _add_training(group):
    group.add_argument(
        "--data",
        type=_data,
        metavar="{" + ",".join([*RECIPES, "FOLDER", "ZIP"]) + "}",
        help="which images to learn",
    )
    group.add_argument("--image-size", type=_positive, help="pixels along the side, " + _sizes())
    group.add_argument(
        "--source", choices=SOURCES, help="files, synthetic images, or whatever is there (auto)"
    )
    group.add_argument("--max-images", type=_positive, help="learn the first so many only")
    group.add_argument("--epochs", type=_positive, help=_defaults("epochs"))
    group.add_argument(
        "--batch-size", type=_positive, help=_defaults("batch_size") + "; over all devices"
    )
    group.add_argument(
        "--code",
        choices=CODES,
        help="numbers (the default): a list of them, in which one can wander. map: a small image "
        "of them, which decodes sharply; what its places have to do with each other is for "
        "--second-stage to learn",
    )
    group.add_argument(
        "--latent-dim",
        type=_positive,
        help="numbers in a code, at each place where it is a map: " + _defaults("latent_dim"),
    )
    group.add_argument(
        "--beta", type=_weight, help="weight of the KL divergence: " + _defaults("beta")
    )
    group.add_argument("--likelihood", choices=likelihoods.NAMES, help=_defaults("likelihood"))
    group.add_argument(
        "--mixed-precision",
        choices=("float16", "bfloat16"),
        help="compute in half precision: faster on GPUs, and on processors with AMX by TensorFlow",
    )
    group.add_argument(
        "--second-stage",
        nargs="?",
        type=_positive,
        const=AS_RECIPE,
        metavar="EPOCHS",
        help="then, on one device, learn how the codes of the images are distributed, for new "
        f"images (flow matching): {_of(RECIPES, 'flow_epochs')}",
    )
    group.add_argument("--seed", type=_natural, help="of weights, noise and order; 0 by default")


def _add_output(group):
    group.add_argument("--output", type=Path, help="folder; by default runs/ and the data's name")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --output, as it was started or to another number of --epochs; "
        "other settings are an error",
    )


def _add_hosts(group):
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0, where it listens; the processes wait for each other for "
        f"{CONNECT_SECONDS} seconds",
    )
    group.add_argument("--num-processes", type=_positive, help="one for each host")
    group.add_argument("--process-id", type=_natural, help="0 writes the output")


def _check_output(parser, given):
    if given.data is None or not is_own(given.data):
        return
    if given.output.resolve().is_relative_to(Path(given.data).resolve()):
        parser.error(
            f"--output must be outside of the folder of the images, {given.data}, or its sheets "
            f"would be learned, too. Received: {given.output}"
        )


def _check_hosts(parser, given):
    hosts = (given.coordinator, given.num_processes, given.process_id)
    if None in hosts and hosts != (None, None, None):
        parser.error("--coordinator, --num-processes and --process-id are given together")
    if given.coordinator is None:
        return
    host, _, port = given.coordinator.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 1 <= int(port) <= LAST_PORT):
        parser.error(
            f"--coordinator must be HOST:PORT, the port from 1 to {LAST_PORT}. "
            f"Received: {given.coordinator!r}"
        )
    if given.process_id >= given.num_processes:
        parser.error(
            f"--process-id must be less than --num-processes. "
            f"Received: {given.process_id} of {given.num_processes}"
        )


def _data(text):
    if not is_own(text):
        return text
    try:
        path = Path(text).expanduser()
        problem = None if path.exists() else "there is nothing of that name"
    except (OSError, RuntimeError) as error:  # no such user, a folder that may not be looked into
        problem = str(error)
    if problem:
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(RECIPES)}, or a folder or zip archive of images. Received: "
            f"{text}, and {problem}"
        )
    return str(path.resolve())


def _sizes():
    sizes = {data: recipe.image_size for data, recipe in RECIPES.items() if recipe.image_size}
    return ", ".join(f"{size} for {data}" for data, size in sizes.items())


def _defaults(name):
    numbers, maps = _of(RECIPES, name), _of(MAPS, name)
    return numbers if maps == numbers else f"{numbers}; with --code map {maps}"


def _of(recipes, name):
    return ", ".join(f"{getattr(recipe, name)} for {data}" for data, recipe in recipes.items())


def _positive(text):
    return _integer(text, 1)


def _natural(text):
    return _integer(text, 0)


def _integer(text, least):
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"must be an integer >= {least}. Received: {text}")
    return value


def _weight(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number >= 0. Received: {text}")
    return value
