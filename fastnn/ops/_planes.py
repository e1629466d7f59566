"""Images in and out of the functions that slide windows over them: ranks, pairs of sizes, the number of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import Tensor
from .shape import reshape

Pair = tuple[int, int]
Size = int | Sequence[int]
SHAPES = {1: "(N, C, L) or (C, L)", 2: "(N, C, H, W) or (C, H, W)"}


class Planes:
    """An input with `dims` dimensions behind its channels as a batch of images; those with one dimension become images of height 1."""

    def __init__(self, owner: str, x: Tensor, dims: int) -> None:
        if x.ndim not in (dims + 1, dims + 2):
            raise ShapeError(f"{owner}: input must have shape {SHAPES[dims]}, got {x.shape}")
        self.owner, self.dims = owner, dims
        self.batched = x.ndim == dims + 2
        shape = x.shape if self.batched else (1, *x.shape)
        self.images = x if len(shape) == x.ndim == 4 else reshape(x, *shape[:2], *(1,) * (2 - dims), *shape[2:])

    def back(self, y: Tensor) -> Tensor:
        """The result, a batch of images, in the rank of the input."""
        if self.batched and self.dims == 2:
            return y
        shape = y.shape[:2] + y.shape[4 - self.dims :]
        return reshape(y, shape if self.batched else shape[1:])

    def pair(self, name: str, value: Any, least: int, neutral: int) -> Pair:
        """`value`, one int or one for each dimension, for height and width; `neutral` is that of a height which does not exist."""
        given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * self.dims
        for n in given:
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
                raise DTypeError(f"{self.owner}: {name} must be an int or {self.dims} ints, got {value!r}")
        if len(given) != self.dims or any(n < least for n in given):
            wanted = "an int" if self.dims == 1 else f"an int or {self.dims} ints"
            raise ArgumentError(f"{self.owner}: {name} must be {wanted} of at least {least}, got {value!r}")
        return (int(given[0]), int(given[1])) if self.dims == 2 else (neutral, int(given[0]))


def windows(owner: str, shape: Sequence[int], kernel: Pair, stride: Pair, around: Pair, dilation: Pair, ceil_mode: bool = False) -> Pair:
    """How many windows fit into images of `shape` (H, W) with `around` zeros added to each size in all.

    ceil_mode counts a last one that begins in the image or the padding before it and reaches beyond the padding behind it.
    """
    found = []
    for length, k, s, p, d in zip(shape, kernel, stride, around, dilation, strict=True):
        reach = d * (k - 1) + 1
        count = (length + p - reach + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= length + p // 2:
            count -= 1
        if count < 1 or length < 1:
            padded = f" with a padding of {p} in all" if p else ""
            raise ShapeError(f"{owner}: a window of {reach} does not fit into the size {length} of the input{padded}")
        found.append(count)
    return found[0], found[1]
