"""What is lost, and what is said, when something goes wrong with the programs. Nothing may be lost.

    python benchmarks/faults.py [--short]

Trains on drawn garments and decodes drawn photographs, in a folder of its own; kills both at random
instants, fills their disk, starts two at once, and damages each file that they wrote. It prints a
table, and ends with 1 if anything was lost, if anything went wrong without a word, or if a reader
saw a traceback. A source whose damage leaves it readable, other pixels in a photograph or a shorter
list, is used as it is, which no program can tell: "used". The backends are those of
`KERAS_BACKEND`, or all; the short form takes one.
"""

import argparse
import contextlib
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import processes

PHOTOGRAPHS = 3_000  # more than are decoded without other processes
TRAIN = ["-m", "vae_keras.train", "--data", "fashion", "--source", "synthetic"]
TRAIN += ["--max-images", "2000", "--batch-size", "100", "--code", "map", "--epochs", "2"]
TRAIN += ["--second-stage", "2"]
DECODE = """
import hashlib, sys
from vae_keras import terminal
def main():
    print("begun", flush=True)
    from vae_keras.datasets import load_celeba
    try:
        print(hashlib.sha256(load_celeba(source="real").images.tobytes()).hexdigest())
    except (OSError, ValueError) as error:
        return terminal.stop(terminal.sentence(error), 1)
    return 0
terminal.run(main)
"""
# The files of a training, in the order in which they first appear.
WRITTEN = ("last.keras", "settings.json", "README.md", "best.keras", "history.csv")
WRITTEN += ("reconstructions-0001.png", "samples-0001.png")
WRITTEN += ("flow.keras", "second-stage.csv", "new-0001.png")
PAGE = 4096  # bytes, of which a small disk has a whole number
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WAIT_SECONDS = 600


