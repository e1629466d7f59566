"""The interpreter of programs, and the loop in which a worker thread waits for work and does it."""

from .._calls import give_way, invoke
from .._compiler import subroutine
from .._simd import atomic_add, atomic_load, atomic_store, pause

# The words of the team's mailbox, each on a cache line of its own. A ticket is a running number and, in its last byte, how many
# workers take part: a worker that does not take part never looks at the rest, which may be changing.
LINE = 8
TICKET, ENTRY, RECORD, FINISHED, SLEEPERS, ASLEEP = range(0, 6 * LINE, LINE)
RING, BELL = SLEEPERS + 1, ASLEEP + 1  # the function that rings a bell, and each worker's bell
PARTS_MASK = 255
SPINS_BEFORE_PAUSE = 100  # a fraction of a microsecond: workers that share their work well are never further apart
SPINS_BEFORE_YIELD = 400  # a few microseconds: longer waits mean that the other thread has no core
SPINS_BEFORE_SLEEP = 4_000


def interpret(team, table, starts, meeting, repeat):
    """Do this worker's turns, `repeat` times over. Each row of the table: entry, record, part, parts; no entry means to wait for all."""
    part, parts = team
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


def answer(team, y, x, place, result, entry, record):
    """Put x where a program wants it, run the program at this entry and record, and bring its result out."""
    for i in range(len(x)):
        place[i] = x[i]
    invoke(entry, record, 0, 1)
    for i in range(len(y)):
        y[i] = result[i]


def post(team, mailbox, entry, record, parts):
    """Put work into the mailbox, which workers that are awake begin at once, and lead it unless some are asleep: those need a bell."""
    mailbox[ENTRY] = entry
    mailbox[RECORD] = record
    atomic_store(mailbox, FINISHED, 0)
    atomic_store(mailbox, TICKET, (mailbox[TICKET] | PARTS_MASK) + 1 + parts)
    sleepers = 0
    for worker in range(1, parts):
        sleepers += atomic_load(mailbox, ASLEEP + worker * LINE)
    mailbox[SLEEPERS] = sleepers
    if sleepers == 0:
        _lead(mailbox, parts)


def lead(team, mailbox):
    """Wake those asleep, do the caller's share of the work that was posted, then wait until the others have done theirs."""
    parts = mailbox[TICKET] & PARTS_MASK
    mailbox[SLEEPERS] = 0
    for worker in range(1, parts):
        if atomic_load(mailbox, ASLEEP + worker * LINE) != 0:
            invoke(mailbox[RING], mailbox[BELL + worker * LINE], 0, 0)  # it takes the bell alone
    _lead(mailbox, parts)


@subroutine
def _lead(mailbox, parts):
    invoke(mailbox[ENTRY], mailbox[RECORD], 0, parts)
    spins = 0
    while atomic_load(mailbox, FINISHED) < parts - 1:
        spins += 1
        if spins > SPINS_BEFORE_PAUSE:
            pause()
        if spins > SPINS_BEFORE_YIELD:
            give_way()


def serve(team, mailbox, last, worker):
    """Worker number `worker` does what is posted after the ticket `last[0]`, until nothing has come for a while."""
    spins = 0
    while True:
        ticket = atomic_load(mailbox, TICKET)
        if ticket != last[0]:
            last[0] = ticket
            parts = ticket & PARTS_MASK
            if worker < parts:
                invoke(mailbox[ENTRY], mailbox[RECORD], worker, parts)
                atomic_add(mailbox, FINISHED, 1)
            spins = 0
        pause()
        spins += 1
        if spins > SPINS_BEFORE_YIELD:
            give_way()
        if spins > SPINS_BEFORE_SLEEP:
            # Announce the sleep first and look at the ticket once more: whoever posts does it in the other order.
            atomic_store(mailbox, ASLEEP + worker * LINE, 1)
            if atomic_load(mailbox, TICKET) == last[0]:
                return
            atomic_store(mailbox, ASLEEP + worker * LINE, 0)
            spins = 0
