"""Dropout, by the functions of the same meaning in `functional`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from ._check import within
from .module import Module


class Dropout(Module):
    """In training, y = x / (1 - p) with probability 1 - p, else 0; in evaluation, y = x. Srivastava et al. 2014.

    Parameters
    ----------
    p
        The probability of a zero, from 0 to 1.
    inplace
        Accepted as in PyTorch; no tensor is ever overwritten here.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        del inplace
        self.p = within(type(self).__name__, "p", p, 0, 1)

    def forward(self, x: Any) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout1d(Dropout):
    """`Dropout` of whole channels of sequences (N, C, L). Tompson et al. 2015."""

    def forward(self, x: Any) -> Tensor:
        return F.dropout1d(x, self.p, self.training)


class Dropout2d(Dropout):
    """`Dropout` of whole channels of images (N, C, H, W). Tompson et al. 2015."""

    def forward(self, x: Any) -> Tensor:
        return F.dropout2d(x, self.p, self.training)
