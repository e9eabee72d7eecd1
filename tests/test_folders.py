"""Images of one's own: found, turned, cropped, decoded once, and what is wrong is named."""

import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from vae_keras import datasets
from vae_keras.datasets import celeba_files, decoding, load_images

pytestmark = [pytest.mark.any_backend, pytest.mark.usefixtures("cache")]

ORIENTATION = 0x0112
RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), 128


@pytest.fixture
def root(tmp_path):
    """Twelve images in colour, of several sizes and kinds, in folders."""
    root = tmp_path / "photos"
    for number in range(12):
        suffix = (".jpg", ".PNG", ".jpeg")[number % 3]
        folder = ("", "b", "a/c")[number % 3]
        save(root / folder / f"{number:02d}{suffix}", plain((20 * number, 0, 255), 30 + number))
    return root


def plain(color, width=40, height=30):
    return Image.new("L" if isinstance(color, int) else "RGB", (width, height), color)


def halves(left, right, width=60, height=60):
    """An image of two colours, side by side."""
    image = plain(left, width, height)
    image.paste(right, (width // 2, 0, width, height))
    return image


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "png" if path.suffix.lower() == ".png" else "jpeg", **options)
    return path


def pack(root, path, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(root.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(root))
    return path


def one(path, **options):
    """The only image of a folder, of integers."""
    (image,) = load_images(path, **options).images
    return image.astype(int)


# What is found


def test_all_folders_are_searched_in_the_order_of_names(root):
    own = load_images(root, image_size=8)
    assert own.names[:5] == ("00.jpg", "03.jpg", "06.jpg", "09.jpg", "a/c/02.jpeg")
    assert own.names == tuple(sorted(own.names))
    assert own.images.shape == (12, 8, 8, 3)
    assert isinstance(own.images, np.memmap)
    numbers = [int(name.rpartition("/")[2][:2]) for name in own.names]
    reds = own.images[:, 4, 4, 0].astype(int)
    assert np.abs(reds - 20 * np.array(numbers)).max() < 4
    assert repr(own).startswith("OwnImages(images (12, 8, 8, 3), ")


def test_an_archive_gives_what_its_folder_gives(root, tmp_path):
    path = pack(root, tmp_path / "photos.zip", zipfile.ZIP_DEFLATED)
    expected, own = load_images(root, 8), load_images(path, 8)
    np.testing.assert_array_equal(own.images, expected.images)
    np.testing.assert_array_equal(own.is_test, expected.is_test)
    assert own.names == expected.names


def test_a_hash_of_the_name_holds_out_as_it_does_for_faces(tmp_path):
    names = [f"{number:06d}.jpg" for number in range(1, 101)]
    for name in names:
        save(tmp_path / "many" / name, plain(RED, 8, 8))
    is_test = load_images(tmp_path / "many", 8).is_test
    np.testing.assert_array_equal(is_test, celeba_files.read_test_split(tmp_path, names))
    assert is_test.dtype == bool
    assert 3 < is_test.sum() < 20


def test_what_is_no_image_is_counted_and_what_is_hidden_is_not(root, capsys):
    (root / "notes.txt").write_text("not an image")
    (root / "b" / "labels.csv").write_text("not an image")
    for hidden in (".thumbnails/1.jpg", "__MACOSX/._00.jpg", "b/.DS_Store"):
        (root / hidden).parent.mkdir(exist_ok=True)
        (root / hidden).write_bytes(b"not an image")
    assert len(load_images(root, 8).images) == 12
    said = "photos: 2 files that are neither JPEG nor PNG are left out.\n"
    assert capsys.readouterr().out == said


def test_links_lead_on_but_not_in_circles(root, tmp_path):
    save(tmp_path / "elsewhere" / "12.png", plain(BLUE))
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "b" / "circle").symlink_to(root)
    assert len(load_images(root, 8).images) == 13


def test_names_that_are_no_text_are_read(root):
    os.rename(os.fsencode(root / "00.jpg"), os.fsencode(root) + b"/\xff.jpg")
    assert len(load_images(root, 8).images) == 12


# What becomes of an image


@pytest.mark.parametrize(("width", "height"), [(120, 60), (60, 120), (600, 300), (61, 33)])
def test_the_square_in_the_middle_is_kept(tmp_path, width, height):
    """Red outside of it, a blue frame within, and black."""
    side = min(width, height)
    frame = side // 8
    image = plain(RED, width, height)
    left, top = (width - side) // 2, (height - side) // 2
    image.paste(BLUE, (left, top, left + side, top + side))
    image.paste("black", (left + frame, top + frame, left + side - frame, top + side - frame))
    for suffix in (".jpg", ".png"):
        save(tmp_path / suffix[1:] / f"1{suffix}", image, quality=95, subsampling=0)
        square = one(tmp_path / suffix[1:], image_size=16)
        assert square[..., 2].max(axis=0)[[1, -2]].min() > 200
        assert square[..., 2].max(axis=1)[[1, -2]].min() > 200
        assert square[1, 1:-1, 2].min() > 100 > 50 > square[3:-3, 3:-3].max()
        assert square[1:-1, 1:-1, 0].max() < 40


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_camera_says(tmp_path, orientation, suffix):
    """However a camera was held, what it wrote shows red on the left."""
    seen = halves(RED, BLUE)
    seen.paste("black", (0, 0, 60, 10))  # at the top
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    written = seen.transpose(back[orientation]) if orientation > 1 else seen
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    save(tmp_path / "turned" / f"1{suffix}", written, exif=exif)
    image = one(tmp_path / "turned", image_size=6)
    assert image[3, 1, 0] > 200 > 50 > image[3, 1, 2]
    assert image[3, 4, 2] > 200 > 50 > image[3, 4, 0]
    assert image[0].max() < 60


def test_large_photographs_are_read_at_a_fraction_of_their_size_with_the_same_tones(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000))
    tones = (noise + np.linspace(0, 255, 2000)) / 2
    picture = Image.fromarray(tones.astype("uint8"))
    save(tmp_path / "large" / "1.jpg", picture, quality=95)
    expected = np.asarray(picture.resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    image = one(tmp_path / "large", image_size=16)[..., 0]
    assert np.abs(image - expected).max() < 3


def test_grey_images_have_one_channel(tmp_path):
    levels = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype("uint16")
    save(tmp_path / "grey" / "a.jpg", plain(GREY))
    save(tmp_path / "grey" / "b.png", plain(GREY).convert("LA"))
    save(tmp_path / "grey" / "c.png", Image.fromarray(levels))
    save(tmp_path / "grey" / "d.png", plain(255).convert("1"))
    images = load_images(tmp_path / "grey", 8).images
    assert images.shape == (4, 8, 8, 1)
    assert np.abs(images[[0, 1, 3]].mean(axis=(1, 2, 3)) - (128, 128, 255)).max() < 2
    assert images[2, 0].max() < 40
    assert 120 < images[2].mean() < 135
    assert images[2, -1].min() > 215


def test_other_kinds_of_colour_are_converted(tmp_path):
    save(tmp_path / "kinds" / "a.jpg", plain(RED).convert("CMYK"))
    save(tmp_path / "kinds" / "b.png", plain(RED).convert("P", palette=Image.Palette.ADAPTIVE))
    save(tmp_path / "kinds" / "c.png", plain(RED).convert("RGBA"))
    images = load_images(tmp_path / "kinds", 8).images.astype(int)
    assert np.abs(images - RED).max() < 8


@pytest.mark.parametrize("mode", ["RGBA", "P", "RGB"])
def test_what_is_transparent_becomes_white(tmp_path, mode):
    image = halves(RED, BLUE)
    options = {"transparency": RED} if mode == "RGB" else {}
    if mode != "RGB":
        image = image.convert("RGBA")
        image.paste((0, 0, 0, 0), (0, 0, 30, 60))
        image = image.convert(mode)
    save(tmp_path / "icons" / "1.png", image, **options)
    icon = one(tmp_path / "icons", image_size=6)
    assert icon[:, 1].min() > 250
    assert np.abs(icon[:, 4] - BLUE).max() < 5


# Decoded once


def test_the_second_call_decodes_nothing(root, cache, monkeypatch):
    first = load_images(root, 8)
    monkeypatch.setattr(decoding.Decoder, "__call__", None)
    np.testing.assert_array_equal(load_images(root, 8).images, first.images)
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


@pytest.mark.parametrize("change", ["content", "name", "fewer"])
def test_other_files_are_decoded_anew(root, change):
    before = load_images(root, 8)
    path = root / "b" / "01.PNG"
    if change == "content":
        save(path, plain(RED))
    elif change == "name":
        path.rename(root / "01.png")
    else:
        path.unlink()
    after = load_images(root, 8)
    assert after.fingerprint != before.fingerprint
    assert len(after.images) == 12 - (change == "fewer")
    if change == "content":
        assert np.abs(after.images[after.names.index("b/01.PNG")].astype(int) - RED).max() < 5


def test_many_images_are_decoded_by_other_processes(root, monkeypatch):
    expected = load_images(root, 8).images
    save(root / "z.png", plain(RED))
    monkeypatch.setattr(decoding, "FEW", 0)
    np.testing.assert_array_equal(load_images(root, 8).images[:12], expected)


# What can be wrong


def test_there_must_be_an_image(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match=f"There is no folder or zip archive {tmp_path}/no"):
        load_images(tmp_path / "no")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "photo.webp").write_bytes(b"of another kind")
    expected = f"No image in {tmp_path}/empty: expected files whose names end in .jpg, .jpeg, .png"
    with pytest.raises(FileNotFoundError, match=expected):
        load_images(tmp_path / "empty")
    path = pack(tmp_path / "empty", tmp_path / "empty.zip")
    with pytest.raises(FileNotFoundError, match=f"No image in {path}"):
        load_images(path)


