"""`python -m vae_keras.train`: what it writes, how it goes on, and what it refuses."""

import csv
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
from helpers import get_parameters
from test_package import loaded_with

import vae_keras
from vae_keras import optimizers
from vae_keras.datasets import fashion_mnist
from vae_keras.likelihoods import Gaussian
from vae_keras.train import main
from vae_keras.training import checkpoint, devices, logs, recipes
from vae_keras.training.devices import Devices

pytestmark = pytest.mark.program

SIZES = (300, 60)
PRODUCTS = {"best.keras", "last.keras", "history.csv", "settings.json", "README.md"}
FASHION = ["--data", "fashion", "--source", "synthetic", "--epochs", "3", "--batch-size", "64"]
HOSTS = ["--num-processes", "2", "--process-id", "0"]

# Trains in a process of its own, on few garments.
TRAIN = f"""
import os, signal, sys
from vae_keras.datasets import fashion_mnist
from vae_keras.training import data
fashion_mnist.SYNTHETIC_SIZES = {SIZES}
{{before}}
from vae_keras.train import main
sys.exit(main(sys.argv[1:]))
"""
KILLED_IN_MID_EPOCH = """
positions = data.SharedBatches.positions
def killed(batches, index):
    if batches.shuffle and (batches.epoch, index) == ({epoch}, 2):
        if batches.devices.process_id == {victim}:
            os.kill(os.getpid(), signal.SIGKILL)
    return positions(batches, index)
data.SharedBatches.positions = killed
"""


@pytest.fixture(scope="module")
def garments(tmp_path_factory):
    """A data folder, in which the garments are drawn once."""
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _few_garments(monkeypatch, garments):
    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", SIZES)
    monkeypatch.setenv("VAE_KERAS_DATA", garments)


@pytest.fixture(autouse=True)
def _without_tensorboard(monkeypatch):
    find_spec = logs.importlib.util.find_spec
    monkeypatch.setattr(
        logs.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "tensorboard" else find_spec(name, *rest),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, garments):
    """The output of one uninterrupted training."""
    output = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "SYNTHETIC_SIZES", SIZES)
        patch.setenv("VAE_KERAS_DATA", garments)
        assert main([*FASHION, "--output", str(output)]) == 0
    return output


