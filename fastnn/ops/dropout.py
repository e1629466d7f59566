"""Dropout: a random mask that depends on the seed and on how many masks were drawn before, never on threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number
from ..errors import ShapeError
from ..random import Stream, next_stream
from ..tensor import Tensor, as_float, record, run
from ._operands import block, constant, count
from .shape import reshape


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training y = x / (1 - p) with probability 1 - p, else 0; otherwise y = x.

    Parameters
    ----------
    input
        x, floats of any shape.
    p
        The probability of a zero.
    training
        Whether anything is dropped. The mask depends on the seed (`fastnn.manual_seed`) and on how many masks were drawn before; a compiled
        step has masks of its own, so that it drops other items than eager code from the same seed.
    inplace
        Accepted as in PyTorch; no tensor is ever overwritten here.

    Raises
    ------
    DTypeError, ArgumentError
        If the input holds no floats, or p is no number between 0 and 1; no mask has been drawn then.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 4.
    """
    del inplace
    x = as_float(input)
    p = number("dropout: p", p, 0, 1)
    if not training or p == 0:
        return x
    return _masked(x, next_stream(), p)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of sequences.

    Parameters
    ----------
    input
        x (N, C, L), floats.
    p, training, inplace
        As in `dropout`.

    Raises
    ------
    ShapeError, DTypeError, ArgumentError
        If an argument is not as above.

    Source: Tompson et al. 2015, "Efficient object localization using convolutional networks", section 3.2.
    """
    del inplace
    return _without_channels("dropout1d", 1, input, p, training)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of images: each is scaled by 1 / (1 - p) or zero.

    Parameters
    ----------
    input
        x (N, C, H, W), floats.
    p, training, inplace
        As in `dropout`.

    Raises
    ------
    ShapeError, DTypeError, ArgumentError
        If an argument is not as above.

    Source: Tompson et al. 2015, "Efficient object localization using convolutional networks", section 3.2.
    """
    del inplace
    return _without_channels("dropout2d", 2, input, p, training)


def _without_channels(owner: str, dims: int, input: Any, p: float, training: bool) -> Tensor:
    x = as_float(input)
    p = number(f"{owner}: p", p, 0, 1)
    if x.ndim != dims + 2:
        raise ShapeError(f"{owner}: input must have shape {'(N, C, L)' if dims == 1 else '(N, C, H, W)'}, got {x.shape}")
    if not training or p == 0:
        return x
    ones = Tensor(constant(count(x.shape[:2]), x.dtype, 1.0))
    return x * reshape(_masked(ones, next_stream(), p), *x.shape[:2], *(1,) * dims)


def _masked(x: Tensor, stream: Stream, p: float) -> Tensor:
    """x under the mask of `stream`; the gradient passes through the same mask."""
    state, site = stream
    y = np.empty(x.shape, x.dtype)
    run("dropout", y.reshape(x.size), block(x.data, (x.size,)), state, site, 0, p)
    return record(y, (x, lambda y, dy: _masked(dy, stream, p)))