def test_a_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "photos.rar").write_bytes(b"Rar!")
    expected = f"{tmp_path}/photos.rar is neither a folder nor a whole zip archive"
    with pytest.raises(ValueError, match=expected):
        load_images(tmp_path / "photos.rar")


@pytest.mark.parametrize("few", [1000, 0])
@pytest.mark.parametrize("suffix", [".jpeg", ".PNG"])
@pytest.mark.parametrize("broken", ["truncated", "empty", "text", "gone"])
def test_a_broken_image_is_named_and_mended(root, cache, monkeypatch, broken, suffix, few):
    monkeypatch.setattr(decoding, "FEW", few)
    path = next(root.rglob(f"*{suffix}"))
    whole, name = path.read_bytes(), path.relative_to(root)
    if broken == "gone":
        path.unlink()
        path.symlink_to(root / "nowhere")
    else:
        path.write_bytes(
            {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"text"}[broken]
        )
    expected = rf"Image {name} in {root} cannot be read \(.*\)\. Mend it, or move it elsewhere\."
    with pytest.raises(ValueError, match=expected) as raised:
        load_images(root, 8)
    assert "0x" not in str(raised.value)
    assert not list(cache.glob("*.npy"))
    path.unlink()
    path.write_bytes(whole)
    assert len(load_images(root, 8).images) == 12


