"""`python -m vae_keras.train` where the file that it streams from fails."""

import os

import numpy as np

from vae_keras.train import main
from vae_keras.training import data, logs


def test_images_that_are_cut_short_meanwhile_end_it_in_a_sentence(tmp_path, monkeypatch, capsys):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((100, 28, 28, 1), "uint8"))
    mapped = np.load(path, mmap_mode="r")
    images = data.Images((mapped, np.arange(80)), (mapped, np.arange(80, 100)), "synthetic")
    make_callbacks = logs.make_callbacks

    def cut(*arguments):
        os.truncate(path, 128 + 50 * 784)
        return make_callbacks(*arguments)

    monkeypatch.setattr(data, "load", lambda settings: images)
    monkeypatch.setattr(logs, "make_callbacks", cut)
    arguments = ["--data", "fashion", "--epochs", "1", "--batch-size", "16"]
    assert main([*arguments, "--output", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"\nError: {path} has become shorter while it was read: image ")
    assert error.count("\n") == 2
