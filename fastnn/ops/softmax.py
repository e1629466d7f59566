"""Softmax and its logarithm along any dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor, as_float, record, run
from ._operands import axis_of, count, dense
from ._rules import either
from .elementwise import exp
from .reduce import sum
from .shape import transpose


def softmax(input: Any, dim: int = -1) -> Tensor:
    """y_i = exp(x_i) / sum_j exp(x_j) along `dim`, computed without overflow.

    Parameters
    ----------
    input
        x, floats of any shape.
    dim
        The dimension along which the values belong together.

    Raises
    ------
    DTypeError, ShapeError
        If the input holds no floats, or there is no such dimension.
    """
    return _along("softmax", input, dim, lambda y, dy: y * (dy - sum(dy * y, -1, keepdims=True)))


def log_softmax(input: Any, dim: int = -1) -> Tensor:
    """y_i = x_i - ln sum_j exp(x_j) along `dim`, computed without overflow.

    Parameters
    ----------
    input
        x, floats of any shape.
    dim
        The dimension along which the values belong together.

    Raises
    ------
    DTypeError, ShapeError
        If the input holds no floats, or there is no such dimension.
    """
    return _along("log_softmax", input, dim, lambda y, dy: dy - exp(y) * sum(dy, -1, keepdims=True))


def _along(kernel: str, input: Any, dim: int, composed: Any) -> Tensor:
    x = as_float(input)
    at = axis_of(dim, x.ndim, "dim") if x.ndim else 0
    if at < x.ndim - 1:
        return transpose(_along(kernel, transpose(x, at, -1), -1, composed), at, -1)
    y = np.empty(x.shape, x.dtype)
    run(kernel, _rows(y), _rows(dense(x.data)))
    return record(y, (x, either(lambda y, dy: _gradient(kernel, dy, y), composed)))


def _gradient(kernel: str, dy: Tensor, y: Tensor) -> Tensor:
    dx = np.empty(y.shape, y.dtype)
    run(f"{kernel}_grad", _rows(dx), _rows(dense(dy.data)), _rows(y.data))
    return Tensor(dx)


def _rows(x: Any) -> Any:
    """A contiguous (..., D) as (N, D)."""
    return x.reshape(count(x.shape[:-1]), x.shape[-1] if x.ndim else 1)
