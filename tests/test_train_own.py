"""`python -m vae_keras.train` on images of one's own, and what its folder says about itself."""

import dataclasses
import functools
import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from vae_keras import networks
from vae_keras.likelihoods import Gaussian
from vae_keras.train import main
from vae_keras.training import data, description, logs, recipes
from vae_keras.training.settings import Settings

pytestmark = pytest.mark.any_backend  # what differs is which images there are

QUICK = ["--image-size", "16", "--epochs", "1", "--batch-size", "8"]


def use_data_folder(patch, tmp_path_factory):
    patch.setenv("VAE_KERAS_DATA", str(tmp_path_factory.getbasetemp() / "data"))
    patch.setattr(logs, "_tensorboard", lambda folder: [])


def make_quick(patch):
    """Trains a network that is compiled in no time, and draws no sheets."""

    def no_sheets(*_):
        raise ImportError

    patch.setattr(logs, "Sheets", no_sheets)
    small = functools.partial(networks.dense, units=(8,))
    quick = dataclasses.replace(recipes.RECIPES["faces"], networks=small)
    patch.setitem(recipes.RECIPES, "faces", quick)


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path_factory):
    use_data_folder(monkeypatch, tmp_path_factory)
    make_quick(monkeypatch)


def write_images(folder, mode="RGB", count=40):
    rng = np.random.default_rng(0)
    (folder / "more").mkdir(parents=True)
    for number in range(count):
        image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), "uint8")).convert(mode)
        image.save(folder / ("more" * (number % 2)) / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("own") / "photos")


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """The output of a training on the photos."""
    output = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        use_data_folder(patch, tmp_path_factory)
        make_quick(patch)
        assert main(["--data", str(photos), *QUICK, "--output", str(output)]) == 0
    return output


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run."""
    return shutil.copytree(trained, tmp_path / "run")


def refusal(capsys, *arguments):
    """What is said to arguments that are refused."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def wrong_usage(capsys, *arguments):
    """What is said to a command line that is wrong."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    return " ".join(capsys.readouterr().err.split())


# Training


def test_the_images_of_a_folder_are_learned(trained):
    vae = keras.saving.load_model(trained / "last.keras")
    assert vae.generate(2).shape == (2, 16, 16, 3)


def test_grey_images_in_a_zip_give_a_model_of_one_channel_with_the_recipe_of_faces(
    tmp_path, monkeypatch, capsys, tmp_path_factory
):
    monkeypatch.undo()
    use_data_folder(monkeypatch, tmp_path_factory)
    write_images(tmp_path / "grey", mode="L")
    shutil.make_archive(tmp_path / "grey", "zip", tmp_path / "grey")
    monkeypatch.chdir(tmp_path)
    assert main(["--data", "grey.zip", *QUICK]) == 0
    vae = keras.saving.load_model(tmp_path / "runs" / "grey" / "last.keras")
    assert vae.generate(1).shape == (1, 16, 16, 1)
    assert vae.code_shape == (64,)
    assert isinstance(vae.likelihood, Gaussian)
    assert isinstance(vae.encoder.layers[1], keras.layers.Conv2D)
    assert (tmp_path / "runs" / "grey" / "sheets" / "samples-0001.png").exists()
    assert f"real images ({tmp_path / 'grey.zip'})" in capsys.readouterr().out


def test_faces_have_the_size_that_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("vae_keras.datasets.celeba.SYNTHETIC_COUNT", 100)
    arguments = ["--data", "faces", "--source", "synthetic", *QUICK, "--output", str(tmp_path)]
    assert main(arguments) == 0
    assert keras.saving.load_model(tmp_path / "last.keras").generate(1).shape == (1, 16, 16, 3)


# Going on


def test_a_run_goes_on_without_being_told_where_the_images_are(run, capsys):
    assert main(["--resume", "--epochs", "2", "--output", str(run)]) == 0
    assert "after epoch 1 of 2" in capsys.readouterr().out
    assert json.loads((run / "settings.json").read_text())["epochs"] == 2


def test_images_may_have_been_moved(run, photos, tmp_path, capsys):
    moved = shutil.copytree(photos, tmp_path / "moved")
    arguments = ["--resume", "--epochs", "2", "--output", str(run)]
    assert main([*arguments, "--data", str(moved)]) == 0
    assert main([*arguments]) == 0
    assert json.loads((run / "settings.json").read_text())["data"] == str(moved)
    shutil.rmtree(moved)
    said = refusal(capsys, *arguments)
    assert f"The images that were learned are no longer in {moved}. --data says where" in said


@pytest.mark.parametrize("change", ["one more", "another"])
def test_other_images_are_refused(run, photos, tmp_path, capsys, change):
    other = shutil.copytree(photos, tmp_path / "other")
    shutil.copy(other / "2.png", other / ("x.png" if change == "one more" else "4.png"))
    said = refusal(capsys, "--resume", "--output", run, "--data", other)
    assert "The images are not those that the checkpoint was trained on" in said


def test_one_other_image_among_many_is_noticed(photos, tmp_path, monkeypatch):
    """Of many images only some are compared pixel by pixel; of the files all are."""
    monkeypatch.setattr(data, "FINGERPRINTED", 1)
    settings = Settings(str(photos), "real", None, 1, 8, 2, 1.0, "gaussian", None, 0, 16)
    before = data.load(settings).fingerprint()
    assert data.load(settings).fingerprint() == before
    other = shutil.copytree(photos, tmp_path / "other")
    shutil.copy(other / "2.png", other / "4.png")
    assert data.load(dataclasses.replace(settings, data=str(other))).fingerprint() != before


@pytest.mark.parametrize("data", ["faces", "fashion"])
def test_a_run_on_own_images_does_not_go_on_with_others(run, photos, capsys, data):
    said = refusal(capsys, "--resume", "--output", run, "--data", data)
    assert f"Argument --data must be what the checkpoint was trained with, {photos}" in said


def test_another_size_is_refused(run, capsys):
    said = refusal(capsys, "--resume", "--output", run, "--image-size", 32)
    assert "Argument --image-size must be what the checkpoint was trained with, 16" in said


# What is refused


def test_a_place_without_images_is_named(tmp_path, capsys):
    said = wrong_usage(capsys, "--data", tmp_path / "dogs")
    assert "--data: must be fashion, faces, or a folder or zip archive of images" in said
    assert f"Received: {tmp_path / 'dogs'}" in said
    (tmp_path / "empty").mkdir()
    said = refusal(capsys, "--data", tmp_path / "empty", "--output", tmp_path / "run")
    assert f"Error: No image in {tmp_path / 'empty'}" in said


def test_a_broken_image_is_named(photos, tmp_path, capsys):
    broken = shutil.copytree(photos, tmp_path / "broken")
    (broken / "more" / "7.png").write_bytes(b"no image")
    said = refusal(capsys, "--data", broken, *QUICK, "--output", tmp_path / "run")
    assert f"Error: Image more/7.png in {broken} cannot be read" in said


def test_without_pillow_one_sentence_says_so(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    said = refusal(capsys, "--data", photos, *QUICK, "--output", tmp_path / "run")
    assert "Reading images requires Pillow: `pip install pillow`" in said


def test_the_output_is_not_among_the_images(photos, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    said = wrong_usage(capsys, "--data", ".")
    assert f"--output must be outside of the folder of the images, {photos}" in said
    assert "Received: runs/photos" in said
    assert not (photos / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "fashion", "--image-size", "32"], "garments have one size. Received: 32"),
        (["--data", "faces", "--image-size", "50"], "must be a multiple of 16. Received: 50"),
        (["--data", ".", "--source", "synthetic"], "images of your own are files"),
    ],
)
def test_settings_fit_the_data(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path / "images")
    assert message in refusal(capsys, *arguments, "--output", tmp_path / "run")


# What the folder says about itself


def test_the_settings_are_there_to_be_read(trained, photos):
    settings = json.loads((trained / "settings.json").read_text())
    assert settings["data"] == str(photos)
    assert settings["backend"] == keras.backend.backend()
    expected = {"image_size": 16, "epochs": 1, "batch_size": 8, "latent_dim": 64, "beta": 1.0}
    assert settings.items() >= expected.items()


def test_the_readme_says_what_was_trained_and_its_code_runs(trained, photos):
    text = (trained / "README.md").read_text()
    assert f"images of 16 by 16 pixels, in colour: {photos}" in text
    (code,) = re.findall("```python\n(.*?)```", text, re.DOTALL)
    code += "print(images.shape, codes.shape, decoded.shape)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=trained, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "(16, 16, 16, 3) (16, 64) (16, 16, 16, 3)", done.stderr[-2000:]


def test_the_readme_says_how_to_go_on(run, monkeypatch, capsys):
    monkeypatch.chdir(run)
    (commands,) = re.findall("```sh\n(.*?)```", (run / "README.md").read_text(), re.DOTALL)
    for command in commands.splitlines():
        backend, program, arguments = command.partition(" python -m vae_keras.train ")
        assert (backend, bool(program)) == (f"KERAS_BACKEND={keras.backend.backend()}", True)
        assert main(arguments.split()) == 0
    assert "after epoch 1 of 2" in capsys.readouterr().out


def test_files_of_the_same_names_are_not_written_over(photos, tmp_path, capsys):
    mine, folder = tmp_path / description.README, tmp_path / description.SETTINGS
    mine.write_text("# Mine: python -m vae_keras.train\n")
    folder.mkdir()
    assert main(["--data", str(photos), *QUICK, "--output", str(tmp_path)]) == 0
    assert mine.read_text() == "# Mine: python -m vae_keras.train\n"
    said = capsys.readouterr().out
    for path in (mine, folder):
        assert f"{path} is of something else, and is left as it is." in said
