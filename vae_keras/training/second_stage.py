"""The second stage: a flow learns the codes that the best model has for the training images."""

import dataclasses
from pathlib import Path

import keras

from vae_keras.datasets import storage
from vae_keras.flow_matching import FlowMatching
from vae_keras.training import checkpoint, codes, recipes
from vae_keras.training.devices import Devices
from vae_keras.training.flow_records import FlowProgress, FlowRecords, write_history
from vae_keras.training.interrupts import BetweenSteps
from vae_keras.training.logs import EpochOrder
from vae_keras.training.output import BEST, FLOW, FLOW_HISTORY

REMEDY = "another --seed or without --mixed-precision"  # of no finite loss
REMOVE = f"remove {FLOW}, and the second stage begins anew"


@dataclasses.dataclass
class Flow:
    """All that the training of a flow needs.

    Attributes:
        model: The compiled `FlowMatching`.
        output: `Path` of the folder.
        progress: `FlowProgress`.
        batches: `CodeBatches` to train on.
        held_out: Array of codes to evaluate on.
        records: `FlowRecords`.
    """

    model: FlowMatching
    output: Path
    progress: FlowProgress
    batches: codes.CodeBatches
    held_out: object
    records: FlowRecords

    def run(self, interrupts, verbose):
        """Trains, from the first epoch that is not done.

        Args:
            interrupts: `Interrupts`.
            verbose: Integer, as `fit` takes it.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM.
            FloatingPointError: if the loss is not finite.
        """
        callbacks = [BetweenSteps(interrupts), EpochOrder(self.batches), self.records]
        told = checkpoint.last_good_told(self.output / FLOW, self.progress, "flow", REMEDY)
        with told, interrupts.between_steps():
            self.model.fit(
                self.batches,
                validation_data=(self.held_out,),
                validation_batch_size=self.batches.batch_size,
                initial_epoch=self.progress.epoch,
                epochs=self.progress.settings.second_stage,
                shuffle=False,  # the batches have their order
                callbacks=callbacks,
                verbose=verbose,
            )


def check(output, progress):
    """Raises `ValueError` where the second stage in a folder cannot go on.

    Args:
        output: `Path` of the folder.
        progress: `checkpoint.Progress` of the first stage.
    """
    saved, epochs = _read(output, progress), progress.settings.second_stage
    if saved is not None and epochs < saved.progress.epoch:
        raise ValueError(
            f"Argument --second-stage must be at least {saved.progress.epoch}, the number of its "
            f"epochs that are done, for --resume to go on. Received: {epochs}"
        )


def prepare(output, images, progress):
    """Reads what is to be read, encodes the images, and makes the flow.

    Args:
        output: `Path` of the folder.
        images: `data.Images`.
        progress: `checkpoint.Progress` of the first stage, which is done.

    Returns:
        A `Flow`; `None` where all of its epochs are done.

    Raises:
        ValueError: if the best model is lost, or the flow in the folder is
            damaged or of another model.
    """
    vae = _load_best(output / BEST)
    saved, mine = _go_on(output, progress, _fingerprint(vae))
    if mine.history:
        write_history(output, mine)  # it may be lost, or a row ahead
    if mine.epoch == mine.settings.second_stage:
        return None
    learned, held_out = (codes.encode(vae, some) for some in (images.train, images.held_out))
    size = min(recipes.FLOW_BATCH_SIZE, len(learned))
    batches = codes.CodeBatches(learned, size, mine.settings.seed)
    flow = _make_flow(saved, mine.settings, learned, len(batches))
    _announce(mine, learned, held_out)
    return Flow(flow, output, mine, batches, held_out, FlowRecords(vae, output, mine))


def _load_best(path):
    if not checkpoint.is_whole(path):
        raise ValueError(
            f"The second stage learns the codes of {path}, which is missing or damaged. Put a "
            "whole copy in its place, or go on to more --epochs: the best of these takes it."
        )
    return checkpoint.load_whole(path, str(path))


def _fingerprint(model):
    return storage.fingerprint(array.tobytes() for array in model.get_weights())


def _read(output, progress):
    """Returns the `Checkpoint` of the second stage of this training; `None` where there is none."""
    path = output / FLOW
    if not path.exists():
        return None
    saved = checkpoint.Checkpoint(path, Devices(1), FlowProgress, REMOVE)
    if _what_stays(saved.progress) != _what_stays(progress):
        raise ValueError(f"{path} is of another training. Put the right one there, or {REMOVE}.")
    return saved


def _what_stays(progress):
    """Returns what no change of a training that goes on, or of its images' place, changes."""
    settings = dataclasses.replace(progress.settings, epochs=0, second_stage=None, data="")
    return settings, progress.images


def _go_on(output, progress, model):
    """Returns the checkpoint to go on from, or `None`, and the `FlowProgress`."""
    saved = _read(output, progress)
    new = FlowProgress(progress.settings, progress.images, model, progress.epoch)
    if saved is None:
        if (output / FLOW_HISTORY).exists():
            print(f"The second stage is lost, as {output / FLOW} is missing: it begins anew.")
        return None, new
    if saved.progress.model == model:
        return saved, dataclasses.replace(new, history=saved.progress.history)
    if saved.progress.first_epochs == progress.epoch:
        raise ValueError(
            f"{output / FLOW} has learned the codes of another model than {output / BEST}. Put "
            f"the one that belongs to the other in its place, or {REMOVE}."
        )
    print(f"The second stage begins anew: {FLOW} has learned the codes of an earlier {BEST}.")
    return None, new


def _make_flow(saved, settings, learned, steps_per_epoch):
    """Returns the compiled flow."""
    keras.utils.set_random_seed(settings.seed)
    if saved is None:
        flow = recipes.make_flow(settings, learned.shape[1:], steps_per_epoch)
        flow.adapt(learned)
        return flow
    flow = saved.load_model()
    if settings.second_stage != saved.progress.settings.second_stage:
        recipes.change_flow_epochs(flow, settings, steps_per_epoch)
    return flow


def _announce(progress, learned, held_out):
    begin = f"after epoch {progress.epoch} of" if progress.epoch else "for"
    print(
        f"Training the second stage {begin} {progress.settings.second_stage} epochs on the codes "
        f"of {len(learned):,} images, {len(held_out):,} held out, by {BEST}.",
        flush=True,
    )
