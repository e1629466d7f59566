"""Which values targets may have: checked before a loss is computed, and, in a recorded step, before the step changes anything.

A check looks at values once, which takes a microsecond for a small batch. What a recorded step itself computes, such as the prediction
of another part of the model, is no data, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, LabelError
from ..tensor import Array, Tensor, mode


class Values(NamedTuple):
    """A set of values: what it is called, whether all of some array lie in it, and which of them do."""

    wanted: str
    hold: Callable[[Array], bool]
    each: Callable[[Array], Array]


def _between(wanted: str, low: float, high: float) -> Values:
    # A minimum is NaN where anything is, and NaN is not above `low`.
    if high == np.inf:
        return Values(wanted, lambda a: bool(low <= a.min()), lambda a: low <= a)
    return Values(wanted, lambda a: bool(low <= a.min() and a.max() <= high), lambda a: (low <= a) & (a <= high))


ROUNDING = 1e-6  # mixtures of targets that add up to 1 in exact arithmetic may be off by this in float32
NUMBERS = _between("a number", -np.inf, np.inf)
NOT_NEGATIVE = _between("at least 0", 0.0, np.inf)
PROBABILITIES = _between("between 0 and 1", 0.0, 1.0)
SHARES = _between("between 0 and 1", -ROUNDING, 1.0 + ROUNDING)
SIGNS = Values("-1 or 1", lambda a: bool((np.abs(a) == 1).all()), lambda a: np.abs(a) == 1)


def check_target(t: Tensor, values: Values) -> None:
    """Raise LabelError unless the target lies in these values."""
    mode.guard(t.data, lambda a: _check(a, values, "target", LabelError), data_only=True)


def check_input(x: Tensor, values: Values) -> None:
    """Raise ArgumentError unless the input of a loss lies in these values."""
    mode.guard(x.data, lambda a: _check(a, values, "input", ArgumentError), data_only=True)


def _check(a: Array, values: Values, name: str, error: type[Exception]) -> None:
    if not a.size or values.hold(a):
        return
    where = tuple(int(i) for i in np.argwhere(~values.each(a))[0])
    raise error(f"{name} must be {values.wanted}, got {a[where]!s} at {name}[{', '.join(map(str, where))}]")
