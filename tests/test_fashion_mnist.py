"""Fashion-MNIST is read, downloaded or drawn, and never half a file is taken for a whole one."""

import errno
import gzip
import http.server
import itertools
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import vae_keras
from vae_keras import datasets
from vae_keras.datasets import downloads, fashion_mnist
from vae_keras.datasets.fashion_mnist import FILES, find_source, load_fashion_mnist

pytestmark = pytest.mark.any_backend

# Runs the readers without Keras, in a process of its own.
ALONE = f"""
import sys, types
sys.modules["keras"] = types.ModuleType("keras")
for name, path in (
    ("vae_keras", {vae_keras.__path__[0]!r}),
    ("vae_keras.datasets", {datasets.__path__[0]!r}),
):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from vae_keras.datasets import fashion_mnist
fashion_mnist.SYNTHETIC_SIZES = (500, 100)
(x, _), _ = fashion_mnist.load_fashion_mnist("synthetic")
print(x.sum())
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """The folder of the four files, empty, in a home of Keras of its own; no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("VAE_KERAS_SOURCE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fashion_mnist, "BASE_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(fashion_mnist, "SIZES", (30, 10))
    fashion_mnist._could_download.cache_clear()
    folder = tmp_path / "keras" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """Few synthetic garments, cheaply drawn; the calls that drew them."""
    calls = []

    def draw(labels, seed):
        calls.append(seed)
        return np.full((len(labels), 28, 28), 10, "uint8") * labels[:, None, None].astype("uint8")

    monkeypatch.setattr(fashion_mnist.garments, "draw", draw)
    monkeypatch.setattr(fashion_mnist, "SYNTHETIC_SIZES", (60, 20))
    return calls


@pytest.fixture
def serve():
    """A function that starts a server which answers with `respond(handler)`; gives its URL."""
    servers = []

    def start(respond):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                respond(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent_url():
    """The URL of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


def write_files(folder):
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for images_name, labels_name, count in ((*FILES[:2], 30), (*FILES[2:], 10)):
        write_idx(folder / images_name, generator.integers(0, 256, (count, 28, 28), "uint8"))
        write_idx(folder / labels_name, np.arange(count, dtype="uint8") % 10)


def send(handler, content, length=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(length or len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def raise_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_files_on_disk_are_read(folder, capsys):
    write_files(folder)
    (x_train, y_train), (x_test, y_test) = load_fashion_mnist()
    assert find_source() == "real"
    assert x_train.shape == (30, 28, 28, 1)
    assert x_test.shape == (10, 28, 28, 1)
    assert x_train.dtype == np.float32
    assert x_train.min() == 0.0
    assert x_train.max() == 1.0
    assert y_train.tolist() == [*range(10)] * 3
    assert y_test.tolist() == [*range(10)]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("source", ["auto", "real"])
@pytest.mark.parametrize("size", [0, 5, 60, 2000])
def test_a_truncated_file_is_named_and_never_replaced(folder, source, size):
    write_files(folder)
    path = folder / FILES[0]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=f"{path} is truncated or corrupt.*Delete it"):
        load_fashion_mnist(source)


def test_a_corrupt_file_is_named(folder):
    write_files(folder)
    content = bytearray((folder / FILES[0]).read_bytes())
    content[len(content) // 2] ^= 255
    (folder / FILES[0]).write_bytes(content)
    with pytest.raises(ValueError, match=f"{FILES[0]} is truncated or corrupt"):
        load_fashion_mnist()


@pytest.mark.parametrize("names", list(itertools.combinations(FILES, 2)))
def test_files_that_have_changed_places_are_named(folder, names):
    write_files(folder)
    one, other = (folder / name for name in names)
    one.rename(folder / "between")
    other.rename(one)
    (folder / "between").rename(other)
    with pytest.raises(ValueError, match=f"({one}|{other}) is not what its name says: expected"):
        load_fashion_mnist()


@pytest.mark.parametrize(
    ("labels", "received"),
    [(np.zeros(9, "uint8"), r"shape \(9,\)"), (np.arange(10) + 1, "label 10")],
)
def test_labels_that_do_not_match_the_images_are_named(folder, labels, received):
    write_files(folder)
    write_idx(folder / FILES[3], labels.astype("uint8"))
    with pytest.raises(ValueError, match=f"{FILES[3]} is not what its name says.*{received}"):
        load_fashion_mnist()


def test_the_missing_files_are_downloaded(folder, serve, monkeypatch, tmp_path, capsys):
    write_files(tmp_path / "served")
    write_files(folder)
    kept = folder / FILES[1]
    for name in set(FILES) - {kept.name}:
        (folder / name).unlink()
    asked = []

    def respond(handler):
        asked.append(handler.path[1:])
        send(handler, (tmp_path / "served" / asked[-1]).read_bytes())

    monkeypatch.setattr(fashion_mnist, "BASE_URL", serve(respond))
    assert find_source() == "real"
    assert load_fashion_mnist()[0][0].shape == (30, 28, 28, 1)
    assert sorted(asked) == sorted(set(FILES) - {kept.name})
    assert sorted(os.listdir(folder)) == sorted(FILES)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", b"\x1f\x8b\x08half"])
def test_a_download_of_something_else_is_not_kept(folder, drawn, serve, monkeypatch, content):
    monkeypatch.setattr(fashion_mnist, "BASE_URL", serve(lambda handler: send(handler, content)))
    assert find_source() == "synthetic"
    assert os.listdir(folder) == []


def test_a_download_cut_short_is_not_kept(folder, drawn, serve, monkeypatch):
    url = serve(lambda handler: send(handler, b"half", length=1000))
    monkeypatch.setattr(fashion_mnist, "BASE_URL", url)
    assert find_source() == "synthetic"
    assert os.listdir(folder) == []


def test_a_download_that_stops_midway_is_given_up(folder, drawn, serve, monkeypatch):
    def respond(handler):
        send(handler, b"x" * 100_000, length=200_000)
        time.sleep(2)

    monkeypatch.setattr(fashion_mnist, "BASE_URL", serve(respond))
    monkeypatch.setattr(downloads, "STALL_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(FileNotFoundError, match=r"no data from .* in 0\.2 seconds"):
        load_fashion_mnist("real")
    assert time.monotonic() - started < 1.5
    assert os.listdir(folder) == []


def test_a_download_that_never_begins_is_given_up_once(drawn, silent_url, monkeypatch, capsys):
    monkeypatch.setattr(fashion_mnist, "BASE_URL", silent_url)
    monkeypatch.setattr(downloads, "GIVE_UP_SECONDS", 0.2)
    started = time.monotonic()
    assert find_source() == "synthetic"
    load_fashion_mnist()
    load_fashion_mnist()
    assert time.monotonic() - started < 1.0
    assert capsys.readouterr().out.splitlines() == [
        "Fashion-MNIST could not be downloaded: using synthetic garments.",
        "Drawing 80 synthetic garments, once (a few seconds).",
    ]


def test_real_data_that_cannot_be_had_says_what_to_do(folder):
    with pytest.raises(FileNotFoundError, match="Put its four files there") as caught:
        load_fashion_mnist("real")
    assert str(folder) in str(caught.value)
    assert all(name in str(caught.value) for name in FILES)


def test_an_abandoned_download_does_not_keep_the_interpreter_alive(silent_url, tmp_path):
    program = f"""
from vae_keras.datasets import downloads
from pathlib import Path
downloads.GIVE_UP_SECONDS = 0.2
try:
    downloads.fetch({silent_url!r}, Path({str(tmp_path)!r}) / "file")
except OSError:
    print("given up")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.strip() == b"given up"


def test_synthetic_garments_are_balanced_and_drawn_once(drawn, capsys):
    (x_train, y_train), (x_test, y_test) = load_fashion_mnist("synthetic")
    assert x_train.shape == (60, 28, 28, 1)
    assert x_test.shape == (20, 28, 28, 1)
    assert np.bincount(y_train).tolist() == [6] * 10
    assert np.bincount(y_test).tolist() == [2] * 10
    assert y_train[:10].tolist() != [*range(10)]
    np.testing.assert_array_equal(x_train[:, 5, 5, 0], (10 * y_train / 255).astype("float32"))
    (again, _), _ = load_fashion_mnist("synthetic")
    np.testing.assert_array_equal(again, x_train)
    assert drawn == [0, 1]
    assert capsys.readouterr().out.splitlines() == [
        "Drawing 80 synthetic garments, once (a few seconds)."
    ]


@pytest.mark.parametrize("part", [slice(1000, None), slice(0, 2), slice(500, 501)])
def test_a_damaged_cache_is_drawn_again(drawn, tmp_path, part):
    (expected, _), _ = load_fashion_mnist("synthetic")
    (path,) = (tmp_path / "data" / "cache").iterdir()
    content = bytearray(path.read_bytes())
    content[part] = b"" if part.stop is None else bytes(255 - byte for byte in content[part])
    path.write_bytes(content)
    for _ in range(2):
        (images, _), _ = load_fashion_mnist("synthetic")
        np.testing.assert_array_equal(images, expected)
    assert drawn == [0, 1, 0, 1]


def test_a_cache_that_cannot_be_written_is_read(drawn, tmp_path, monkeypatch):
    load_fashion_mnist("synthetic")
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    load_fashion_mnist("synthetic")
    assert drawn == [0, 1]
    assert not (tmp_path / "user").exists()


def test_a_folder_in_the_place_of_the_cache_is_no_dead_end(drawn, tmp_path, capsys):
    load_fashion_mnist("synthetic")
    (path,) = (tmp_path / "data" / "cache").iterdir()
    path.unlink()
    path.mkdir()
    assert load_fashion_mnist("synthetic")[0][0].shape == (60, 28, 28, 1)
    said = f"The garments are kept in memory only ({path} is a folder, where a file is to be"
    assert capsys.readouterr().out.splitlines()[-1].startswith(said)


def test_a_cache_that_cannot_be_written_is_no_dead_end(drawn, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_fashion_mnist("synthetic")[0][0].shape == (60, 28, 28, 1)
    assert "kept in memory only" in capsys.readouterr().out.splitlines()[-1]


def test_a_full_disk_is_no_dead_end(drawn, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(os, "fsync", raise_full)
    assert load_fashion_mnist("synthetic")[0][0].shape == (60, 28, 28, 1)
    assert "is full" in capsys.readouterr().out.splitlines()[-1]
    assert os.listdir(tmp_path / "data" / "cache") == []


def test_two_processes_draw_the_same_garments_at_the_same_time(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0].split()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1]
    assert len(os.listdir(tmp_path / "data" / "cache")) == 1


def test_the_variable_decides_what_auto_means(folder, drawn, monkeypatch, capsys):
    write_files(folder)
    monkeypatch.setenv("VAE_KERAS_SOURCE", "synthetic")
    assert find_source() == "synthetic"
    assert find_source("real") == "real"
    assert len(load_fashion_mnist("real")[0][0]) == 30
    assert len(load_fashion_mnist()[0][0]) == 60
    assert "could not" not in capsys.readouterr().out


@pytest.mark.parametrize("function", [find_source, load_fashion_mnist])
def test_an_unknown_source_is_an_error(function, monkeypatch):
    with pytest.raises(ValueError, match=r"Argument `source`.*Received: source='x'"):
        function("x")
    monkeypatch.setenv("VAE_KERAS_SOURCE", "fake")
    with pytest.raises(ValueError, match=r"variable `VAE_KERAS_SOURCE`.*'fake'"):
        function()
