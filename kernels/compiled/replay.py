"""The way in for calls from Python on plain arrays: what has been checked once is recognised, not checked again."""

import numpy as np

from .._calls import invoke
from .._mailbox import ALWAYS, IF_OFTEN, WORDS
from .._memory import peek, poke, words_at
from .._replay import (
    ALIGNED,
    ARRAY,
    BRIEF,
    DATA,
    DESCR,
    DIMS,
    ENTRY,
    FLAGS,
    HEADER,
    HELD,
    HIGH,
    INT32,
    INTO_RECORD,
    LARGE,
    LOW,
    MAILBOX,
    NDIM,
    OBJECT,
    OPERAND,
    OPERANDS,
    OPERANDS_AT,
    PAIRS,
    PAIRS_AT,
    PATCHES,
    PATCHES_AT,
    RECORD,
    RECORD_AT,
    SHAPE,
    STRIDES,
    STRIDES_OF,
    THREADS,
    TYPE,
    WRITEABLE,
)
from .._team import PIECES
from .team import launched


def replay(team, plans):
    """Find the plan that fits the objects in a tuple, and run its kernel on their data.

    `team` holds two addresses: of the tuple's items, and of a cell. Its first word becomes 0 if no plan fits, 1 if the kernel has run,
    2 + p if plan p fits, but its work is large and left to the caller: he holds the interpreter's lock, or the cell does not say how many
    threads there are and where their team is. The record, which the cell holds too, has been filled in then.
    """
    items, cell = team
    word = np.int64(0)
    for p in range(plans.shape[0]):
        count, header = plans[p, OPERANDS], plans[p, HEADER]
        fits = count > 0
        i = 0
        while fits and i < count:
            at = OPERANDS_AT + i * OPERAND
            thing = peek(items + 8 * i, word)
            if plans[p, at + ARRAY] == 0:
                fits = thing == plans[p, at + OBJECT]
            else:
                fields = thing + header
                fits = (
                    peek(fields - 8, word) == plans[p, TYPE]
                    and (peek(fields + NDIM, word) & INT32) == plans[p, at + DIMS]
                    and peek(fields + DESCR, word) == plans[p, at + OBJECT]
                    and (peek(fields + FLAGS, word) & (ALIGNED | plans[p, at + WRITEABLE])) == (ALIGNED | plans[p, at + WRITEABLE])
                )
                if fits:
                    shape, strides = peek(fields + SHAPE, word), peek(fields + STRIDES, word)
                    for d in range(plans[p, at + DIMS]):
                        fits = (
                            fits
                            and peek(shape + 8 * d, word) == plans[p, at + STRIDES_OF - 1 - 2 * d]
                            and peek(strides + 8 * d, word) == plans[p, at + STRIDES_OF - 2 - 2 * d]
                        )
            i += 1
        j = 0
        while fits and j < plans[p, PAIRS]:
            at = PAIRS_AT + 3 * j
            one, other = plans[p, at], plans[p, at + 1]
            x, y = peek(peek(items + 8 * one, word) + header + DATA, word), peek(peek(items + 8 * other, word) + header + DATA, word)
            one, other = OPERANDS_AT + one * OPERAND, OPERANDS_AT + other * OPERAND
            fits = (
                y + plans[p, other + HIGH] <= x + plans[p, one + LOW]
                or x + plans[p, one + HIGH] <= y + plans[p, other + LOW]
                or (plans[p, at + 2] != 0 and x == y)
            )
            j += 1
        if fits:
            record, threads, mailbox = cell + INTO_RECORD, peek(cell + 8 * THREADS, word), peek(cell + 8 * MAILBOX, word)
            large = plans[p, LARGE]
            for j in range(plans[p, RECORD]):
                poke(record + 8 * j, plans[p, RECORD_AT + j])
            for j in range(plans[p, PATCHES]):
                source = peek(items + 8 * plans[p, PATCHES_AT + 2 * j + 1], word)
                poke(record + 8 * plans[p, PATCHES_AT + 2 * j], peek(source + header + DATA, word))
            held = peek(cell + 8 * HELD, word) != 0 and large != BRIEF
            if large == 0 or (threads == 1 and not held):
                invoke(plans[p, ENTRY], record, 0, 1)
            elif mailbox != 0 and threads != 0 and not held:
                waking = ALWAYS if large == 1 else IF_OFTEN
                launched(words_at(mailbox, WORDS), plans[p, ENTRY], record, record, threads, PIECES * threads, waking)
            else:
                poke(cell, 2 + p)
                return
            poke(cell, np.int64(1))
            return
    poke(cell, np.int64(0))
