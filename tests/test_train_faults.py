"""What goes wrong before or in a training is told in one sentence, and nothing is lost."""

import contextlib
import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from test_train_cli import (  # the fixtures are what its trainings need, too
    FASHION,
    _few_garments,  # noqa: F401
    _without_tensorboard,  # noqa: F401
    assert_same_output,
    contents,
    explode_in_epoch_2,
    files,
    garments,  # noqa: F401
    refusal,
    run_train,
    trained,  # noqa: F401
    weights,
)

from vae_keras import terminal
from vae_keras.train import main
from vae_keras.training import checkpoint, data, lock
from vae_keras.training.devices import Devices

pytestmark = pytest.mark.program

SETTINGS = checkpoint.Settings("fashion", "synthetic", None, 3, 64, 2, 1.0, "bernoulli", None, 0)
INTERRUPTED_IN_A_STEP = """
positions = data.SharedBatches.positions
def interrupted(batches, index):
    if batches.shuffle and (batches.epoch, index) == (1, 2):
        os.kill(os.getpid(), signal.NUMBER)
    return positions(batches, index)
data.SharedBatches.positions = interrupted
"""


@pytest.fixture
def run(trained, tmp_path):  # noqa: F811
    """A copy of the output of a training of three epochs."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


# Two trainings


@pytest.mark.any_backend
def test_a_second_training_into_the_same_folder_is_refused(run, capsys):
    before = contents(run)
    with lock.locked(run):
        for arguments in (FASHION, ["--resume", "--epochs", "4"]):
            message = refusal(capsys, *arguments, "--output", run)
            assert f"A training writes into {run} already: process {os.getpid()} on" in message
    assert contents(run) == before


@pytest.mark.any_backend
def test_without_the_last_model_nothing_is_written_over(run, capsys):
    (run / "last.keras").unlink()
    before = contents(run)
    message = refusal(capsys, *FASHION, "--output", run)
    assert "holds best.keras, history.csv, sheets of a training that cannot go on" in message
    assert contents(run) == before


# A loss that is not finite


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, capsys):
    message = refusal(capsys, *FASHION, "--beta", "1e38", "--output", tmp_path)
    assert "The loss is not finite since step" in message
    assert "of epoch 1: {'loss': " in message
    last = tmp_path / "last.keras"
    assert f"The last good model is {last}, as it was before the first step. Into" in message
    assert files(tmp_path) == {"last.keras", "README.md", "settings.json"}
    assert all(np.isfinite(array).all() for array in weights(last))


def test_after_whole_epochs_the_last_good_model_is_kept(tmp_path, monkeypatch, capsys):
    explode_in_epoch_2(monkeypatch, lambda model: model.decoder.layers[-2])
    message = refusal(capsys, *FASHION, "--output", tmp_path)
    assert "'reconstruction_loss': " in message
    assert f"The last good model is {tmp_path / 'last.keras'}, of the end of epoch 1." in message
    assert (tmp_path / "history.csv").read_text().count("\n") == 2
    assert all(np.isfinite(array).all() for array in weights(tmp_path / "last.keras"))


@pytest.mark.any_backend
def test_a_checkpoint_that_this_keras_cannot_load_is_told(trained, tmp_path, capsys):  # noqa: F811
    with zipfile.ZipFile(trained / "last.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["config.json"] = entries["config.json"].replace(b'VAE"', b'Other"')
    with zipfile.ZipFile(tmp_path / "last.keras", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    message = refusal(capsys, "--resume", "--output", tmp_path)
    assert f"{tmp_path / 'last.keras'} is whole, and this Keras, {keras.version()}" in message


@pytest.mark.any_backend
def test_no_room_to_unpack_a_checkpoint_is_told(trained, monkeypatch, capsys):  # noqa: F811
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.tempfile, "TemporaryDirectory", full)
    message = refusal(capsys, "--resume", "--epochs", 9, "--output", trained)
    assert "is full. Free some space, or set the environment variable TMPDIR" in message


# No image to learn, none held out


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("learned", "held_out", "message"),
    [
        (64, 0, "Of 64 images 0 are held out, .*at least 2 must be"),
        (64, 1, "Of 65 images 1 are held out"),
        (0, 64, "There is no image to learn: all 64 are held out"),
        (31, 33, "--batch-size must be at most the number of images to learn, 31. Received: 32"),
    ],
)
def test_there_are_images_to_learn_and_held_out(learned, held_out, message):
    pixels = np.zeros((65, 8, 8, 1), "uint8")
    pairs = [(pixels, np.arange(count)) for count in (learned, held_out)]
    settings = dataclasses.replace(SETTINGS, batch_size=32)
    with pytest.raises(ValueError, match=message):
        data.make_batches(data.Images(*pairs, "real"), settings, Devices(2))


# Ctrl-C


@pytest.mark.any_version
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_a_step_it_ends_between_two_and_goes_on_as_if_it_had_not(
    trained,  # noqa: F811
    tmp_path,
    number,
):
    before = INTERRUPTED_IN_A_STEP.replace("NUMBER", number.name)
    stopped = run_train(*FASHION, "--output", tmp_path, before=before)
    assert stopped.returncode == 128 + number, stopped.stderr[-2000:]
    assert stopped.stderr.endswith("\nStopped. --resume goes on from the last whole epoch.\n")
    assert "Traceback" not in stopped.stderr
    resumed = run_train("--resume", "--output", tmp_path)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert_same_output(tmp_path, trained)


def test_interrupted_while_images_are_loaded_it_says_that_nothing_began(
    tmp_path, monkeypatch, capsys
):
    def load(settings):
        with contextlib.suppress(KeyboardInterrupt):  # as a library's hook does
            os.kill(os.getpid(), signal.SIGINT)
        return load_images(settings)

    load_images = data.load
    monkeypatch.setattr(data, "load", load)
    assert main([*FASHION, "--output", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nStopped before the training began.\n"
    assert files(tmp_path) == set()


# Memory

LACKS = {
    "tensorflow": "OOM when allocating tensor with shape[60000,12288] and type float",
    "jax": "RESOURCE_EXHAUSTED: Out of memory allocating 34359738368 bytes.",
    "torch": "[enforce fail at alloc_cpu.cpp:128] data. DefaultCPUAllocator: "
    "can't allocate memory: you tried to allocate 240000000000 bytes.",
    "python": "Unable to allocate 44.7 GiB for an array with shape (60000,) and data type float32",
}


@pytest.mark.any_backend
@pytest.mark.parametrize("name", LACKS)
def test_a_lack_of_memory_is_told_with_what_helps(name, tmp_path, monkeypatch, capsys):
    def fit(*_, **__):
        raise (MemoryError if name == "python" else RuntimeError)(LACKS[name])

    monkeypatch.setattr("vae_keras.VAE.fit", fit)
    assert main([*FASHION, "--output", str(tmp_path)]) == 1
    assert "smaller --batch-size" in capsys.readouterr().err


@pytest.mark.any_backend
def test_an_error_that_is_ours_to_mend_keeps_its_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr("vae_keras.VAE.fit", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([*FASHION, "--output", str(tmp_path)])


# A checkpoint that is damaged, or of another backend


@pytest.mark.any_backend
def test_a_damaged_checkpoint_is_never_trusted(trained, tmp_path):  # noqa: F811
    whole = (trained / "last.keras").read_bytes()
    path, rng = tmp_path / "last.keras", np.random.default_rng(0)
    expected = checkpoint.Checkpoint(trained / "last.keras", Devices(1))
    told = []
    for start in rng.integers(0, len(whole) - 100, 60):
        path.write_bytes(whole[:start] + rng.bytes(100) + whole[start + 100 :])
        try:
            read = checkpoint.Checkpoint(path, Devices(1))
        except ValueError as error:
            told.append(str(error))
        else:  # what was overwritten says nothing, such as a date
            assert read._entries() == expected._entries()
    assert len(told) > 50
    assert all(f"{path} is damaged, or not a checkpoint (" in message for message in told)


@pytest.mark.any_backend
def test_a_truncated_checkpoint_is_told(run, capsys):
    path = run / "last.keras"
    path.write_bytes(path.read_bytes()[:-1000])
    message = refusal(capsys, "--resume", "--output", run)
    assert f"{path} is damaged, or not a checkpoint (File is not a zip file). Put" in message


@pytest.mark.any_backend
def test_what_else_is_lost_is_told_or_made_again(run, capsys):
    table = (run / "history.csv").read_bytes()
    (run / "history.csv").unlink()
    (run / "best.keras").write_bytes((run / "best.keras").read_bytes()[:-1000])
    assert main(["--resume", "--epochs", "4", "--output", str(run)]) == 0
    lost = f"The best model so far is lost: {run / 'best.keras'} is missing or damaged."
    assert lost in capsys.readouterr().out
    assert (run / "history.csv").read_bytes().startswith(table)
    best, last = (weights(run / name) for name in ("best.keras", "last.keras"))
    for one, other in zip(best, last, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.any_backend
def test_a_training_that_goes_on_with_another_backend_says_so(run, capsys):
    path, backend = run / "last.keras", keras.backend.backend()
    saved = checkpoint.Checkpoint(path, Devices(1))
    for before, said in (("another", True), (None, False), (backend, False)):
        progress = dataclasses.replace(saved.progress, backend=before)
        checkpoint.save(saved.load_model(), path, progress)
        assert main(["--resume", "--output", str(run)]) == 0
        line = f"It goes on with KERAS_BACKEND={backend} instead of another: the state is the same"
        assert (line in capsys.readouterr().out) == said
        assert checkpoint.Checkpoint(path, Devices(1)).progress.backend == backend


# What it prints, and where to


def run_program(folder, **kwargs):
    """Runs the program as a user does, for an epoch of two batches."""
    command = [sys.executable, "-m", "vae_keras.train", *FASHION, "--epochs", "1"]
    return subprocess.run(
        [*command, "--max-images", "128", "--output", folder],
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        **kwargs,
    )


@pytest.mark.usefixtures("trained")
def test_only_its_own_lines_are_printed(tmp_path):
    done = run_program(tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
    own = ("Training for 1 epochs", "No TensorBoard logs", "Epoch 1/1")
    for line in done.stdout.splitlines():
        assert line.startswith(own) or " - loss: " in line, line


@pytest.mark.any_version
@pytest.mark.usefixtures("trained")
def test_a_closed_pipe_ends_it_in_a_sentence(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = run_program(tmp_path, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr.strip()) == (1, terminal.CLOSED_PIPE)
