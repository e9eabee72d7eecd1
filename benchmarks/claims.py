"""Whether the notebooks' checks can fail: each gets the fault that it is meant to catch.

    python benchmarks/claims.py [notebook ...]

Runs the cells of each notebook in one process. Where `claims.json` has a fault for a cell, that
cell and those that follow are run on the side with the fault in it, until a check stops them. A
fault that no check has stopped by the seventh cell is printed, and ends the program with 1.
"""

import argparse
import contextlib
import io
import json
import sys
import time
from pathlib import Path

import matplotlib

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parent / "notebooks"
CELLS = 7  # until then a fault has to be noticed


def read_cells(path):
    """Returns the code of each cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(code, names):
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "cell", "exec"), names)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def is_noticed(cells, names):
    """Whether a check stops these cells, which are run on a copy of the names."""
    names = dict(names)
    for code in cells[:CELLS]:
        try:
            run(code, names)
        except AssertionError:
            return True
        except Exception as error:  # a crash is no check: such a fault tells nothing
            print(f"    {type(error).__name__}: {error}")
            return False
    return False


def try_faults(path, faults):
    """Runs a notebook and, cell by cell, its faults; returns those that no check has noticed."""
    cells, names, missed = read_cells(path), {"__name__": "__main__"}, []
    for right, _ in faults:
        found = sum(code.count(right) for code in cells)
        if found != 1:
            raise ValueError(f"{path.name}: found {found} times: {right}")
    for number, code in enumerate(cells):
        for right, wrong in faults:
            if right not in code:
                continue
            started = time.monotonic()
            noticed = is_noticed([code.replace(right, wrong), *cells[number + 1 :]], names)
            if not noticed:
                missed.append(wrong)
            seconds = time.monotonic() - started
            print(f"{'yes' if noticed else 'NO':<4}{seconds:>6.1f} s  {wrong.strip()}", flush=True)
        run(code, names)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", help="how their names begin; all if none is given")
    given = tuple(parser.parse_args().notebooks)
    matplotlib.use("Agg")
    all_faults = json.loads((HERE / "claims.json").read_text(encoding="utf-8"))
    missed = count = 0
    for name, faults in all_faults.items():
        if given and not name.startswith(given):
            continue
        print(f"{name}: noticed?")
        missed += len(try_faults(NOTEBOOKS / f"{name}.ipynb", faults))
        count += len(faults)
    print(f"{count} faults, {missed} of them not noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
