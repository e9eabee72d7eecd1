"""CelebA is read as people have it, decoded once, and never taken for what it is not."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vae_keras
from vae_keras import datasets
from vae_keras.datasets import celeba, decode_cache, decoding
from vae_keras.datasets import jpeg as jpeg_module
from vae_keras.datasets.celeba import attribute_index, find_source, load_celeba

pytestmark = [pytest.mark.any_backend, pytest.mark.usefixtures("cache")]

NAMES = [f"{number:06d}.jpg" for number in range(1, 13)]
ATTRIBUTES = ("Smiling", "Eyeglasses", "Wearing_Hat")
VALUES = np.arange(36).reshape(12, 3) % 5 < 2

# For a process of its own that does without Keras.
WITHOUT_KERAS = f"""
import sys, time, types
sys.modules["keras"] = types.ModuleType("keras")
for name, path in (
    ("vae_keras", {vae_keras.__path__[0]!r}),
    ("vae_keras.datasets", {datasets.__path__[0]!r}),
):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
"""

SLOWLY = f"""{WITHOUT_KERAS}
from vae_keras.datasets import celeba, decode_cache
decode_cache.PIECE = 3
read = celeba._read
celeba._read = lambda *arguments: (time.sleep(0.1), read(*arguments))[1]
celeba.load_celeba(sys.argv[1], image_size=16)
"""

# Kills itself after so many of the events that can leave something half done.
KILLED_AFTER = """
import os, signal, sys
cache, left = sys.argv[2], int(sys.argv[3])
def count(event, arguments):
    global left
    counts = event in ("decode", "open", "os.rename", "os.remove")
    if counts and str(arguments[0]).startswith(cache):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