def test_an_image_too_large_to_be_meant_is_named(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    save(root / "z.png", plain(RED, 80, 80))
    with pytest.raises(ValueError, match=rf"Image z.png in {root} cannot be read \(Image size"):
        load_images(root, 8)


@pytest.mark.parametrize("first", ["grey", "colour"])
def test_a_mixture_of_grey_and_colour_is_named(tmp_path, first):
    images = {"grey": plain(GREY), "in colour": plain(RED)}
    one, other = sorted(images, reverse=first == "colour")
    save(tmp_path / "mixed" / "a.jpg", images[one])
    save(tmp_path / "mixed" / "b" / "c.png", images[other])
    expected = f"Image b/c.png in {tmp_path}/mixed is {other}, while a.jpg is {one}"
    with pytest.raises(ValueError, match=expected):
        load_images(tmp_path / "mixed", 8)


def test_two_images_of_one_name_are_refused(tmp_path):
    content = io.BytesIO()
    plain(RED).save(content, "png")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.png", content.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", content.getvalue())
    with pytest.raises(ValueError, match=r"twice.zip holds two images of the name a.png"):
        load_images(tmp_path / "twice.zip")


@pytest.mark.parametrize("wrong", ["encrypted", "packing", "content"])
def test_what_an_archive_cannot_give_is_named(root, tmp_path, wrong):
    path = pack(root, tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    if wrong == "encrypted":
        data[local + 6] |= 1
        data[central + 8] |= 1
    elif wrong == "packing":
        data[local + 8] = data[central + 10] = 97
    else:
        data[local + 200] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"Image .* in {path} cannot be read \("):
        load_images(path, 8)


@pytest.mark.parametrize("image_size", [0, -1, 8.0, "8"])
def test_the_size_is_a_positive_integer(root, image_size):
    with pytest.raises(ValueError, match=f"Received: image_size={image_size!r}"):
        load_images(root, image_size)


def test_pillow_is_asked_for(root, monkeypatch):
    find_spec = datasets.folders.importlib.util.find_spec
    monkeypatch.setattr(
        datasets.folders.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "PIL" else find_spec(name, *rest),
    )
    with pytest.raises(ImportError, match="pip install pillow"):
        load_images(root)


def test_images_among_which_a_process_died_are_named(root, monkeypatch):
    """As where the system ends one that takes all memory."""

    def killed(*arguments, **kwargs):
        process = popen(*arguments, **kwargs)
        process.kill()
        return process

    popen = decoding.subprocess.Popen
    monkeypatch.setattr(decoding, "FEW", 0)
    monkeypatch.setattr(decoding.subprocess, "Popen", killed)
    with pytest.raises(OSError, match=r"an image that is too large is among 00.jpg to a/c/11.jpeg"):
        load_images(root, image_size=16)
