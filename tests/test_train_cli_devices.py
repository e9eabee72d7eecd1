"""All devices share a batch, and so do several processes: the training stays the same."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from test_train_cli import KILLED_IN_MID_EPOCH, TRAIN, run_train

from vae_keras.train import main
from vae_keras.training import data
from vae_keras.training.devices import Devices

BACKEND = keras.backend.backend()
FASHION = ["--data", "fashion", "--source", "synthetic", "--epochs", "2", "--batch-size", "64"]
TWO_CPUS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu[0], [tf.config.LogicalDeviceConfiguration()] * 2)
"""
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="several hosts need JAX")


def data_folder(tmp_path_factory):
    return str(tmp_path_factory.getbasetemp() / "garments-of-devices")


@pytest.fixture(autouse=True)
def _data(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("VAE_KERAS_DATA", data_folder(tmp_path_factory))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The output of one process that takes the whole batch."""
    output = tmp_path_factory.mktemp("alone") / "run"
    done = run_train(*FASHION, "--output", output, VAE_KERAS_DATA=data_folder(tmp_path_factory))
    assert done.returncode == 0, done.stderr[-2000:]
    return output


def history(output):
    rows = list(csv.DictReader((output / "history.csv").open()))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def assert_same_history(one, other):
    for name, values in history(one).items():
        np.testing.assert_allclose(values, history(other)[name], rtol=1e-4, err_msg=name)


# Who reads what


@pytest.mark.parametrize("seed", [0, None])
def test_the_processes_read_each_batch_in_parts(seed):
    images = np.arange(50, dtype="uint8")[:, None, None, None]
    positions = np.arange(3, 50)  # 47
    whole = data.SharedBatches(images, positions, 12, Devices(1), seed)
    parts = [data.SharedBatches(images, positions, 12, Devices(4, i, 2), seed) for i in range(2)]
    assert len(parts[0]) == len(parts[1]) == (3 if seed == 0 else 4)
    for index in range(len(parts[0])):
        read = [part[index][0] for part in parts]
        assert len(read[0]) == len(read[1])
        assert (len(read[0]) + len(read[1])) % 4 == 0
        together = np.concatenate(read)
        np.testing.assert_array_equal(together, whole[index][0][: len(together)])


def test_an_incomplete_batch_is_never_of_the_same_images():
    images = np.zeros((10, 1, 1, 1), "uint8")
    batches = data.SharedBatches(images, np.arange(10), 4, Devices(1), seed=0)
    read = set()
    for epoch in range(10):
        batches.set_epoch(epoch)
        assert [len(batches.positions(index)) for index in range(len(batches))] == [4, 4]
        read |= {position for index in range(2) for position in batches.positions(index)}
    assert read == set(range(10))


# Several devices of one machine


@pytest.mark.skipif(BACKEND == "torch", reason="Keras uses one device on PyTorch")
def test_all_devices_are_used(tmp_path, alone):
    before = TWO_CPUS if BACKEND == "tensorflow" else ""
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = run_train(*FASHION, "--output", tmp_path / "two", before=before, **two)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "on 2 devices" in done.stdout
    if BACKEND == "jax":
        assert_same_history(tmp_path / "two", alone)
    else:  # each replica draws its own noise
        for name in ("loss", "val_loss"):
            losses = [history(output)[name] for output in (alone, tmp_path / "two")]
            np.testing.assert_allclose(*losses, rtol=0.03)
    refused = run_train(*FASHION, "--batch-size", 63, "--output", tmp_path, before=before, **two)
    assert refused.returncode == 1
    assert "a multiple of the number of devices, 2" in refused.stderr
    resumed = run_train("--resume", "--output", tmp_path / "two", before=before, **two)
    assert resumed.returncode == 0, resumed.stderr[-2000:]


# Several processes


class Processes:
    """The processes of one training, on this machine."""

    def __init__(self, folder, *arguments, num_processes=2, before=""):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        hosts = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", num_processes]
        self.logs = [folder / f"{index}.log" for index in range(num_processes)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", TRAIN.format(before=before)]
                + [str(argument) for argument in (*arguments, *hosts, "--process-id", index)],
                stdout=log.open("w"),
                stderr=subprocess.STDOUT,
            )
            for index, log in enumerate(self.logs)
        ]

    def wait(self, timeout=240):
        try:
            return [process.wait(timeout) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()

    def said(self, index):
        return self.logs[index].read_text()


@on_jax
def test_two_processes_with_half_of_the_batch_train_as_one_with_all(tmp_path, alone):
    two = Processes(tmp_path, *FASHION, "--output", tmp_path / "two")
    assert two.wait() == [0, 0], two.said(0)[-2000:]
    assert "on 2 devices" in two.said(0)
    assert "loss" not in two.said(1)  # one alone reports, and writes
    assert_same_history(tmp_path / "two", alone)


@on_jax
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_stops_the_other_and_both_can_resume(tmp_path, alone, victim):
    output = tmp_path / "run"
    before = KILLED_IN_MID_EPOCH.format(epoch=1, victim=victim)
    two = Processes(tmp_path, *FASHION, "--output", output, before=before)
    assert two.processes[victim].wait(timeout=240) == -signal.SIGKILL, two.said(victim)[-2000:]
    killed = time.monotonic()
    assert two.wait(timeout=60)[1 - victim] != 0
    assert time.monotonic() - killed < 30
    assert f"Error: process {victim} has stopped" in two.said(1 - victim)
    if victim == 1:
        resumed = Processes(tmp_path, "--resume", "--output", output)
        assert resumed.wait() == [0, 0], resumed.said(0)[-2000:]
        assert_same_history(output, alone)


@on_jax
def test_processes_of_other_settings_do_not_train_together(tmp_path):
    different = "sys.argv += ['--beta', '2'] if sys.argv[-1] == '1' else []"
    two = Processes(tmp_path, *FASHION, "--output", tmp_path / "run", before=different)
    codes = two.wait()
    assert 0 not in codes
    assert "Process 1 has other settings or other images than process 0" in two.said(1)
    assert "process 1 has stopped" in two.said(0)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX trains on several hosts")
def test_several_hosts_need_jax(tmp_path, monkeypatch, capsys):
    hosts = ["--coordinator", "127.0.0.1:1", "--num-processes", "2", "--process-id", "0"]
    monkeypatch.setattr(os, "_exit", sys.exit)  # which would end the tests
    with pytest.raises(SystemExit):
        main([*FASHION, "--output", str(tmp_path), *hosts])
    assert "--coordinator needs KERAS_BACKEND=jax" in capsys.readouterr().err
