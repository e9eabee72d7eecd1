"""The folder of a training: what lies in it, and which training may write there."""

import contextlib

from vae_keras.datasets import storage
from vae_keras.training.checkpoint import REMEDY
from vae_keras.training.lock import locked

BEST, LAST, HISTORY = "best.keras", "last.keras", "history.csv"
FLOW, FLOW_HISTORY = "flow.keras", "second-stage.csv"
FOLDERS = SHEETS, TENSORBOARD = "sheets", "tensorboard"
PRODUCTS = (LAST, BEST, HISTORY, FLOW, FLOW_HISTORY, *FOLDERS)


@contextlib.contextmanager
def lent(folder, resume):
    """Lends a folder to one training at a time, within the block.

    Args:
        folder: `Path`.
        resume: Boolean, whether it holds a training that goes on. Otherwise it may
            hold whatever else, and is made where it does not exist.

    Raises:
        OSError: if there is nothing to resume, or something in the way.
    """
    _check_kinds(folder)
    if resume:
        _check_holds_training(folder)
    else:
        with storage.explained(folder, REMEDY):
            folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not resume:
            _check_is_free(folder)
        storage.remove_unfinished(folder, folder / SHEETS)
        yield


def _check_kinds(folder):
    for path in (folder, *(folder / name for name in PRODUCTS)):
        is_folder = path == folder or path.name in FOLDERS
        if path.exists() and path.is_dir() != is_folder:
            here, needed = ("a file", "folder") if is_folder else ("a folder", "file")
            raise FileExistsError(
                f"{path} is {here}, and a training writes a {needed} of that name. Move it away, "
                f"or {REMEDY}."
            )


def _check_holds_training(folder):
    if not (folder / LAST).exists():
        others = _products(folder)
        how = "Without --resume a training begins."
        if others:
            how = f"Of a training only {', '.join(others)} is left; another --output begins one."
        raise FileNotFoundError(f"There is nothing to resume: no {LAST} in {folder}. {how}")


def _check_is_free(folder):
    products = _products(folder)
    if LAST in products:
        raise FileExistsError(
            f"There is a training in {folder} already. --resume goes on with it; another "
            "--output begins a new one."
        )
    if products:
        raise FileExistsError(
            f"{folder} holds {', '.join(products)} of a training that cannot go on, as there is "
            f"no {LAST}. Another --output begins a new one."
        )


def _products(folder):
    paths = [folder / name for name in PRODUCTS]
    # An empty folder is nobody's work.
    return [
        path.name for path in paths if (any(path.iterdir()) if path.is_dir() else path.exists())
    ]
