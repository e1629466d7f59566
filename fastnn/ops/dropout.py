"""Dropout: a random mask that depends on the seed and on how many masks were drawn before, never on threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..random import Stream, next_stream
from ..tensor import Tensor, as_float, record, run
from ._operands import block


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """In training y = x / (1 - p) with probability 1 - p, else 0; otherwise y = x. Srivastava et al. 2014.

    Raises
    ------
    ArgumentError
        If the probability `p` does not lie between 0 and 1.
    """
    x = as_float(input)
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p must lie between 0 and 1, got {p}")
    if not training or p == 0:
        return x
    return _masked(x, next_stream(), float(p))


def _masked(x: Tensor, stream: Stream, p: float) -> Tensor:
    """x under the mask of `stream`; the gradient passes through the same mask."""
    state, site = stream
    y = np.empty(x.shape, x.dtype)
    run("dropout", y.reshape(x.size), block(x.data, (x.size,)), state, site, p)
    return record(y, (x, lambda y, dy: _masked(dy, stream, p)))
