"""Which arrays share memory, and how: results may lie where an operand lies, but not across it."""

from __future__ import annotations

from typing import Any

import numpy as np

AnyArray = np.ndarray[Any, Any]


def overlaps_itself(x: AnyArray) -> bool:
    """Whether some items may be the same memory: those of a row that is repeated, or of windows that overlap."""
    if x.size <= 1:
        return False
    extent = x.itemsize
    for stride, size in sorted((abs(stride), size) for size, stride in zip(x.shape, x.strides, strict=True) if size > 1):
        if stride < extent:
            return True
        extent += stride * (size - 1)
    return False


def lie_alike(x: AnyArray, y: AnyArray) -> bool:
    """Whether two arrays, if they began at the same address, would be the same items at the same indices."""
    return x.itemsize == y.itemsize and _layout(x) == _layout(y)


def same_items(x: AnyArray, y: AnyArray) -> bool:
    """Whether two arrays are the same items at the same indices."""
    return bool(x.__array_interface__["data"][0] == y.__array_interface__["data"][0]) and lie_alike(x, y)


def _layout(x: AnyArray) -> list[tuple[int, int]]:
    return [(size, stride) for size, stride in zip(x.shape, x.strides, strict=True) if size != 1]