"""


@pytest.fixture
def root(tmp_path):
    """A small CelebA: a folder of images, official lists."""
    root = tmp_path / "celeba"
    write_folder(root / "img_align_celeba")
    write_attributes(root / "list_attr_celeba.txt")
    return root


@pytest.fixture
def small_faces(monkeypatch):
    """Few synthetic faces, cheaply drawn."""

    class Faces:
        ATTRIBUTE_NAMES = ATTRIBUTES

        def sample_factors(n, seed):
            return {"smile": np.linspace(0, 1, n, dtype="float32")}

        def attributes(factors):
            return np.stack([factors["smile"] > 0.5] * 3, axis=1)

        def draw(factors, image_size):
            levels = (factors["smile"] * 255).astype("uint8")
            return np.tile(levels[:, None, None, None], (1, image_size, image_size, 3))

    monkeypatch.setattr(celeba, "faces", Faces)
    monkeypatch.setattr(celeba, "SYNTHETIC_COUNT", 200)


def jpeg(number, size=(178, 218)):
    """A picture that differs with `number`: two gradients and a tone."""
    width, height = size
    picture = np.empty((height, width, 3), "uint8")
    picture[..., 0] = np.linspace(0, 255, width)
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    picture[..., 2] = 20 * number % 256
    return encode(picture)


def encode(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "jpeg", quality=95)
    return file.getvalue()


def write_folder(folder, names=NAMES, size=(178, 218)):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(jpeg(int(name[:6]), size))


def write_zip(path, names=NAMES):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        for name in reversed(names):
            archive.writestr(f"img_align_celeba/{name}", jpeg(int(name[:6])))
            archive.writestr(f"__MACOSX/img_align_celeba/._{name}", b"not an image")


def write_attributes(path, names=NAMES, values=VALUES):
    signs = np.where(values, "1", "-1")
    if path.suffix == ".csv":
        lines = [",".join(["image_id", *ATTRIBUTES])]
        lines += [",".join([name, *row]) for name, row in zip(names, signs, strict=True)]
    else:
        lines = [str(len(names)), " ".join(ATTRIBUTES) + " "]
        lines += [f"{name}  {' '.join(row)}" for name, row in zip(names, signs, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def write_partition(path, parts):
    separator = "," if path.suffix == ".csv" else " "
    lines = ["image_id,partition"] if path.suffix == ".csv" else []
    lines += [f"{name}{separator}{part}" for name, part in parts.items()]
    path.write_text("\n".join(lines) + "\n")


def raise_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


# What people have


@pytest.mark.parametrize("lists", [".txt", ".csv"])
@pytest.mark.parametrize("layout", ["folder", "kaggle", "zip"])
def test_every_layout_gives_the_same_faces(tmp_path, root, layout, lists):
    expected = load_celeba(root).images
    other = tmp_path / "other"
    if layout == "zip":
        write_zip(other / "img_align_celeba.zip")
    else:
        write_folder(other / "img_align_celeba" / ("img_align_celeba" * (layout == "kaggle")))
    write_attributes(other / f"list_attr_celeba{lists}")
    faces = load_celeba(other)
    np.testing.assert_array_equal(faces.images, expected)
    np.testing.assert_array_equal(faces.attributes, VALUES)
    assert faces.attribute_names == ATTRIBUTES
    assert faces.attributes.dtype == faces.is_test.dtype == bool
    assert faces.is_test.shape == (12,)
    assert faces.source == "real"
    assert faces.factors is None
    assert repr(faces).startswith("CelebA(real: images (12, 64, 64, 3), 3 attributes")


def test_rows_find_their_images_in_any_order(root):
    write_attributes(root / "list_attr_celeba.txt", NAMES[::-1], VALUES[::-1])
    np.testing.assert_array_equal(load_celeba(root).attributes, VALUES)


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_the_first_images_do_with_the_whole_lists(tmp_path, capsys, write, suffix):
    """The lists of many more images than there are; the rows of the others are counted."""
    others = [f"{number:06d}.jpg" for number in range(13, 2001)]
    write(tmp_path / f"img_align_celeba{'.zip' * (write is write_zip)}", NAMES[:8])
    lists = [tmp_path / f"list_{which}{suffix}" for which in ("attr_celeba", "eval_partition")]
    values = np.concatenate([VALUES, np.ones((len(others), 3), bool)])
    write_attributes(lists[0], NAMES + others, values)
    parts = {name: number % 3 for number, name in enumerate(NAMES + others)}
    write_partition(lists[1], parts)
    faces = load_celeba(tmp_path, image_size=8)
    assert len(faces.images) == 8
    np.testing.assert_array_equal(faces.attributes, VALUES[:8])
    assert faces.is_test.tolist() == [number % 3 == 2 for number in range(8)]
    assert capsys.readouterr().out == "".join(
        f"{path.name}: 1,992 rows without an image are left out.\n" for path in lists
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", " , "),
        lambda text: '"' + text.replace(",", '","').replace("\n", '"\n"')[:-1],
        lambda text: "\ufeff\n" + text.replace("\n", "\r\n\r\n"),
    ],
    ids=["semicolons", "tabs", "spaces", "quotes", "empty lines"],
)
def test_a_csv_is_read_where_its_meaning_is_plain(root, change):
    (root / "list_attr_celeba.txt").unlink()
    attributes, partition = (
        root / f"list_{which}.csv" for which in ("attr_celeba", "eval_partition")
    )
    write_attributes(attributes)
    write_partition(partition, {name: number % 3 for number, name in enumerate(NAMES)})
    for path in (attributes, partition):
        path.write_text(change(path.read_text()))
    faces = load_celeba(root, image_size=8)
    np.testing.assert_array_equal(faces.attributes, VALUES)
    assert faces.attribute_names == ATTRIBUTES
    assert faces.is_test.tolist() == [number % 3 == 2 for number in range(12)]


def test_a_partition_without_names_of_its_columns_loses_no_row(root):
    path = root / "list_eval_partition.csv"
    write_partition(path, dict.fromkeys(NAMES, 2))
    path.write_text(path.read_text().partition("\n")[2])
    assert load_celeba(root, image_size=8).is_test.all()


def test_images_are_a_read_only_map_of_bytes(root):
    images = load_celeba(root, image_size=32).images
    assert isinstance(images, np.memmap)
    assert images.shape == (12, 32, 32, 3)
    assert images.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("size", [(178, 218), (89, 109)])
def test_the_crop_is_the_central_square_of_papers(root, size):
    width, height = size
    side = 148 / 178 * width
    # Red outside of the crop, blue well inside.
    picture = np.full((height, width, 3), (255, 0, 0), "uint8")
    left, top = int((width - side) / 2), int((height - side) / 2)
    picture[top : height - top, left : width - left] = (0, 0, 255)
    for name in NAMES:
        (root / "img_align_celeba" / name).write_bytes(encode(picture))
    red, _, blue = load_celeba(root, image_size=16).images[0].astype(int).transpose(2, 0, 1)
    assert red[1:-1, 1:-1].max() < 30
    assert blue[1:-1, 1:-1].min() > 225


def test_resizing_keeps_the_mean_tone(root):
    checkers = (np.indices((218, 178)).sum(axis=0) % 2 * 255).astype("uint8")
    (root / "img_align_celeba" / NAMES[0]).write_bytes(encode(np.stack([checkers] * 3, axis=-1)))
    image = load_celeba(root, image_size=16).images[0]
    assert abs(image.astype(int) - 127).max() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_data_say(root, orientation):
    upright = np.zeros((120, 80, 3), "uint8")
    upright[10:60, 20:40] = 255
    turns = {  # what a viewer does, undone
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    one, other = (root / "img_align_celeba" / name for name in NAMES[:2])
    Image.fromarray(upright).save(one, quality=95)
    Image.fromarray(turns[orientation]).save(other, quality=95, exif=exif)
    images = load_celeba(root, image_size=16).images.astype(int)
    assert abs(images[0] - images[1]).max() < 20
    assert images[0].max() > 200


# The split


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_the_official_partition_decides(root, suffix):
    parts = {name: number % 3 for number, name in enumerate(NAMES)} | {"000099.jpg": 2}
    write_partition(root / f"list_eval_partition{suffix}", parts)
    assert load_celeba(root).is_test.tolist() == [number % 3 == 2 for number in range(12)]


def test_a_partition_without_test_images_leaves_the_split_to_the_hash(root):
    expected = load_celeba(root).is_test
    write_partition(root / "list_eval_partition.txt", dict.fromkeys(NAMES, 0) | {"000099.jpg": 2})
    np.testing.assert_array_equal(load_celeba(root).is_test, expected)


def test_a_partition_that_lacks_images_is_an_error(root):
    write_partition(root / "list_eval_partition.txt", dict.fromkeys(NAMES[1:], 2))
    with pytest.raises(ValueError, match=r"1 images without a row \(000001.jpg\)"):
        load_celeba(root)


def test_the_hash_holds_out_a_tenth_whatever_other_files_there_are(tmp_path):
    names = [f"{number:06d}.jpg" for number in range(20_000)]
    split = datasets.celeba_files.read_test_split(tmp_path, names)
    assert abs(split.mean() - 0.1) < 0.01
    some = datasets.celeba_files.read_test_split(tmp_path, names[5000:7000])
    np.testing.assert_array_equal(some, split[5000:7000])


# What can be wrong


def test_missing_rows_are_counted_and_named(root):
    write_attributes(root / "list_attr_celeba.txt", NAMES[:-5], VALUES[:-5])
    expected = r"5 images without a row \(000008.jpg, 000009.jpg, 000010.jpg, ...\)"
    with pytest.raises(ValueError, match=expected):
        load_celeba(root)


def test_one_row_without_an_image_is_left_out(root, capsys):
    (root / "img_align_celeba" / NAMES[3]).unlink()
    np.testing.assert_array_equal(load_celeba(root).attributes, np.delete(VALUES, 3, axis=0))
    expected = "list_attr_celeba.txt: 1 row without an image is left out.\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("which", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_lists_of_other_images_altogether_are_an_error(root, which):
    write_partition(root / "list_eval_partition.txt", dict.fromkeys(NAMES, 2))
    path = root / which
    path.write_text(path.read_text().replace(".jpg", ".png"))
    expected = r"no image has a row \(000001.jpg, .*\); the rows are of 000001.png, .*, \.\.\."
    with pytest.raises(ValueError, match=f"{path} and the 12 images disagree: {expected}"):
        load_celeba(root)


def test_images_without_a_row_are_an_error_among_rows_without_an_image(root, capsys):
    (root / "img_align_celeba" / NAMES[3]).rename(root / "img_align_celeba" / "000013.jpg")
    with pytest.raises(ValueError, match=r"disagree: 1 images without a row \(000013.jpg\)"):
        load_celeba(root)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("row", ["000005.jpg 1 -1", "000005.jpg 1 -1 1 1", "000005.jpg 1 -1 x"])
def test_a_malformed_row_is_named_by_its_line(root, row):
    path = root / "list_attr_celeba.txt"
    lines = path.read_text().splitlines()
    lines[6] = row
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=f"{path}, line 7: .*Received: '{row}'"):
        load_celeba(root)


def test_an_empty_list_is_an_error(root):
    (root / "list_attr_celeba.txt").write_text("")
    with pytest.raises(ValueError, match=r"no image has a row \(000001.jpg, .*\.\.\.\)\.$"):
        load_celeba(root)


def test_missing_lists_and_images_are_errors(root, tmp_path):
    (root / "list_attr_celeba.txt").rename(tmp_path / "list_attr_celeba.txt")
    with pytest.raises(FileNotFoundError, match=f"No CelebA attributes in {root}"):
        load_celeba(root)
    with pytest.raises(FileNotFoundError, match=f"No CelebA images in {tmp_path}"):
        load_celeba(tmp_path)


@pytest.mark.parametrize(
    ("which", "row"),
    [("list_attr_celeba.txt", "000012.jpg 1 1 1"), ("list_eval_partition.txt", "000012.jpg 0")],
)
def test_rows_that_contradict_each_other_are_an_error(root, which, row):
    write_partition(root / "list_eval_partition.txt", dict.fromkeys(NAMES, 2))
    path = root / which
    text = path.read_text()
    again = text + text.splitlines()[-1] + "\n"  # the same row again says nothing new
    path.write_text(again)
    load_celeba(root, image_size=8)
    path.write_text(f"{again}{row}\n")
    where = f"{path}, line {again.count(chr(10)) + 1}"
    with pytest.raises(ValueError, match=f"{where}: the values of 000012.jpg are not those of"):
        load_celeba(root, image_size=8)


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_two_attributes_of_one_name_are_an_error(root, suffix):
    (root / "list_attr_celeba.txt").unlink()
    path = root / f"list_attr_celeba{suffix}"
    write_attributes(path)
    path.write_text(path.read_text().replace("Eyeglasses", "Smiling"))
    with pytest.raises(ValueError, match=f"{path}, line .: .*each once. Received: 'Smiling' twice"):
        load_celeba(root, image_size=8)


def test_a_list_without_attributes_is_an_error(root):
    path = root / "list_attr_celeba.txt"
    path.rename(path.with_suffix(".csv"))
    path.with_suffix(".csv").write_text("\n".join(["image_id", *NAMES]))
    with pytest.raises(ValueError, match=r"csv, line 1: expected the names.*Received: none"):
        load_celeba(root, image_size=8)


@pytest.mark.parametrize("count", ["11", "202599", "²", "9" * 5000])
def test_a_wrong_count_on_the_first_line_is_told(root, capsys, count):
    path = root / "list_attr_celeba.txt"
    path.write_text(count + path.read_text().removeprefix("12"))
    np.testing.assert_array_equal(load_celeba(root, image_size=8).attributes, VALUES)
    said = f"has rows of 12 images, not of {count[:20]} as its first line says."
    assert capsys.readouterr().out == f"list_attr_celeba.txt: it {said}\n"


@pytest.mark.parametrize("which", ["list_attr_celeba.txt", "list_eval_partition.csv"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp949"])
def test_a_list_in_another_encoding_is_named(root, which, encoding):
    write_partition(root / "list_eval_partition.csv", dict.fromkeys(NAMES, 2))
    path = root / which
    path.write_bytes((path.read_text() + "\n웃음.jpg 1 1 1").encode(encoding))
    with pytest.raises(ValueError, match=f"^{path} is not text in UTF-8 .*Save it as UTF-8"):
        load_celeba(root, image_size=8)


def test_a_quote_that_does_not_end_is_named(root):
    (root / "list_attr_celeba.txt").unlink()
    path = root / "list_attr_celeba.csv"
    write_attributes(path)
    path.write_text(path.read_text().replace("000012", '"000012'))
    with pytest.raises(ValueError, match=f"{path}, line 13: expected a file name and 3 values"):
        load_celeba(root, image_size=8)


@pytest.mark.parametrize("content", [jpeg(1)[:2000], b"", b"not a JPEG"])
def test_a_truncated_image_is_named_and_mended(root, cache, content):
    path = root / "img_align_celeba" / NAMES[7]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"Image {NAMES[7]} is truncated or corrupt"):
        load_celeba(root)
    assert not list(cache.glob("*.npy"))
    path.write_bytes(jpeg(8))
    assert load_celeba(root).images.shape == (12, 64, 64, 3)


def test_a_truncated_zip_is_named(tmp_path):
    path = tmp_path / "img_align_celeba.zip"
    write_zip(path)
    write_attributes(tmp_path / "list_attr_celeba.txt")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=f"{path} is not a whole zip archive"):
        load_celeba(tmp_path)


def test_a_damaged_image_in_a_zip_is_named(tmp_path):
    path = tmp_path / "img_align_celeba.zip"
    write_zip(path)
    write_attributes(tmp_path / "list_attr_celeba.txt")
    content = bytearray(path.read_bytes())
    start = content.index(NAMES[4].encode()) + 1000
    content[start : start + 4] = b"\0\0\0\0"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"Image {NAMES[4]} is truncated or corrupt"):
        load_celeba(tmp_path)


@pytest.fixture
def archive(tmp_path):
    """A small CelebA: an archive, official lists."""
    write_zip(tmp_path / "img_align_celeba.zip")
    write_attributes(tmp_path / "list_attr_celeba.txt")
    return tmp_path / "img_align_celeba.zip"


def change_entries(path, field, value, which=b"000005.jpg"):
    """Overwrites two bytes of an entry's header in a zip archive, in both places that hold it."""
    content = bytearray(path.read_bytes())
    for signature, size, offset in ((b"PK\3\4", 30, 0), (b"PK\1\2", 46, 2)):
        start = content.index(signature)
        while not content[start + size :].startswith(b"img_align_celeba/" + which):
            start = content.index(signature, start + 1)
        at = start + offset + {"flags": 6, "method": 8, "packed": 18, "size": 22}[field]
        content[at : at + 2] = value.to_bytes(2, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(("field", "value"), [("flags", 1), ("method", 93), ("method", 99)])
def test_a_zip_that_cannot_be_unpacked_is_named(archive, field, value):
    """Encrypted, or compressed in a way that Python does not know."""
    change_entries(archive, field, value)
    with pytest.raises(ValueError, match=f"{archive} cannot be unpacked here .* another program"):
        load_celeba(archive.parent, image_size=8)


@pytest.mark.parametrize("packed", [1, 0xFFFF])
@pytest.mark.parametrize("size", [0, 1, 0xFFFF])
def test_an_image_of_a_false_size_in_a_zip_is_named(archive, size, packed):
    change_entries(archive, "size", size, b"000001.jpg")
    change_entries(archive, "packed", packed, b"000001.jpg")
    with pytest.raises(ValueError, match=r"Image 000001.jpg is truncated or corrupt"):
        load_celeba(archive.parent, image_size=8)


def test_two_images_of_one_name_in_a_zip_are_an_error(archive):
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(f"copy/{NAMES[3]}", jpeg(4))
    load_celeba(archive.parent, image_size=8)  # the same image again
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(f"other/{NAMES[3]}", jpeg(5))
    names = f"img_align_celeba/{NAMES[3]} and other/{NAMES[3]}"
    with pytest.raises(ValueError, match=f"{archive} holds two images of one name, {names}"):
        load_celeba(archive.parent, image_size=8)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_in_utf_8_is_read_and_named(root):
    folder = os.fsencode(root / "img_align_celeba")
    os.rename(folder + b"/000001.jpg", folder + b"/\xe9.jpg")
    with pytest.raises(ValueError, match=r"1 images without a row \(\udce9.jpg\)"):
        load_celeba(root, image_size=8)


def test_a_full_disk_is_named_and_left_clean(root, cache, monkeypatch):
    monkeypatch.setattr(os, "fsync", raise_full)
    with pytest.raises(OSError, match=f"{cache} is full"):
        load_celeba(root)
    assert os.listdir(cache) == []


def test_a_folder_that_cannot_be_written_is_named(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot be written.*VAE_KERAS_DATA"):
        load_celeba(root)


def test_without_pillow_the_error_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        load_celeba(root)


@pytest.mark.parametrize("image_size", [0, -1, 64.0, "64"])
def test_an_image_size_must_be_a_positive_integer(root, image_size):
    with pytest.raises(ValueError, match=r"Argument `image_size`.*Received: image_size="):
        load_celeba(root, image_size=image_size)


# Decoded once


def test_images_are_decoded_once_per_size_and_per_set_of_files(root, cache, monkeypatch):
    decoded = []
    read = celeba._read
    monkeypatch.setattr(celeba, "_read", lambda *a: (decoded.append(a[1]), read(*a))[1])
    load_celeba(root, image_size=16)
    load_celeba(root, image_size=16)
    assert len(decoded) == 12
    load_celeba(root, image_size=8)
    assert len(decoded) == 24
    (root / "img_align_celeba" / NAMES[0]).write_bytes(jpeg(99))
    assert load_celeba(root, image_size=8).images.shape == (12, 8, 8, 3)
    assert len(decoded) == 36
    assert len(list(cache.iterdir())) == 3


@pytest.fixture
def by_threes(monkeypatch):
    """Pieces of three images, each with its digest."""
    monkeypatch.setattr(decode_cache, "PIECE", 3)


@pytest.mark.parametrize("survived", range(0, 12, 3))
def test_an_interrupted_decode_is_continued(root, cache, monkeypatch, by_threes, survived):
    expected = whole_file(root, cache)
    read, decoded = celeba._read, []

    def interrupted(files, name):
        if files.names.index(name) >= survived:
            raise KeyboardInterrupt
        return read(files, name)

    monkeypatch.setattr(celeba, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_celeba(root, image_size=16)
    monkeypatch.setattr(celeba, "_read", lambda *a: (decoded.append(a[1]), read(*a))[1])
    load_celeba(root, image_size=16)
    assert sorted(decoded) == NAMES[survived:]
    (path,) = cache.iterdir()
    assert path.read_bytes() == expected


def test_a_killed_decode_is_continued(root, cache, by_threes):
    expected = whole_file(root, cache)
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, str(root)])
    deadline = time.monotonic() + 30
    while not list(cache.glob("*.partial")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.4)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not list(cache.glob("*.npy"))
    assert len(list(cache.glob("*.partial"))) == 1
    load_celeba(root, image_size=16)
    (path,) = cache.iterdir()
    assert path.read_bytes() == expected


def test_killed_wherever_it_was_it_ends_with_the_same_bytes(root, cache, by_threes):
    expected = whole_file(root, cache)
    codes = []
    while not codes or codes[-1] == -signal.SIGKILL:
        # Each run gets one image, one file opened, moved or removed further than the last.
        script = KILLED_AFTER + SLOWLY.replace("time.sleep(0.1)", "count('decode', [cache])")
        command = [sys.executable, "-c", script, str(root), str(cache), str(len(codes))]
        codes.append(subprocess.run(command).returncode)
    assert codes[-1] == 0
    assert len(codes) > 5
    (path,) = cache.iterdir()
    assert path.read_bytes() == expected


def test_two_processes_decode_the_same_file_at_the_same_time(root, cache, by_threes):
    expected = whole_file(root, cache)
    processes = [subprocess.Popen([sys.executable, "-c", SLOWLY, str(root)]) for _ in range(2)]
    assert [process.wait(timeout=30) for process in processes] == [0, 0]
    (path,) = cache.iterdir()
    assert path.read_bytes() == expected


@pytest.fixture
def processes(monkeypatch):
    """Has images decoded by other processes however few they are; returns those started."""
    started, popen = [], subprocess.Popen

    def start(*arguments, **kwargs):
        started.append(popen(*arguments, **kwargs))
        return started[-1]

    monkeypatch.setattr(decoding, "FEW", 0)
    monkeypatch.setattr(decoding.subprocess, "Popen", start)
    return started


def test_other_processes_decode_the_same_images(root, cache, processes, monkeypatch):
    monkeypatch.setattr(decode_cache, "PIECE", 2)
    monkeypatch.setattr(decoding, "FEW", 12)
    expected = whole_file(root, cache)
    assert not processes
    monkeypatch.setattr(decoding, "FEW", 11)
    load_celeba(root, image_size=16)
    (path,) = cache.iterdir()
    assert path.read_bytes() == expected
    assert len(processes) == os.cpu_count()
    assert all(process.returncode is not None for process in processes)


def test_a_damaged_image_is_named_by_other_processes_too(root, processes):
    path = root / "img_align_celeba" / NAMES[5]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=f"Image {NAMES[5]} is truncated or corrupt"):
        load_celeba(root, image_size=16)
    assert all(process.returncode is not None for process in processes)


