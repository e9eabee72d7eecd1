"""Whatever is in a file, its reader understands it or refuses it in a sentence that names it.

The suite tries some files, the same each time. More, and others each time:

    VAE_KERAS_FUZZ=20000 python -m pytest tests/test_fuzz.py
"""

import functools
import gzip
import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vae_keras.datasets import celeba, celeba_files, decode_cache, decoding, fashion_mnist

EXAMPLES = os.environ.get("VAE_KERAS_FUZZ")
fuzzed = settings(
    max_examples=int(EXAMPLES or 60),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
pytestmark = [
    pytest.mark.any_backend,
    pytest.mark.filterwarnings("ignore"),  # Pillow's about large images and odd EXIF data
]

NAMES = ["000001.jpg", "000002.jpg", "000003.jpg"]
# Of each kind of list the attributes and the partition.
LISTS = {
    ".txt": (
        b"""3
Smiling Young
000001.jpg  1 -1
000002.jpg -1 -1
000003.jpg  1  1
""",
        b"000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n",
    ),
    ".csv": (
        b"""image_id,Smiling,Young
000001.jpg,1,-1
000002.jpg,-1,-1
"000003.jpg", 1, 1
""",
        b"image_id,partition\n000001.jpg,0\n000002.jpg,1\n000003.jpg,2\n",
    ),
}

PLACES = st.integers(0, 2**20)
BYTES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"\0", b'"', b"'", b",", b";", b"\n", b"\r", b"\xff\xfe", b"\xef\xbb\xbf"]),
    st.sampled_from(
        [b"-1", b"\xff\xff\xff\xff", b"9" * 5000, "²".encode(), b"\x1c", b"000001.jpg"]
    ),
)
EDITS = st.lists(st.tuples(PLACES, st.integers(0, 40), PLACES, BYTES), min_size=1, max_size=6)


def edited(content, edits):
    """Bytes in which some parts have been replaced, by others or by a copy of another part."""
    for place, length, source, replacement in edits:
        place, source = place % (len(content) + 1), source % (len(content) + 1)
        if len(replacement) == 3:
            replacement = content[source : source + length]
        content = content[:place] + replacement + content[place + length :]
    return content


def damaged(content):
    return st.one_of(EDITS.map(lambda edits: edited(content, edits)), st.binary(max_size=300))


def jpeg(value):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, "uint8")).save(file, "jpeg")
    return file.getvalue()


def archive():
    """An archive of an image for each way in which Python packs."""
    file = io.BytesIO()
    ways = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(file, "w") as archive:
        for name, way in zip(NAMES, ways, strict=True):
            archive.writestr(f"img_align_celeba/{name}", jpeg(80), way)
    return file.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("data")
        patch.setenv("VAE_KERAS_DATA", str(root))
        yield root


def read_or_refuse(read, path):
    """Returns what `read` returns, or `None` where it refuses the file in a sentence of ours."""
    try:
        return read()
    except (ValueError, OSError) as error:
        refusal = error
    assert type(refusal) in (ValueError, OSError, FileNotFoundError)
    assert str(path) in str(refusal)
    return None


def fuzz_list(root, name, whole, read, check):
    """Damages a list, and checks what `read` makes of it for the images of `NAMES`."""
    folder = root / f"damaged-{name}"
    folder.mkdir()
    path = folder / name

    @fuzzed
    @given(damaged(whole))
    def read_damaged(content):
        path.write_bytes(content)
        found = read_or_refuse(lambda: read(folder, NAMES), path)
        if found is not None:
            check(found)

    read_damaged()


@pytest.mark.parametrize("suffix", LISTS)
def test_lists_of_attributes(root, suffix):
    def check(found):
        values, names = found
        assert values.dtype == bool
        assert values.shape == (3, len(names))
        assert len(set(names)) == len(names) > 0

    name = f"list_attr_celeba{suffix}"
    fuzz_list(root, name, LISTS[suffix][0], celeba_files.read_attributes, check)


@pytest.mark.parametrize("suffix", LISTS)
def test_partitions(root, suffix):
    def check(is_test):
        assert (is_test.dtype, is_test.shape) == (bool, (3,))

    name = f"list_eval_partition{suffix}"
    fuzz_list(root, name, LISTS[suffix][1], celeba_files.read_test_split, check)


@fuzzed
@given(
    stems=st.sets(st.text("ab0é웃'-_", min_size=1), min_size=1),
    separator=st.sampled_from([",", ";", "\t", " ; "]),
    quote=st.sampled_from(["", '"']),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    seed=st.integers(0, 99),
)
def test_a_csv_means_what_was_written(root, stems, separator, quote, end, seed):
    names = sorted(f"{stem} 1.jpg" for stem in stems)
    values = np.random.default_rng(seed).integers(0, 2, (len(names), 2), bool)
    rows = [["image_id", "Smiling", "Young"]]
    rows += [[name, *np.where(row, "1", "-1")] for name, row in zip(names, values, strict=True)]
    text = end.join(separator.join(f"{quote}{field}{quote}" for field in row) for row in rows)
    (root / "list_attr_celeba.csv").write_bytes(text.encode())
    found, attributes = celeba_files.read_attributes(root, names)
    np.testing.assert_array_equal(found, values)
    assert attributes == ("Smiling", "Young")


@fuzzed
@given(damaged(archive()))
def test_archives(root, content):
    path = root / "img_align_celeba.zip"
    path.write_bytes(content)
    files = read_or_refuse(lambda: celeba_files.ZipImages(path), path)
    if files is None:
        return
    with decoding.Decoder(1) as decoder:
        for name in files.names:
            decode = functools.partial(celeba._decode, files, [name], 4, decoder)
            images = read_or_refuse(decode, name)
            assert images is None or images.shape == (1, 4, 4, 3)


IMAGES = np.random.default_rng(0).integers(0, 256, (150, 2, 2, 3), "uint8")


@pytest.mark.parametrize("suffix", ["", ".partial"])
def test_caches(root, suffix):
    path = root / "cache" / "images.npy"

    def load():
        return decode_cache.cached_images(
            path, IMAGES.shape, lambda start, stop: IMAGES[start:stop], "Making"
        )

    load()
    whole = path.read_bytes()

    @fuzzed
    @given(damaged(whole))
    def check(content):
        path.unlink()
        path.with_name(path.name + suffix).write_bytes(content)
        np.testing.assert_array_equal(load(), IMAGES)
        assert path.read_bytes()[: len(whole)] == whole

    check()


@pytest.mark.parametrize("name", fashion_mnist.FILES[2:])
def test_files_of_fashion_mnist(root, name, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "SIZES", (3, 2))
    shape = (2, 28, 28) if "images" in name else (2,)
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
    content, path = header + bytes(np.prod(shape)), root / name

    @fuzzed
    @given(st.one_of(damaged(content).map(gzip.compress), damaged(gzip.compress(content))))
    def check(content):
        path.write_bytes(content)
        array = read_or_refuse(lambda: fashion_mnist._read(path), path)
        assert array is None or array.shape == shape

    check()
