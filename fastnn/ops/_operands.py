"""What every operation needs before it runs a kernel: operands of one dtype, checked axes, contiguous memory, constants."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import kernels
from ..errors import DTypeError, ShapeError
from ..tensor import Array, Tensor, as_float, as_tensor, mode, run

Axes = int | Sequence[int] | None


def together(**operands: Any) -> list[Tensor]:
    """The operands as float tensors of one dtype: that of the first tensor among them, which plain numbers and arrays take on."""
    name, like = next(((k, x) for k, x in operands.items() if isinstance(x, Tensor)), next(iter(operands.items())))
    like = as_float(like, name)
    return [as_tensor(x, like, k) for k, x in operands.items()]


def inputs(weight: Any, **given: Any) -> list[Tensor]:
    """The inputs of a layer, and behind them its weight, as `together` makes them. Bytes are refused, since their scale is not known."""
    for name, x in given.items():
        if getattr(x, "dtype", None) == np.uint8:
            as_float(x, name)
    return together(**given, weight=weight)


def adopting(input: Any, weight: Any) -> Tensor:
    """`input` as a float tensor; a plain array takes on the dtype of a weight that is a tensor."""
    return as_float(input) if weight is None else inputs(weight, input=input)[0]


def optional(x: Any, like: Tensor, name: str, shape: tuple[int, ...]) -> Tensor | None:
    """`x` as a tensor of `like`'s dtype and of `shape`; None stays None."""
    if x is None:
        return None
    given = as_tensor(x, like, name)
    if given.shape != shape:
        raise ShapeError(f"{name} must have shape {shape}, got {given.shape}")
    return given


def values_are_there() -> bool:
    """False while a program is being recorded: arrays then hold no values that a check could look at."""
    return mode.run is kernels.run


def axis_of(axis: Any, ndim: int, name: str = "axis") -> int:
    """`axis` counted from the front."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise DTypeError(f"{name} must be an int, got {type(axis).__name__}")
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{name} must lie between {-ndim} and {ndim - 1} for a tensor with {ndim} dimensions, got {axis}")
    return int(axis) % ndim


def axes_of(axis: Axes, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """`axis`, one of several or None for all, as sorted positions counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(sorted(axis_of(a, ndim, name) for a in given))
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{name} must not repeat, got {axis}")
    return axes


def shape_of(shape: Sequence[Any]) -> tuple[int, ...]:
    """The sizes that a function was given, either one by one or as one sequence."""
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else tuple(shape)
    for n in sizes:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise DTypeError(f"shape must hold ints, got {sizes}")
    return tuple(map(int, sizes))


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """`x` in another shape: a view where its memory allows, else a copy made by a kernel."""
    if x.flags.c_contiguous:
        return x.reshape(shape)
    view = x.reshape(shape)
    return view if np.may_share_memory(view, x) else dense(x).reshape(shape)


def dense(x: Array) -> Array:
    """`x` itself if it is C-contiguous, else a copy that is."""
    if x.flags.c_contiguous:
        return x
    y = np.empty(x.shape, x.dtype)
    run("copy", y, x)
    return y


def block(x: Array, shape: tuple[int, ...]) -> Array:
    """`x` as a C-contiguous array of `shape`."""
    return dense(x).reshape(shape)


def filled(shape: tuple[int, ...], dtype: Any, value: float) -> Array:
    """A new array full of `value`, written by a kernel so that a recorded program writes it anew on every run."""
    y = np.empty(shape, dtype)
    run("copy", y, np.asarray(value, dtype))
    return y


@lru_cache(maxsize=64)
def constant(size: int, dtype: Any, value: float) -> Array:
    """A read-only vector of `size` equal values."""
    y = np.full(size, value, dtype)
    y.flags.writeable = False
    return y


def nothing(c: Array) -> Array:
    """An operand of the shape of `c` that a kernel does not read."""
    return np.broadcast_to(constant(1, c.dtype, 0.0), c.shape)


def count(shape: Iterable[int]) -> int:
    """How many elements an array of `shape` has."""
    return math.prod(shape)


def vector(x: Tensor | None, size: int, like: Tensor, default: float) -> Array:
    """The values of an optional vector of weights; `default` everywhere where it is None."""
    return constant(size, like.dtype, default) if x is None else block(x.data, (size,))
