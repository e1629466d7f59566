"""How workers sleep and are woken: at a lock of Python's, their bell, and on another core than that of whoever rings it."""

from .._calls import give_way, invoke
from .._compiler import subroutine
from .._mailbox import (
    ASLEEP,
    AWAKE,
    AWAY,
    BELL,
    CLOCK,
    CORE,
    HOME,
    LAST,
    LINE,
    LOOK,
    MOVE,
    MOVED,
    RING,
    RUNG,
    SET,
    SINCE,
    SLEEPING,
    THREAD,
    WAIT,
    WHICH,
)
from .._memory import address, scratch
from .._simd import atomic_load, atomic_replace, atomic_store, pause

SPINS_BEFORE_PAUSE = 100  # a fraction of a microsecond: workers that share their work well are never further apart
SPINS_BEFORE_YIELD = 400  # a few microseconds: longer waits mean that the other thread has no core
OFTEN = 1_000_000  # nanoseconds between works that find somebody asleep, so that he is worth waking for them
REPAID = 300_000  # nanoseconds of work, without longer breaks, that are worth waking somebody for the rest of it

_place = scratch(SET)  # for what the system answers


@subroutine
def sleepers(mailbox, parts):
    """How many of the first `parts` workers are asleep, or have not heard their bell yet."""
    count = 0
    for worker in range(1, parts):
        count += atomic_load(mailbox, ASLEEP + worker * LINE) != AWAKE
    return count


@subroutine
def sleep(mailbox, worker):
    """Wait for the bell; then go back to where this worker may run."""
    invoke(mailbox[WAIT], mailbox[BELL + worker * LINE], 1, 0)
    if mailbox[MOVED + worker * LINE] != 0:
        invoke(mailbox[MOVE], 0, 8 * SET, address(mailbox) + 8 * (HOME + 2 * SET * worker))
    atomic_store(mailbox, ASLEEP + worker * LINE, AWAKE)


@subroutine
def stay_awake(mailbox, worker):
    """Do not sleep after all; a bell that has rung for that is heard all the same, since nobody may ring it twice."""
    if not atomic_replace(mailbox, ASLEEP + worker * LINE, SLEEPING, AWAKE):
        sleep(mailbox, worker)


@subroutine
def wake(mailbox, parts):
    """Ring for those who are asleep, once: Python ends a process that releases a lock that nobody holds, from 3.15 on.

    A thread is often woken on the core of the one that wakes it, who works on there: it would come when the work is done.
    """
    core = -1
    for worker in range(1, parts):
        asleep = ASLEEP + worker * LINE
        if atomic_load(mailbox, asleep) == SLEEPING and atomic_replace(mailbox, asleep, SLEEPING, RUNG):
            if mailbox[MOVE] != 0:
                core = _core(mailbox) if core < 0 else core
                _keep_off(mailbox, worker, core)
            invoke(mailbox[RING], mailbox[BELL + worker * LINE], 0, 0)  # it takes the bell alone


@subroutine
def _core(mailbox):
    """The number of the core that this thread runs on."""
    place = _place(mailbox)
    place[0] = 0
    invoke(mailbox[CORE], address(place), 0, 0)
    return place[0]


@subroutine
def _keep_off(mailbox, worker, core):
    """Have a sleeper wake up elsewhere, if it may be elsewhere."""
    now = _place(mailbox)
    for i in range(SET):
        now[i] = 0
    invoke(mailbox[LOOK], mailbox[THREAD + worker * LINE], 8 * SET, address(now))
    home, away = HOME + 2 * SET * worker, AWAY + 2 * SET * worker
    kept = True  # away since the last time
    for i in range(SET):
        kept = kept and now[i] == mailbox[away + i]
    elsewhere = False
    for i in range(SET):
        if not kept:
            mailbox[home + i] = now[i]
        mailbox[away + i] = mailbox[home + i] & ~(1 << (core & 63)) if i == core >> 6 else mailbox[home + i]
        elsewhere = elsewhere or mailbox[away + i] != 0
    if elsewhere:
        mailbox[MOVED + worker * LINE] = 1
        invoke(mailbox[MOVE], mailbox[THREAD + worker * LINE], 8 * SET, address(mailbox) + 8 * away)


@subroutine
def clock(mailbox):
    """The time in nanoseconds, of a clock that never goes back."""
    place = _place(mailbox)
    invoke(mailbox[CLOCK], mailbox[WHICH], address(place), 0)
    return place[0] * 1_000_000_000 + place[1]


@subroutine
def come_often(mailbox):
    """Whether works that found somebody asleep have come often enough to wake him for what comes next."""
    now = clock(mailbox)
    if now - atomic_load(mailbox, LAST) > OFTEN:
        atomic_store(mailbox, SINCE, now)
        return False
    if now - atomic_load(mailbox, SINCE) <= REPAID:
        return False
    atomic_store(mailbox, SINCE, now)
    return True


@subroutine
def wait_longer(spins):
    """A moment of waiting, the longer it lasts the more politely."""
    if spins > SPINS_BEFORE_PAUSE:
        pause()
    if spins > SPINS_BEFORE_YIELD:
        give_way()
