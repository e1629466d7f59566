"""Shapes: operations that move or view elements without computing with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..tensor import DTYPES, FLOATS, Array, Tensor, as_tensor, one_of, record, run
from ._operands import Axes, axes_of, axis_of, count, dense, filled, reshaped, shape_of


def _view(x: Tensor, data: Array) -> Tensor:
    """`data`, the same elements in another shape, with the gradient back in x's shape."""
    return record(data, (x, lambda y, dy: reshape(dy, x.shape)))


def reshape(x: Any, *shape: Any) -> Tensor:
    """x in another shape with as many elements; one size may be -1, which stands for what is left."""
    x = as_tensor(x)
    sizes = shape_of(shape)
    known = count(n for n in sizes if n != -1)
    if sizes.count(-1) > 1 or any(n < -1 for n in sizes):
        raise ShapeError(f"reshape: sizes must not be negative, but for one -1; got {sizes}")
    if -1 in sizes and known and x.size % known == 0:
        sizes = tuple(x.size // known if n == -1 else n for n in sizes)
    if -1 in sizes or count(sizes) != x.size:
        raise ShapeError(f"reshape: {x.size} elements of shape {x.shape} do not fit shape {sizes}")
    return _view(x, reshaped(x.data, sizes))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """x with the dimensions from start_dim to end_dim merged into one."""
    x = as_tensor(x)
    if x.ndim == 0:
        return reshape(x, 1)
    start, end = axis_of(start_dim, x.ndim, "start_dim"), axis_of(end_dim, x.ndim, "end_dim")
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim} for a tensor with {x.ndim} dimensions")
    return _view(x, reshaped(x.data, x.shape[:start] + (count(x.shape[start : end + 1]),) + x.shape[end + 1 :]))


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """x with dimension `dim` taken apart into `sizes`, one of which may be -1: what is left."""
    x = as_tensor(x)
    at = axis_of(dim, x.ndim, "dim")
    parts = shape_of((tuple(sizes),))
    known = count(n for n in parts if n != -1)
    whole = tuple(x.shape[at] // max(known, 1) if n == -1 else n for n in parts)
    if not parts or min(parts) < -1 or parts.count(-1) > 1 or count(whole) != x.shape[at]:
        raise ShapeError(f"unflatten: dimension {dim} of shape {x.shape} does not fit the sizes {parts}")
    return reshape(x, (*x.shape[:at], *whole, *x.shape[at + 1 :]))


def squeeze(x: Any, dim: Axes = None) -> Tensor:
    """x without the dimensions `dim` where their size is 1; None: without any dimension of size 1."""
    x = as_tensor(x)
    dropped = axes_of(dim, x.ndim, "dim")
    return _view(x, reshaped(x.data, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in dropped)))


def unsqueeze(x: Any, dim: int) -> Tensor:
    """x with a new dimension of size 1 at position `dim`."""
    x = as_tensor(x)
    at = axis_of(dim, x.ndim + 1, "dim")
    return _view(x, np.expand_dims(x.data, at))


def permute(x: Any, *dims: Any) -> Tensor:
    """x with its dimensions in the order `dims`; a view."""
    x = as_tensor(x)
    given = shape_of(dims)
    order = tuple(axis_of(d, x.ndim, "dims") for d in given)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute: dims must name each of the {x.ndim} dimensions once, got {given}")
    back = tuple(order.index(i) for i in range(x.ndim))
    return record(x.data.transpose(order), (x, lambda y, dy: permute(dy, back)))


def transpose(x: Any, dim0: int, dim1: int) -> Tensor:
    """x with the dimensions dim0 and dim1 swapped; a view."""
    x = as_tensor(x)
    i, j = axis_of(dim0, x.ndim, "dim0"), axis_of(dim1, x.ndim, "dim1")
    return record(x.data.swapaxes(i, j), (x, lambda y, dy: transpose(dy, i, j)))


def reverse_dims(x: Any) -> Tensor:
    """x with its dimensions in reverse order, the transpose of a matrix; a view."""
    x = as_tensor(x)
    return record(x.data.T, (x, lambda y, dy: reverse_dims(dy)))


