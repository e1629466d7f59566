"""How a caller has work done by the team, and the loop in which a worker waits for it and does it."""

import numpy as np

from .._calls import give_way, invoke
from .._compiler import subroutine
from .._mailbox import (
    ALONE,
    ALWAYS,
    ASLEEP,
    BUSY,
    CLAIM,
    CLOSED,
    DOORS,
    ENTRY,
    FINISHED,
    LAST,
    LINE,
    NUMBER_MASK,
    OFFERED,
    OPEN,
    OPENED,
    PARTS_MASK,
    RECORD,
    ROOM,
    SHARED,
    SLEEPING,
    TAKEN_BITS,
    TAKEN_MASK,
    TICKET,
)
from .._memory import poke
from .._simd import atomic_add, atomic_load, atomic_store, pause
from ._waking import SPINS_BEFORE_YIELD, clock, come_often, sleep, sleepers, stay_awake, wait_longer, wake

SPINS_BEFORE_SLEEP = 4_000


def launch(team, mailbox, entry, record, alone, parts, pieces, waking, outcome):
    """Have work done, and write who has done it to the address `outcome`: see `launched`."""
    poke(outcome, launched(mailbox, entry, record, alone, parts, pieces, waking))


@subroutine
def launched(mailbox, entry, record, alone, parts, pieces, waking):
    """Have the work of this entry done on `record` by the first `parts` workers (the caller is one), or on `alone` by the caller.

    He works alone while the team is busy for others, or while some are asleep who are not to be woken. Returns who has worked.
    """
    done = ALONE
    if atomic_load(mailbox, BUSY) == 0:
        asleep = sleepers(mailbox, parts)
        if asleep == 0 or waking == ALWAYS:
            if atomic_add(mailbox, BUSY, 1) == 0:
                _lead(mailbox, entry, record, parts, pieces, asleep)
                done = SHARED
            atomic_add(mailbox, BUSY, -1)
        elif come_often(mailbox):
            wake(mailbox, parts)
    if done == ALONE:
        invoke(entry, alone, 0, 1)
        atomic_store(mailbox, LAST, clock(mailbox))
    return done


@subroutine
def _lead(mailbox, entry, record, parts, pieces, asleep):
    """Post the work, wake those asleep, and do a share of it; where it is in pieces, or open, nobody who has not come is waited for."""
    mailbox[ENTRY] = entry
    mailbox[RECORD] = record
    ticket = (mailbox[TICKET] | NUMBER_MASK) + 1 + parts
    if pieces == OPEN:
        invoke(entry, record, parts, parts)  # nobody's share: nothing has been begun
        mailbox[ROOM] = ticket
        atomic_add(mailbox, DOORS, -CLOSED)
        atomic_store(mailbox, TICKET, ticket + OPENED)
        wake(mailbox, parts)
        invoke(entry, record, 0, parts)
        atomic_add(mailbox, DOORS, CLOSED)
        spins = 0
        while atomic_load(mailbox, DOORS) != CLOSED:
            spins += 1
            wait_longer(spins)
        return
    atomic_store(mailbox, FINISHED, 0)
    if pieces > 0 and asleep != 0:
        atomic_store(mailbox, CLAIM, pieces << TAKEN_BITS)
        atomic_store(mailbox, TICKET, ticket + OFFERED)
        wake(mailbox, parts)
        _take(mailbox)
        _await(mailbox, pieces)
    else:
        atomic_store(mailbox, TICKET, ticket)
        wake(mailbox, parts)  # also who has just fallen asleep
        invoke(entry, record, 0, parts)
        _await(mailbox, parts - 1)


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
        wait_longer(spins)


@subroutine
def _visit(mailbox, worker):
    """Take part in what is open, which may be something later than the ticket said."""
    if atomic_add(mailbox, DOORS, 1) < CLOSED:
        parts = mailbox[ROOM] & PARTS_MASK
        if worker < parts:
            invoke(mailbox[ENTRY], mailbox[RECORD], worker, parts)
    atomic_add(mailbox, DOORS, -1)


def serve(team, mailbox, worker):
    """Worker number `worker` does what is posted, and sleeps when nothing has come for a while; it never returns."""
    last = np.int64(0)
    spins = 0
    stay_awake(mailbox, worker)
    while True:
        ticket = atomic_load(mailbox, TICKET)
        if ticket != last:
            last = ticket
            parts = ticket & PARTS_MASK
            if worker < parts:
                if ticket & OPENED != 0:
                    _visit(mailbox, worker)
                elif ticket & OFFERED != 0:
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
            atomic_store(mailbox, ASLEEP + worker * LINE, SLEEPING)
            if atomic_load(mailbox, TICKET) == last:
                sleep(mailbox, worker)
            else:
                stay_awake(mailbox, worker)
            spins = 0
