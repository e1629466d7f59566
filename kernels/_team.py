"""A small team of threads that share the work of a kernel or of a whole program.

Workers are plain Python threads inside compiled code that has released the GIL. They spin for a fraction of a millisecond after
their last work, so that the next comes cheaply, and then sleep at a lock of Python's, their bell, which compiled code can release. The
caller is worker 0. A caller that finds the team busy works alone; kernels give bitwise the same results for any number of workers.

To wake a thread takes as long as a product of 256 by 256: short work is shared only by workers who are awake, and work that comes often
has them woken for what comes next. Long work is begun while they wake up; who comes takes what is left. All of this is decided in compiled
code (compiled/team.py); here, threads are started.
"""

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from . import _host
from ._errors import ArgumentError
from ._locks import lock
from ._mailbox import (
    ALWAYS,
    ASLEEP,
    BELL,
    CLOCK,
    CLOSED,
    CORE,
    DOORS,
    EACH,
    LINE,
    LOOK,
    MOST_THREADS,
    MOVE,
    RING,
    SHARED,
    SLEEPING,
    THREAD,
    WAIT,
    WHICH,
    WORDS,
)
from ._registry import Kernel, as_record
from ._signature import Int, Ints

STACK_BYTES = 8 << 20  # of a worker, whatever other threads have: blocks of operands lie there
PIECES = 2  # for each worker, of work that is begun while some are asleep: one who comes late finds some left


def _launch(mailbox: Ints("W"), entry: Int, record: Int, alone: Int, parts: Int, pieces: Int, waking: Int, outcome: Int) -> None: ...
def _serve(mailbox: Ints("W"), worker: Int) -> None: ...


LAUNCH, SERVE = Kernel("launch", "team", _launch), Kernel("serve", "team", _serve)


@cache
def _python() -> Any:
    """Python's own library, called without the GIL: its locks are what workers sleep at."""
    library = ctypes.CDLL(None, handle=ctypes.pythonapi._handle)
    library.PyThread_allocate_lock.restype = ctypes.c_void_p
    library.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
    library.PyThread_release_lock.argtypes = (ctypes.c_void_p,)
    return library


class Team:
    """`size` workers, the caller among them; the other threads start when there is work for them."""

    def __init__(self) -> None:
        self.size = 1
        self.mailbox = np.zeros(WORDS, np.int64)
        self.address: int = self.mailbox.ctypes.data
        self.mailbox[ASLEEP : ASLEEP + MOST_THREADS * LINE : LINE] = SLEEPING
        self.mailbox[DOORS] = CLOSED
        self.mailbox[RING] = _address(_python().PyThread_release_lock)
        self.mailbox[WAIT] = _address(_python().PyThread_acquire_lock)
        system = ctypes.CDLL(None)
        self.mailbox[CLOCK], self.mailbox[WHICH] = _address(system.clock_gettime), time.CLOCK_MONOTONIC
        if all(hasattr(system, name) for name in ("getcpu", "sched_getaffinity", "sched_setaffinity")):
            self.mailbox[CORE], self.mailbox[LOOK] = _address(system.getcpu), _address(system.sched_getaffinity)
            self.mailbox[MOVE] = _address(system.sched_setaffinity)
        self._joining = threading.Lock()
        self._launch = LAUNCH.entry("i8")

    def grow(self, size: int) -> None:
        """Have at least `size` workers.

        Each joins by itself, in its own thread, where Ctrl-C never arrives: wherever that interrupts this, the team is whole.
        """
        before = threading.stack_size()
        try:
            threading.stack_size(STACK_BYTES)
            while self.size < size:
                joined = threading.Event()
                threading.Thread(target=self._serve, args=(size, joined), name=f"fastnn-{self.size}", daemon=True).start()
                joined.wait()
        finally:
            threading.stack_size(before)

    def _join(self, size: int) -> int:
        """The number of a new worker, who gets a bell; 0 if there are `size` already: one that Ctrl-C had hidden has come after all."""
        with self._joining:
            worker = self.size
            if worker >= size:
                return 0
            bell = _python().PyThread_allocate_lock()
            _python().PyThread_acquire_lock(bell, 1)
            self.mailbox[BELL + worker * LINE] = bell
            self.mailbox[THREAD + worker * LINE] = threading.get_native_id()
            self.size = worker + 1
            return worker

    def _serve(self, size: int, joined: threading.Event) -> None:
        try:
            serve, record = SERVE.entry("i8"), as_record(SERVE.signature.encode((self.mailbox, 0)))
            worker = record[-1] = self._join(size)
        finally:
            joined.set()
        if worker:
            serve(record, 0, 1)

    def run(self, entry: int, record: int, parts: int, pieces: int = EACH, waking: int = ALWAYS, alone: int = 0) -> bool:
        """Run the kernel at the address `entry` on `parts` workers, or alone while the team is busy, or asleep and not to be woken.

        Parameters
        ----------
        record, alone
            Addresses of what it works on when the work is shared, and when it is not, if that is something else.
        pieces
            `EACH` worker does one share and is waited for; or so many shares are taken by those who come, if some are asleep; or the work
            is `OPEN`, and whoever comes finds out what there is to do.
        waking
            Whether sleepers are woken for it: `ALWAYS`, or `IF_OFTEN`, for what comes next, when work has come again and again.

        Returns whether it was shared.
        """
        call = as_record([self.address, WORDS, entry, record, alone or record, parts, pieces, waking, 0, 0])
        call[8] = ctypes.addressof(call) + 72
        self._launch(call, 0, 1)
        shared: bool = call[9] == SHARED
        return shared


