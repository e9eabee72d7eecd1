"""What is in a cache is what was written, or is made again: digests tell the two apart."""

import errno
import itertools
import os

import numpy as np
import pytest

from vae_keras.datasets import decode_cache
from vae_keras.datasets.decode_cache import cached_images

pytestmark = pytest.mark.any_backend

SHAPE = (12, 4, 4, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, SHAPE, "uint8")
IMAGE_BYTES = IMAGES[0].nbytes


@pytest.fixture(autouse=True)
def pieces_of_two(monkeypatch, tmp_path):
    """Six pieces of two images; a data folder of its own."""
    monkeypatch.setattr(decode_cache, "PIECE", 2)
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "data"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "cache" / "images-0123456789ab.npy"


@pytest.fixture
def made():
    """The first images of the pieces that `make` was asked for."""
    return []


@pytest.fixture
def load(path, made):
    """A function that returns the images of the cache."""

    def make(start, stop):
        made.append(start)
        return IMAGES[start:stop]

    return lambda place=path: cached_images(place, SHAPE, make, "Making")


@pytest.fixture
def cached(load, made, path):
    """The bytes of a cache that is whole."""
    load()
    made.clear()
    return path.read_bytes()


def test_a_whole_cache_is_not_made_again(cached, load, made, capsys):
    np.testing.assert_array_equal(load(), IMAGES)
    assert not made
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("position", range(0, 128 + 12 * IMAGE_BYTES + 24, 31))
def test_a_byte_that_has_changed_is_found_and_mended(cached, path, load, made, position, capsys):
    """In the header all is made again, else the piece that the byte or the digest is of."""
    damaged = bytearray(cached)
    damaged[position] ^= 1
    path.write_bytes(damaged)
    np.testing.assert_array_equal(load(), IMAGES)
    piece = (position - 128) // (2 * IMAGE_BYTES)
    if piece >= 6:
        piece = (position - 128 - 12 * IMAGE_BYTES) // 4
    assert sorted(made) == ([0, 2, 4, 6, 8, 10] if position < 128 else [2 * piece])
    assert path.read_bytes() == cached
    count = 12 if position < 128 else 2
    assert capsys.readouterr().out == (
        f"{path} is damaged or of an older version: {count} of its 12 images are made again.\n"
    )


@pytest.mark.parametrize("length", [0, 50, 128, 300, 128 + 12 * IMAGE_BYTES])
def test_a_cache_cut_short_is_made_again_from_there(cached, path, load, made, length):
    """The longest is what version 0.1 wrote: the images, without digests."""
    os.truncate(path, length)
    np.testing.assert_array_equal(load(), IMAGES)
    assert sorted(made) == [0, 2, 4, 6, 8, 10]
    assert path.read_bytes() == cached


@pytest.mark.parametrize("shape", [(12, 8, 8, 3), (11, 4, 4, 3)])
def test_a_cache_of_other_images_is_made_again(path, load, shape):
    path.parent.mkdir(parents=True)
    np.save(path, np.zeros(shape, "uint8"))
    np.testing.assert_array_equal(load(), IMAGES)


def test_a_hole_in_an_unfinished_file_is_filled(cached, path, load, made):
    """After a power cut a disk may hold what was written last without what was written first."""
    unfinished = bytearray(cached)
    unfinished[128 + 4 * IMAGE_BYTES : 128 + 7 * IMAGE_BYTES] = bytes(3 * IMAGE_BYTES)
    path.unlink()
    path.with_name(path.name + ".partial").write_bytes(unfinished)
    np.testing.assert_array_equal(load(), IMAGES)
    assert sorted(made) == [4, 6]
    assert path.read_bytes() == cached


def test_what_version_0_1_left_unfinished_is_not_believed(cached, path, load, made):
    path.unlink()
    path.with_name(path.name + ".partial").write_bytes(cached[:-24])
    path.with_name(path.name + ".done").write_text("000000000012")
    np.testing.assert_array_equal(load(), IMAGES)
    assert len(made) == 6
    assert os.listdir(path.parent) == [path.name]


def test_images_that_are_read_meanwhile_stay_where_they_are(cached, path, load):
    before = load()
    path.write_bytes(cached[:200] + bytes(100) + cached[300:])
    assert not np.array_equal(before, IMAGES)
    load()
    np.testing.assert_array_equal(before, IMAGES)


@pytest.fixture
def read_only(path, monkeypatch, tmp_path):
    """The data folder cannot be written: the cache for that is elsewhere."""
    access, folder = os.access, tmp_path / "data"

    def no_access(path, mode):
        return folder not in (path, *path.parents) and access(path, mode)

    monkeypatch.setattr(os, "access", no_access)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return decode_cache.storage.cache_folder() / path.name


def test_a_cache_that_cannot_be_written_is_read(cached, path, load, made, read_only):
    images = load(read_only)
    np.testing.assert_array_equal(images, IMAGES)
    assert images.filename == path
    assert not made
    assert not read_only.exists()


def test_a_damaged_one_is_left_alone_and_made_elsewhere(cached, path, load, made, read_only):
    path.write_bytes(cached[:-100])
    for _ in range(2):
        images = load(read_only)
        np.testing.assert_array_equal(images, IMAGES)
        assert images.filename == read_only
    assert len(made) == 6
    assert path.read_bytes() == cached[:-100]


@pytest.mark.parametrize("suffix", ["", ".partial"])
def test_a_folder_in_the_place_of_the_file_is_named(path, load, suffix):
    in_the_way = path.with_name(path.name + suffix)
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError, match=f"{in_the_way} is a folder.*Move it away"):
        load()


def test_a_full_disk_leaves_a_finished_file(cached, path, load, monkeypatch):
    def raise_full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path.write_bytes(cached[:-100])
    monkeypatch.setattr(os, "fsync", raise_full)
    with pytest.raises(OSError, match="is full"):
        load()
    assert path.exists()


def test_a_line_of_progress_ends_where_the_work_fails(path, monkeypatch, capsys):
    """Or an error's sentence would begin in mid-line."""

    def make(start, stop):
        if start == 6:
            raise ValueError("of one image")
        return IMAGES[start:stop]

    monkeypatch.setattr(decode_cache, "QUIET_SECONDS", 0)
    monkeypatch.setattr(decode_cache.time, "monotonic", itertools.count(1).__next__)
    with pytest.raises(ValueError, match="of one image"):
        cached_images(path, SHAPE, make, "Making")
    said = capsys.readouterr().out
    assert "Making: 6 of 12" in said
    assert said.endswith("\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize("moment", ["before it was opened", "while it was checked"])
def test_another_process_may_finish_it_meanwhile(
    path, load, made, cached, monkeypatch, capsys, moment
):
    path.unlink()
    partial = path.with_name(path.name + ".partial")

    def finished(*_):
        partial.unlink(missing_ok=True)
        path.write_bytes(cached)

    if moment == "before it was opened":
        exists, calls = type(path).exists, []

        def first_no(self):
            if self == path and not calls:
                calls.append(finished())
                return False
            return exists(self)

        monkeypatch.setattr(type(path), "exists", first_no)
    else:
        find = decode_cache._find_unmade

        def find_and_finish(place, layout):
            unmade = find(place, layout)
            if place == partial:
                finished()
            return unmade

        monkeypatch.setattr(decode_cache, "_find_unmade", find_and_finish)
    np.testing.assert_array_equal(load(), IMAGES)
    assert (made, partial.exists(), capsys.readouterr().out) == ([], False, "")
