"""The interpreter of programs."""

from .._calls import give_way, invoke
from .._compiler import subroutine
from .._mailbox import CLOSED, DOORS, LINE, ROOM, WORDS
from .._memory import words_at
from .._simd import arithmetic, atomic_add, atomic_load, atomic_replace, flush_denormals, pause
from ._waking import SPINS_BEFORE_PAUSE, SPINS_BEFORE_YIELD


def interpret(team, table, starts, done, repeat, mailbox):
    """Do this worker's turns, `repeat` times over. Each row of the table: entry, record, part, parts.

    `starts` says where the turns of each worker begin, stretch by stretch: before each, all wait for the turns of the one before. They wait
    for these, not for each other: turns that nobody has begun are done by who waits. `done` counts how many workers' turns of how many
    stretches are done, and holds on further lines how many stretches of each worker have been begun; worker number `parts`, who is nobody,
    sets all of these to 0.

    Denormal numbers count as zero meanwhile: many cores take a hundred times as long for them, and trained networks are full of them, in
    the probabilities of wrong classes and in averages of gradients that have come to an end.
    """
    part, parts = team
    mode = flush_denormals()
    if parts == 1:
        for _ in range(repeat):
            _do(table, 0, len(table))
    elif part == parts:
        for i in range(parts + 1):
            done[i * LINE] = 0
    else:
        _work(table, starts, done, repeat, words_at(mailbox, WORDS), part, parts)
    arithmetic(mode)


@subroutine
def _work(table, starts, done, repeat, mailbox, part, parts):
    stretches = (len(starts) - 1) // parts
    stretch = atomic_load(done, 0) // parts  # one who comes late begins where the others are
    while stretch < stretches * repeat:
        at = stretch % stretches * parts
        _begin(table, starts, done, stretch, at, part)
        spins = 0
        while atomic_load(done, 0) < (stretch + 1) * parts:
            spins += 1
            if spins > SPINS_BEFORE_PAUSE:
                pause()
            if spins > SPINS_BEFORE_YIELD:
                for other in range(parts):
                    _begin(table, starts, done, stretch, at, other)
                if part == 0:
                    give_way()
                elif not _step_out(mailbox):
                    return
        stretch += 1


@subroutine
def _begin(table, starts, done, stretch, at, part):
    """Do a worker's turns of a stretch unless they have been begun."""
    begun = (1 + part) * LINE
    if atomic_load(done, begun) == stretch and atomic_replace(done, begun, stretch, stretch + 1):
        _do(table, starts[at + part], starts[at + part + 1])
        atomic_add(done, 0, 1)


@subroutine
def _do(table, start, stop):
    for i in range(start, stop):
        invoke(table[i, 0], table[i, 1], table[i, 2], table[i, 3])


@subroutine
def _step_out(mailbox):
    """Give way outside, where the caller need not wait for this worker; returns whether the same program is still open."""
    ticket = mailbox[ROOM]
    atomic_add(mailbox, DOORS, -1)
    give_way()
    return atomic_add(mailbox, DOORS, 1) < CLOSED and mailbox[ROOM] == ticket


def answer(team, y, x, place, result, entry, record):
    """Put x where a program wants it, run the program at this entry and record, and bring its result out."""
    for i in range(len(x)):
        place[i] = x[i]
    invoke(entry, record, 0, 1)
    for i in range(len(y)):
        y[i] = result[i]
