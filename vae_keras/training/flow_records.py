"""What the second stage leaves behind: the flow, its history, the sheets of new images."""

import dataclasses

import keras

from vae_keras.training import checkpoint, logs
from vae_keras.training.output import FLOW, FLOW_HISTORY, SHEETS
from vae_keras.training.settings import Settings
from vae_keras.training.sheets import NewImages, remove_new


@dataclasses.dataclass
class FlowProgress(checkpoint.Counted):
    """How far the second stage has come.

    Attributes:
        settings: `Settings` of the training.
        images: String, the fingerprint of the images.
        model: String, the fingerprint of the model whose codes are learned.
        first_epochs: Integer, the epochs of the first stage that were done.
        history: List of dicts, the logs of each epoch.
    """

    settings: Settings
    images: str
    model: str
    first_epochs: int
    history: list = dataclasses.field(default_factory=list)


class FlowRecords(keras.callbacks.Callback):
    """Writes the output of each epoch, the checkpoint last.

    Args:
        vae: The model that decodes new images.
        output: `Path` of the folder.
        progress: `FlowProgress`.
    """

    def __init__(self, vae, output, progress):
        super().__init__()
        self.output = output
        self.progress = progress
        try:
            self.sheets = NewImages(vae, output / SHEETS)
        except ImportError:  # which the first stage has told
            self.sheets = None

    def on_train_begin(self, logs=None):
        checkpoint.save(self.model, self.output / FLOW, self.progress)
        if not self.progress.history:
            (self.output / FLOW_HISTORY).unlink(missing_ok=True)
            remove_new(self.output / SHEETS)

    def on_epoch_end(self, epoch, logs=None):
        self.progress.history.append({name: float(value) for name, value in logs.items()})
        write_history(self.output, self.progress)
        if self.sheets is not None:
            self.sheets.draw(self.model, epoch + 1, logs["val_loss"])
        checkpoint.save(self.model, self.output / FLOW, self.progress)


def write_history(output, progress):
    """Writes the history of the second stage, as `FlowProgress` has it."""
    logs.write_history(output / FLOW_HISTORY, progress.history)
