"""Calls on plain arrays without their checks: a call that fits the pattern of an earlier one needs nothing but new addresses.

A plan is that pattern: for each operand the dtype, shape, strides and flags that were found to be right, or, for a number, the very
object; and the record of the call, with the places of the addresses in it. Compiled code compares the operands' headers with the plans,
which takes a few nanoseconds where Python would take some microseconds. The headers are read as CPython and NumPy have laid them out
since NumPy 1.7 (`PyArrayObject_fields` in ndarraytypes.h); `readable` finds out whether that holds here.
"""

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ._builtin import RECORD as RECORD_WORD
from ._builtin import builtin, possible
from ._locks import lock
from ._mailbox import ALWAYS, IF_OFTEN
from ._overlap import lie_alike, same_items
from ._registry import Kernel, as_record
from ._signature import Ints
from ._team import get_num_threads, launch, mailbox_for

# Where the fields of an array stand, in bytes behind the header that all Python objects have; a plan's flags and masks.
DATA, NDIM, SHAPE, STRIDES, DESCR, FLAGS = 0, 8, 16, 24, 40, 48
WRITEABLE_FLAG, ALIGNED, INT32 = 0x400, 0x100, 0xFFFFFFFF

# The words of a plan: its head, then its operands, then pairs (place in the record, operand) of addresses, then (output, operand, whether
# both may begin at the same address) of those whose memory may not overlap, then the record.
OPERANDS, HEADER, TYPE, ENTRY, LARGE, PAIRS, PATCHES, RECORD, OPERANDS_AT = range(9)
# The words of an operand; sizes and strides stand in pairs from the end.
ARRAY, OBJECT, DIMS, WRITEABLE, LOW, HIGH = range(6)
MOST_DIMS = 6
STRIDES_OF = OPERAND = 6 + 2 * MOST_DIMS
MOST_OPERANDS = 16
PATCHES_AT = OPERANDS_AT + MOST_OPERANDS * OPERAND
PAIRS_AT = PATCHES_AT + 2 * MOST_OPERANDS
MOST_PAIRS = 48
RECORD_AT = PAIRS_AT + 3 * MOST_PAIRS
MOST_WORDS = 160
PLAN = RECORD_AT + MOST_WORDS
IF_AWAKE = 2  # work that is shared among threads that are awake, and does not repay waking them
BRIEF = 3  # the same, where Python that looks for threads would take as long
# The words of a cell: what a call has come to; how many threads large work is for (0 if that is not known), and the mailbox of their team;
# whether the interpreter's lock is held, so that only brief work may be done; the record.
OUTCOME, THREADS, MAILBOX, HELD, CELL = range(5)
INTO_RECORD = 8 * CELL  # bytes
PLANS = 16  # how many patterns of one function are known at a time
SELDOM = 16  # of unknown calls one is learned, once as many patterns are known: to learn takes longer than to check

HEAD = object.__basicsize__
ITEMS = tuple.__basicsize__  # where a tuple's items begin


def _replay(plans: Ints("P W")) -> None: ...


REPLAY = Kernel("replay", "replay", _replay)


_learning = lock()


class _Cell(NamedTuple):
    """A place for what a call comes to and, behind it, for its record."""

    address: int
    words: Any
    record: Any


# Cells that no call uses. A call takes one out and brings it back at its end, so that a call which comes in between (from a signal handler,
# or from a finaliser that the collector runs) has one of its own; an exception loses the cell, and another one is made.
_cells: list[_Cell] = []


def _new_cell() -> _Cell:
    words = (ctypes.c_int64 * (CELL + MOST_WORDS))()
    return _Cell(ctypes.addressof(words), words, (ctypes.c_int64 * MOST_WORDS).from_buffer(words, INTO_RECORD))


class _Known(NamedTuple):
    """The plans at one moment; never changed, since other threads may be reading them."""

    replay: Any
    count: int
    plans: int
    entries: tuple[Any, ...]
    kept: tuple[Any, ...]


def _not_yet(*operands: Any) -> bool:
    return False


