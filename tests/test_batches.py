"""Batches hold every image once per epoch, scaled to [0, 1]."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from vae_keras.datasets import ImageBatches
from vae_keras.datasets.batches import explained


@pytest.fixture
def images(tmp_path):
    """Ten memory-mapped images; image i is i everywhere but in one pixel, 255."""
    array = np.empty((10, 4, 4, 3), "uint8")
    array[:] = np.arange(10, dtype="uint8")[:, None, None, None]
    array[:, 0, 0] = 255
    np.save(tmp_path / "images.npy", array)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def order(batches):
    """The numbers of the images, in the order of one epoch."""
    values = np.concatenate([batch[0] for batch in batches])
    return np.round(values[:, -1, -1, 0] * 255).astype(int).tolist()


def test_batches_are_the_images_divided_by_255(images):
    batches = ImageBatches(images, batch_size=4)
    (first,) = batches[0]
    assert len(batches) == 3
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    assert first.dtype == np.float32
    assert first.max() == 1.0
    np.testing.assert_array_equal(first, images[:4].astype("float32") / 255)


def test_indices_choose_and_order_the_images(images):
    assert order(ImageBatches(images, [7, 2, 5], batch_size=2)) == [7, 2, 5]
    even = np.arange(10) % 2 == 0
    assert order(ImageBatches(images, even, batch_size=2)) == [0, 2, 4, 6, 8]


def test_a_shuffled_epoch_holds_every_image_once(images):
    batches = ImageBatches(images, batch_size=3, shuffle=True, seed=0)
    first = order(batches)
    batches.on_epoch_end()
    second = order(batches)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert order(ImageBatches(images, batch_size=5, shuffle=True, seed=0)) == first
    assert order(ImageBatches(images, batch_size=5, shuffle=True, seed=1)) != first


def test_the_order_is_a_function_of_the_seed_and_the_epoch(images):
    batches = ImageBatches(images, batch_size=3, shuffle=True, seed=0)
    orders = []
    for _ in range(3):
        orders.append(order(batches))
        batches.on_epoch_end()
    resumed = ImageBatches(images, batch_size=3, shuffle=True, seed=0)
    resumed.set_epoch(2)
    assert order(resumed) == orders[2]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    chosen = ImageBatches(images, [1, 3, 5], shuffle=True, seed=0)
    chosen.set_epoch(7)
    assert sorted(order(chosen)) == [1, 3, 5]


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs Linux's /proc")
def test_a_mapped_file_does_not_pile_up_in_memory(tmp_path):
    np.save(tmp_path / "many.npy", np.ones((1000, 64, 64, 3), "uint8"))  # 12 MB
    mapped = np.load(tmp_path / "many.npy", mmap_mode="r")
    for (batch,) in ImageBatches(mapped, batch_size=32, shuffle=True, seed=0):
        assert batch.min() == batch.max() == np.float32(1 / 255)
    assert resident(tmp_path / "many.npy") < 4 * 2**20


def resident(path):
    """Bytes of a mapped file in this process's resident memory."""
    sizes = []
    with open("/proc/self/smaps") as lines:
        for line in lines:
            if line.rstrip().endswith(str(path)):
                sizes.append(next(int(other.split()[1]) for other in lines if "Rss:" in other))
    assert sizes
    return 1024 * sum(sizes)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_mapped_images_are_those_of_the_array(images, mode):
    mapped = np.load(images.filename, mmap_mode=mode)
    if mode == "c":
        mapped[3] = 77  # in memory alone
    if mode == "r+":
        mapped[4] = 99
        mapped.flush()
    for part in (mapped, mapped[2:9], mapped[::-2], mapped[:, 1:, :2]):
        array = np.array(part)
        for shuffle in (False, True):
            one, other = (
                ImageBatches(i, batch_size=3, shuffle=shuffle, seed=1) for i in (part, array)
            )
            for (left,), (right,) in zip(one, other, strict=True):
                np.testing.assert_array_equal(left, right)


