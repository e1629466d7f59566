"""Rows of data that compiled code cannot read where they are: converted for the next steps, a few at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import Instruction
from ..tensor import DTYPES, Array

STAGED_BYTES = 1 << 20  # of rows that lie ready: enough for many small steps, and still in cache when they are read


def readable(data: Array) -> bool:
    """Whether compiled code can read rows of `data` where they are."""
    return data.dtype in DTYPES and data.flags.c_contiguous and data.flags.aligned


class Staging:
    """The next rows of some data, in the order of the epoch.

    Parameters
    ----------
    data
        Rows of any numeric dtype and layout, such as a memory map of float16.
    dtype
        What the program wants; values that tensors have already keep theirs, since bytes are scaled behind the gather.
    least
        How many rows must lie ready together: those of a step.
    """

    def __init__(self, data: Array, dtype: np.dtype[Any], least: int) -> None:
        self.data = data
        row = np.empty(data.shape[1:], data.dtype if data.dtype in DTYPES else dtype)
        self.rows = np.empty((max(least, STAGED_BYTES // max(1, row.nbytes)), *row.shape), row.dtype)
        self.order = np.arange(len(self.rows))
        self.cursor = np.zeros(2, np.int64)

    def fill(self, order: Array) -> None:
        """Convert the rows with these numbers."""
        self.rows[: len(order)] = self.data[order]
        self.cursor[:] = 0

    def before(self, place: Array) -> Instruction:
        """The instruction that takes the rows of a step."""
        return Instruction("take_rows", (place, self.rows.reshape(len(self.rows), -1), self.order, self.cursor))

    def after(self, examples: int) -> Instruction:
        """The instruction with which a step of that many examples ends."""
        return Instruction("advance", (self.cursor, examples))