class Replay:
    """The plans of one function.

    Attributes
    ----------
    short
        A builtin function of the operands, for work that is not worth more than one thread: True if a plan fits and the kernel has run.
    """

    def __init__(self) -> None:
        self.short: Callable[..., bool] = _not_yet
        self._short_block, self._short_cell = np.zeros(0, np.int64), np.zeros(CELL + MOST_WORDS, np.int64)
        self._short_cell[HELD] = 1
        self._table = np.zeros((PLANS, PLAN), np.int64)
        self._known: _Known | None = None
        self._learned = self._missed = 0

    def __call__(self, operands: tuple[Any, ...]) -> bool:
        """Run the kernel if a plan fits these operands; False if none does, and nothing has been done then."""
        known = self._known
        if known is None or len(operands) != known.count:
            return False
        replay, _, plans, entries, _ = known
        try:
            cell = _cells.pop()
        except IndexError:
            cell = _new_cell()
        address, words, record = cell
        words[THREADS] = threads = get_num_threads()
        words[MAILBOX] = mailbox_for(threads)
        replay(plans, id(operands) + ITEMS, address)
        outcome: int = words[OUTCOME]
        if outcome > 1:
            entry, waking = entries[outcome - 2]
            launch(entry, record, threads, waking)
        _cells.append(cell)
        return outcome > 0

    def learn(
        self,
        operands: tuple[Any, ...],
        kernel: Kernel,
        large: int,
        given: tuple[Any, ...] | None = None,
        origins: Sequence[int] | None = None,
        apart: Sequence[int] = (),
    ) -> None:
        """Remember a call whose operands have been checked, if it can be recognised again: one call of many, where many are not known.

        Parameters
        ----------
        operands
            What the function was called with.
        large
            Whether the work is shared among threads: 0, 1, `IF_AWAKE`, or `BRIEF`.
        given, origins
            What the kernel gets, if not that: arrays, the first of which begin where the operands with the numbers `origins` do; numbers.
        apart
            Which operands must share no memory with the first, if that is not what the kernel's signature says.
        """
        self._missed += 1
        if not readable() or (self._learned >= PLANS and self._missed % SELDOM):
            return
        given = operands if given is None else given
        pairs = [(0, j, False) for j in apart] or kernel.signature.pairs(given)
        plan = _plan(operands, kernel, given, kernel.signature.arrays if origins is None else origins, pairs)
        if plan is None:
            return
        plan[LARGE] = large
        entry = kernel.entry(kernel.signature.dtypes(given))
        plan[ENTRY] = ctypes.cast(entry, ctypes.c_void_p).value
        with _learning:
            table = self._table.copy()
            p = self._learned % PLANS
            table[p] = plan
            record = as_record(REPLAY.signature.encode((table,)))
            entries, kept = (list(self._known.entries), list(self._known.kept)) if self._known else ([None] * PLANS, [None] * (PLANS + 1))
            entries[p] = entry, IF_OFTEN if large in (IF_AWAKE, BRIEF) else ALWAYS
            kept[p] = [x for x in operands if not isinstance(x, np.ndarray)]  # so that no other object gets the address of a number
            kept[PLANS] = (table, record)
            self._table, self._learned = table, self._learned + 1
            replay = REPLAY.entry("i8")
            if self.short is not _not_yet:
                self._short_block[RECORD_WORD] = ctypes.addressof(record)
            elif possible():
                code = ctypes.cast(replay, ctypes.c_void_p).value or 0
                self.short, self._short_block = builtin(code, ctypes.addressof(record), address_of(self._short_cell), len(operands))
            self._known = _Known(replay, len(operands), ctypes.addressof(record), tuple(entries), tuple(kept))


def _plan(
    operands: tuple[Any, ...], kernel: Kernel, given: tuple[Any, ...], origins: Sequence[int], pairs: Sequence[tuple[int, int, bool]]
) -> np.ndarray[Any, Any] | None:
    """The plan of a call, or None if it has none."""
    plan = np.zeros(PLAN, np.int64)
    words = kernel.signature.encode(given)
    if len(operands) > MOST_OPERANDS or len(words) > MOST_WORDS or len(pairs) > MOST_PAIRS:
        return None
    plan[OPERANDS], plan[HEADER], plan[TYPE], plan[RECORD] = len(operands), HEAD, id(np.ndarray), len(words)
    plan[RECORD_AT : RECORD_AT + len(words)] = words
    for i, x in enumerate(operands):
        at = OPERANDS_AT + i * OPERAND
        if not isinstance(x, np.ndarray):
            plan[at + OBJECT] = id(x)
            continue
        if type(x) is not np.ndarray or x.dtype is not np.dtype(x.dtype.str) or x.ndim > MOST_DIMS or not x.flags.aligned:
            return None
        start = address_of(x)
        low, high = np.lib.array_utils.byte_bounds(x)
        plan[at : at + 6] = 1, id(x.dtype), x.ndim, WRITEABLE_FLAG * (i < kernel.signature.outputs), low - start, high - start
        for d, (size, stride) in enumerate(zip(x.shape, x.strides, strict=True)):
            plan[at + STRIDES_OF - 1 - 2 * d], plan[at + STRIDES_OF - 2 - 2 * d] = size, stride
    patches = list(zip(kernel.signature.pointers(), origins, strict=False))
    plan[PATCHES] = len(patches)
    plan[PATCHES_AT : PATCHES_AT + 2 * len(patches)] = np.array(patches).ravel()
    plan[PAIRS] = len(pairs)
    for n, (i, j, same) in enumerate(pairs):
        x, y = operands[i], operands[j]
        same = same and lie_alike(x, y)
        if np.may_share_memory(x, y) and not (same and same_items(x, y)):
            return None  # the memory of one lies among that of the other: compiled code would not see that it is apart
        plan[PAIRS_AT + 3 * n : PAIRS_AT + 3 * n + 3] = i, j, same
    return plan


def address_of(x: np.ndarray[Any, Any]) -> int:
    """The address of the first item."""
    return int(x.__array_interface__["data"][0])


@cache
def readable() -> bool:
    """Whether the headers of arrays and the items of tuples stand where compiled code looks for them."""
    if sys.implementation.name != "cpython" or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False

    def word(address: int) -> int:
        return ctypes.c_int64.from_address(address).value

    x = np.zeros((3, 5), np.float32)[:2, ::2]
    pair = (x, None)
    at = id(x) + HEAD
    return (
        [word(id(pair) + ITEMS), word(id(pair) + ITEMS + 8)] == [id(x), id(None)]
        and word(at - 8) == id(np.ndarray)
        and word(at + DATA) == address_of(x)
        and word(at + NDIM) & INT32 == 2
        and [word(word(at + SHAPE) + 8 * d) for d in range(2)] == list(x.shape)
        and [word(word(at + STRIDES) + 8 * d) for d in range(2)] == list(x.strides)
        and word(at + DESCR) == id(x.dtype)
        and word(at + FLAGS) & INT32 == x.flags.num
    )
