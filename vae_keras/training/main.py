"""One training, from the command line to the last epoch."""

import dataclasses
import os
import sys
import time
import traceback

import keras

from vae_keras.datasets import storage
from vae_keras.training import checkpoint, data, devices, logs, recipes
from vae_keras.training import settings as settings_module
from vae_keras.training.arguments import parse
from vae_keras.training.sheets import RECONSTRUCTIONS

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C has stopped
CLOSED_SECONDS = 2  # after which a connection to a process that is gone is closed


def main(arguments=None):
    """Trains as the command line says.

    Args:
        arguments: List of strings. Defaults to those of the command line.

    Returns:
        Exit code, an integer: 0 where all went well.
    """
    given = parse(arguments)
    try:
        return _train(given, given.output)
    except KeyboardInterrupt:
        return _stop("Stopped. --resume goes on from the last whole epoch.", INTERRUPTED, given)
    except (OSError, ImportError) as error:
        return _stop(f"Error: {error}", 1, given)
    except FloatingPointError as error:  # of a loss that is not finite
        return _stop(f"Error: {error}\nThe files hold the last whole epoch.", 1, given)
    except Exception:
        if given.coordinator is None:
            raise
        # Most likely another process is gone: then its connection is closed by now, and the
        # thread that watches it says so and ends this process.
        time.sleep(CLOSED_SECONDS)
        return _stop(traceback.format_exc(), 1, given)


def _train(given, output):
    try:
        found = devices.find(given.coordinator, given.num_processes, given.process_id)
        training = prepare(given, output, found)
    except ValueError as error:  # of a setting, a file or a checkpoint, and its text says which
        return _stop(f"Error: {error}", 1, given)
    training.run()
    found.finish()
    return 0


def _stop(message, code, given):
    print(f"\n{message}", file=sys.stderr, flush=True)
    if given.coordinator is not None:
        # Python's own exit would wait for the other processes, which may be gone.
        sys.stdout.flush()
        os._exit(code)
    return code


@dataclasses.dataclass
class Training:
    """All that `fit` needs.

    Attributes:
        vae: The compiled model.
        progress: `checkpoint.Progress`.
        batches: `SharedBatches` to train on.
        held_out: `SharedBatches` to evaluate on.
        callbacks: List.
        verbose: Integer, as `fit` takes it.
    """

    vae: keras.Model
    progress: checkpoint.Progress
    batches: data.SharedBatches
    held_out: data.SharedBatches
    callbacks: list
    verbose: int

    def run(self):
        """Trains, from the first epoch that is not done."""
        self.vae.fit(
            self.batches,
            validation_data=self.held_out,
            initial_epoch=self.progress.epoch,
            epochs=self.progress.settings.epochs,
            shuffle=False,  # the batches have their order
            callbacks=self.callbacks,
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
    saved = None
    if given.resume:
        saved = checkpoint.Checkpoint(output / logs.LAST, found)
        settings = settings_module.resume(given, saved.progress)
        progress = dataclasses.replace(saved.progress, settings=settings)
    else:
        _check_is_free(output, found)
        settings = settings_module.resolve(given)
    devices.check_batch_size(settings.batch_size, found)
    images = data.load(settings)
    if not given.resume:
        settings = dataclasses.replace(settings, source=images.source)
        progress = checkpoint.Progress(settings, images.fingerprint())
    _check_images(images, progress, found)
    batches, held_out = data.make_batches(images, settings, found)
    vae = _make_vae(saved, settings, images.shape, len(batches), found)
    if found.is_writer:
        storage.remove_unfinished(output)
        _announce(progress, images, found)
        if saved is not None:
            _announce_change(saved.progress.settings.epochs, settings.epochs)
    shown = images.first_held_out(RECONSTRUCTIONS)
    callbacks = logs.make_callbacks(vae, output, progress, shown, batches, found)
    verbose = (1 if sys.stdout.isatty() else 2) if found.is_writer else 0
    return Training(vae, progress, batches, held_out, callbacks, verbose)


def _check_is_free(output, found):
    if found.is_writer and (output / logs.LAST).exists():
        raise FileExistsError(
            f"There is a training in {output} already. --resume goes on with it; another "
            "--output begins a new one."
        )


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
