"""`python -m vae_keras.datasets` says what is here and how to get more, in words."""

import errno
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from vae_keras.datasets import __main__ as cli
from vae_keras.datasets import celeba, fashion_mnist, storage

pytestmark = pytest.mark.any_backend


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    """The folder of CelebA, absent, in a data folder of its own."""
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("VAE_KERAS_SOURCE", raising=False)
    return tmp_path / "data" / "celeba"


@pytest.fixture
def kaggle(monkeypatch, tmp_path):
    """A kagglehub whose download is a folder of one image and two lists."""
    folder = tmp_path / "kaggle"
    images = folder / "img_align_celeba" / "img_align_celeba"
    images.mkdir(parents=True)
    (images / "000001.jpg").write_bytes(b"jpeg")
    (folder / "list_attr_celeba.csv").write_text("image_id,Smiling\n000001.jpg,1\n")
    (folder / "list_eval_partition.csv").write_text("image_id,partition\n000001.jpg,2\n")
    module = SimpleNamespace(dataset_download=lambda handle: str(folder))
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return module


def test_status_names_the_folders(root, tmp_path, capsys):
    assert cli.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["Fashion-MNIST", "absent"],
        ["CelebA", "absent"],
        ["Cache", "absent"],
    ]
    assert str(root) in lines[1]
    assert not (tmp_path / "keras").exists()


def test_celeba_is_linked_to_where_it_is_read(root, kaggle, capsys):
    assert cli.main(["celeba"]) == 0
    assert "non-commercial" in capsys.readouterr().out
    files = cli.celeba_files.find_images(root)
    assert files.names == ["000001.jpg"]
    assert cli.celeba_files.read_test_split(root, files.names).tolist() == [True]
    assert celeba.find_source() == "real"


def test_celeba_is_fetched_once(root, kaggle, capsys):
    cli.main(["celeba"])
    kaggle.dataset_download = None
    assert cli.main(["celeba"]) == 0
    assert f"already in {root}" in capsys.readouterr().out


def test_without_kagglehub_the_steps_are_said(root, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert cli.main(["celeba"]) == 1
    said = capsys.readouterr().err
    assert "pip install kagglehub" in said
    assert "img_align_celeba.zip" in said
    assert str(root) in said
    assert not root.exists()


def test_a_download_that_fails_is_said_with_the_steps(root, kaggle, capsys):
    def fail(handle):
        raise ConnectionError("no route to host")

    kaggle.dataset_download = fail
    assert cli.main(["celeba"]) == 1
    said = capsys.readouterr().err
    assert "no route to host" in said
    assert "img_align_celeba.zip" in said


def test_a_folder_that_cannot_be_linked_is_said(root, kaggle, tmp_path, capsys):
    (tmp_path / "data").write_text("")
    assert cli.main(["celeba"]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "kaggle") in said
    assert "Traceback" not in said


def test_a_download_of_another_layout_is_an_error(root, kaggle, tmp_path, capsys):
    (tmp_path / "kaggle" / "img_align_celeba").rename(tmp_path / "kaggle" / "images")
    assert cli.main(["celeba"]) == 1
    assert "No CelebA images" in capsys.readouterr().err
    assert not root.exists()


def test_the_synthetic_data_is_drawn_ahead_of_time(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", (20, 10))
    monkeypatch.setattr(celeba, "SYNTHETIC_COUNT", 20)
    assert cli.main(["synthetic"]) == 0
    cache = tmp_path / "data" / "cache"
    assert str(cache) in capsys.readouterr().out
    assert sorted(path.name.partition("-")[0] for path in cache.iterdir()) == ["faces", "garments"]
    assert cli.main(["synthetic"]) == 0
    assert "Drawing" not in capsys.readouterr().out


@pytest.mark.parametrize("which", ["faces", "garments"])
def test_on_a_full_disk_drawing_ahead_fails(monkeypatch, capsys, which):
    """It kept nothing, and reported success."""

    def raise_full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", (20, 10))
    monkeypatch.setattr(celeba, "SYNTHETIC_COUNT", 20)
    if which == "garments":
        monkeypatch.setattr(celeba, "draw_ahead", lambda: None)
    monkeypatch.setattr(os, "fsync", raise_full)
    assert cli.main(["synthetic"]) == 1
    said = capsys.readouterr()
    assert "is full. Free some space" in said.err
    assert "are in" not in said.out


@pytest.mark.parametrize(
    ("given", "named"), [("KERAS_HOME", "VAE_KERAS_DATA"), ("VAE_KERAS_DATA", "KERAS_HOME")]
)
def test_without_a_home_folder_the_variable_to_set_is_named(monkeypatch, capsys, given, named):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(named)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where nothing is known
    monkeypatch.setattr(storage, "__file__", "/elsewhere/vae_keras/datasets/storage.py")
    assert cli.main([]) == 1
    said = capsys.readouterr().err
    assert (
        f"There is no home folder to find ~/.{'keras' if named == 'KERAS_HOME' else 'cache'}"
        in said
    )
    assert f"variable {named} to a folder elsewhere" in said


def test_an_unknown_command_is_an_error(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["cats"])
    assert caught.value.code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on(number):
    script = """
import time
from vae_keras import terminal
from vae_keras.datasets import __main__ as cli
cli._draw = lambda: (print("here", flush=True), time.sleep(60))
terminal.run(lambda: cli.main(["synthetic"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert said == "\nStopped. Run this again: it goes on from there.\n"
    assert process.returncode == 128 + number


def test_it_prints_its_own_lines_only():
    script = "import runpy, sys; sys.argv = ['datasets']\n"
    script += "runpy.run_module('vae_keras.datasets', run_name='__main__', alter_sys=True)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vae_keras.datasets"],
        env=environment,
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "vae_keras.datasets.celeba" in imported
    assert not {"keras", "tensorflow"} & imported  # whose lines were most of what one saw
    assert all(line.startswith("import time:") for line in done.stderr.splitlines())
    assert [line.split()[0] for line in done.stdout.splitlines()][:3] == [
        "Fashion-MNIST",
        "CelebA",
        "Cache",
    ]
