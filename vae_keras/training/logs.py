"""What a training leaves behind: the history, the models, the sheets, TensorBoard's files."""

import csv
import importlib
import importlib.util
import io

import keras

from vae_keras.datasets import storage
from vae_keras.training import checkpoint
from vae_keras.training.description import Description
from vae_keras.training.output import BEST, HISTORY, LAST, SHEETS, TENSORBOARD
from vae_keras.training.sheets import Sheets


class EpochOrder(keras.callbacks.Callback):
    """Tells the batches which epoch it is: the order is a function of its number."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.set_epoch(epoch)


class Records(keras.callbacks.Callback):
    """Writes the output of each epoch, the checkpoint last.

    A training that is killed between two files goes on from the checkpoint
    before, and writes the same files again.

    Args:
        output: `Path` of the folder.
        progress: `checkpoint.Progress`.
        sheets: `Sheets`, or `None`.
        devices: `Devices`.
    """

    def __init__(self, output, progress, sheets, devices):
        super().__init__()
        self.output = output
        self.progress = progress
        self.sheets = sheets
        self.devices = devices

    def begin(self, logs=None):
        """Writes the checkpoint, so that a training killed in its first epoch can be resumed."""
        self._save(LAST, self.progress)
        if self.progress.history:  # the file may be lost, or a row ahead
            write_history(self.output / HISTORY, self.progress.history)

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in logs.items()}
        self.progress.history.append(logs)
        if logs["val_loss"] < self.progress.best:
            self.progress.best = logs["val_loss"]
            self._save(BEST)
        # Not `CSVLogger`, which appends: a training that is killed would leave a row in it twice.
        write_history(self.output / HISTORY, self.progress.history)
        if self.sheets is not None:
            self.sheets.draw(self.model, epoch + 1, logs["val_loss"])
        self._save(LAST, self.progress)

    def _save(self, name, progress=None):
        # Keras makes some variables of its own to save a model, and shared by all processes
        # these would have to be made by all.
        with self.devices.local():
            checkpoint.save(self.model, self.output / name, progress)


def write_history(path, history):
    """Writes the logs of all epochs as a table, with the number of the epoch from 1."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *history[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": epoch, **logs} for epoch, logs in enumerate(history, 1))
    with storage.atomic_write(path, checkpoint.REMEDY) as file:
        file.write(text.getvalue().encode())


def make_callbacks(vae, output, progress, images, batches, devices):
    """Returns the callbacks of this process, and says what cannot be written here.

    Args:
        vae: The model.
        output: `Path` of the folder.
        progress: `checkpoint.Progress`.
        images: Array `(n, height, width, channels)`, held out, for the sheets.
        batches: `SharedBatches` to train on.
        devices: `Devices`.
    """
    order = EpochOrder(batches)
    if not devices.is_writer:
        return [order]
    try:
        sheets = Sheets(vae, images, output / SHEETS, devices)
    except ImportError:
        sheets = None
        print("No sheets of images: they need matplotlib (`pip install matplotlib`).")
    records = Records(output, progress, sheets, devices)
    # Whenever there is anything there is a checkpoint to go on from, at the end of an epoch last.
    begin = keras.callbacks.LambdaCallback(on_train_begin=records.begin)
    description = Description(output, progress.settings, images.shape[1:], len(batches.indices))
    return [order, begin, *_tensorboard(output / TENSORBOARD), records, description]


def _tensorboard(folder):
    if not all(importlib.util.find_spec(name) for name in ("tensorflow", "tensorboard")):
        print(
            "No TensorBoard logs: they need tensorboard and tensorflow "
            "(`pip install tensorboard tensorflow`)."
        )
        return []
    if keras.backend.backend() != "tensorflow":
        # TensorFlow only writes the logs here: it would take the GPUs' memory for itself.
        importlib.import_module("tensorflow").config.set_visible_devices([], "GPU")
    return [keras.callbacks.TensorBoard(str(folder), write_graph=False)]
