"""A claim shows its number and its bound, and stops where it does not hold."""

import numpy as np
import pytest

from vae_keras.claims import ClaimFailed, claim, standard_errors

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("number", "bounds"),
    [
        (0.5, {"above": 0.4}),
        (0.5, {"below": 0.6}),
        (0.5, {"above": 0.4, "below": 0.6}),
        (3, {"equal": 3}),
        (np.float32(0.5), {"above": 0.4}),
        (np.array(0.5), {"above": 0.4}),
        ({"a": 0.5, "b": 0.6}, {"above": 0.4}),
    ],
)
def test_what_holds_is_said_with_its_number(number, bounds, capsys):
    claim("It is so", number, **bounds)
    out = capsys.readouterr().out
    assert out.startswith("holds: It is so: ")
    assert all(f"{bound:.3g}" in out for bound in bounds.values())


@pytest.mark.parametrize(
    ("number", "bounds"),
    [
        (0.5, {"above": 0.5}),
        (0.5, {"below": 0.5}),
        (0.3, {"above": 0.4, "below": 0.6}),
        (0.7, {"above": 0.4, "below": 0.6}),
        (2, {"equal": 3}),
        (float("nan"), {"above": 0.0}),
        (float("nan"), {"below": 0.0}),
        ({"a": 0.5, "b": 0.3}, {"above": 0.4}),
        ({"a": 0.5, "b": float("nan")}, {"above": 0.4}),
    ],
)
def test_what_does_not_hold_stops(number, bounds, capsys):
    with pytest.raises(ClaimFailed, match=r"This does not hold: It is so\. Measured: .*; claimed"):
        claim("It is so", number, **bounds)
    assert capsys.readouterr().out == ""


def test_each_number_is_named_and_formatted(capsys):
    claim("Both are seen", {"smile": 0.921, "bangs": 0.9}, above=0.75, form="{:.0%}")
    assert capsys.readouterr().out == "holds: Both are seen: smile 92%, bangs 90% (above 75%)\n"


@pytest.mark.parametrize(("number", "bounds"), [(0.5, {}), ({}, {"above": 0.0})])
def test_a_claim_without_a_bound_or_a_number_is_refused(number, bounds):
    with pytest.raises(ValueError, match="needs a number and a bound"):
        claim("It is so", number, **bounds)


def test_in_a_notebook_the_verdict_is_compared_and_the_number_is_not(monkeypatch):
    display = pytest.importorskip("IPython.display")
    IPython = pytest.importorskip("IPython")
    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(display, "display", lambda bundle, raw: shown.append((bundle, raw)))
    claim("It is so", 0.512, above=0.4)
    ((bundle, raw),) = shown
    assert raw
    assert bundle["text/plain"] == "holds: It is so"
    assert bundle["text/markdown"] == "✔ It is so: **0.512** (claimed: above 0.4)"


def test_a_mean_is_off_by_standard_errors():
    drawn = np.array([[0.0, 5.0], [2.0, 5.5], [4.0, 6.0], [6.0, 6.5]])  # means 3, 5.75
    deviations = np.sqrt([5.0, 0.3125])
    assert standard_errors(drawn[:, 0], 2.0) == pytest.approx(2 / deviations[0])
    assert standard_errors(drawn, [3.0, 4.75]) == pytest.approx(2 / deviations[1])
