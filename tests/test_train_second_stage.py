"""`python -m vae_keras.train --code map --second-stage`: the flow, and how it goes on."""

import csv
import dataclasses
import errno
import functools
import json
import os
import re
import shutil
import signal
import sys
import zipfile

import keras
import numpy as np
import pytest
from helpers import on_jax
from test_train_cli import (  # the fixtures are what its trainings need, too
    SIZES,
    _few_garments,  # noqa: F401
    _without_tensorboard,  # noqa: F401
    assert_same_output,
    contents,
    explode_in_epoch_2,
    files,
    garments,  # noqa: F401
    refusal,
    run_train,
    weights,
)
from test_train_cli_devices import TWO_CPUS, Processes

import vae_keras
from vae_keras import evaluation, optimizers
from vae_keras.datasets import fashion_mnist
from vae_keras.flow_matching import FlowMatching
from vae_keras.train import main
from vae_keras.training import checkpoint, logs, recipes, settings
from vae_keras.training.arguments import parse
from vae_keras.training.devices import Devices
from vae_keras.training.flow_records import FlowProgress
from vae_keras.training.sheets import NewImages, Sheets

pytestmark = pytest.mark.program

EPOCHS = 2
MAP = ["--data", "fashion", "--source", "synthetic", "--code", "map", "--epochs", "1"]
MAP += ["--batch-size", "64", "--second-stage", str(EPOCHS)]
# A flow that is compiled in little time, trained in four steps an epoch: here, and in a process of
# its own.
QUICK = """
import functools
from vae_keras.flow_matching import FlowMatching
from vae_keras.training import codes, recipes
recipes.FLOW_BATCH_SIZE = 64
recipes.FlowMatching = functools.partial(FlowMatching, num_blocks=1)
"""
STOPPED_IN_A_STEP = """
take = codes.CodeBatches.__getitem__
def stopped(batches, index):
    if (batches.epoch, index) == (1, 2):
        os.kill(os.getpid(), signal.NUMBER)
    return take(batches, index)
codes.CodeBatches.__getitem__ = stopped
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    make_quick(monkeypatch)


def make_quick(patch):
    patch.setattr(recipes, "FLOW_BATCH_SIZE", 64)
    patch.setattr(recipes, "FlowMatching", functools.partial(FlowMatching, num_blocks=1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, garments):  # noqa: F811
    """The output of one uninterrupted training of both stages."""
    output = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "SYNTHETIC_SIZES", SIZES)
        patch.setattr(logs, "_tensorboard", lambda folder: [])
        patch.setenv("VAE_KERAS_DATA", garments)
        make_quick(patch)
        assert main([*MAP, "--output", str(output)]) == 0
    return output


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that output."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def first(run):
    """A copy of it whose second stage has not begun."""
    return without_flow(run)


def without_flow(run):
    for name in files(run):
        if name in ("flow.keras", "second-stage.csv") or name.startswith("sheets/new"):
            (run / name).unlink()
    return run


def resume(output, *arguments):
    return main(["--resume", "--output", str(output), *arguments])


def change_progress(path, kind, **changes):
    """Writes a checkpoint anew, its progress changed."""
    saved = checkpoint.Checkpoint(path, Devices(1), kind)
    checkpoint.save(saved.load_model(), path, dataclasses.replace(saved.progress, **changes))


def change_settings(path, kind, **changes):
    saved = checkpoint.Checkpoint(path, Devices(1), kind).progress.settings
    change_progress(path, kind, settings=dataclasses.replace(saved, **changes))


def read_progress(output):
    return checkpoint.Checkpoint(output / "flow.keras", Devices(1), FlowProgress).progress


def history(output):
    return list(csv.DictReader((output / "second-stage.csv").open()))


def assert_same(one, other):
    """Both stages, the noise and the optimizers included, are the same to the last bit."""
    assert_same_output(one, other)
    assert (one / "second-stage.csv").read_bytes() == (other / "second-stage.csv").read_bytes()
    states = [flow_state(output) for output in (one, other)]
    for left, right in zip(*states, strict=True):
        np.testing.assert_array_equal(left, right)


def flow_state(output):
    flow = keras.saving.load_model(output / "flow.keras")
    variables = [*flow.variables, *flow.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


# What is written


def test_the_second_stage_leaves_a_flow_its_history_and_sheets(trained):
    first = {"best.keras", "last.keras", "history.csv", "settings.json", "README.md"}
    sheets = {"sheets/samples-0001.png", "sheets/reconstructions-0001.png"}
    new = {f"sheets/new-000{epoch}.png" for epoch in range(1, EPOCHS + 1)}
    assert files(trained) == first | sheets | new | {"flow.keras", "second-stage.csv"}
    for name in new:
        assert (trained / name).read_bytes().startswith(b"\x89PNG")
    rows = history(trained)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in ("loss", "val_loss"):
        assert float(rows[1][name]) < float(rows[0][name])
    said = json.loads((trained / "settings.json").read_text())
    assert (said["code"], said["second_stage"], said["beta"]) == ("map", EPOCHS, 0.1)


def test_the_readme_draws_new_images_from_both(trained, monkeypatch):
    text = (trained / "README.md").read_text()
    assert f"its loss after each of {EPOCHS} epochs" in text
    (code,) = re.findall("```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(trained)
    names = {}
    exec(code, names)
    assert names["codes"].shape == (16, 7, 7, 2)
    drawn = names["vae"].generate(16, seed=3, sampler=names["flow"])
    assert names["images"].shape == drawn.shape == (16, 28, 28, 1)


@pytest.mark.any_backend
def test_a_flow_learns_codes_that_are_lists_of_numbers(tmp_path):
    arguments = ["--data", "fashion", "--source", "synthetic", "--epochs", "1"]
    arguments += ["--batch-size", "64", "--second-stage", "1", "--output", str(tmp_path)]
    assert main(arguments) == 0
    flow = keras.saving.load_model(tmp_path / "flow.keras")
    assert flow.code_shape == (2,)
    assert flow.units == 384
    assert len(history(tmp_path)) == 1


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("data", "code", "expected"),
    [
        ("fashion", "numbers", (5, 128, 2, 1.0, "bernoulli", 8, 384, 0.005)),
        ("faces", "numbers", (15, 32, 64, 1.0, "gaussian", 60, 384, 0.002)),
        ("fashion", "map", (4, 128, 2, 0.1, "bernoulli", 8, 256, 0.005)),
        ("faces", "map", (7, 32, 4, 1.0, "gaussian", 60, 512, 0.003)),
    ],
)
def test_each_data_and_code_has_its_recipe(data, code, expected):
    found = settings.resolve(parse(["--data", data, "--code", code, "--second-stage"]))
    recipe = recipes.find_recipe(data, code)
    values = (found.epochs, found.batch_size, found.latent_dim, found.beta, found.likelihood)
    more = (found.second_stage, recipe.flow_units, recipe.peak_learning_rate)
    assert values + more == expected
    shape = (28, 28, 1) if data == "fashion" else (64, 64, 3)
    place = {"fashion": (7, 7), "faces": (8, 8)}[data] if code == "map" else ()
    assert recipes.make_vae(found, shape).code_shape == (*place, found.latent_dim)


# Going on


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.any_backend)]
)
def test_stopped_in_a_step_the_flow_ends_as_if_it_had_not_been(trained, first, number):
    before = QUICK + STOPPED_IN_A_STEP.replace("NUMBER", number.name)
    stopped = run_train("--resume", "--output", first, before=before)
    said = stopped.stderr[-2000:]
    if number == signal.SIGTERM:
        assert stopped.returncode == 128 + number, said
        assert said.endswith("\nStopped. --resume goes on from the last whole epoch.\n")
    else:
        assert stopped.returncode == -number, said
    assert len(history(first)) == 1
    resumed = run_train("--resume", "--output", first, before=QUICK)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "Training the second stage after epoch 1 of 2 epochs on the codes of" in resumed.stdout
    assert_same(first, trained)


@pytest.mark.any_backend
def test_stopped_in_the_first_stage_both_end_as_if_it_had_not_been(trained, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(logs.EpochOrder, "on_epoch_begin", stop)
        assert main([*MAP, "--output", str(tmp_path)]) == 130
    assert "flow.keras" not in files(tmp_path)
    assert resume(tmp_path) == 0
    assert_same(tmp_path, trained)


@pytest.mark.any_backend
def test_a_finished_training_is_left_as_it_is(run, trained, capsys):
    (run / "second-stage.csv").unlink()
    assert resume(run) == 0
    assert "second stage" not in capsys.readouterr().out
    assert (run / "flow.keras").read_bytes() == (trained / "flow.keras").read_bytes()
    assert history(run) == history(trained)


@pytest.mark.any_backend
def test_a_second_stage_is_added_to_a_finished_training(first, trained):
    change_settings(first / "last.keras", checkpoint.Progress, second_stage=None)
    assert resume(first) == 0
    assert "flow.keras" not in files(first)
    assert resume(first, "--second-stage", str(EPOCHS)) == 0
    assert_same(first, trained)


@pytest.mark.any_backend
def test_the_codes_are_those_of_the_best_model(first, capsys):
    vae = keras.saving.load_model(first / "best.keras")
    vae.encoder.get_layer("z_mean").bias.assign([5.0, -5.0])
    vae.save(first / "best.keras")
    assert resume(first) == 0
    (x_train, _), _ = fashion_mnist.load_fashion_mnist("synthetic")
    mean = keras.saving.load_model(first / "flow.keras").mean
    np.testing.assert_allclose(mean, vae.encode(x_train).mean(axis=0), rtol=1e-4)


@pytest.mark.any_backend
def test_the_second_stage_goes_on_to_more_epochs_where_the_best_model_stays(run, trained):
    change_progress(run / "last.keras", checkpoint.Progress, best=-1e9)
    assert resume(run, "--epochs", "2", "--second-stage", "4") == 0
    before = (trained / "second-stage.csv").read_text()
    assert (run / "second-stage.csv").read_text().startswith(before)
    assert [row["epoch"] for row in history(run)] == ["1", "2", "3", "4"]
    optimizer = keras.saving.load_model(run / "flow.keras").optimizer
    optimizer.iterations.assign(14)
    peak = recipes.find_recipe("fashion", "map").flow_peak
    expected = float(optimizers.warmup_and_cosine(peak, 4 * 4)(14))
    assert float(optimizer.learning_rate) == pytest.approx(expected)


@pytest.mark.any_backend
def test_images_from_the_flow_are_nearer_real_ones_than_those_from_the_prior(tmp_path, monkeypatch):
    for sheets in (Sheets, NewImages):
        monkeypatch.setattr(sheets, "draw", lambda *_: None)
    arguments = [*MAP, "--epochs", "12", "--batch-size", "20", "--second-stage", "25"]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    vae, flow = (keras.saving.load_model(tmp_path / name) for name in ("best.keras", "flow.keras"))
    _, (x_test, _) = fashion_mnist.load_fashion_mnist("synthetic")

    def distance(images):
        def features(images):
            return images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(len(images), 49)

        return evaluation.frechet_distance(features(images), features(x_test))

    prior, drawn = vae.generate(500, seed=0), vae.generate(500, seed=0, sampler=flow)
    assert distance(drawn) < 0.5 * distance(prior)


@pytest.mark.any_backend
def test_where_another_model_is_the_best_the_flow_is_trained_anew(run, capsys):
    before = read_progress(run)
    (run / "sheets" / "new-0009.png").write_bytes(b"of the flow before")
    assert resume(run, "--epochs", "2") == 0
    said = capsys.readouterr().out
    assert "begins anew: flow.keras has learned the codes of an earlier best.keras." in said
    after = read_progress(run)
    assert (before.first_epochs, after.first_epochs, after.epoch) == (1, 2, EPOCHS)
    assert before.model != after.model
    assert before.history != after.history
    assert sorted(name for name in files(run) if "new" in name) == [
        f"sheets/new-000{epoch}.png" for epoch in range(1, EPOCHS + 1)
    ]


@pytest.mark.any_backend
def test_a_lost_flow_is_told_and_made_again(run, trained, capsys):
    (run / "flow.keras").unlink()
    assert resume(run) == 0
    assert f"lost, as {run / 'flow.keras'} is missing: it begins anew." in capsys.readouterr().out
    assert_same(run, trained)


@pytest.mark.any_backend
def test_a_checkpoint_from_before_there_was_a_choice_has_numbers_and_one_stage(make_vae, tmp_path):
    given = settings.resolve(parse(["--data", "fashion"]))
    progress, path = checkpoint.Progress(given, "fingerprint"), tmp_path / "last.keras"
    checkpoint.save(make_vae(), path)
    values = dataclasses.asdict(progress)
    for name in ("code", "second_stage"):
        del values["settings"][name]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(checkpoint.ENTRY, json.dumps(values))
    read = checkpoint.Checkpoint(path, Devices(1)).progress
    assert (read.settings.code, read.settings.second_stage) == ("numbers", None)


# What is refused


@pytest.mark.any_backend
def test_the_second_stage_does_not_end_before_the_epochs_that_are_done(run, capsys):
    before = contents(run)
    message = refusal(capsys, "--resume", "--output", run, "--second-stage", 1)
    assert "Argument --second-stage must be at least 2, the number of its epochs that" in message
    assert "Received: 1" in message
    assert contents(run) == before


@pytest.mark.any_backend
def test_another_code_is_refused(run, capsys):
    message = refusal(capsys, "--resume", "--output", run, "--code", "numbers")
    assert "Argument --code must be what the checkpoint was trained with, map" in message


def truncate(run):
    path = run / "flow.keras"
    path.write_bytes(path.read_bytes()[:-1000])


def put_model(run):
    shutil.copy(run / "best.keras", run / "flow.keras")


def put_checkpoint(run):
    shutil.copy(run / "last.keras", run / "flow.keras")


def put_other_training(run):
    change_settings(run / "flow.keras", FlowProgress, seed=7)


def put_other_flow(run):
    change_progress(run / "flow.keras", FlowProgress, model="another")


def lose_best(run):
    truncate(run)
    (run / "flow.keras").unlink()
    (run / "best.keras").unlink()


OR_REMOVE = "or remove flow.keras, and the second stage begins anew."


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (truncate, f"flow.keras is damaged, or not a checkpoint (File is not a zip file). Put a "
         f"whole copy in its place, {OR_REMOVE}"),
        (put_model, "flow.keras is not a checkpoint that this version of vae_keras.train can"),
        (put_checkpoint, "flow.keras is not a checkpoint that this version of vae_keras.train"),
        (put_other_training, f"flow.keras is of another training. Put the right one there, "
         f"{OR_REMOVE}"),
        (put_other_flow, "flow.keras has learned the codes of another model than"),
        (lose_best, "best.keras, which is missing or damaged. Put a whole copy in its place, or "
         "go on to more --epochs"),
    ],
)  # fmt: skip
def test_files_that_will_not_do_are_told(run, capsys, damage, expected):
    damage(run)
    kept = {name: content for name, content in contents(run).items() if "flow" in name}
    message = refusal(capsys, "--resume", "--output", run)
    assert expected in message
    assert str(run) in message
    now = contents(run)
    assert {name: now[name] for name in kept} == kept


@pytest.mark.any_backend
def test_a_loss_that_is_not_finite_ends_the_second_stage(first, monkeypatch, capsys):
    explode_in_epoch_2(monkeypatch, lambda model: model.field.layers[-2])
    message = refusal(capsys, "--resume", "--output", first)
    assert "The loss is not finite since step 1 of epoch 2: {'loss'" in message
    assert f"The last good flow is {first / 'flow.keras'}, of the end of epoch 1." in message
    assert len(history(first)) == read_progress(first).epoch == 1
    assert all(np.isfinite(array).all() for array in weights(first / "flow.keras"))


# Of a run that goes on: last.keras, history.csv, settings.json, README.md, flow.keras, then
# second-stage.csv, new-0001.png and flow.keras again.
@pytest.mark.any_backend
@pytest.mark.parametrize("writes", [4, 7])
def test_a_full_disk_stops_it_and_it_ends_as_if_it_had_not(
    first, trained, monkeypatch, capsys, writes
):
    fsync, left = os.fsync, iter(range(writes))

    def until_full(descriptor):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", until_full)
        message = refusal(capsys, "--resume", "--output", first)
    assert "is full. Free some space, or pass a folder elsewhere as --output" in message
    assert not [name for name in files(first) if ".tmp" in name]
    assert ("flow.keras" in files(first)) == (writes == 7)
    if writes == 7:
        assert read_progress(first).epoch == 0
        assert len(history(first)) == 1  # a row ahead
        assert resume(first) == 0
        assert_same(first, trained)


@pytest.mark.any_backend
def test_without_matplotlib_there_are_no_sheets(first, monkeypatch):
    monkeypatch.setitem(sys.modules, "vae_keras.plots", None)
    monkeypatch.delattr(vae_keras, "plots", raising=False)
    assert resume(first) == 0
    assert not [name for name in files(first) if "new" in name]
    assert len(history(first)) == EPOCHS


# Several devices


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras uses one device on PyTorch")
def test_on_two_devices_one_trains_the_flow(first):
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    before = QUICK + (TWO_CPUS if keras.backend.backend() == "tensorflow" else "")
    done = run_train("--resume", "--output", first, before=before, **two)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "on 2 devices" in done.stdout
    assert len(history(first)) == EPOCHS


@on_jax
def test_of_two_processes_one_trains_the_flow_and_the_other_waits(first, trained, tmp_path):
    two = Processes(tmp_path, "--resume", "--output", first, before=QUICK)
    assert two.wait() == [0, 0], two.said(0)[-2000:]
    assert "second stage" in two.said(0)
    assert "second stage" not in two.said(1)
    assert len(history(first)) == EPOCHS
