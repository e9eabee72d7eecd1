"""CelebA at full size: decoding against all cores, reading against the step, memory.

    python benchmarks/celeba.py
    python benchmarks/celeba.py --large

Uses the CelebA that `load_celeba` finds. `--large` makes 202,599 JPEG files out of
it, each mirrored, shifted and toned in its own way (1 GB, and 2.5 GB for the decoded
images, in a temporary folder), and measures these, too. What is compared is run in
turns. The rates are the best of the rounds, as other work can only slow them down; the
steps are medians, as their minima differ by a tenth between two runs of the same thing.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

FULL_SIZE = 202_599
BATCH_SIZE = 32
ROUNDS = 8
PART = 64  # files that a process takes at a time


def decode_some(root, start, stop):
    """Decodes files and keeps nothing: what a core can do."""
    from vae_keras.datasets import celeba_files, jpeg

    files = opened.setdefault(root, None) or celeba_files.find_images(Path(root))
    opened[root] = files
    for name in files.names[start:stop]:
        jpeg.decode(files.read(name), 64)


opened = {}


def decode_all(processes, root, count):
    """Returns the files per second that all cores decode together."""
    parts = [(root, start, min(start + PART, count)) for start in range(0, count, PART)]
    start = time.perf_counter()
    processes.starmap(decode_some, parts, chunksize=1)
    return count / (time.perf_counter() - start)


def build_cache(root, count):
    """Returns the files per second that the cache takes in, from nothing to the finished file."""
    from vae_keras import datasets

    shutil.rmtree(os.environ["VAE_KERAS_DATA"], ignore_errors=True)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        datasets.load_celeba(root, source="real")
    return count / (time.perf_counter() - start)


def measure_decoding(root, count, rounds):
    """Prints the two rates and their ratio."""
    with multiprocessing.get_context("spawn").Pool() as processes:
        processes.starmap(decode_some, [(root, 0, 1)] * 4 * os.cpu_count(), chunksize=1)
        pairs = [
            (decode_all(processes, root, count), build_cache(root, count)) for _ in range(rounds)
        ]
    raw, cache = (max(rates) for rates in zip(*pairs, strict=True))
    print(f"{count:>9,}{raw:>14,.0f}{cache:>14,.0f}{cache / raw:>10.2f}", flush=True)


def measure_epochs(root, rounds):
    """Trains on the files and on one batch in memory, in turns; returns seconds per step.

    Then one epoch on all files is sampled for its memory.
    """
    import keras

    from vae_keras import VAE, datasets, likelihoods, networks
    from vae_keras.datasets import ImageBatches

    class OneBatch(keras.utils.PyDataset):
        def __init__(self, batch, count):
            super().__init__()
            self.batch, self.count = batch, count

        def __len__(self):
            return self.count

        def __getitem__(self, index):
            return self.batch

    with contextlib.redirect_stdout(io.StringIO()):
        faces = datasets.load_celeba(root, source="real")
    batches = ImageBatches(faces.images, batch_size=BATCH_SIZE, shuffle=True, seed=0)
    some = ImageBatches(faces.images, range(100 * BATCH_SIZE), BATCH_SIZE, shuffle=True, seed=0)
    in_memory = OneBatch(batches[0], len(some))
    vae = VAE(*networks.convolutional(), likelihood=likelihoods.Gaussian(0.1, learn_scale=True))
    vae.compile(keras.optimizers.Adam(1e-4))
    vae.fit(in_memory, verbose=0)
    seconds = {"files": [], "memory": [], "again": [], "alone": []}
    for _ in range(rounds):
        for name, data in (("files", some), ("memory", in_memory), ("again", in_memory)):
            start = time.perf_counter()
            vae.fit(data, verbose=0)
            seconds[name].append((time.perf_counter() - start) / len(some))
        start = time.perf_counter()
        for _ in some:
            pass
        seconds["alone"].append((time.perf_counter() - start) / len(some))
    before, most = resident(), Highest()
    with most:
        vae.fit(batches, verbose=0)
    return {**seconds, "images": len(faces.images), "before": before, "most": most.value}


class Highest:
    """Samples the resident memory while a block runs."""

    def __enter__(self):
        self.value, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _sample(self):
        while not self._stop.wait(0.1):
            self.value = max(self.value, resident())


def resident():
    """Returns the resident memory of this process in bytes, mapped files included."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def print_epochs(root, rounds):
    """Measures in a fresh process, whose memory is its own."""
    command = [sys.executable, __file__, "--root", root, "--epochs-of", "--rounds", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    files, memory, again, alone = (
        statistics.median(found[key]) for key in ("files", "memory", "again", "alone")
    )
    more = files / statistics.mean((memory, again)) - 1
    print(
        f"{found['images']:>10,}{1e3 * files:>10.2f}{1e3 * memory:>10.2f}{1e3 * again:>10.2f}"
        f"{more:>10.1%}{1e3 * alone:>10.2f}{alone / memory:>10.1%}"
        f"{found['before'] / 1e6:>10,.0f}{found['most'] / 1e6:>10,.0f}",
        flush=True,
    )


def perturb(root, start, stop):
    """Returns JPEG files, from image `start` to `stop` of the large set."""
    import numpy as np
    from PIL import Image

    from vae_keras.datasets import celeba_files

    files = opened.setdefault(root, None) or celeba_files.find_images(Path(root))
    opened[root] = files
    contents = []
    for index in range(start, stop):
        round_, position = divmod(index, len(files.names))
        with Image.open(io.BytesIO(files.read(files.names[position]))) as image:
            pixels = np.asarray(image.convert("RGB")).astype("int16")
        pixels = np.roll(pixels[:, :: -1 if round_ % 2 else 1], round_ // 2, axis=1) + 2 * round_
        content = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(content, "jpeg", quality=90)
        contents.append(content.getvalue())
    return contents


def make_large(root, folder):
    """Writes the large set to `folder`, in the official layout."""
    names = [f"{number:06d}.jpg" for number in range(1, FULL_SIZE + 1)]
    parts = [(root, start, min(start + PART, FULL_SIZE)) for start in range(0, FULL_SIZE, PART)]
    with (
        multiprocessing.get_context("spawn").Pool() as processes,
        zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive,
    ):
        written = iter(names)
        for contents in processes.imap(_perturb, parts):
            for content in contents:
                archive.writestr(f"img_align_celeba/{next(written)}", content)
    rows = "".join(f"{name} {-1 + 2 * (index % 2)}\n" for index, name in enumerate(names))
    (folder / "list_attr_celeba.txt").write_text(f"{FULL_SIZE}\nSmiling\n{rows}")


def _perturb(part):
    return perturb(*part)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="folder of CelebA; by default that of load_celeba")
    parser.add_argument("--large", action="store_true", help="202,599 files, too")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--epochs-of", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.epochs_of:
        print(json.dumps(measure_epochs(given.root, given.rounds)))
        return
    from vae_keras.datasets import celeba_files, storage

    root = given.root or str(storage.data_folder() / "celeba")
    sets = [(root, len(celeba_files.find_images(Path(root)).names), given.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VAE_KERAS_DATA"] = f"{folder}/data"
        if given.large:
            large = Path(folder) / "large"
            large.mkdir()
            make_large(root, large)
            sets.append((str(large), FULL_SIZE, 2))
        print("Decoding, files per second: all cores with nothing kept, and the cache")
        print(f"{'files':>9}{'all cores':>14}{'cache':>14}{'ratio':>10}")
        for place, count, rounds in sets:
            measure_decoding(place, count, rounds)
        print(
            f"\nTraining at batch {BATCH_SIZE}, ms per step: on files; on one batch in memory, and"
        )
        print("on it again, which tells the noise; how much more files take than both; reading")
        print("alone; resident memory in MB before an epoch on all files, and its peak")
        names = ("files", "files", "memory", "again", "more", "alone", "share", "before", "peak")
        print("".join(f"{name:>10}" for name in names))
        for place, _, _ in sets:
            print_epochs(place, given.rounds)


if __name__ == "__main__":
    main()
