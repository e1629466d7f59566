"""Dropout: a random mask that depends on the seed and on how many masks were drawn before, never on threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..random import Stream, next_stream
from ..tensor import Tensor, as_float, record, run
from ._operands import block, constant, count
from .shape import reshape


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """In training y = x / (1 - p) with probability 1 - p, else 0; otherwise y = x. Srivastava et al. 2014.

    Raises
    ------
    ArgumentError
        If the probability `p` does not lie between 0 and 1.
    """
    x = as_float(input)
    _check(p, "dropout")
    if not training or p == 0:
        return x
    return _masked(x, next_stream(), float(p))


def dropout1d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """`dropout` of whole channels of sequences (N, C, L). Tompson et al. 2015, section 3.2."""
    return _without_channels("dropout1d", 1, input, p, training)


def dropout2d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """`dropout` of whole channels of images (N, C, H, W): each is scaled by 1 / (1 - p) or zero. Tompson et al. 2015, section 3.2.

    Raises
    ------
    ShapeError
        If the input has another rank.
    ArgumentError
        If the probability `p` does not lie between 0 and 1.
    """
    return _without_channels("dropout2d", 2, input, p, training)


def _without_channels(owner: str, dims: int, input: Any, p: float, training: bool) -> Tensor:
    x = as_float(input)
    _check(p, owner)
    if x.ndim != dims + 2:
        raise ShapeError(f"{owner}: input must have shape {'(N, C, L)' if dims == 1 else '(N, C, H, W)'}, got {x.shape}")
    if not training or p == 0:
        return x
    ones = Tensor(constant(count(x.shape[:2]), x.dtype, 1.0))
    return x * reshape(_masked(ones, next_stream(), float(p)), *x.shape[:2], *(1,) * dims)


def _check(p: float, owner: str) -> None:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{owner}: p must lie between 0 and 1, got {p}")


def _masked(x: Tensor, stream: Stream, p: float) -> Tensor:
    """x under the mask of `stream`; the gradient passes through the same mask."""
    state, site = stream
    y = np.empty(x.shape, x.dtype)
    run("dropout", y.reshape(x.size), block(x.data, (x.size,)), state, site, p)
    return record(y, (x, lambda y, dy: _masked(dy, stream, p)))
