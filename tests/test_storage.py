"""Files appear whole or not at all, in a folder that can be written."""

import errno
import os
from pathlib import Path

import pytest

from vae_keras.datasets import storage

pytestmark = pytest.mark.any_backend
OLD_NAME = "0123456789abcdef" * 2  # as version 0.1.0 lent them


@pytest.fixture
def below_a_file(tmp_path):
    """A folder that nobody can make, not even root."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "folder"


def raise_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_variable_names_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path))
    assert storage.data_folder() == tmp_path
    assert storage.cache_folder() == tmp_path / "cache"


def test_a_checkout_keeps_its_data_beside_the_package(monkeypatch, tmp_path):
    monkeypatch.delenv("VAE_KERAS_DATA", raising=False)
    monkeypatch.setattr(storage, "__file__", str(tmp_path / "vae_keras/datasets/storage.py"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    assert storage.data_folder() == tmp_path.resolve() / "data"


def test_an_installed_package_keeps_its_data_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("VAE_KERAS_DATA", raising=False)
    monkeypatch.setattr(storage, "__file__", str(tmp_path / "vae_keras/datasets/storage.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert storage.data_folder() == tmp_path / "xdg" / "vae_keras"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert storage.data_folder() == Path.home() / ".cache" / "vae_keras"


def test_a_read_only_data_folder_leaves_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert storage.cache_folder() == Path("/elsewhere/vae_keras/cache")


def test_a_folder_that_cannot_be_made_leaves_the_users_cache(monkeypatch, tmp_path, below_a_file):
    monkeypatch.setenv("VAE_KERAS_DATA", str(below_a_file))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert storage.cache_folder() == tmp_path / "vae_keras" / "cache"


def test_a_write_that_succeeds_leaves_one_file(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with storage.atomic_write(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert os.listdir(path.parent) == ["file.bin"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, failure):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def write_half():
        with storage.atomic_write(path) as file:
            file.write(b"half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_full_disk_is_named_and_left_clean(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "fsync", raise_full)
    with (
        pytest.raises(OSError, match=f"{tmp_path} is full.*VAE_KERAS_DATA") as caught,
        storage.atomic_write(tmp_path / "file.bin") as file,
    ):
        file.write(b"whole")
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


def test_the_remedy_is_the_callers(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "fsync", raise_full)
    with (
        pytest.raises(OSError, match=r"is full.*or go elsewhere$"),
        storage.atomic_write(tmp_path / "file.bin", "go elsewhere"),
    ):
        pass


def test_a_lent_name_keeps_its_suffix_and_becomes_the_file(tmp_path):
    with storage.atomic_path(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.write_bytes(b"whole")
        assert not (tmp_path / "model.keras").exists()
    assert os.listdir(tmp_path) == ["model.keras"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    lent = storage.atomic_path(tmp_path / "sheets" / "image.png")
    lent.__enter__().write_bytes(b"half")
    (tmp_path / "model.keras").write_bytes(b"whole")
    (tmp_path / f".{OLD_NAME}.tmp.keras").write_bytes(b"half, by version 0.1.0")
    storage.remove_unfinished(tmp_path, tmp_path / "sheets", tmp_path / "missing")
    assert os.listdir(tmp_path / "sheets") == []
    assert set(os.listdir(tmp_path)) == {"model.keras", "sheets"}


@pytest.mark.parametrize(
    "name",
    [
        ".env.tmpl",
        ".bashrc.tmp",
        ".notes.tmp.md",
        ".0123.tmp.keras",
        f".{OLD_NAME}.tmpl",
        f".{OLD_NAME}.tmp.keras.gz",
        f".mine-{OLD_NAME}.tmp.keras",
        f".{OLD_NAME.upper()}.tmp.keras",
        f"below/.{OLD_NAME}.tmp.keras",
    ],
)
def test_what_others_wrote_is_not_removed(tmp_path, name):
    (tmp_path / "below").mkdir()
    (tmp_path / name).write_text("mine")
    storage.remove_unfinished(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(below_a_file):
    with (
        pytest.raises(OSError, match=f"{below_a_file} cannot be written.*VAE_KERAS_DATA"),
        storage.atomic_write(below_a_file / "file.bin"),
    ):
        pass


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"), storage.explained(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_a_fingerprint_tells_parts_from_their_concatenation():
    assert storage.fingerprint([b"ab", b"c"]) != storage.fingerprint([b"a", b"bc"])
    assert storage.fingerprint([b"ab", b"c"]) == storage.fingerprint(iter([b"ab", b"c"]))
