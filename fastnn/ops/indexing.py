"""Reading parts of tensors: slices as views, and rows picked by integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._arguments import whole
from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import FLOATS, Array, Tensor, as_float, as_tensor, mode, record, run
from ._operands import block, count, values_are_there
from ._rules import only_once
from .shape import astype, window

NO_ROW = -1  # padding index of an embedding without one


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index]: slices, ints, None and Ellipsis give a view; an array of ints picks along the first dimension."""
    if isinstance(index, (list, np.ndarray, Tensor)):
        return _picked(as_float(x), index)
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if isinstance(part, bool) or not (part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice))):
            raise DTypeError(f"index: use ints, slices, None and Ellipsis, or one integer array; got {type(part).__name__}")
    try:
        return window(x, parts)
    except IndexError as error:
        raise ArgumentError(f"index must fit shape {x.shape}, got {index}: {error}") from None


def iterate(x: Tensor) -> Iterator[Tensor]:
    """The tensors x[0], x[1], ..."""
    return (window(x, (i,)) for i in range(len(x)))


def _picked(x: Tensor, index: Any) -> Tensor:
    if not x.ndim:
        raise ShapeError("index: a tensor without dimensions cannot be indexed")
    where = _indices(index, x.shape[0], "index", negative=True)
    return _take(x, where, NO_ROW)


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """y_i = weight_{input_i}.

    Parameters
    ----------
    input
        Integers in [0, V), of any shape S.
    weight
        The table (V, D), floats; the result has shape (*S, D).
    padding_idx
        A row of the weight, counted from the end if negative, that receives no gradient.

    Raises
    ------
    ArgumentError
        If an integer or padding_idx lies outside the table.
    DTypeError, ShapeError
        If a dtype or the shape of the weight is not as above.
    """
    table = as_float(weight, "weight")
    if table.ndim != 2:
        raise ShapeError(f"embedding: weight must have shape (V, D), got {table.shape}")
    V = table.shape[0]
    if padding_idx is not None:
        padding_idx = whole("embedding: padding_idx", padding_idx, -V, V - 1)
    return _take(table, _indices(input, V, "embedding: input"), NO_ROW if padding_idx is None else padding_idx % V)


def _indices(index: Any, size: int, name: str, negative: bool = False) -> Array:
    """`index` as int64 numbers from 0 to `size` - 1; `negative` ones count from the end where their values are known."""
    t = as_tensor(index, name=name)
    if t.dtype in FLOATS or t.dtype == np.bool_:
        raise DTypeError(f"{name} must hold integers, got {t.dtype}")
    from_end = negative and (values_are_there() or not isinstance(index, Tensor))
    mode.guard(t.data, lambda values: _check_range(values, -size if from_end else 0, size, name))
    numbers = astype(t, np.int64).data
    return numbers % size if from_end and numbers.size else numbers


def _check_range(numbers: Array, lowest: int, size: int, name: str) -> None:
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, -1)
    if low < lowest or high >= size:
        raise ArgumentError(f"{name} must lie between {lowest} and {size - 1}, got {low if low < lowest else high}")


def _take(x: Tensor, index: Array, padding: int) -> Tensor:
    V, D = x.shape[0], count(x.shape[1:])
    rows = block(index, (index.size,))
    y = np.empty((*index.shape, *x.shape[1:]), x.dtype)
    run("embedding", y.reshape(rows.size, D), block(x.data, (V, D)), rows)
    return record(y, (x, lambda y, dy: _put(dy, index, x.shape, padding)))


def _put(dy: Tensor, index: Array, shape: tuple[int, ...], padding: int) -> Tensor:
    """Zeros of `shape` with each row of dy added where `index` points; the row `padding` stays 0."""
    V, D = shape[0], count(shape[1:])
    dx = np.empty(shape, dy.dtype)
    run("embedding_grad", dx.reshape(V, D), block(dy.data, (index.size, D)), block(index, (index.size,)), padding)
    return record(dx, (dy, only_once("embedding") if padding >= 0 else lambda _, ddx: _take(ddx, index, NO_ROW)))
