"""Where the notebooks' time goes: seconds by notebook and by cell, and how many cores were busy.

    python benchmarks/notebooks.py                         # all, on drawn data, as a first run
    python benchmarks/notebooks.py --against v0.2.0 04 06  # two, in turn with an earlier revision's

Each revision runs its own notebooks with its own package and in data folders of its own, which
are empty at the start. Only the ratio of two runs in turn says something on a busy machine.
"""

import argparse
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

logging.getLogger("traitlets").setLevel(logging.ERROR)
REPOSITORY = Path(__file__).resolve().parents[1]


class Timed(NotebookClient):
    """Executes a notebook and keeps the wall and processor seconds of each code cell."""

    def run(self):
        self.seconds, self.processor = [], []
        self.on_cell_execute = lambda **_: self._start()
        self.on_cell_executed = lambda **_: self._stop()
        with self.setup_kernel():
            self.kernel = psutil.Process(self.km.provisioner.pid)
            for index, cell in enumerate(self.nb.cells):
                self.execute_cell(cell, index)
        return self

    def _processor_seconds(self):
        times = self.kernel.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def _start(self):
        self._started = time.perf_counter(), self._processor_seconds()

    def _stop(self):
        self.seconds.append(time.perf_counter() - self._started[0])
        self.processor.append(self._processor_seconds() - self._started[1])


def run(path, root, data, source):
    """Returns the executed notebook's client, with the package of the repository at `root`."""
    variables = {
        "PYTHONPATH": str(root),
        "KERAS_HOME": str(data / "keras"),
        "VAE_KERAS_DATA": str(data / "data"),
        "VAE_KERAS_SOURCE": source,
    }
    if source == "real":  # where this process finds it
        variables = {"PYTHONPATH": str(root), "VAE_KERAS_SOURCE": source}
    notebook = nbformat.read(path, as_version=4)
    client = Timed(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}})
    saved = dict(os.environ)
    os.environ.update(variables)
    try:
        started = time.perf_counter()
        client.run()
        client.whole = time.perf_counter() - started
        return client
    finally:
        os.environ.clear()
        os.environ.update(saved)


def slowest(client, count):
    """Yields `(seconds, cores, first line)` of the cells that took longest."""
    cells = [cell for cell in client.nb.cells if cell.cell_type == "code"]
    rows = zip(client.seconds, client.processor, cells, strict=True)
    for seconds, processor, cell in sorted(rows, key=lambda row: -row[0])[:count]:
        yield seconds, processor / seconds, cell.source.splitlines()[-1][:60]


@contextlib.contextmanager
def checkout(revision, folder):
    """Yields the root of a revision's files: a work tree of git's, removed at the end."""
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    subprocess.run([*git, "add", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def selected(root, names):
    """Returns the notebooks of `root` whose file names begin with one of `names`."""
    paths = sorted((root / "notebooks").glob("*.ipynb"))
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


def main(arguments):
    totals = {}
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        roots = {"here": REPOSITORY}
        if arguments.against:
            folder = Path(scratch) / "against"
            roots[arguments.against] = stack.enter_context(checkout(arguments.against, folder))
        runs = [(path, name) for name in roots for path in selected(roots[name], arguments.names)]
        for path, name in sorted(runs, key=lambda run: run[0].name):
            data = Path(scratch) / f"data-{name.replace('/', '-')}"
            for folder in ("keras", "data"):
                (data / folder).mkdir(parents=True, exist_ok=True)
            client = run(path, roots[name], data, arguments.source)
            cores = sum(client.processor) / client.whole
            print(f"{path.stem:32} {name:12} {client.whole:6.1f} s {cores:5.2f} cores", flush=True)
            for row in slowest(client, arguments.cells):
                print("{:>52.1f} s {:5.2f} cores  {}".format(*row), flush=True)
            totals.setdefault(name, []).append((client.whole, sum(client.processor)))
    for name, rows in totals.items():
        whole, processor = (sum(column) for column in zip(*rows, strict=True))
        print(f"{'together':32} {name:12} {whole:6.1f} s {processor / whole:5.2f} cores")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="how file names begin: 04 06; all by default")
    parser.add_argument("--against", help="a revision to run in turn")
    parser.add_argument("--source", default="synthetic", choices=("synthetic", "real"))
    parser.add_argument("--cells", type=int, default=8, help="how many cells to list")
    sys.exit(main(parser.parse_args()))
