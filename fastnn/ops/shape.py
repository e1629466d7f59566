"""Shapes: operations that move or view elements, of any supported dtype, without computing with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .._arguments import items, iterable, whole
from ..errors import ArgumentError, ShapeError
from ..tensor import DTYPES, FLOATS, Array, Tensor, as_tensor, one_of, record, run
from ._operands import Axes, axes_of, axis_of, count, dense, filled, reshaped, shape_of


def _view(x: Tensor, data: Array) -> Tensor:
    """`data`, the same elements in another shape, with the gradient back in x's shape."""
    return record(data, (x, lambda y, dy: reshape(dy, x.shape)))


def reshape(x: Any, *shape: Any) -> Tensor:
    """x in another shape with as many elements; a view where memory allows.

    Parameters
    ----------
    x
        Of any shape and dtype.
    *shape
        The sizes, one by one or as one sequence; one of them may be -1, which stands for what is left.

    Raises
    ------
    ShapeError, DTypeError
        If the sizes do not hold just the elements of x, or are no ints.
    """
    x = as_tensor(x, name="x")
    sizes = shape_of(shape)
    known = count(n for n in sizes if n != -1)
    if sizes.count(-1) > 1 or any(n < -1 for n in sizes):
        raise ShapeError(f"reshape: sizes must not be negative, but for one -1; got {sizes}")
    if -1 in sizes and known and x.size % known == 0:
        sizes = tuple(x.size // known if n == -1 else n for n in sizes)
    if -1 in sizes or count(sizes) != x.size:
        raise ShapeError(f"reshape: shape must hold the {x.size} elements of x, whose shape is {x.shape}, got {sizes}")
    return _view(x, reshaped(x.data, sizes))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """x, of any dtype, with the dimensions from start_dim to end_dim merged into one; a view where memory allows.

    Raises ShapeError if there are no such dimensions or start_dim lies behind end_dim, DTypeError if they are no ints.
    """
    x = as_tensor(x, name="x")
    if x.ndim == 0:
        return reshape(x, 1)
    start, end = axis_of(start_dim, x.ndim, "start_dim"), axis_of(end_dim, x.ndim, "end_dim")
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim} for a tensor with {x.ndim} dimensions")
    return _view(x, reshaped(x.data, x.shape[:start] + (count(x.shape[start : end + 1]),) + x.shape[end + 1 :]))


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """x, of any dtype, with dimension `dim` taken apart into `sizes`, one of which may be -1: what is left.

    Raises ShapeError if there is no such dimension or the sizes do not fit it, DTypeError if they are no ints.
    """
    x = as_tensor(x, name="x")
    at = axis_of(dim, x.ndim, "dim")
    parts = items("unflatten: sizes", sizes, whole, "a sequence of whole numbers")
    known = count(n for n in parts if n != -1)
    filled_in = tuple(x.shape[at] // max(known, 1) if n == -1 else n for n in parts)
    if not parts or min(parts) < -1 or parts.count(-1) > 1 or count(filled_in) != x.shape[at]:
        raise ShapeError(f"unflatten: sizes must make up dimension {dim} of shape {x.shape}, got {parts}")
    return reshape(x, (*x.shape[:at], *filled_in, *x.shape[at + 1 :]))


def squeeze(x: Any, dim: Axes = None) -> Tensor:
    """x, of any dtype, without the dimensions `dim` (an int or several) where their size is 1; None: without any dimension of size 1.

    Raises ShapeError if there is no such dimension, DTypeError if one is no int.
    """
    x = as_tensor(x, name="x")
    dropped = axes_of(dim, x.ndim, "dim")
    return _view(x, reshaped(x.data, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in dropped)))


def unsqueeze(x: Any, dim: int) -> Tensor:
    """x, of any dtype, with a new dimension of size 1 at position `dim`; a view.

    Raises ShapeError if there is no such position, DTypeError if it is no int.
    """
    x = as_tensor(x, name="x")
    at = axis_of(dim, x.ndim + 1, "dim")
    return _view(x, np.expand_dims(x.data, at))


def permute(x: Any, *dims: Any) -> Tensor:
    """x, of any dtype, with its dimensions in the order `dims`, ints one by one or as one sequence; a view.

    Raises ShapeError unless `dims` names each dimension once, DTypeError if one is no int.
    """
    x = as_tensor(x, name="x")
    given = shape_of(dims)
    order = tuple(axis_of(d, x.ndim, "dims") for d in given)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute: dims must name each of the {x.ndim} dimensions once, got {given}")
    back = tuple(order.index(i) for i in range(x.ndim))
    return record(x.data.transpose(order), (x, lambda y, dy: permute(dy, back)))


