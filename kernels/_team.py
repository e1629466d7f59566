"""A small team of threads that share the work of a kernel or of a whole program.

Workers are plain Python threads inside compiled code that has released the GIL. They spin for a fraction of a millisecond after
their last work, so that the next comes cheaply, and then sleep at a lock of Python's, their bell, which compiled code can release. The
caller is worker 0. A caller that finds the team busy works alone; kernels give bitwise the same results for any number of workers.

To wake a thread takes as long as a product of 256 by 256: short work is shared only by workers who are awake, and work that comes often
has them woken for what comes next. Long work is begun, in pieces, while they wake up; who comes takes what is left.
"""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import numpy as np

from . import _host
from ._errors import ArgumentError
from ._locks import lock
from ._registry import Kernel, as_record
from ._signature import Int, Ints

# The words of a mailbox that are written here; what they hold stands in compiled/execution.py.
LINE = 8
RING, ASLEEP = 5 * LINE, 6 * LINE
WAIT, MOVE = RING + 1, RING + 2
BELL, CORES = ASLEEP + 1, ASLEEP + 2
MOST_THREADS = 255
MOST_CORES = 1024  # in a set of cores
STACK_BYTES = 8 << 20  # of a worker, whatever other threads have: blocks of operands lie there
PIECES = 2  # for each worker, of work that is begun while some are asleep: one who comes late finds some left
OFTEN = 1e-3  # seconds between works that find workers awake, so that these are worth waking for them
REPAID = 3e-4  # seconds of work, without longer breaks, that are worth waking somebody for the rest of it


def _lead(mailbox: Ints("W"), entry: Int, record: Int, parts: Int, pieces: Int) -> None: ...
def _serve(mailbox: Ints("W"), worker: Int) -> None: ...


LEAD, SERVE = Kernel("lead", "execution", _lead), Kernel("serve", "execution", _serve)


@cache
def _python() -> Any:
    """Python's own library, called without the GIL: its locks are what workers sleep at."""
    import ctypes

    library = ctypes.CDLL(None, handle=ctypes.pythonapi._handle)
    library.PyThread_allocate_lock.restype = ctypes.c_void_p
    library.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
    library.PyThread_release_lock.argtypes = (ctypes.c_void_p,)
    return library


@cache
def _library() -> Any:
    """The C library, or None where it does not tell the number of a core."""
    import ctypes

    library = ctypes.CDLL(None) if hasattr(os, "sched_setaffinity") else None
    return library if hasattr(library, "sched_getcpu") else None


def _core() -> int:
    """The number of the core that this thread runs on; -1 where the system does not tell."""
    library = _library()
    return -1 if library is None else int(library.sched_getcpu())