def test_a_file_that_has_become_shorter_is_named(images):
    os.truncate(images.filename, 128 + 9 * 48)
    with pytest.raises(OSError, match=r"images.npy has become shorter .*: image 9 is gone"):
        list(ImageBatches(images, batch_size=4))


def test_a_training_on_a_file_that_has_become_shorter_ends_in_its_sentence(images):
    """On every backend, each of which wraps errors of a stream in its own."""
    batches = ImageBatches(images, batch_size=4)
    os.truncate(images.filename, 128 + 9 * 48)
    model = MeanModel()
    model.compile("adam")
    with (
        pytest.raises(
            OSError, match=r"images\.npy has become shorter .* is made again\.$"
        ) as caught,
        explained(batches),
    ):
        model.fit(batches, verbose=0)
    assert caught.value.__suppress_context__


def test_a_file_that_is_deleted_is_read_to_the_end(images):
    batches = ImageBatches(images, batch_size=4)
    assert order(batches)[:2] == [0, 1]
    os.remove(images.filename)
    assert order(batches) == list(range(10))


def test_other_errors_of_a_training_pass_unchanged(images):
    with pytest.raises(RuntimeError, match="another"), explained(ImageBatches(images)):
        raise RuntimeError("another")


def test_keras_seeds_the_shuffle_where_no_seed_is_given(images):
    keras.utils.set_random_seed(3)
    first = order(ImageBatches(images, shuffle=True))
    other = order(ImageBatches(images, shuffle=True))
    keras.utils.set_random_seed(3)
    assert order(ImageBatches(images, shuffle=True)) == first != other


class MeanModel(keras.Model):
    """A model whose loss needs x alone."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        assert y is None
        return keras.ops.mean(keras.ops.square(y_pred - x))


@pytest.mark.parametrize("workers", [1, 2])
def test_keras_fits_evaluates_and_predicts(images, workers):
    model = MeanModel()
    model.compile("adam")
    batches = ImageBatches(images, batch_size=4, shuffle=True, seed=0, workers=workers)
    held_out = ImageBatches(images, [8, 9], batch_size=4)
    history = model.fit(batches, validation_data=held_out, epochs=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
    assert np.isfinite(model.evaluate(held_out, verbose=0))
    assert model.predict(ImageBatches(images, batch_size=4), verbose=0).shape == (10, 4, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"images": np.zeros((2, 4, 4, 3), "float32")}, "images"),
        ({"images": np.zeros((2, 4, 4), "uint8")}, "images"),
        ({"images": np.zeros((2, 4, 4, 1), "uint8"), "batch_size": 0}, "batch_size"),
        ({"images": np.zeros((2, 4, 4, 1), "uint8"), "indices": [0.5]}, "indices"),
        ({"images": np.zeros((2, 4, 4, 1), "uint8"), "indices": [True]}, "indices"),
    ],
)
def test_errors_name_the_argument(arguments, named):
    with pytest.raises(ValueError, match=f"Argument `{named}`.*Received"):
        ImageBatches(**arguments)


FAULTS = """
import resource
import numpy as np
from vae_keras.datasets import ImageBatches
import tensorflow as tf

def read_from_a_generator():  # as Keras reads a PyDataset
    list(tf.data.Dataset.from_generator(lambda: [0.0], output_types="float32"))

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(2**18, "float32")  # 1 MB, made and freed: 256 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

read_from_a_generator()
given_back = faults()
ImageBatches(np.zeros((2, 4, 4, 1), "uint8"))
read_from_a_generator()
faults()
print(given_back, faults())
"""


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or sys.platform != "linux",
    reason="what TensorFlow tells the allocator of glibc",
)
def test_memory_is_kept_between_steps():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    given_back, kept = map(int, done.stdout.split())
    assert kept <= 0.1 * given_back  # none at all before TensorFlow 2.21, which began it
