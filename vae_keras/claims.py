"""Claims of a notebook, checked where they are made, and how far off a mean of draws is."""

import math
import sys
from numbers import Number

import numpy as np


class ClaimFailed(AssertionError):
    """A claim that what was measured does not bear out."""


def claim(sentence, measured, *, above=None, below=None, equal=None, form="{:.3g}"):
    """States a claim, shows what was measured beside the bound, and stops where it fails.

    In a notebook the sentence and the numbers are shown as Markdown, and the
    verdict is the plain text of the same output: `pytest --nbval` compares the
    verdict, which is the same on every machine, and not the numbers, which are
    not. Elsewhere both are printed.

    Args:
        sentence: String, what is claimed.
        measured: Number, or dict of name to number: the claim is then about
            each of them.
        above: Number that `measured` exceeds.
        below: Number that `measured` stays under. With `above`: between both.
        equal: Number that `measured` is, exactly.
        form: Format string for all numbers, such as `"{:.0%}"`.

    Raises:
        ClaimFailed: if the claim does not hold. A measured NaN never holds.
        ValueError: if there is no bound, or nothing that was measured.
    """
    bounds = {"above": above, "below": below, "equal": equal}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    numbers = measured if isinstance(measured, dict) else {"": measured}
    if not bounds or not numbers:
        raise ValueError(
            "A claim needs a number and a bound: `above`, `below` or `equal`. "
            f"Received: measured={measured!r}"
        )
    numbers = {name: _as_number(number) for name, number in numbers.items()}
    shown = ", ".join(f"{name} {form.format(n)}".strip() for name, n in numbers.items())
    wanted = " and ".join(f"{name} {form.format(bound)}" for name, bound in bounds.items())
    wanted = wanted.replace("equal", "exactly")
    if not all(_is_within(number, **bounds) for number in numbers.values()):
        raise ClaimFailed(f"This does not hold: {sentence}. Measured: {shown}; claimed: {wanted}")
    _show(sentence, shown, wanted)


def standard_errors(drawn, exact):
    """By how many standard errors the mean of draws is off; more than five are too many.

    Args:
        drawn: Array `(num_draws, ...)`.
        exact: Number or array `(...)`, what the mean of the draws estimates.

    Returns:
        Float, the largest where there are several means.
    """
    off = np.abs(np.mean(drawn, axis=0) - exact) / np.std(drawn, axis=0)
    return float(np.max(off)) * math.sqrt(len(drawn))


def _as_number(value):
    if isinstance(value, Number):
        return value
    return value.item()  # of a NumPy array or a tensor that holds one number


def _is_within(number, above=None, below=None, equal=None):
    # Each comparison with NaN is false, so that NaN fails every claim.
    return (
        (above is None or number > above)
        and (below is None or number < below)
        and (equal is None or number == equal)
    )


def _show(sentence, shown, wanted):
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(f"holds: {sentence}: {shown} ({wanted})")
        return
    from IPython.display import display

    text = f"✔ {sentence}: **{shown}** (claimed: {wanted})"
    display({"text/plain": f"holds: {sentence}", "text/markdown": text}, raw=True)