class _Limit(threading.local):
    threads: int | None = None


_limit = _Limit()

# What compiled code that is called without a look at the above knows: a thread, how many threads its work is spread over, and the mailbox
# of their team; no owner if none is known.
OWNER, HERE_THREADS, HERE_MAILBOX = range(3)
here = (ctypes.c_int64 * 3)()
_team: Team | None = None
_starting = lock()


def _forget_team() -> None:
    """A forked child has none of its parent's threads, and may be sent to other cores."""
    global _team
    _team = None
    _host.cores.cache_clear()
    _default.cache_clear()
    here[OWNER] = 0


os.register_at_fork(after_in_child=_forget_team)


def _checked(count: Any, name: str) -> int:
    if not isinstance(count, (int, np.integer)) or not 1 <= count <= MOST_THREADS:
        raise ArgumentError(f"{name} must be a whole number from 1 to {MOST_THREADS}, got {count!r}")
    return int(count)


@cache
def _default() -> int:
    """What the environment says, or as many threads as there are cores."""
    text = os.environ.get("FASTNN_NUM_THREADS", "").strip()
    if text:
        return _checked(int(text) if text.isdecimal() and len(text) < 10 else text, "FASTNN_NUM_THREADS")
    return min(_host.cores(), MOST_THREADS)


_process_limit: int | None = None


def get_num_threads() -> int:
    """How many threads large work is spread over: `threads(n)`, else `set_num_threads`, else `FASTNN_NUM_THREADS`, else all cores.

    Raises ArgumentError if the environment names no such number.
    """
    return _limit.threads or _process_limit or _default()


def set_num_threads(count: int) -> None:
    """Spread large work over `count` threads from now on, in every thread of this process. Raises ArgumentError."""
    global _process_limit
    _process_limit = _checked(count, "count")
    here[OWNER] = 0


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Spread large work of this thread over `count` threads in the body of a `with` statement. Raises ArgumentError."""
    before = _limit.threads
    _limit.threads = _checked(count, "count")
    here[OWNER] = 0
    try:
        yield
    finally:
        _limit.threads = before
        here[OWNER] = 0


def team(size: int) -> Team:
    """The process's team, with at least `size` workers."""
    global _team
    if _team is None or _team.size < size:
        with _starting:
            _team = _team or Team()
            _team.grow(size)
    return _team


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def launch(entry: Any, record: Any, parts: int, waking: int = ALWAYS, pieces: int = PIECES) -> None:
    """Run a kernel's entry on `parts` threads, or on this one alone while the team is busy, or asleep and not to be woken.

    With no `pieces` for each thread, each has just one share of the work, and is waited for.
    """
    if parts == 1:
        entry(record, 0, 1)
    else:
        team(parts).run(_address(entry), ctypes.addressof(record), parts, pieces * parts, waking)


def mailbox_for(threads: int) -> int:
    """The address of the mailbox of the process's team; 0 if it has fewer than `threads` workers. Compiled code finds it in `here` then."""
    mailbox = _team.address if _team is not None and _team.size >= threads else 0
    if not here[OWNER] and (mailbox or threads == 1):
        here[HERE_THREADS], here[HERE_MAILBOX] = threads, mailbox
        here[OWNER] = threading.get_ident()
    return mailbox
