"""CelebA in parquet files gives the faces that it gives in a folder."""

import sys

import numpy as np
import pytest
from test_celeba import ATTRIBUTES, NAMES, VALUES, jpeg, write_attributes, write_folder

from vae_keras.datasets import celeba_files, celeba_parquet, decoding, load_celeba
from vae_keras.datasets.celeba import find_source

pytestmark = [pytest.mark.any_backend, pytest.mark.usefixtures("cache")]
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

# The files that Hugging Face lists, and the images that are put into them here.
FLOWER = {
    "img_align+identity+attr/test-00000-of-00003.parquet": range(0, 3),
    "img_align+identity+attr/train-00000-of-00019.parquet": range(3, 10),
    "img_align+identity+attr/valid-00000-of-00003.parquet": range(10, 12),
}
CONVERTED = {
    "img_align+identity+attr/test/0000.parquet": range(0, 3),
    "img_align+identity+attr/train/0000.parquet": range(3, 12),
}
TRAIN_ALONE = {"data/train-00000-of-00132.parquet": range(12)}


@pytest.fixture
def expected(tmp_path):
    """The same faces, from a folder."""
    write_folder(tmp_path / "jpegs" / "img_align_celeba")
    write_attributes(tmp_path / "jpegs" / "list_attr_celeba.txt")
    return load_celeba(tmp_path / "jpegs").images


def write(root, layout, kind="bool", rows_in_group=2, **columns):
    """Writes the twelve faces into the files of a layout; `columns` replaces some columns."""
    for name, numbers in layout.items():
        numbers = list(numbers)
        images = [{"bytes": jpeg(number + 1), "path": NAMES[number]} for number in numbers]
        flags = VALUES[numbers] if kind == "bool" else np.where(VALUES[numbers], 1, -1)
        table = {"image": images, "celeb_id": [2880 + number for number in numbers]}
        table |= dict(zip(ATTRIBUTES, flags.T, strict=True))
        table |= {"prompt_string": ["a face"] * len(numbers)}
        table |= {column: values[: len(numbers)] for column, values in columns.items()}
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {column: values for column, values in table.items() if len(values)}
        parquet.write_table(pyarrow.table(table), path, row_group_size=rows_in_group)
    return root


@pytest.mark.parametrize("rows_in_group", [1, 5, 100])
@pytest.mark.parametrize("kind", ["bool", "int"])
@pytest.mark.parametrize("layout", [FLOWER, CONVERTED, TRAIN_ALONE])
def test_every_layout_gives_the_same_faces(tmp_path, expected, layout, kind, rows_in_group):
    faces = load_celeba(write(tmp_path / "hub", layout, kind, rows_in_group))
    np.testing.assert_array_equal(faces.images, expected)
    assert faces.attribute_names == tuple(sorted(ATTRIBUTES))  # as in the lists
    np.testing.assert_array_equal(faces.attributes, VALUES[:, np.argsort(ATTRIBUTES)])
    assert faces.attributes.dtype == faces.is_test.dtype == bool
    assert faces.source == "real"


@pytest.mark.parametrize("layout", [FLOWER, CONVERTED])
def test_the_names_of_the_files_tell_the_test_split(tmp_path, layout):
    # Whatever the folder of all is called.
    faces = load_celeba(write(tmp_path / "test", layout))
    assert faces.is_test.tolist() == [True] * 3 + [False] * 9


def test_without_a_test_split_a_hash_of_the_name_decides(tmp_path):
    root = write(tmp_path / "test", TRAIN_ALONE)
    names = celeba_parquet.ParquetImages(root).names
    np.testing.assert_array_equal(load_celeba(root).is_test, celeba_files.held_out(names))
    assert len(set(names)) == 12


def test_other_processes_decode_them_too(tmp_path, expected, monkeypatch):
    monkeypatch.setattr(decoding, "FEW", 0)
    np.testing.assert_array_equal(load_celeba(write(tmp_path / "hub", FLOWER)).images, expected)


def test_they_are_found_and_decoded_once(tmp_path, monkeypatch):
    root = tmp_path / "data" / "celeba"
    assert find_source() == "synthetic"
    write(root, FLOWER)
    write(root / ".cache", {"half.parquet": range(2)})
    assert find_source() == "real"
    first = load_celeba()
    assert len(first.images) == 12
    monkeypatch.setattr(decoding.Decoder, "__call__", None)
    np.testing.assert_array_equal(load_celeba().images, first.images)


def test_other_images_are_decoded_anew(tmp_path):
    root = write(tmp_path / "hub", FLOWER)
    before = load_celeba(root, 8).images[0].copy()
    write(root, FLOWER, image=[{"bytes": jpeg(99), "path": name} for name in NAMES])
    assert (load_celeba(root, 8).images[0] != before).any()


# What can be wrong


def test_pyarrow_is_asked_for(tmp_path, monkeypatch):
    root = write(tmp_path / "hub", FLOWER)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=f"parquet files in {root} .*`pip install pyarrow`"):
        load_celeba(root)


@pytest.mark.parametrize("damage", ["pointer", "truncated", "zeros"])
def test_a_damaged_file_is_named(tmp_path, cache, damage):
    root = write(tmp_path / "hub", TRAIN_ALONE, rows_in_group=100)
    path = root / "data" / "train-00000-of-00132.parquet"
    whole = path.read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 500000000\n"
    zeros = whole[:100] + bytes(5000) + whole[5100:]
    path.write_bytes({"pointer": pointer, "truncated": whole[:-9], "zeros": zeros}[damage])
    with pytest.raises(ValueError, match=f"{path} is truncated or corrupt"):
        load_celeba(root)
    assert not list(cache.glob("*.npy"))
    path.write_bytes(whole)
    assert len(load_celeba(root).images) == 12


def test_a_damaged_image_is_named(tmp_path):
    images = [{"bytes": jpeg(1)[:2000], "path": name} for name in NAMES]
    root = write(tmp_path / "hub", FLOWER, image=images)
    with pytest.raises(ValueError, match=r"Image 0 of .*test-00000-of-00003.parquet is truncated"):
        load_celeba(root)
    root = write(tmp_path / "names", FLOWER, image=[{"bytes": None, "path": "x"}] * 12)
    expected = "Image 0 of .*parquet is missing: its row in .* has no bytes"
    with pytest.raises(ValueError, match=expected):
        load_celeba(root)


def test_files_of_something_else_are_named(tmp_path):
    root = write(tmp_path / "texts", FLOWER, image=[])
    with pytest.raises(ValueError, match=r"parquet holds no images: expected a column `image`"):
        load_celeba(root)
    root = write(tmp_path / "cats", FLOWER, **{name: [] for name in ATTRIBUTES})
    with pytest.raises(ValueError, match=r"test-00000-of-00003.parquet has not all attributes"):
        load_celeba(root)


def test_all_files_have_the_same_attributes(tmp_path):
    root = write(tmp_path / "hub", FLOWER)
    write(root, {"train-x.parquet": range(2)}, Smiling=[])
    with pytest.raises(ValueError, match=r"train-x.parquet has not all attributes: .* Smiling"):
        load_celeba(root)


@pytest.mark.parametrize("value", [2, None, "yes"])
def test_a_value_that_is_no_flag_is_named(tmp_path, value):
    values = ["no"] * 12 if value == "yes" else [1] * 12
    root = write(tmp_path / "hub", FLOWER, Smiling=[values[0], value, *values[2:]])
    expected = r"test-00000-of-00003.parquet, row \d, column Smiling: expected true or false"
    with pytest.raises(ValueError, match=expected):
        load_celeba(root)
