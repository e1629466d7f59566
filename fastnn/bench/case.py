"""What is measured: a piece of work, who can do it, and what the right result is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

OURS = "fastnn"  # the names of all our own contestants begin with this
ALONE = "fastnn, one thread"  # ours once more, where all have several threads: it takes no part in comparisons with others


class AbsentError(Exception):
    """A contestant cannot take part; the message says why."""


class Setting(NamedTuple):
    """What holds for a whole run: how many threads everybody has, and whether sizes are cut down to try the cases out."""

    threads: int
    quick: bool = False


@dataclass(frozen=True)
class Contestant:
    """One way to do the work of a case.

    Parameters
    ----------
    call
        What is timed.
    result
        What is compared with the reference, once, before anything is timed.
    units
        How many times over `call` does the work.
    """

    call: Callable[[], object]
    result: Callable[[], Any]
    units: int = 1


@dataclass(frozen=True)
class Case:
    """A piece of work and everybody who can do it.

    Parameters
    ----------
    group, name
        The table and the row in which it is reported; `name` says what the work is.
    contestants
        By name, ours first; each is built only when its turn comes, and may raise `AbsentError` or ImportError.
    reference
        Computes the right result.
    rtol, atol
        A result r is right where |r - reference| <= atol + rtol |reference|.
    flops, bytes, elements
        Floating-point operations, bytes that must be read and written, and elements of the work, where they mean something.
    dtype
        Of the arithmetic: it decides the peak that is compared with.
    """

    group: str
    name: str
    contestants: Mapping[str, Callable[[], Contestant]]
    reference: Callable[[], Any]
    rtol: float = 1e-5
    atol: float = 1e-5
    flops: float = 0.0
    bytes: float = 0.0
    elements: int = 0
    dtype: str = "float32"


def misfit(result: Any, reference: Any, rtol: float, atol: float) -> str:
    """What is wrong with a result, or "" if it is right."""
    found, wanted = np.asarray(result, np.float64), np.asarray(reference, np.float64)
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    excess = np.abs(found - wanted) - (atol + rtol * np.abs(wanted))
    if np.all(excess <= 0):
        return ""
    worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
    return f"{found[worst]:.8g} instead of {wanted[worst]:.8g}"
