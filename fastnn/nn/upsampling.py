"""Layers that make images larger without parameters, by `functional.interpolate`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._arguments import LARGEST, choice, items, number, whole
from ..errors import ArgumentError
from ..ops.images import RANKS
from ..tensor import Tensor
from . import functional as F
from .module import Module


class Upsample(Module):
    """Images in another size, as `functional.interpolate` makes them.

    Parameters
    ----------
    size
        That of the result behind N and C: an int, or one for each dimension.
    scale_factor
        Instead of `size`: what to multiply sizes by, rounded down.
    mode
        "nearest", "linear" for (N, C, L) or "bilinear" for (N, C, H, W).
    align_corners
        For "linear" and "bilinear": whether the centres of the elements in the corners are the corners.
    recompute_scale_factor
        Whether the scale is new size / old size instead of scale_factor.
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ArgumentError(f"Upsample: give either size or scale_factor, got size={size} and scale_factor={scale_factor}")
        self.mode = choice("mode of interpolation", mode, RANKS)
        self.size = None if size is None else _each("size", size, whole)
        self.scale_factor = None if scale_factor is None else _each("scale_factor", scale_factor, _scale)
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Any) -> Tensor:
        return F.interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


def _each(name: str, value: Any, check: Callable[[str, Any], float]) -> Any:
    """`value`, a number or one for each dimension, checked."""
    if isinstance(value, (tuple, list)):
        return items(f"Upsample: {name}", value, check, "a number, or one for each dimension")
    return check(f"Upsample: {name}", value)


def _scale(name: str, value: Any) -> float:
    return number(name, value, above=0, high=LARGEST)