def transpose(x: Any, dim0: int, dim1: int) -> Tensor:
    """x, of any dtype, with the dimensions dim0 and dim1 swapped; a view.

    Raises ShapeError if there are no such dimensions, DTypeError if they are no ints.
    """
    x = as_tensor(x, name="x")
    i, j = axis_of(dim0, x.ndim, "dim0"), axis_of(dim1, x.ndim, "dim1")
    return record(x.data.swapaxes(i, j), (x, lambda y, dy: transpose(dy, i, j)))


def reverse_dims(x: Any) -> Tensor:
    """x, of any dtype, with its dimensions in reverse order, the transpose of a matrix; a view."""
    x = as_tensor(x, name="x")
    return record(x.data.T, (x, lambda y, dy: reverse_dims(dy)))


def contiguous(x: Any) -> Tensor:
    """x, of any dtype, in C-contiguous memory: itself where it is already, else a copy."""
    t = as_tensor(x, name="x")
    return t if t.data.flags.c_contiguous else record(dense(t.data), (t, lambda y, dy: dy))


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """x, of any dtype, repeated along new or one-element dimensions until it has `shape`, ints one by one or as one sequence; a view.

    Raises ShapeError if it does not broadcast to it, DTypeError if a size is no int.
    """
    x = as_tensor(x, name="x")
    sizes = shape_of(shape)
    try:
        data = np.broadcast_to(x.data, sizes)
    except ValueError:
        raise ShapeError(f"broadcast_to: x must broadcast to shape {sizes}, got shape {x.shape}") from None
    return record(data, (x, lambda y, dy: dy))


def astype(x: Any, dtype: Any) -> Tensor:
    """x converted to `dtype`: float32, float64, int64, uint8 or bool; a gradient passes between float32 and float64.

    Raises DTypeError for other dtypes.
    """
    t = as_tensor(x, name="x")
    wanted = one_of(DTYPES, dtype, "astype: ")
    if wanted == t.dtype:
        return t
    y = np.empty(t.shape, wanted)
    run("copy", y, t.data)
    return record(y, (t, lambda y, dy: astype(dy, t.dtype))) if wanted in FLOATS else record(y)


def _alike(tensors: Sequence[Any]) -> list[Tensor]:
    """The tensors with one dtype: that of the first one that is no plain array, which plain arrays take on."""
    tensors = iterable("tensors", tensors, "a sequence of tensors")
    if not tensors:
        raise ArgumentError("tensors: give at least one, got none")
    like = as_tensor(next((t for t in tensors if isinstance(t, Tensor)), tensors[0]), name="tensors[0]")
    return [as_tensor(t, like, f"tensors[{i}]") for i, t in enumerate(tensors)]


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """The tensors joined along an axis.

    Parameters
    ----------
    tensors
        At least one, all of one dtype, with equal sizes but for those along the axis.
    axis
        An int.

    Raises
    ------
    ArgumentError, DTypeError, ShapeError
        If an argument is not as above.
    """
    parts = _alike(tensors)
    first = parts[0]
    at = axis_of(axis, first.ndim)
    for i, part in enumerate(parts):
        if part.ndim != first.ndim or part.shape[:at] + part.shape[at + 1 :] != first.shape[:at] + first.shape[at + 1 :]:
            raise ShapeError(
                f"concatenate: tensors[{i}] must have the shape of tensors[0], {first.shape}, but for axis {axis}; got {part.shape}"
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
    """The tensors, at least one, all of one shape and dtype, joined along a new dimension at position `dim`.

    Raises ArgumentError, DTypeError or ShapeError if they are not.
    """
    return concatenate([unsqueeze(t, dim) for t in _alike(tensors)], dim)


def split(x: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """x cut along a dimension; the pieces are views.

    Parameters
    ----------
    x
        Of any shape and dtype.
    split_size
        The size of the pieces, the last one being what is left; or the size of each of them.
    dim
        The dimension.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        If there is no such dimension, or the sizes are not positive ints, or do not add up to that of the dimension.
    """
    x = as_tensor(x, name="x")
    at = axis_of(dim, x.ndim, "dim")
    size = x.shape[at]
    if not isinstance(split_size, (tuple, list)):
        split_size = whole("split: split_size", split_size, 1)
        sizes = [min(split_size, size - start) for start in range(0, size, split_size)] or [0]
    else:
        sizes = list(items("split: split_size", split_size, whole, "an int, or ints"))
        if sum(sizes) != size or any(n < 0 for n in sizes):
            raise ShapeError(f"split: sizes must not be negative and add up to {size}, got {sizes}")
    edges = np.cumsum([0, *sizes]).tolist()
    return tuple(window(x, (slice(None),) * at + (slice(a, b),)) for a, b in pairwise(edges))


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """x, of any dtype, cut along `dim` into at most `chunks` pieces of equal size, but for the last one; they are views.

    Raises ShapeError if there is no such dimension, ArgumentError or DTypeError unless `chunks` is an int of at least 1.
    """
    x = as_tensor(x, name="x")
    chunks = whole("chunk: chunks", chunks, 1)
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
