"""Matrices as the parts of a product hand them on: where they lie, and what is applied to a block of one."""

from typing import NamedTuple

import numpy as np

from .._calls import invoke
from .._compiler import inlined, subroutine
from .._memory import address, peek, poke, stack_buffer

words_of_block = stack_buffer(8 * 8)


class Matrix(NamedTuple):
    """Where a matrix begins, and how many bytes it is to the next row, column, panel of NR columns, and matrix of a batch."""

    at: int
    row: int
    col: int
    panel: int
    step: int


@inlined
def placed(x, NR):
    """Where the first matrix of an array lies."""
    return Matrix(address(x), x.strides[1], x.strides[2], NR * x.strides[2], x.strides[0])


@inlined
def turned(x, NR):
    """The transpose of a matrix."""
    return Matrix(x.at, x.col, x.row, NR * x.row, x.step)


@inlined
def in_panels(x):
    """A batch of panels as one matrix."""
    return Matrix(x.at, x.row, x.col, x.step, x.step)


@inlined
def part(x, i, j, NR):
    """What begins in row i and in column j, the first of a panel."""
    return Matrix(x.at + i * x.row + j // NR * x.panel, x.row, x.col, x.panel, x.step)


@inlined
def following(x):
    """The next matrix of a batch."""
    return Matrix(x.at + x.step, x.row, x.col, x.panel, x.step)


@subroutine
def finish_block(epilogue, c, c_row, extra, extra_row, rows, cols):
    """Apply an epilogue to a block of C: a call of the code whose address is the second of the words at `epilogue`."""
    words, word = words_of_block(), np.int64(0)
    for place, value in enumerate((c, c_row, extra, extra_row, rows, cols, peek(epilogue + 16, word), peek(epilogue + 24, word))):
        poke(words + 8 * place, value)
    invoke(peek(epilogue + 8, word), words, 0, 1)
