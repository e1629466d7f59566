"""What a program does around its steps: rows of the data in, results out, and a cursor that says where it stands.

A cursor holds two numbers: how many examples of the order are done, and how many steps.
"""

import numpy as np

from .._signature import Array, Doubles, Int, Ints, Words

AnyRows = Array("any", "contiguous", ("B", "D"))
AnyTable = Array("any", "contiguous", ("N", "D"))


def take_rows(y: AnyRows, /, x: AnyTable, order: Ints("N"), cursor: Ints("2")) -> None:
    """y_i = x_{order_{cursor + i}}, converted to the dtype of y."""
    y[:] = x[order[cursor[0] : cursor[0] + len(y)]]


def put_rows(y: AnyTable, /, x: AnyRows, order: Ints("N"), cursor: Ints("2")) -> None:
    """y_{order_{cursor + i}} = x_i."""
    y[order[cursor[0] : cursor[0] + len(x)]] = x


def note(log: Doubles("S"), /, value: Array("any", "contiguous", ("1",)), cursor: Ints("2")) -> None:
    """log_step = value."""
    log[cursor[1]] = value[0]


def advance(cursor: Ints("2"), /, rows: Int) -> None:
    """The cursor moves on by one step of `rows` examples."""
    cursor += np.array([rows, 1])


def advance_stream(state: Words("2"), /) -> None:
    """The generator's state, seed and step, moves on by one step: the next masks are new ones."""
    state[1] += np.uint64(1)
