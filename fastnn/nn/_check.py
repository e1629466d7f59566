"""Checks of the arguments that layers are built with."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .._arguments import number, whole
from ..errors import ArgumentError, DTypeError
from ..tensor import FLOATS, Array, one_of


def size(owner: str, name: str, value: Any) -> int:
    """`value` as a whole number of at least 1."""
    return whole(f"{owner}: {name}", value, 1)


def sizes(owner: str, name: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """`value`, a whole number or one for each of `count` dimensions, each at least `least`, as a tuple."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    try:
        numbers = tuple(map(operator.index, given))
    except TypeError:
        raise DTypeError(f"{owner}: {name} must be a whole number or {count} of them, got {value!r}") from None
    if len(numbers) != count or min(numbers) < least:
        wanted = "one number" if count == 1 else f"one number or {count}"
        raise ArgumentError(f"{owner}: {name} must be {wanted} of at least {least}, got {value!r}")
    return numbers


def within(owner: str, name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float:
    """`value`, a number from low to high, both included."""
    return number(f"{owner}: {name}", value, low, high)


def floats(owner: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array for the values of a parameter; the dtype is float32 unless given."""
    return np.zeros(shape, one_of(FLOATS, np.float32 if dtype is None else dtype, f"{owner}: "))
