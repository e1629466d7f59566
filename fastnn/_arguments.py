"""Checks of arguments: each returns the argument as what it must be, or raises an error that says what it was and what it should be."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable
from math import inf
from numbers import Real
from sys import float_info
from typing import Any, TypeVar

import numpy as np

from .errors import ArgumentError, DTypeError, shown, unknown_name

T = TypeVar("T")
LARGEST = float_info.max  # as `high` and, negated, as `low`: any finite number


def number(name: str, value: Any, low: float = -inf, high: float = inf, above: float | None = None) -> float:
    """`value` as a float from `low` to `high`, and above `above`. Raises DTypeError for what is no number, ArgumentError for others."""
    kind = type(value)
    if kind is not float and kind is not int and (not isinstance(value, Real) or isinstance(value, (bool, np.bool_))):
        raise DTypeError(f"{name} must be a number, got {shown(value)}")
    if not low <= value <= high or (above is not None and not value > above):
        wanted = "be finite" if abs(value) == inf and max(-low, high) == LARGEST else _bounds(low, high, above)
        raise ArgumentError(f"{name} must {wanted}, got {value}")
    return float(value)


def _bounds(low: float, high: float, above: float | None) -> str:
    if above is not None:
        return f"be above {above:g}" + (f" and at most {high:g}" if high < LARGEST else "")
    if low <= -LARGEST and high >= LARGEST:
        return "be a number"
    if high >= LARGEST:
        return f"be at least {low:g}"
    return f"lie between {low:g} and {high:g}"


def whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """`value` as an int from `least` to `most`. Raises DTypeError for what is no whole number, ArgumentError for others."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        n = operator.index(value)
    except TypeError:
        raise DTypeError(f"{name} must be a whole number, got {shown(value)}") from None
    if (least is not None and n < least) or (most is not None and n > most):
        raise ArgumentError(f"{name} must {f'be at least {least}' if most is None else f'lie between {least} and {most}'}, got {n}")
    return n


def items(name: str, value: Any, check: Callable[[str, Any], T], wanted: str) -> tuple[T, ...]:
    """The items of an iterable, each checked. Raises DTypeError for what cannot be gone through, and what `check` raises."""
    return tuple(check(f"{name}[{i}]", item) for i, item in enumerate(iterable(name, value, wanted)))


def iterable(name: str, value: Any, wanted: str) -> list[Any]:
    """The items of an iterable that is no text and no mapping. Raises DTypeError."""
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable) or isinstance(value, type):
        raise DTypeError(f"{name} must be {wanted}, got {shown(value)}")
    try:
        return list(value)
    except TypeError:  # an array without dimensions
        raise DTypeError(f"{name} must be {wanted}, got {shown(value)}") from None


def choice(kind: str, name: Any, known: Collection[str]) -> str:
    """`name`, one of the `known` ones. Raises UnknownNameError."""
    if not isinstance(name, str) or name not in known:
        raise unknown_name(kind, name, known)
    return name


def instance(name: str, value: T, kind: Any, wanted: str) -> T:
    """`value` if it is of this kind. Raises DTypeError."""
    if not isinstance(value, kind):
        raise DTypeError(f"{name} must be {wanted}, got {shown(value)}")
    return value


def function(name: str, value: Any, wanted: str = "a function") -> Any:
    """`value` if it can be called. Raises DTypeError."""
    if not callable(value):
        raise DTypeError(f"{name} must be {wanted}, got {shown(value)}")
    return value