def test_an_image_that_is_too_large_is_named_by_other_processes_too(root, processes):
    """Pillow's error for it is no `OSError`: a process ended with it, and named nothing."""
    path = root / "img_align_celeba" / NAMES[5]
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xc0") + 5  # height, width
    content[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"Image {NAMES[5]} is .* too large .*4294836225 pixels"):
        load_celeba(root, image_size=16)


def test_images_among_which_a_process_died_are_named(root, processes, monkeypatch):
    """As where the system ends one that takes all memory."""

    def killed(*arguments, **kwargs):
        process = popen(*arguments, **kwargs)
        process.kill()
        return process

    popen = decoding.subprocess.Popen
    monkeypatch.setattr(decoding.subprocess, "Popen", killed)
    with pytest.raises(
        OSError, match=f"an image that is too large is among {NAMES[0]} to {NAMES[11]}"
    ):
        load_celeba(root, image_size=16)


def test_such_a_process_starts_without_numpy_and_keras(tmp_path):
    (tmp_path / "image.jpg").write_bytes(jpeg(0))
    script = f"""
import runpy, sys
decode = runpy.run_path({jpeg_module.__file__!r})["decode"]
assert len(decode(open("image.jpg", "rb").read(), 16)) == 16 * 16 * 3
assert not {{"numpy", "keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


def test_a_process_that_dies_is_missed(processes):
    with decoding.Decoder(1) as decoder:
        decoder([jpeg(0)], 16)
        for process in processes:
            process.kill()
        with pytest.raises(OSError, match=r"has ended before its work was done.*goes on"):
            decoder([jpeg(0)], 16)


def test_processes_end_with_the_one_that_asks(tmp_path):
    content = tmp_path / "image.jpg"
    content.write_bytes(jpeg(0))
    script = f"""{WITHOUT_KERAS}