def run_train(*arguments, before="", **environment):
    """Trains in a fresh process; returns it when it has ended."""
    command = [sys.executable, "-c", TRAIN.format(before=before), *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


def weights(path):
    return get_parameters(keras.saving.load_model(path))


def files(folder):
    """All of them but TensorBoard's, which are there where it is installed."""
    paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(path) for path in paths if "tensorboard" not in path.parts}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def assert_same_output(one, other):
    for name in ("last.keras", "best.keras"):
        for left, right in zip(weights(one / name), weights(other / name), strict=True):
            np.testing.assert_array_equal(left, right)
    assert (one / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    assert files(one) == files(other)


def assert_agree(output, epochs):
    """Models, history, checkpoint and sheets tell of the same training of so many epochs."""
    rows = list(csv.DictReader((output / "history.csv").open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, epochs + 1))
    losses = [float(row["val_loss"]) for row in rows]
    saved = checkpoint.Checkpoint(output / "last.keras", Devices(1)).progress
    assert (saved.settings.epochs, saved.epoch) == (epochs, epochs)
    assert [logs["val_loss"] for logs in saved.history] == losses
    assert saved.best == min(losses)
    assert sum(name.startswith("sheets/samples") for name in files(output)) == epochs
    _, (x_test, _) = fashion_mnist.load_fashion_mnist("synthetic")
    for name, row in (("last.keras", rows[-1]), ("best.keras", rows[np.argmin(losses)])):
        vae = keras.saving.load_model(output / name)
        measured = vae.evaluate(x_test, verbose=0, return_dict=True)["kl_loss"]
        assert measured == pytest.approx(float(row["val_kl_loss"]), rel=1e-3)


def learning_rate(output, step):
    """What the optimizer of the last model has for a step."""
    optimizer = keras.saving.load_model(output / "last.keras").optimizer
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


def schedule(epochs, step):
    """The learning rate of the recipe: four batches an epoch."""
    peak = recipes.RECIPES["fashion"].peak_learning_rate
    return float(optimizers.warmup_and_cosine(peak, 4 * epochs)(step))


def explode_in_epoch_2(monkeypatch, find_layer):
    """Makes a weight infinite where the second epoch begins: of a layer of the model."""
    begin = logs.EpochOrder.on_epoch_begin

    def explode(order, epoch, logs=None):
        begin(order, epoch, logs)
        if epoch == 1:
            bias = find_layer(order.model).bias
            bias.assign(np.full(bias.shape, np.inf))

    monkeypatch.setattr(logs.EpochOrder, "on_epoch_begin", explode)


def refusal(capsys, *arguments):
    """What is said to arguments that are refused."""
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err


# What is written


def test_a_training_leaves_its_models_history_and_sheets(trained):
    sheets = {f"sheets/{name}-000{e}.png" for name in ("samples", "reconstructions") for e in "123"}
    assert files(trained) == PRODUCTS | sheets
    for name in sheets:
        assert (trained / name).read_bytes().startswith(b"\x89PNG")


def test_the_history_has_a_row_for_each_epoch(trained):
    rows = list(csv.DictReader((trained / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        parts = float(row["val_reconstruction_loss"]) + float(row["val_kl_loss"])
        assert float(row["val_loss"]) == pytest.approx(parts, rel=1e-5)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_last_model_is_what_the_history_ends_with(trained):
    vae = keras.saving.load_model(trained / "last.keras")
    _, (x_test, _) = fashion_mnist.load_fashion_mnist("synthetic")
    rows = list(csv.DictReader((trained / "history.csv").open()))
    measured = vae.evaluate(x_test, verbose=0, return_dict=True)["kl_loss"]
    assert measured == pytest.approx(float(rows[-1]["val_kl_loss"]), rel=1e-3)


def test_the_best_model_is_that_of_the_best_epoch(tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0])
    saved = []
    records = logs.Records(tmp_path, progress(), None, Devices(1))
    monkeypatch.setattr(
        checkpoint, "save", lambda vae, path, progress=None: saved.append(path.name)
    )
    for epoch, loss in enumerate(losses):
        records.on_epoch_end(epoch, {"val_loss": loss})
    assert saved == ["best.keras", "last.keras", "best.keras", "last.keras", "last.keras"]


def test_without_matplotlib_there_are_no_sheets_and_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "vae_keras.plots", None)
    monkeypatch.delattr(vae_keras, "plots", raising=False)
    assert main([*FASHION, "--epochs", "1", "--output", str(tmp_path)]) == 0
    assert files(tmp_path) == PRODUCTS
    assert "No sheets of images: they need matplotlib" in capsys.readouterr().out


def test_tensorboard_logs_are_written_where_it_is_installed(tmp_path, monkeypatch, capsys):
    assert main([*FASHION, "--epochs", "1", "--output", str(tmp_path / "without")]) == 0
    assert "No TensorBoard logs: they need tensorboard" in capsys.readouterr().out
    monkeypatch.undo()
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", SIZES)
    assert main([*FASHION, "--epochs", "1", "--output", str(tmp_path / "with")]) == 0
    assert any("events.out.tfevents" in name for name in files(tmp_path / "with" / "tensorboard"))


def test_settings_reach_the_model(tmp_path, policy):
    arguments = [*FASHION, "--epochs", "1", "--latent-dim", "3", "--beta", "0.5"]
    arguments += ["--likelihood", "gaussian", "--mixed-precision", "bfloat16"]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    vae = keras.saving.load_model(tmp_path / "last.keras")
    assert (vae.code_shape, vae.beta) == ((3,), 0.5)
    assert isinstance(vae.likelihood, Gaussian)
    assert vae.encoder.layers[-1].compute_dtype == "bfloat16"


def test_the_learning_rate_rises_and_falls():
    schedule = optimizers.warmup_and_cosine(2.0, 100)
    rates = np.array([float(schedule(step)) for step in range(101)])
    assert np.argmax(rates) == 10
    assert rates[[0, 10, 100]] == pytest.approx([0.1, 2.0, 0.1], rel=1e-4)
    for steps in (1, 2, 9):  # few enough that a tenth is none
        assert np.isfinite(float(optimizers.warmup_and_cosine(2.0, steps)(steps)))


# Going on


def test_killed_in_mid_epoch_it_ends_with_the_weights_of_an_uninterrupted_run(trained, tmp_path):
    before = KILLED_IN_MID_EPOCH.format(epoch=1, victim=0)
    killed = run_train(*FASHION, "--output", tmp_path, before=before)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert (tmp_path / "history.csv").read_text().count("\n") == 2
    resumed = run_train("--resume", "--output", tmp_path)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "after epoch 1 of 3" in resumed.stdout
    assert_same_output(tmp_path, trained)


def test_killed_in_its_first_epoch_it_can_be_resumed(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(logs.EpochOrder, "on_epoch_begin", kill)
        with pytest.raises(Killed):
            main([*FASHION, "--epochs", "1", "--output", str(tmp_path)])
    (tmp_path / f".vae_keras-{'0' * 32}.tmp.keras").write_bytes(b"half a model")
    (tmp_path / ".env.tmpl").write_text("mine")
    assert main(["--resume", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "history.csv").read_text().count("\n") == 2
    assert [name for name in files(tmp_path) if ".tmp" in name] == [".env.tmpl"]


def test_a_checkpoint_gives_back_how_far_the_training_had_come(make_vae, tmp_path):
    saved = progress()
    saved.history, saved.best = [{"val_loss": 2.5}, {"val_loss": 3.0}], 2.5
    checkpoint.save(make_vae(), tmp_path / "last.keras", saved)
    read = checkpoint.Checkpoint(tmp_path / "last.keras", Devices(1)).progress
    assert (read, read.epoch) == (saved, 2)


def test_a_finished_training_is_left_as_it_is(trained):
    before = weights(trained / "last.keras")
    assert main(["--resume", "--output", str(trained)]) == 0
    for one, other in zip(weights(trained / "last.keras"), before, strict=True):
        np.testing.assert_array_equal(one, other)


# Going on to another number of epochs


@pytest.fixture(scope="module")
def extended(tmp_path_factory, trained, garments):
    """The output of a training of three epochs that went on to five, and what it said."""
    output = tmp_path_factory.mktemp("extended") / "run"
    shutil.copytree(trained, output)
    arguments = ["--resume", "--epochs", 5, "--output", output]
    done = run_train(*arguments, VAE_KERAS_DATA=garments)
    assert done.returncode == 0, done.stderr[-2000:]
    return output, done.stdout


def test_with_more_epochs_a_finished_training_goes_on_and_says_how(extended, trained):
    output, said = extended
    assert "after epoch 3 of 5" in said
    assert (
        "It goes on to epoch 5 instead of 3: from here the learning rate is that of a run of "
        "5 epochs."
    ) in said
    before = (trained / "history.csv").read_text()
    assert (output / "history.csv").read_text().startswith(before)
    assert_agree(output, epochs=5)
    assert learning_rate(output, step=14) == pytest.approx(schedule(epochs=5, step=14))


@pytest.mark.any_version
def test_an_extended_training_that_is_killed_ends_with_the_same_weights(
    extended, trained, tmp_path
):
    output = tmp_path / "run"
    shutil.copytree(trained, output)
    before = KILLED_IN_MID_EPOCH.format(epoch=4, victim=0)
    killed = run_train("--resume", "--epochs", 5, "--output", output, before=before)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    resumed = run_train("--resume", "--output", output)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "after epoch 4 of 5" in resumed.stdout
    assert "instead of" not in resumed.stdout
    assert_same_output(output, extended[0])


def test_an_extended_training_can_be_extended_again(extended, tmp_path, capsys):
    output = tmp_path / "run"
    shutil.copytree(extended[0], output)
    assert main(["--resume", "--epochs", "6", "--output", str(output)]) == 0
    assert "It goes on to epoch 6 instead of 5" in capsys.readouterr().out
    assert_agree(output, epochs=6)
    assert learning_rate(output, step=22) == pytest.approx(schedule(epochs=6, step=22))


def test_a_training_may_end_sooner(tmp_path, monkeypatch):
    set_epoch = logs.EpochOrder.on_epoch_begin

    def stop(order, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        set_epoch(order, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(logs.EpochOrder, "on_epoch_begin", stop)
        assert main([*FASHION, "--output", str(tmp_path)]) == 130
    assert main(["--resume", "--epochs", "2", "--output", str(tmp_path)]) == 0
    assert_agree(tmp_path, epochs=2)
    assert learning_rate(tmp_path, step=6) == pytest.approx(schedule(epochs=2, step=6))


def test_a_training_does_not_end_before_the_epochs_that_are_done(trained, capsys):
    before = contents(trained)
    message = refusal(capsys, "--resume", "--epochs", "2", "--output", trained)
    assert "Argument --epochs must be at least 3, the number of epochs that are done" in message
    assert "Received: 2" in message
    assert contents(trained) == before


def test_where_the_loss_is_scaled_the_learning_rate_changes_too(make_vae, policy):
    policy("mixed_float16")
    vae = make_vae(optimizer=optimizers.FusedAdam(optimizers.warmup_and_cosine(1.0, 8)))
    recipes.change_epochs(vae, progress().settings, steps_per_epoch=4)
    scaled = vae.optimizer.inner_optimizer
    scaled.iterations.assign(6)
    assert float(scaled.learning_rate) == pytest.approx(schedule(epochs=3, step=6))


# What is refused


def test_there_must_be_something_to_resume(tmp_path, capsys):
    message = refusal(capsys, *FASHION, "--output", tmp_path, "--resume")
    assert f"nothing to resume: no last.keras in {tmp_path}" in message
    assert files(tmp_path) == set()


def test_a_training_is_not_written_over(trained, capsys):
    before = (trained / "last.keras").read_bytes()
    assert "--resume goes on with it" in refusal(capsys, *FASHION, "--output", trained)
    assert (trained / "last.keras").read_bytes() == before


@pytest.mark.parametrize(
    ("argument", "value", "was"),
    [
        ("--latent-dim", "5", "2"),
        ("--data", "faces", "fashion"),
        ("--likelihood", "gaussian", "bernoulli"),
        ("--max-images", "100", "None"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(trained, capsys, argument, value, was):
    message = refusal(capsys, "--resume", "--output", trained, argument, value)
    assert f"Argument {argument} must be what the checkpoint was trained with, {was}" in message
    assert f"Received: {value}" in message


def test_a_checkpoint_of_other_images_is_refused(trained, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", (301, 60))
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path))
    message = refusal(capsys, "--resume", "--output", trained)
    assert "The images are not those that the checkpoint was trained on" in message


@pytest.mark.parametrize("content", ["text", "model"])
def test_what_is_no_checkpoint_is_refused(trained, tmp_path, capsys, content):
    path = tmp_path / "last.keras"
    path.write_bytes(b"text" if content == "text" else (trained / "best.keras").read_bytes())
    message = refusal(capsys, *FASHION, "--output", tmp_path, "--resume")
    problem = "is damaged, or not a checkpoint" if content == "text" else "is not a checkpoint"
    assert f"{path} {problem}" in message


@pytest.mark.parametrize("writes", [0, 1, 4])
def test_a_full_disk_stops_it_and_leaves_whole_files(tmp_path, monkeypatch, capsys, writes):
    fsync, left = os.fsync, iter(range(writes))

    def until_full(descriptor):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", until_full)
    message = refusal(capsys, *FASHION, "--output", tmp_path)
    assert "is full. Free some space, or pass a folder elsewhere as --output" in message
    assert not [name for name in files(tmp_path) if ".tmp" in name]
    for name in files(tmp_path):
        if name.endswith(".keras"):
            assert zipfile.ZipFile(tmp_path / name).testzip() is None
    monkeypatch.undo()
    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", SIZES)
    if writes:
        assert checkpoint.Checkpoint(tmp_path / "last.keras", Devices(1)).load_model().built


def test_more_than_all_images_are_no_batch(tmp_path, capsys):
    message = refusal(capsys, *FASHION, "--max-images", "63", "--output", tmp_path)
    assert "Argument --batch-size must be at most the number of images to learn, 63" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data is required"),
        (["--resume"], "--data is required"),
        (["--data", "dogs"], "--data: must be fashion, faces, or a folder or zip archive"),
        (["--data", "~nobody-of-that-name/x"], "home directory"),
        (["--data", "x" * 300], "File name too long"),
        ([*FASHION, "--epochs", "0"], "--epochs: must be an integer >= 1. Received: 0"),
        ([*FASHION, "--batch-size", "x"], "--batch-size: must be an integer >= 1. Received: x"),
        ([*FASHION, "--beta", "-1"], "--beta: must be a number >= 0. Received: -1"),
        ([*FASHION, "--beta", "nan"], "--beta: must be a number >= 0. Received: nan"),
        ([*FASHION, "--beta", "inf"], "--beta: must be a number >= 0. Received: inf"),
        ([*FASHION, "--process-id", "0"], "are given together"),
        *[
            ([*FASHION, *HOSTS, "--coordinator", host], f"from 1 to 65535. Received: '{host}'")
            for host in ("here:99999", "here:0", "here:²", "here", ":1")
        ],
    ],
)
def test_the_command_line_is_checked(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["thinking", "numpy"])
def test_an_unknown_backend_is_named(backend):
    command = [sys.executable, "-m", "vae_keras.train", "--help"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    expected = f"('tensorflow', 'jax', 'torch'). Received: KERAS_BACKEND='{backend}'"
    assert expected in done.stderr.splitlines()[-1]


def test_a_batch_must_divide_by_the_devices():
    devices.check_batch_size(12, Devices(3))
    with pytest.raises(ValueError, match=r"a multiple of the number of devices, 3.*Received: 64"):
        devices.check_batch_size(64, Devices(3))


def test_importing_the_package_imports_none_of_it():
    seen = set()
    for module in ("models", "optimizers", "evaluation", "datasets"):
        loaded_with(f"vae_keras.{module}", seen)
    assert "vae_keras.sampling" in seen
    assert not [
        name for name in seen if name.startswith(("vae_keras.training", "vae_keras.train."))
    ]


def progress():
    settings = checkpoint.Settings(
        "fashion", "synthetic", None, 3, 64, 2, 1.0, "bernoulli", None, 0
    )
    return checkpoint.Progress(settings, "fingerprint")
