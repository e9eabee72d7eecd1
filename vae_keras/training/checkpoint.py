"""A model as a checkpoint: all that the rest of its training depends on, in one file."""

import contextlib
import dataclasses
import io
import json
import math
import tempfile
import zipfile
from pathlib import Path

import keras

from vae_keras.datasets import storage
from vae_keras.training.settings import Settings

REMEDY = "pass a folder elsewhere as --output"
BEGIN_ANEW = "begin anew in another --output"
ENTRY = "training.json"  # beside Keras's own entries in the archive of a model


class Counted:
    """What has a `history`, a list with the logs of each epoch."""

    @property
    def epoch(self):
        """The number of epochs that are done."""
        return len(self.history)


@dataclasses.dataclass
class Progress(Counted):
    """How far a training has come; what Keras saves with a model is not repeated here.

    Attributes:
        settings: `Settings`.
        images: String, the fingerprint of the images.
        backend: String, that of Keras; `None` where version 0.1.0 has trained.
        history: List of dicts, the logs of each epoch.
        best: Float, the least `val_loss`.
    """

    settings: Settings
    images: str
    history: list = dataclasses.field(default_factory=list)
    best: float = math.inf
    backend: str | None = None


def save(model, path, progress=None):
    """Writes a model to a `.keras` file, whole or not at all.

    Args:
        model: The compiled model.
        path: `Path`.
        progress: `Progress` or another dataclass, which makes the file a checkpoint.
    """
    with storage.atomic_path(path, REMEDY) as temporary:
        model.save(temporary)
        if progress is not None:
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(ENTRY, json.dumps(dataclasses.asdict(progress)))


@contextlib.contextmanager
def last_good_told(path, progress, kind, remedy):
    """Adds to a `FloatingPointError` of the training within where its last good model is.

    Args:
        path: `Path` of the checkpoint.
        progress: `Counted`.
        kind: String, what the checkpoint holds.
        remedy: String, what to train with in another folder.
    """
    try:
        yield
    except FloatingPointError as error:
        what, _, _ = str(error).partition(". ")  # the rest is for who compiles a model
        done = progress.epoch
        raise FloatingPointError(
            f"{what}. The last good {kind} is {path}, "
            f"{f'of the end of epoch {done}' if done else 'as it was before the first step'}. "
            f"Into another --output, train with {remedy}."
        ) from error


def is_whole(path):
    """Whether there is a `.keras` file at `path`, and undamaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # on arbitrary bytes `zipfile` raises a dozen kinds
        return False


class Checkpoint:
    """A checkpoint that has been read.

    Args:
        path: `Path`, as given to `save`.
        devices: `Devices`. Process 0 reads the file, and the others get it from there.
        kind: The dataclass of the progress in it, with `settings` among its fields.
        otherwise: String, what to do if there is no whole copy of a damaged file.

    Raises:
        ValueError: if it is damaged, or not a checkpoint of that kind.
    """

    def __init__(self, path, devices, kind=Progress, otherwise=BEGIN_ANEW):
        self.name, self.kind, self.otherwise = str(path), kind, otherwise
        self._content = devices.broadcast(path.read_bytes() if devices.is_writer else b"")
        self.progress = self._read_progress()

    def _read_progress(self):
        try:
            values = json.loads(self._entries()[ENTRY])
            return self.kind(**{**values, "settings": Settings(**values["settings"])})
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{self.name} is not a checkpoint that this version of vae_keras.train can "
                f"resume ({error}). Put the one that was there in its place, or {self.otherwise}."
            ) from error

    def _entries(self):
        """Returns the bytes of all entries by name; the archive has a checksum of each."""
        try:
            with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        except Exception as error:  # as in `is_whole`
            raise ValueError(
                f"{self.name} is damaged, or not a checkpoint ({error}). Put a whole copy in its "
                f"place, or {self.otherwise}."
            ) from error

    def load_model(self):
        """Returns the model, compiled, with the state of its optimizer and of its noise."""
        # Keras reads paths alone, and the file itself may lie on another host.
        where = Path(tempfile.gettempdir())
        with (
            storage.explained(where, "set the environment variable TMPDIR to a folder elsewhere"),
            tempfile.TemporaryDirectory() as folder,
        ):
            path = Path(folder) / "checkpoint.keras"
            path.write_bytes(self._content)
            return load_whole(path, self.name)


def load_whole(path, name):
    """Returns the model in an undamaged file, or raises a `ValueError` that calls it `name`."""
    try:
        return keras.saving.load_model(path)
    except OSError:
        raise
    except Exception as error:  # of many kinds: Keras has nothing of its own
        raise ValueError(
            f"{name} is whole, and this Keras, {keras.version()}, cannot load the model in it "
            f"({error}). Go on with the version that wrote it."
        ) from error
