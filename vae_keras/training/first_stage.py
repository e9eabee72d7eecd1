"""The first stage: a VAE learns images, from the first epoch that is not done to the last."""

import dataclasses
import math
import sys
from pathlib import Path

import keras

from vae_keras.datasets.batches import explained
from vae_keras.training import checkpoint, data, devices, logs, recipes
from vae_keras.training import settings as settings_module
from vae_keras.training.interrupts import BetweenSteps
from vae_keras.training.output import BEST, LAST
from vae_keras.training.sheets import RECONSTRUCTIONS

REMEDY = "a smaller --beta, a larger --batch-size or without --mixed-precision"  # of no finite loss


@dataclasses.dataclass
class Training:
    """All that `fit` needs.

    Attributes:
        vae: The compiled model.
        output: `Path` of the folder.
        progress: `checkpoint.Progress`.
        images: `data.Images`.
        batches: `SharedBatches` to train on.
        held_out: `SharedBatches` to evaluate on.
        callbacks: List.
        verbose: Integer, as `fit` takes it.
    """

    vae: keras.Model
    output: Path
    progress: checkpoint.Progress
    images: data.Images
    batches: data.SharedBatches
    held_out: data.SharedBatches
    callbacks: list
    verbose: int

    def run(self, interrupts):
        """Trains, from the first epoch that is not done.

        Args:
            interrupts: `Interrupts`.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM.
            FloatingPointError: if the loss is not finite.
        """
        told = checkpoint.last_good_told(self.output / LAST, self.progress, "model", REMEDY)
        with told, interrupts.between_steps(), explained(self.batches, self.held_out):
            self._fit([BetweenSteps(interrupts), *self.callbacks])

    def _fit(self, callbacks):
        self.vae.fit(
            self.batches,
            validation_data=self.held_out,
            initial_epoch=self.progress.epoch,
            epochs=self.progress.settings.epochs,
            shuffle=False,  # the batches have their order
            callbacks=callbacks,
            verbose=self.verbose,
        )


def prepare(given, output, found):
    """Reads what is to be read, and makes the model.

    Args:
        given: `argparse.Namespace`.
        output: `Path` of the folder.
        found: `Devices`.

    Returns:
        A `Training`.

    Raises:
        OSError: if there is nothing to resume, or something in the way.
        ValueError: if settings do not fit each other, the checkpoint, the
            devices, the images or the other processes.
    """
    saved, backend = None, keras.backend.backend()
    if given.resume:
        saved = checkpoint.Checkpoint(output / LAST, found)
        settings = settings_module.resume(given, saved.progress)
        progress = dataclasses.replace(saved.progress, settings=settings, backend=backend)
    else:
        settings = settings_module.resolve(given)
    devices.check_batch_size(settings.batch_size, found)
    images = data.load(settings)
    if not given.resume:
        settings = dataclasses.replace(settings, source=images.source)
        progress = checkpoint.Progress(settings, images.fingerprint(), backend=backend)
    _check_images(images, progress, found)
    batches, held_out = data.make_batches(images, settings, found)
    vae = _make_vae(saved, settings, images.shape, len(batches), found)
    if found.is_writer:
        _announce(progress, images, found)
        if saved is not None:
            _announce_change(saved.progress.settings.epochs, settings.epochs)
            _announce_backend(saved.progress.backend, progress.backend)
            _check_best(output / BEST, progress)
    shown = images.first_held_out(RECONSTRUCTIONS)
    callbacks = logs.make_callbacks(vae, output, progress, shown, batches, found)
    verbose = (1 if sys.stdout.isatty() else 2) if found.is_writer else 0
    return Training(vae, output, progress, images, batches, held_out, callbacks, verbose)


def _check_images(images, progress, found):
    if images.fingerprint() != progress.images:
        raise ValueError(
            "The images are not those that the checkpoint was trained on "
            f"({len(images.train[1])} of them here, {images.source})."
        )
    mine = repr(progress).encode()
    if found.broadcast(mine) != mine:
        raise ValueError(
            f"Process {found.process_id} has other settings or other images than process 0. "
            "All processes take the same arguments, but for --process-id."
        )


def _check_best(path, progress):
    """Says where the best model is lost, and lets the best of the next epochs take its place."""
    if progress.history and not checkpoint.is_whole(path):
        progress.best = math.inf
        print(f"The best model so far is lost: {path} is missing or damaged.", flush=True)


def _make_vae(saved, settings, image_shape, steps_per_epoch, found):
    """Returns the compiled model, on all devices."""
    keras.utils.set_random_seed(settings.seed)
    if settings.mixed_precision is not None:
        keras.config.set_dtype_policy(f"mixed_{settings.mixed_precision}")
    with found.scope():
        if saved is not None:
            vae = saved.load_model()
            if settings.epochs != saved.progress.settings.epochs:
                recipes.change_epochs(vae, settings, steps_per_epoch)
        else:
            vae = recipes.make_vae(settings, image_shape)
            recipes.compile_vae(vae, settings, steps_per_epoch)
    vae.steps_per_execution = found.steps_per_execution
    return vae


def _announce(progress, images, found):
    settings = progress.settings
    begin = f"after epoch {progress.epoch} of" if progress.epoch else "for"
    print(
        f"Training {begin} {settings.epochs} epochs on {len(images.train[1]):,} {settings.source} "
        f"images ({settings.data}), {len(images.held_out[1]):,} held out, "
        f"on {found.count} {'device' if found.count == 1 else 'devices'}.",
        flush=True,
    )


def _announce_change(before, epochs):
    if epochs != before:
        print(
            f"It goes on to epoch {epochs} instead of {before}: from here the learning rate is "
            f"that of a run of {epochs} epochs.",
            flush=True,
        )


def _announce_backend(before, backend):
    if before not in (backend, None):
        print(
            f"It goes on with KERAS_BACKEND={backend} instead of {before}: the state is the same, "
            "the noise from here another, and so it ends near where it would have ended.",
            flush=True,
        )
