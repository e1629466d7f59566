"""Which memory an array lies in: roots, extents, overlaps, and the same view of other memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..tensor import Array

Range: TypeAlias = tuple[int, int]  # the addresses between which items lie


def root(array: Array) -> Array:
    """The array that owns the memory of `array`, which may be a view of it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def address(array: Array) -> int:
    """The address of the first item."""
    return int(array.__array_interface__["data"][0])


def extent(array: Array) -> Range:
    """The addresses between which the items of `array` lie; equal ones if it has no items."""
    low = high = address(array)
    if array.size == 0:
        return low, low
    for size, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (size - 1) * stride
        else:
            high += (size - 1) * stride
    return low, high + array.itemsize


def overlap(a: Array, b: Array) -> bool:
    """Whether the extents of two arrays share a byte."""
    (a_low, a_high), (b_low, b_high) = extent(a), extent(b)
    return a_low < b_high and b_low < a_high


def touching(ranges: Sequence[Range], others: Sequence[Range]) -> bool:
    """Whether any of some extents shares a byte with any of some others."""
    for low, high in ranges:
        for other_low, other_high in others:
            if low < other_high and other_low < high:
                return True
    return False


def same_items(a: Array, b: Array) -> bool:
    """Whether two arrays are the same items in the same order."""
    return a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype and address(a) == address(b)


def moved(array: Array, origin: Array, memory: np.ndarray[Any, np.dtype[np.uint8]], offset: int) -> Array:
    """The view of `memory` that lies to `offset` as `array` lies to the start of `origin`."""
    start = offset + address(array) - extent(origin)[0]
    if array.size == 0:
        return np.empty(array.shape, array.dtype)
    return np.ndarray(array.shape, array.dtype, buffer=memory.data, offset=start, strides=array.strides)


def counterpart(array: Array, place: Array) -> Callable[[Array], Array] | None:
    """How to see in other contiguous values, of as many or more rows, what `array` is of `place`; None if it is no part of it.

    A part of each row is the same part of each row of the others; a part of the rows stands for all of them.
    """
    (low, high), (start, stop) = extent(place), extent(array)
    if not low <= start or not stop <= high:
        return None
    row = place.strides[0] if place.ndim else 0
    first, whole = address(array) - low, array.size == place.size
    if whole or not array.ndim or len(array) != len(place) or array.strides[0] != row or first >= row:
        return lambda values: values
    steps = [stride // place.itemsize for stride in array.strides]

    def part(values: Array) -> Array:
        strides = [step * values.itemsize for step in steps]
        return as_strided(values.reshape(-1)[first // place.itemsize :], (len(values), *array.shape[1:]), strides, writeable=False)

    return part


def as_bytes(array: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The memory of a contiguous array as bytes."""
    return array.reshape(-1).view(np.uint8)
