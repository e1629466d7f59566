"""Reductions over any axes. Kernels reduce the middle one of three dimensions (O, R, I), so adjacent axes are one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number
from ..errors import ArgumentError, ShapeError
from ..tensor import Array, Tensor, as_float, record, run
from ._operands import Axes, axes_of, axis_of, block, count
from .shape import broadcast_to, permute, reshape


def _runs(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sorted axes as runs of adjacent ones, the last run first."""
    runs: list[tuple[int, ...]] = []
    for axis in reversed(axes):
        if runs and runs[-1][0] == axis + 1:
            runs[-1] = (axis, *runs[-1])
        else:
            runs.append((axis,))
    return runs


def _sizes(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, int, int]:
    """(O, R, I) for adjacent axes."""
    return count(shape[: axes[0]]), count(shape[axes[0] : axes[-1] + 1]), count(shape[axes[-1] + 1 :])


def _kept(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool = True) -> tuple[int, ...]:
    """The shape after a reduction over `axes`."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes)


def _total(kernel: str, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Array:
    """Reduce `x` by a kernel that may be applied to one run of axes after another."""
    y, shape = x.data, x.shape
    for axes_of_run in _runs(axes):
        O, R, I = _sizes(shape, axes_of_run)
        shape = _kept(shape, axes_of_run)
        y, full = np.empty(shape, x.dtype), y
        run(kernel, y.reshape(O, I), block(full, (O, R, I)))
    return y.reshape(_kept(x.shape, axes, keepdims))


def sum(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`.

    Parameters
    ----------
    x
        Floats of any shape.
    axis
        An int, several, or None for all.
    keepdims
        Whether a reduced dimension stays, with size 1.

    Raises
    ------
    DTypeError
        If x holds no floats, or an axis is no int.
    ShapeError
        If there is no such axis, or one is there twice.
    """
    x = as_float(x, "x")
    axes = axes_of(axis, x.ndim)
    kept = _kept(x.shape, axes)
    return record(_total("reduce_sum", x, axes, keepdims), (x, lambda y, dy: broadcast_to(reshape(dy, kept), x.shape)))


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`; NaN where there is no element.

    Parameters
    ----------
    x
        Floats of any shape.
    axis
        An int, several, or None for all.
    keepdims
        Whether a reduced dimension stays, with size 1.

    Raises
    ------
    DTypeError
        If x holds no floats, or an axis is no int.
    ShapeError
        If there is no such axis, or one is there twice.
    """
    x = as_float(x, "x")
    axes = axes_of(axis, x.ndim)
    kept = _kept(x.shape, axes)
    share = 1 / (count(x.shape[a] for a in axes) or 1)
    return record(_total("reduce_mean", x, axes, keepdims), (x, lambda y, dy: broadcast_to(reshape(dy * share, kept), x.shape)))


def var(x: Any, axis: Axes = None, keepdims: bool = False, correction: float = 1) -> Tensor:
    """The variance over `axis`: the sum of squared distances from the mean, divided by their number minus `correction`.

    Parameters
    ----------
    x
        Floats of any shape.
    axis
        An int, several, or None for all.
    keepdims
        Whether a reduced dimension stays, with size 1.
    correction
        1 for the unbiased estimate, 0 for the mean squared distance.

    Raises
    ------
    DTypeError
        If x holds no floats, or an axis is no int.
    ShapeError
        If there is no such axis, or one is there twice.
    ArgumentError
        If there are no more elements than `correction`.
    """
    x = as_float(x, "x")
    axes = axes_of(axis, x.ndim)
    correction = number("var: correction", correction)
    freedom = count(x.shape[a] for a in axes) - correction
    if freedom <= 0:
        raise ArgumentError(f"var: needs more than {correction:g} elements along axis {axis}, got shape {x.shape}")
    if len(_runs(axes)) > 1:
        others = tuple(i for i in range(x.ndim) if i not in axes)
        last = var(permute(x, others + axes), tuple(range(len(others), x.ndim)), correction=correction)
        return reshape(last, _kept(x.shape, axes, keepdims))
    O, R, I = _sizes(x.shape, axes) if axes else (x.size, 1, 1)
    kept = _kept(x.shape, axes)
    y = np.empty(_kept(x.shape, axes, keepdims), x.dtype)
    run("reduce_var", y.reshape(O, I), np.empty((O, I), x.dtype), block(x.data, (O, R, I)), correction)
    return record(y, (x, lambda y, dy: (x - mean(x, axes, keepdims=True)) * reshape(dy * (2 / freedom), kept)))


def max(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest value over `axis`; NaN wins. The gradient goes to the first element that has it.

    Parameters
    ----------
    x
        Floats of any shape.
    axis
        An int, several, or None for all.
    keepdims
        Whether a reduced dimension stays, with size 1.

    Raises
    ------
    DTypeError
        If x holds no floats, or an axis is no int.
    ShapeError
        If there is no such axis, or one is there twice, or there is no element.
    """
    return _extreme("reduce_max", x, axis, keepdims)


def min(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest value over `axis`; NaN wins. The gradient goes to the first element that has it.

    Parameters
    ----------
    x
        Floats of any shape.
    axis
        An int, several, or None for all.
    keepdims
        Whether a reduced dimension stays, with size 1.

    Raises
    ------
    DTypeError
        If x holds no floats, or an axis is no int.
    ShapeError
        If there is no such axis, or one is there twice, or there is no element.
    """
    return _extreme("reduce_min", x, axis, keepdims)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest value lies along `axis`, the first place if there are several: int64, without a gradient.

    Parameters
    ----------
    x
        Floats of any shape.
    axis
        An int, or None for the place among all elements.
    keepdims
        Whether the reduced dimension stays, with size 1.

    Raises
    ------
    DTypeError
        If x holds no floats, or an axis is no int.
    ShapeError
        If there is no such axis, or there is no element.
    """
    x = as_float(x, "x")
    axes = axes_of(None if axis is None else axis_of(axis, x.ndim), x.ndim)
    _, index = _found("reduce_max", x, axes)
    return record(index.reshape(_kept(x.shape, axes, keepdims)))


def _found(kernel: str, x: Tensor, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """The extreme values over adjacent axes and their positions, both of shape (O, I)."""
    O, R, I = _sizes(x.shape, axes) if axes else (x.size, 1, 1)
    if R == 0:
        raise ShapeError(f"{kernel.removeprefix('reduce_')}: x must have an element along axes {axes}, got no element in shape {x.shape}")
    y, index = np.empty((O, I), x.dtype), np.empty((O, I), np.int64)
    run(kernel, y, index, block(x.data, (O, R, I)))
    return y, index


def _extreme(kernel: str, x: Any, axis: Axes, keepdims: bool) -> Tensor:
    x = as_float(x, "x")
    axes = axes_of(axis, x.ndim)
    if len(runs := _runs(axes)) > 1:
        for axes_of_run in runs:
            x = _extreme(kernel, x, axes_of_run, keepdims=True)
        return x if keepdims else reshape(x, _kept(x.shape, axes, False))
    y, index = _found(kernel, x, axes)
    return record(y.reshape(_kept(x.shape, axes, keepdims)), (x, lambda y, dy: _scatter(dy, index, x.shape, axes)))


def _scatter(dy: Tensor, index: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` with dy where `index` points along adjacent axes."""
    O, R, I = _sizes(shape, axes) if axes else (count(shape), 1, 1)
    dx = np.empty((O, R, I), dy.dtype)
    run("scatter_index", dx, block(dy.data, (O, I)), index)
    ones = Tensor(np.ones((), dy.dtype))
    picked = lambda _, ddx: reshape(sum(ddx * _scatter(broadcast_to(ones, (O, I)), index, shape, axes), axes), dy.shape)  # noqa: E731
    return record(dx.reshape(shape), (dy, picked))


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x summed over the dimensions along which `shape` was repeated to become x's: broadcasting undone."""
    lead = x.ndim - len(shape)
    repeated = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 != x.shape[lead + i])
    return reshape(sum(x, repeated), shape)