def contiguous(x: Any) -> Tensor:
    """x in C-contiguous memory: itself where it is already, else a copy."""
    t = as_tensor(x)
    return t if t.data.flags.c_contiguous else record(dense(t.data), (t, lambda y, dy: dy))


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """x repeated along new or one-element dimensions until it has `shape`; a view."""
    x = as_tensor(x)
    sizes = shape_of(shape)
    try:
        data = np.broadcast_to(x.data, sizes)
    except ValueError:
        raise ShapeError(f"broadcast_to: shape {x.shape} does not broadcast to {sizes}") from None
    return record(data, (x, lambda y, dy: dy))


def astype(x: Any, dtype: Any) -> Tensor:
    """x converted to `dtype`, one of the supported dtypes; a gradient passes between float32 and float64."""
    t = as_tensor(x)
    wanted = one_of(DTYPES, dtype, "astype: ")
    if wanted == t.dtype:
        return t
    y = np.empty(t.shape, wanted)
    run("copy", y, t.data)
    return record(y, (t, lambda y, dy: astype(dy, t.dtype))) if wanted in FLOATS else Tensor(y)


def _alike(tensors: Sequence[Any]) -> list[Tensor]:
    """The tensors with one dtype: that of the first one that is no plain array, which plain arrays take on."""
    if not tensors:
        raise ArgumentError("tensors: give at least one")
    like = as_tensor(next((t for t in tensors if isinstance(t, Tensor)), tensors[0]))
    return [as_tensor(t, like, f"tensors[{i}]") for i, t in enumerate(tensors)]


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """The tensors joined along `axis`; their other sizes must be equal."""
    parts = _alike(tensors)
    first = parts[0]
    at = axis_of(axis, first.ndim)
    for i, part in enumerate(parts):
        if part.ndim != first.ndim or part.shape[:at] + part.shape[at + 1 :] != first.shape[:at] + first.shape[at + 1 :]:
            raise ShapeError(
                f"concatenate: tensors[{i}] has shape {part.shape}; but for axis {axis} it must be that of tensors[0], {first.shape}"
            )
    edges = np.cumsum([0] + [part.shape[at] for part in parts]).tolist()
    y = np.empty((*first.shape[:at], edges[-1], *first.shape[at + 1 :]), first.dtype)
    parents = []
    for part, (start, stop) in zip(parts, pairwise(edges), strict=True):
        index = (slice(None),) * at + (slice(start, stop),)
        run("copy", y[index], part.data)
        parents.append((part, lambda y, dy, index=index: window(dy, index)))
    return record(y, *parents)


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, joined along a new dimension at position `dim`."""
    return concatenate([unsqueeze(t, dim) for t in _alike(tensors)], dim)


def split(x: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """x cut along `dim` into pieces of `split_size`, the last one being what is left, or of the given sizes."""
    x = as_tensor(x)
    at = axis_of(dim, x.ndim, "dim")
    size = x.shape[at]
    if isinstance(split_size, int):
        if split_size < 1:
            raise ArgumentError(f"split: split_size must be at least 1, got {split_size}")
        sizes = [min(split_size, size - start) for start in range(0, size, split_size)] or [0]
    else:
        sizes = list(split_size)
        if sum(sizes) != size or any(n < 0 for n in sizes):
            raise ShapeError(f"split: sizes must not be negative and add up to {size}, got {sizes}")
    edges = np.cumsum([0, *sizes]).tolist()
    return tuple(window(x, (slice(None),) * at + (slice(a, b),)) for a, b in pairwise(edges))


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """x cut along `dim` into at most `chunks` pieces of equal size, but for the last one."""
    x = as_tensor(x)
    if chunks < 1:
        raise ArgumentError(f"chunk: chunks must be at least 1, got {chunks}")
    size = x.shape[axis_of(dim, x.ndim, "dim")]
    return split(x, max(1, -(-size // chunks)), dim)


def window(x: Tensor, index: tuple[Any, ...]) -> Tensor:
    """The view x[index] of slices, ints, None and Ellipsis."""
    return record(x.data[(*index, ...)] if Ellipsis not in index else x.data[index], (x, lambda y, dy: into_window(dy, x.shape, index)))


def into_window(x: Tensor, shape: tuple[int, ...], index: tuple[Any, ...]) -> Tensor:
    """Zeros of `shape` with x at [index]: the gradient of `window`."""
    y = filled(shape, x.dtype, 0.0)
    run("copy", y[(*index, ...)] if Ellipsis not in index else y[index], x.data)
    return record(y, (x, lambda y, dy: window(dy, index)))