class _Sleeper:
    """A worker's thread, which others may have woken on another core than their own.

    A thread is often woken on the core of the one that wakes it, who works on there: it would come when the work is done.
    """

    def __init__(self) -> None:
        self.thread = threading.get_native_id()
        self.cores = np.zeros(MOST_CORES // 64, np.uint64)  # what it goes back to when it is awake
        self._home: set[int] = set()
        self._away: set[int] = set()

    def keep_off(self, core: int) -> bool:
        """Have it wake up elsewhere, if it may be elsewhere; returns whether it has to go back to `cores` then."""
        with suppress(OSError):
            now = os.sched_getaffinity(self.thread)
            if now not in (self._home, self._away) and max(now) < MOST_CORES:
                self._home = now
                self.cores[:] = np.packbits(np.isin(np.arange(MOST_CORES), list(now)), bitorder="little").view(np.uint64)
            if core in self._home and len(self._home) > 1:
                self._away = self._home - {core}
                os.sched_setaffinity(self.thread, self._away)
        return bool(self._home)


class Team:
    """`size` workers, the caller among them; the other threads start when there is work for them."""

    def __init__(self) -> None:
        self.size = 1
        self.mailbox = np.zeros(ASLEEP + MOST_THREADS * LINE, np.int64)
        self.mailbox[ASLEEP::LINE] = 1
        self._words = memoryview(self.mailbox)
        self.mailbox[RING] = _address(_python().PyThread_release_lock)
        self.mailbox[WAIT] = _address(_python().PyThread_acquire_lock)
        self.mailbox[MOVE] = 0 if _library() is None else _address(_library().sched_setaffinity)
        self.bells = [0]  # of the caller, who needs none
        self._sleepers = [_Sleeper()]
        self._joining = threading.Lock()
        self.busy = threading.Lock()
        self._since = self.alone_until = -math.inf  # when works that found somebody asleep began to come, and when the last was done
        self._lead = LEAD.entry("i8")
        self._record = as_record(LEAD.signature.encode((self.mailbox, 0, 0, 1, 0)))

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
            self.bells.append(bell)
            self._sleepers.append(_Sleeper())
            self.mailbox[BELL + worker * LINE] = bell
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

    def run(self, entry: int, record: int, parts: int, pieces: int = 0) -> bool:
        """Run the kernel at the address `entry` on `parts` workers; returns False, having done nothing, if the team is busy.

        Those asleep are woken; work that may be done in `pieces` is begun without them.
        """
        if self.busy.locked():
            return False
        with self.busy:  # unlike a call of `acquire`, entered without a gap for Ctrl-C; who comes in between waits
            if self._asleep(parts):
                self._make_way(parts)
            call = self._record
            call[-4], call[-3], call[-2], call[-1] = entry, record, parts, pieces
            self._lead(call, 0, 1)
        return True

    def awake(self, parts: int) -> bool:
        """Whether the first `parts` workers are awake. If not, but works have come often, they are woken for what comes next."""
        if not self._asleep(parts):
            return True
        now = time.perf_counter()
        if now - self.alone_until > OFTEN:
            self._since = now
        elif now - self._since > REPAID and not self.busy.locked():
            self._since = now
            with self.busy:
                self._make_way(parts)
                for worker in range(1, parts):
                    if self._words[ASLEEP + worker * LINE]:
                        _python().PyThread_release_lock(self.bells[worker])
        return False

    def _asleep(self, parts: int) -> bool:
        return any(self._words[ASLEEP + LINE : ASLEEP + parts * LINE : LINE])

    def _make_way(self, parts: int) -> None:
        """Have those who are asleep wake up on other cores than this one."""
        core = _core()
        for worker in range(1, parts) if core >= 0 else ():
            if self._words[ASLEEP + worker * LINE] and self._sleepers[worker].keep_off(core):
                self.mailbox[CORES + worker * LINE] = self._sleepers[worker].cores.__array_interface__["data"][0]


class _Limit(threading.local):
    threads: int | None = None


_limit = _Limit()
_team: Team | None = None
_starting = lock()


def _forget_team() -> None:
    """A forked child has none of its parent's threads."""
    global _team
    _team = None


os.register_at_fork(after_in_child=_forget_team)


def _checked(count: Any, name: str) -> int:
    if not isinstance(count, (int, np.integer)) or not 1 <= count <= MOST_THREADS:
        raise ArgumentError(f"{name} must be a whole number from 1 to {MOST_THREADS}, got {count!r}")
    return int(count)


def _from_environment() -> int | None:
    text = os.environ.get("FASTNN_NUM_THREADS", "").strip()
    if not text:
        return None
    return _checked(int(text) if text.isdecimal() else text, "FASTNN_NUM_THREADS")


_process_limit = _from_environment()


def get_num_threads() -> int:
    """How many threads large work is spread over: `threads(n)`, else `set_num_threads`, else `FASTNN_NUM_THREADS`, else all cores."""
    return _limit.threads or _process_limit or _host.cores()


def set_num_threads(count: int) -> None:
    """Spread large work over `count` threads from now on, in every thread of this process. Raises ArgumentError."""
    global _process_limit
    _process_limit = _checked(count, "count")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Spread large work of this thread over `count` threads in the body of a `with` statement. Raises ArgumentError."""
    before = _limit.threads
    _limit.threads = _checked(count, "count")
    try:
        yield
    finally:
        _limit.threads = before


def team(size: int) -> Team:
    """The process's team, with at least `size` workers."""
    global _team
    if _team is None or _team.size < size:
        with _starting:
            _team = _team or Team()
            _team.grow(size)
    return _team


def _address(function: Any) -> int:
    import ctypes

    return ctypes.cast(function, ctypes.c_void_p).value or 0


def launch(entry: Any, record: Any, parts: int, wake: bool = True, pieces: int = PIECES) -> None:
    """Run a kernel's entry on `parts` threads, or on this one alone while the team is busy, or asleep and not to be woken.

    With no `pieces` for each thread, each has just one share of the work, and is waited for.
    """
    if parts == 1:
        entry(record, 0, 1)
        return
    workers = team(parts)
    if wake or workers.awake(parts):
        import ctypes

        if workers.run(_address(entry), ctypes.addressof(record), parts, pieces * parts):
            return
    entry(record, 0, 1)
    workers.alone_until = time.perf_counter()
