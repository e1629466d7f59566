"""Flat buffers: arrays of one dtype laid end to end, so that one kernel call, one norm or one copy runs over all of them.

Each array starts at a multiple of 64 bytes, a cache line and the widest vector register; what lies between is zero and stays zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ..tensor import Array

ALIGNMENT = 64
_owners: WeakValueDictionary[int, Array] = WeakValueDictionary()  # id -> the memory of each buffer that was made here


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _padded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class Layout:
    """Where each of several arrays lies in a flat buffer.

    `starts` holds the first item of every array and, last, the size of the buffer.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: np.dtype[Any]) -> None:
        self.shapes = tuple(shapes)
        self.dtype = dtype
        sizes = (_padded(prod(shape) * dtype.itemsize) // dtype.itemsize for shape in shapes)
        self.starts = tuple(accumulate(sizes, initial=0))

    def full(self, value: float = 0.0) -> Array:
        """A new buffer that holds `value` everywhere."""
        nbytes = self.starts[-1] * self.dtype.itemsize
        memory = np.zeros(nbytes + ALIGNMENT, np.uint8)
        _owners[id(memory)] = memory
        first = -_address(memory) % ALIGNMENT
        flat: Array = memory[first : first + nbytes].view(self.dtype)
        if value:
            flat[:] = value
        return flat

    def view(self, flat: Array, i: int) -> Array:
        """Array number `i` in a buffer of this layout."""
        start = self.starts[i]
        return flat[start : start + prod(self.shapes[i])].reshape(self.shapes[i])

    def views(self, flat: Array) -> list[Array]:
        """All arrays in a buffer of this layout."""
        return [self.view(flat, i) for i in range(len(self.shapes))]

    def adopt(self, arrays: Sequence[Array]) -> Array | None:
        """The buffer that `arrays` already are laid out in, or None."""
        found = spans(arrays)
        if len(found) == 1 and _memory(found[0]) is not None and found[0].size == self.starts[-1]:
            return found[0]
        return None


def _memory(array: Array) -> Array | None:
    """The memory of the flat buffer that `array` is a contiguous view of."""
    base = array.base
    return base if isinstance(base, np.ndarray) and _owners.get(id(base)) is base and array.flags.c_contiguous else None


def spans(arrays: Sequence[Array]) -> list[Array]:
    """The same memory in as few arrays as possible: neighbours in a flat buffer become one, with the zeros between them.

    Empty arrays are left out.
    """
    found: list[Array] = []
    last: tuple[Array, int, int] | None = None  # memory, first byte and end of the span that `found` ends with
    for array in arrays:
        if not array.size:
            continue
        memory = _memory(array)
        if memory is None:
            found.append(array)
            last = None
            continue
        start = _address(array) - _address(memory)
        end = start + _padded(array.nbytes)
        if last is not None and last[0] is memory and last[2] == start and found[-1].dtype == array.dtype:
            start = last[1]
            found.pop()
        found.append(memory[start:end].view(array.dtype))
        last = memory, start, end
    return found