class Campaign:
    """The faults of one backend, and what came of each.

    Args:
        folder: `Path` to work in.
        backend: String.
        instants: Integer, how many for each signal.
    """

    def __init__(self, folder, backend, instants):
        self.folder, self.backend, self.instants = folder, backend, instants
        self.failures = 0
        self.environment = processes.environment(backend) | {
            "VAE_KERAS_DATA": str(folder / "data"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        }
        self.environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # a user has not set it

    def start(self, *arguments):
        """Starts Python in a process of its own."""
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def run(self, *arguments):
        """Returns `(exit code, output, what was said of errors)` of a process."""
        process = self.start(*arguments)
        output, said = process.communicate(timeout=WAIT_SECONDS)
        return process.returncode, output, said

    def report(self, fault, survived, said, started):
        """Prints a row, and counts it where something was lost or a traceback seen."""
        survived = survived and "Traceback" not in said
        self.failures += not survived
        lines = said.strip().splitlines() or ["-"]
        print(
            f"{self.backend:<11} {fault:<46} {'yes' if survived else 'NO':<4}"
            f"{time.monotonic() - started:>6.1f} s  {lines[-1][:200]}",
            flush=True,
        )

    # Training

    def train_whole(self, output):
        """Trains without a fault, or goes on until the end."""
        resume = ["--resume"] if (output / "last.keras").exists() else []
        started = time.monotonic()
        code, _, said = self.run(*TRAIN, *resume, "--output", output)
        if code:
            raise RuntimeError(f"A training without a fault has failed: {said}")
        return time.monotonic() - started

    def kill_trainings(self, whole, seconds):
        """Kills a training again and again, which goes on each time from where it was."""
        for number in SIGNALS:
            output = self.folder / f"killed-{number.name}"
            for _ in range(self.instants):
                started = time.monotonic()
                resume = ["--resume"] if (output / "last.keras").exists() else []
                process = self.start(*TRAIN, *resume, "--output", output)
                time.sleep(random.uniform(1.0, seconds))  # Python itself has started
                process.send_signal(number)
                _, said = process.communicate(timeout=WAIT_SECONDS)
                # By the signal itself, too, where all is done and Python is about to end.
                expected = {0, -number, 128 + number}
                told = process.returncode != 128 + number or "Stopped" in said
                survived = process.returncode in expected and told and is_consistent(output)
                self.report(f"training: {number.name}", survived, said, started)
            started = time.monotonic()
            self.train_whole(output)
            same = same_as(whole, output)
            self.report(f"training: resumed after each {number.name}", same, "", started)

    def train_twice(self):
        """Starts two trainings into one folder: one is refused."""
        started, output = time.monotonic(), self.folder / "twice"
        both = [self.start(*TRAIN, "--output", output) for _ in range(2)]
        said = [process.communicate(timeout=WAIT_SECONDS)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        survived = codes == [0, 1] and "already" in "".join(said) and is_consistent(output)
        self.report("training: two at once", survived, "".join(said), started)

    def fill_disk(self, whole, names):
        """Trains on disks that are too small, each for another of the files that are written."""
        for name in names:
            started, output = time.monotonic(), self.folder / "small"
            with small_disk(output, room_until(whole, name)) as is_small:
                if not is_small:
                    print(f"{self.backend:<11} a full disk: not tried, as it needs root")
                    return
                code, _, said = self.run(*TRAIN, "--output", output / "run")
                told = code == 1 and "is full. Free some space" in said
                left = {path.name for path in (output / "run").rglob("[!.]*") if path.is_file()}
                is_there = left & set(WRITTEN) == set(WRITTEN[: WRITTEN.index(name)])
                survived = told and is_there and is_consistent(output / "run")
                self.report(f"training: no room for {name}", survived, said, started)

    def damage_run(self, whole):
        """Damages each file of a finished training, which is then resumed."""
        sheet = str(next((whole / "sheets").iterdir()).relative_to(whole))
        others = ("history.csv", "second-stage.csv", "settings.json", "README.md", sheet)
        for name in ("last.keras", "best.keras", "flow.keras", *others):
            for kind, damage in DAMAGES.items():
                started, output = time.monotonic(), self.folder / "damaged"
                shutil.rmtree(output, ignore_errors=True)
                shutil.copytree(whole, output)
                damage(output / name)
                code, printed, said = self.run(*TRAIN, "--resume", "--output", output)
                if (name, kind) == ("flow.keras", "missing"):
                    survived = "The second stage is lost" in printed and same_as(whole, output)
                elif name.endswith(".keras"):
                    survived = code == 1 and name in said
                else:  # of these nothing is read
                    survived = code == 0 and same_as(whole, output)
                self.report(f"training: {Path(name).name} {kind}", survived, said, started)

    # Decoding

    def decode_whole(self):
        """Returns a digest of the decoded images, and the seconds that it took."""
        started = time.monotonic()
        code, output, said = self.run("-c", DECODE)
        if code:
            raise RuntimeError(f"A decoding without a fault has failed: {said}")
        return output.split()[-1], time.monotonic() - started

    def kill_decodings(self, digest, seconds):
        """Kills a decoding again and again; the next goes on with it."""
        for number in SIGNALS:
            self.clear_cache()
            for _ in range(self.instants):
                started = time.monotonic()
                process = self.start("-c", DECODE)
                process.stdout.readline()  # Python itself has started
                time.sleep(random.uniform(0.0, seconds))
                process.send_signal(number)
                _, said = process.communicate(timeout=WAIT_SECONDS)
                survived = process.returncode in {0, -number, 128 + number}
                self.report(f"decoding: {number.name}", survived, said, started)
            started = time.monotonic()
            same = self.decode_whole()[0] == digest
            self.report(f"decoding: gone on after each {number.name}", same, "", started)

    def decode_twice(self, digest):
        """Decodes in two processes at once: both give the same images."""
        self.clear_cache()
        started = time.monotonic()
        both = [self.start("-c", DECODE) for _ in range(2)]
        results = [process.communicate(timeout=WAIT_SECONDS) for process in both]
        same = all(output.split()[-1:] == [digest] for output, _ in results)
        self.report("decoding: two at once", same, "".join(said for _, said in results), started)

    def damage_cache(self, digest):
        """Damages each file of the cache of images: it is told, or made again, and never used."""
        for path in sorted(self.cache().glob("celeba-*")):
            content = path.read_bytes()
            for kind, damage in DAMAGES.items():
                started = time.monotonic()
                damage(path)
                code, output, said = self.run("-c", DECODE)
                same = code == 0 and output.split()[-1] == digest
                told = code == 1 and path.name in said
                fault = f"decoding: a cache's {path.suffix} {kind}"
                self.report(fault, same or told, said, started)
                path.write_bytes(content)

    def damage_unfinished(self, digest, seconds):
        """Damages what a killed decoding has left: the next one ends with the right images."""
        for kind, damage in DAMAGES.items():
            self.clear_cache()
            started = time.monotonic()
            process = self.start("-c", DECODE)
            time.sleep(random.uniform(0.5, 0.9) * seconds)
            process.kill()
            process.communicate(timeout=WAIT_SECONDS)
            left = sorted(self.cache().glob("celeba-*"))
            for path in left:
                damage(path)
            code, output, said = self.run("-c", DECODE)
            same = code == 0 and output.split()[-1] == digest
            fault = f"decoding: {len(left)} files of a killed one {kind}"
            self.report(fault, same or (code == 1 and "celeba-" in said), said, started)

    def damage_sources(self, names):
        """Damages lists, archives and images: told by name, or read for what they still say."""
        for name in names:
            path = self.folder / "data" / "celeba" / name
            content = path.read_bytes()
            for kind, damage in DAMAGES.items():
                self.clear_cache()
                started = time.monotonic()
                damage(path)
                code, _, said = self.run("-c", DECODE)
                named = path.name in said or re.search(r"Image \d{6}.jpg is", said)
                survived = code == 0 or (code == 1 and bool(named))
                fault = f"decoding: {path.name} {kind}" + (", used" if code == 0 else "")
                self.report(fault, survived, said, started)
                path.write_bytes(content)

    def damage_garments(self, whole):
        """Damages the drawn garments that are kept: drawn again, and the same are learned."""
        for kind, damage in DAMAGES.items():
            started, output = time.monotonic(), self.folder / "garments"
            (path,) = self.cache().glob("garments-*")
            damage(path)
            shutil.rmtree(output, ignore_errors=True)
            code, _, said = self.run(*TRAIN, "--output", output)
            survived = code == 0 and same_as(whole, output)
            self.report(f"training: the garments' cache {kind}", survived, said, started)

    def clear_cache(self):
        for path in self.cache().glob("celeba-*"):
            path.unlink()

    def cache(self):
        return self.folder / "data" / "cache"


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    for index in random.sample(range(len(content)), min(100, len(content))):
        content[index] ^= 0xFF
    path.write_bytes(content)


def zero(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(bytes(size // 2))


def swap(path):
    """Puts another file of the same folder in its place."""
    others = [other for other in sorted(path.parent.iterdir()) if other.is_file() and other != path]
    path.write_bytes(others[0].read_bytes() if others else b"another file")


DAMAGES = {"truncated": truncate, "flipped": flip, "zeroed": zero, "swapped": swap}
DAMAGES["missing"] = lambda path: path.unlink()


def is_consistent(output):
    """Whether all files that a training has moved into place are whole."""
    # A killed training leaves a hidden file, too, which the next one removes.
    models = [is_whole(path) for path in output.glob("[!.]*.keras")]
    return all(models) and all(not text or text.endswith(b"\n") for text in histories(output))


def is_whole(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False


def room_until(whole, name):
    """The bytes that a training has written before the first file of a name, and half of that."""
    sizes = {path.name: path.stat().st_size for path in whole.rglob("[!.]*") if path.is_file()}
    names = [*WRITTEN[: WRITTEN.index(name)]]
    if WRITTEN.index(name) >= WRITTEN.index("flow.keras"):  # the first stage's later sheets, too
        names += [n for n in sizes if n not in WRITTEN and not n.startswith("new-")]
    before = sum(-(-sizes[first] // PAGE) * PAGE for first in names)
    return PAGE + before + sizes[name] // 2 // PAGE * PAGE  # the first is the lock's


def histories(output):
    """The tables of both stages."""
    paths = [output / name for name in ("history.csv", "second-stage.csv")]
    return [path.read_bytes() if path.exists() else b"" for path in paths]


def same_as(whole, output):
    return histories(output) == histories(whole)


@contextlib.contextmanager
def small_disk(folder, size):
    """Mounts a small file system at `folder`; yields whether that is allowed here."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        is_small = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        is_small = False
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", str(folder)], check=True)


def draw_photographs(folder):
    """Writes JPEG files and a list of attributes in the layout of CelebA."""
    import numpy as np
    from PIL import Image

    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    rng, contents = np.random.default_rng(0), []
    for _ in range(64):
        content = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), "uint8"))
        small.resize((178, 218)).save(content, "JPEG")
        contents.append(content.getvalue())
    rows = []
    for index in range(1, PHOTOGRAPHS + 1):
        name = f"{index:06d}.jpg"
        (images / name).write_bytes(contents[index % len(contents)])
        rows.append(f"{name} {1 if index % 2 else -1}\n")
    lines = [f"{PHOTOGRAPHS}\n", "Smiling\n", *rows]
    (folder / "list_attr_celeba.txt").write_text("".join(lines))


def pack(folder):
    """Turns the folder and the text of that layout into a zip archive and a csv file."""
    images, text = folder / "img_align_celeba", folder / "list_attr_celeba.txt"
    shutil.make_archive(str(images), "zip", folder, images.name)
    shutil.rmtree(images)
    _, _, *rows = text.read_text().splitlines()
    lines = ["image_id,Smiling", *(row.replace(" ", ",") for row in rows)]
    text.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    text.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two minutes, on one backend")
    short = parser.parse_args().short
    backends = [os.environ.get("KERAS_BACKEND", "")] if os.environ.get("KERAS_BACKEND") else []
    backends = backends or list(processes.BACKENDS[: 1 if short else 3])
    failures, seed = 0, random.randrange(1_000)
    random.seed(seed)
    print(f"The instants and the damages are those of the seed {seed}.")
    print(f"{'backend':<11} {'fault':<46} {'kept':<4}{'seconds':>8}  what was said last")
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            work = Path(folder) / backend
            draw_photographs(work / "data" / "celeba")
            failures += run_all(Campaign(work, backend, 1 if short else 20), short)
    print(f"{failures} lost, silent or with a traceback")
    return 1 if failures else 0


def run_all(campaign, short):
    """Runs every fault of a backend; returns how many were not survived."""
    whole = campaign.folder / "whole"
    seconds = campaign.train_whole(whole)
    campaign.kill_trainings(whole, seconds)
    campaign.train_twice()
    campaign.fill_disk(whole, ("best.keras",) if short else WRITTEN)
    digest, seconds = campaign.decode_whole()
    campaign.kill_decodings(digest, seconds)
    campaign.decode_twice(digest)
    campaign.damage_cache(digest)
    if not short:
        campaign.damage_run(whole)
        campaign.damage_garments(whole)
        campaign.damage_unfinished(digest, seconds)
        campaign.damage_sources(("list_attr_celeba.txt", "img_align_celeba/000007.jpg"))
        pack(campaign.folder / "data" / "celeba")
        campaign.damage_sources(("list_attr_celeba.csv", "img_align_celeba.zip"))
    return campaign.failures


if __name__ == "__main__":
    sys.exit(main())
