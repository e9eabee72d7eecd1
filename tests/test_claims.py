"""The faults that are put into the notebooks' checks still have a place there."""

import importlib.util
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_backend

REPOSITORY = Path(__file__).resolve().parents[1]
FAULTS = json.loads((REPOSITORY / "benchmarks" / "claims.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def claims():
    path = REPOSITORY / "benchmarks" / "claims.py"
    spec = importlib.util.spec_from_file_location("claims", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_replaces_is_there_once(claims, name):
    cells = claims.read_cells(REPOSITORY / "notebooks" / f"{name}.ipynb")
    found = {right: sum(code.count(right) for code in cells) for right, _ in FAULTS[name]}
    assert {right: count for right, count in found.items() if count != 1} == {}


def test_a_fault_is_noticed_by_a_check_within_the_next_cells_and_not_later(claims):
    cells = ["value = 1", "twice = 2 * value", "assert twice == 2"]
    assert claims.is_noticed(["value = 3", *cells[1:]], {})
    assert not claims.is_noticed(cells, {})
    assert not claims.is_noticed(["value = 3", *["pass"] * claims.CELLS, cells[2]], {"twice": 2})


def test_a_fault_stays_out_of_the_notebook_that_goes_on(claims, tmp_path, capsys):
    cells = ["value = 1", "twice = 2 * value\nassert twice == 2", "assert value == 1"]
    content = {"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]}
    path = tmp_path / "some.ipynb"
    path.write_text(json.dumps(content))
    faults = [["value = 1", "value = 3"], ["twice = 2 * value", "twice = 2 + 0 * value"]]
    assert claims.try_faults(path, faults) == ["twice = 2 + 0 * value"]
    assert "NO" in capsys.readouterr().out
    with pytest.raises(ValueError, match="found 0 times: three"):
        claims.try_faults(path, [["three", "four"]])