import os, signal
from vae_keras.datasets import decoding
decoder = decoding.Decoder(10_000)
decoder([open(sys.argv[1], "rb").read()], 16)
print(*[process.pid for process in decoder._processes], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", script, str(content)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert not done.stderr
    pids = list(map(int, done.stdout.split()))
    assert pids
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def is_running(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")  # what nobody waits for stays as a zombie
        return not state.exists() or " Z " not in state.read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_other_files_of_the_same_names_and_sizes_are_decoded_anew(root, cache):
    one, other = (root / "img_align_celeba" / name for name in NAMES[:2])
    size = max(len(path.read_bytes()) for path in (one, other))
    for path in (one, other):  # what follows the end of a JPEG does not matter
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    before = load_celeba(root, image_size=16).images
    swapped = other.read_bytes()
    other.write_bytes(one.read_bytes())
    one.write_bytes(swapped)
    after = load_celeba(root, image_size=16).images
    np.testing.assert_array_equal(after[[1, 0]], before[:2])
    assert not np.array_equal(before[0], before[1])


def whole_file(root, cache):
    """The bytes of an uninterrupted decode, in a cache that is empty again afterwards."""
    load_celeba(root, image_size=16)
    (path,) = cache.iterdir()
    content = path.read_bytes()
    path.unlink()
    return content


def test_whoever_waits_sees_progress(root, monkeypatch, capsys):
    load_celeba(root, image_size=8)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(decode_cache, "QUIET_SECONDS", 0)
    load_celeba(root, image_size=16)
    assert "Decoding CelebA, once: 12 of 12" in capsys.readouterr().out


# Synthetic faces


def test_synthetic_faces_replace_absent_files_and_say_so(tmp_path, small_faces, capsys):
    faces = load_celeba(tmp_path / "nowhere", image_size=16)
    assert (
        capsys.readouterr().out == f"No CelebA in {tmp_path / 'nowhere'}: using synthetic faces.\n"
    )
    assert faces.source == "synthetic"
    assert isinstance(faces.images, np.memmap)
    assert faces.images.shape == (200, 16, 16, 3)
    assert faces.attribute_names == ATTRIBUTES
    assert faces.is_test.tolist() == [False] * 180 + [True] * 20
    np.testing.assert_array_equal(faces.images[:, 3, 3, 1], faces.factors["smile"] * 255 // 1)
    np.testing.assert_array_equal(faces.attributes[:, 0], faces.factors["smile"] > 0.5)


def test_synthetic_faces_in_memory_are_the_same(tmp_path, small_faces, monkeypatch, capsys):
    cached = load_celeba(source="synthetic", image_size=16).images
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VAE_KERAS_DATA", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    images = load_celeba(source="synthetic", image_size=16).images
    assert "kept in memory only" in capsys.readouterr().out
    np.testing.assert_array_equal(images, cached)
    assert not images.flags.writeable


def test_the_source_is_what_is_there(root, tmp_path, small_faces, monkeypatch):
    assert find_source(root) == "real"
    assert find_source(tmp_path / "nowhere") == "synthetic"
    assert find_source(root, "synthetic") == "synthetic"
    monkeypatch.setenv("VAE_KERAS_SOURCE", "synthetic")
    assert find_source(root) == "synthetic"
    assert load_celeba(root, image_size=16).source == "synthetic"
    assert load_celeba(root, image_size=16, source="real").source == "real"
    with pytest.raises(ValueError, match=r"Argument `source`.*Received: source='x'"):
        load_celeba(root, source="x")


def test_real_faces_that_are_absent_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m vae_keras\.datasets celeba"):
        load_celeba(tmp_path, source="real")


def test_an_unknown_attribute_is_answered_with_the_nearest():
    assert attribute_index("Eyeglasses", ATTRIBUTES) == 1
    with pytest.raises(ValueError, match=r"name='smilling'\. Did you mean 'Smiling'"):
        attribute_index("smilling", ATTRIBUTES)
