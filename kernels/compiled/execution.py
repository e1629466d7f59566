"""The interpreter of programs, and the loop in which a worker thread waits for work and does it."""

import numpy as np

from .._calls import give_way, invoke
from .._compiler import subroutine
from .._simd import arithmetic, atomic_add, atomic_load, atomic_store, flush_denormals, pause

# The words of the team's mailbox, each on a cache line of its own. A ticket is a running number, whether the work is there for the taking,
# and, in its last byte, how many workers take part: one that does not take part never looks at the rest, which may be changing. A claim is
# how many pieces there are and, in its lower half, how many of them have been taken.
LINE = 8
TICKET, ENTRY, RECORD, CLAIM, FINISHED, RING, ASLEEP = range(0, 7 * LINE, LINE)
WAIT, MOVE = RING + 1, RING + 2  # beside the function that rings a bell: the one that waits for it, and one that chooses a thread's cores
BELL, CORES = ASLEEP + 1, ASLEEP + 2  # each worker's bell, and the address of the set of its cores; 0 where it cannot be chosen
PARTS_MASK, OFFERED, NUMBER_MASK = 255, 256, 511
TAKEN_BITS = 32
TAKEN_MASK = (1 << TAKEN_BITS) - 1
CORES_BYTES = 128  # of a set of cores: 1024 bits, as in the C library
SPINS_BEFORE_PAUSE = 100  # a fraction of a microsecond: workers that share their work well are never further apart
SPINS_BEFORE_YIELD = 400  # a few microseconds: longer waits mean that the other thread has no core
SPINS_BEFORE_SLEEP = 4_000


def interpret(team, table, starts, meeting, repeat):
    """Do this worker's turns, `repeat` times over. Each row of the table: entry, record, part, parts; no entry means to wait for all.

    Denormal numbers count as zero meanwhile: many cores take a hundred times as long for them, and trained networks are full of them, in
    the probabilities of wrong classes and in averages of gradients that have come to an end.
    """
    part, parts = team
    mode = flush_denormals()
    met = 0
    for _ in range(repeat):
        for i in range(starts[part], starts[part + 1]):
            if table[i, 0] != 0:
                invoke(table[i, 0], table[i, 1], table[i, 2], table[i, 3])
                continue
            met += parts
            atomic_add(meeting, 0, 1)
            spins = 0
            while atomic_load(meeting, 0) < met:
                spins += 1
                if spins > SPINS_BEFORE_PAUSE:
                    pause()
                if spins > SPINS_BEFORE_YIELD:
                    give_way()
    arithmetic(mode)


def answer(team, y, x, place, result, entry, record):
    """Put x where a program wants it, run the program at this entry and record, and bring its result out."""
    for i in range(len(x)):
        place[i] = x[i]
    invoke(entry, record, 0, 1)
    for i in range(len(y)):
        y[i] = result[i]


def lead(team, mailbox, entry, record, parts, pieces):
    """Have this work done by the first `parts` workers, of whom the caller is one.

    Those asleep are woken. Where the work may be done in `pieces`, one after the other, they are not waited for: the caller does what
    nobody has come to do.
    """
    sleepers = 0
    for worker in range(1, parts):
        sleepers += atomic_load(mailbox, ASLEEP + worker * LINE)
    mailbox[ENTRY] = entry
    mailbox[RECORD] = record
    atomic_store(mailbox, FINISHED, 0)
    ticket = (mailbox[TICKET] | NUMBER_MASK) + 1 + parts
    if sleepers != 0 and pieces != 0:
        atomic_store(mailbox, CLAIM, pieces << TAKEN_BITS)
        atomic_store(mailbox, TICKET, ticket + OFFERED)
        _ring(mailbox, parts)
        _take(mailbox)
        _await(mailbox, pieces)
    else:
        atomic_store(mailbox, TICKET, ticket)
        _ring(mailbox, parts)
        invoke(entry, record, 0, parts)
        _await(mailbox, parts - 1)


@subroutine
def _ring(mailbox, parts):
    for worker in range(1, parts):
        if atomic_load(mailbox, ASLEEP + worker * LINE) != 0:
            invoke(mailbox[RING], mailbox[BELL + worker * LINE], 0, 0)  # it takes the bell alone


@subroutine
def _take(mailbox):
    while True:
        claim = atomic_load(mailbox, CLAIM)
        if (claim & TAKEN_MASK) >= claim >> TAKEN_BITS:
            return
        claim = atomic_add(mailbox, CLAIM, 1)
        piece, pieces = claim & TAKEN_MASK, claim >> TAKEN_BITS
        if piece >= pieces:
            return
        # Whichever work this piece is of, it stays in the mailbox until the piece is done.
        invoke(mailbox[ENTRY], mailbox[RECORD], piece, pieces)
        atomic_add(mailbox, FINISHED, 1)


@subroutine
def _await(mailbox, wanted):
    spins = 0
    while atomic_load(mailbox, FINISHED) < wanted:
        spins += 1
        if spins > SPINS_BEFORE_PAUSE:
            pause()
        if spins > SPINS_BEFORE_YIELD:
            give_way()


def serve(team, mailbox, worker):
    """Worker number `worker` does what is posted, and sleeps when nothing has come for a while; it never returns."""
    asleep = ASLEEP + worker * LINE
    last = np.int64(0)
    spins = 0
    atomic_store(mailbox, asleep, 0)
    while True:
        ticket = atomic_load(mailbox, TICKET)
        if ticket != last:
            last = ticket
            parts = ticket & PARTS_MASK
            if worker < parts:
                if ticket & OFFERED != 0:
                    _take(mailbox)
                else:
                    invoke(mailbox[ENTRY], mailbox[RECORD], worker, parts)
                    atomic_add(mailbox, FINISHED, 1)
            spins = 0
        pause()
        spins += 1
        if spins > SPINS_BEFORE_YIELD:
            give_way()
        if spins > SPINS_BEFORE_SLEEP:
            # Announce the sleep first and look at the ticket once more: whoever posts does it in the other order.
            atomic_store(mailbox, asleep, 1)
            if atomic_load(mailbox, TICKET) == last:
                invoke(mailbox[WAIT], mailbox[BELL + worker * LINE], 1, 0)
                if mailbox[CORES + worker * LINE] != 0:
                    invoke(mailbox[MOVE], 0, CORES_BYTES, mailbox[CORES + worker * LINE])
            atomic_store(mailbox, asleep, 0)
            spins = 0
