"""Memory of a program that is being recorded, as code outside this library sees it: a shape, and no values yet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from .errors import StateError


def no_values(what: str) -> NoReturn:
    """Raise StateError for `what` looks at values, naming the line."""
    raise StateError(
        f"{what} at {_caller()}: this tensor belongs to a program that is being recorded, so it has no value yet; "
        "code whose course depends on values runs in eager mode only"
    )


def no_values_left(what: str) -> NoReturn:
    """Raise StateError for `what` is used after the program that computes it was recorded, naming the line."""
    raise StateError(
        f"{what} at {_caller()}: this tensor belongs to a recorded program and has no value outside of it; what one call keeps for "
        "the next, or for others to look at, must be returned by the model, or the model run in eager mode"
    )


def called_by_library() -> bool:
    """Whether the caller of the function that asks is part of this library."""
    return _package(sys._getframe(2)) == "fastnn"


def _package(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _caller() -> str:
    """File and line of the innermost code outside this library, and outside NumPy."""
    frame = sys._getframe()
    while frame.f_back is not None and _package(frame) in ("fastnn", "numpy"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


FACTS = "shape dtype ndim size itemsize nbytes strides flags"
VIEWS = "T mT reshape transpose swapaxes squeeze ravel view"
FUNCTIONS = frozenset(
    {np.shape, np.ndim, np.size, np.reshape, np.ravel, np.transpose, np.moveaxis, np.swapaxes, np.squeeze, np.expand_dims}
    | {np.broadcast_to, np.may_share_memory, np.shares_memory}
)
ALIKE = frozenset({np.empty_like, np.zeros_like, np.ones_like, np.full_like})  # arrays of their own, with values
LOOKS = "array abs neg pos invert bool int float complex index contains setitem delitem copy deepcopy reduce_ex dlpack buffer"
COMPARISONS = "lt le eq ne gt ge"
ARITHMETIC = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor"


class Unfilled:
    """Stands for an array: it may be viewed and handed to operations and kernels; looking at what it holds raises StateError.

    It is no subclass of an array, since NumPy takes the memory of those without asking.
    """

    __slots__ = ("memory",)
    __array_priority__ = 50.0  # above arrays and below tensors

    def __init__(self, memory: np.ndarray[Any, Any]) -> None:
        self.memory = memory

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return np.ndarray  # for code that asks: this is what it gets in eager mode

    def _look(self, *arguments: Any, **keywords: Any) -> NoReturn:
        no_values("data")

    def _operate(self, other: Any, *arguments: Any) -> Any:
        return NotImplemented if getattr(other, "__array_priority__", 0.0) > self.__array_priority__ else no_values("data")

    def __getattr__(self, name: str) -> Any:
        if name in FACTS.split():
            return getattr(self.memory, name)
        if not hasattr(np.ndarray, name):
            raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")
        if name not in VIEWS.split():
            no_values("data")
        found = getattr(self.memory, name)
        return (lambda *given, **named: self._view(found(*given, **named))) if callable(found) else self._view(found)

    def _view(self, found: Any) -> Unfilled:
        """Part of the same memory, in some order. What NumPy would have copied for this would be values."""
        shared = type(found) is np.ndarray and (found.size == 0 or np.may_share_memory(found, self.memory))
        return Unfilled(found) if shared else no_values("data")

    __repr__ = __str__ = _look
    __hash__ = None  # type: ignore[assignment]  # as that of an array

    def __len__(self) -> int:
        return len(self.memory)

    def __getitem__(self, index: Any) -> Unfilled:
        return self._view(self.memory[index])

    def __iter__(self) -> Iterator[Unfilled]:
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        no_values("data")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in FUNCTIONS | ALIKE:
            no_values("data")
        found = function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})
        return self._view(found) if isinstance(found, np.ndarray) and function in FUNCTIONS else found


for _name in LOOKS.split():
    setattr(Unfilled, f"__{_name}__", Unfilled._look)
for _name in [*COMPARISONS.split(), *ARITHMETIC.split(), *("r" + name for name in ARITHMETIC.split())]:
    setattr(Unfilled, f"__{_name}__", Unfilled._operate)


def plain(x: Any) -> Any:
    """`x`, or the memory that it stands for."""
    return x.memory if type(x) is Unfilled else x
