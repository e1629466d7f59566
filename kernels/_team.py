"""A small team of threads that share the work of a kernel or of a whole program.

Workers are plain Python threads inside compiled code that has released the GIL. They spin for a fraction of a millisecond after
their last work, so that the next comes cheaply, and then sleep at a lock of Python's, their bell, which compiled code can release. The
caller is worker 0. A caller that finds the team busy works alone; kernels give bitwise the same results for any number of workers.
"""

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
from ._registry import Kernel, as_record
from ._signature import Int, Ints

LINE = 8  # words between the words of a mailbox
SLEEPERS, ASLEEP = 4 * LINE, 5 * LINE
RING, BELL = SLEEPERS + 1, ASLEEP + 1  # the address of the function that rings, and of the first worker's bell
MOST_THREADS = 255
STACK_BYTES = 8 << 20  # of a worker, whatever other threads have: blocks of operands lie there
OFTEN = 1e-3  # seconds between calls that are worth a thread which stays awake for them


def _post(mailbox: Ints("W"), entry: Int, record: Int, parts: Int) -> None: ...
def _lead(mailbox: Ints("W")) -> None: ...
def _serve(mailbox: Ints("W"), last: Ints("1"), worker: Int) -> None: ...


POST, LEAD, SERVE = (Kernel(name, "execution", form) for name, form in (("post", _post), ("lead", _lead), ("serve", _serve)))


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


def _leave(core: int) -> None:
    """Move this thread away from `core` if it is there and may be elsewhere.

    A thread is often woken on the core of the one that wakes it; two that give way to each other all the time are not moved apart.
    """
    if core >= 0 and _core() == core:
        allowed = os.sched_getaffinity(0)
        if len(allowed) > 1:
            os.sched_setaffinity(0, allowed - {core})
            os.sched_setaffinity(0, allowed)


class Team:
    """`size` workers, the caller among them; the other threads start when there is work for them."""

    def __init__(self) -> None:
        self.size = 1
        self.mailbox = np.zeros(ASLEEP + MOST_THREADS * LINE, np.int64)
        self.mailbox[ASLEEP::LINE] = 1
        self.mailbox[RING] = _address(_python().PyThread_release_lock)
        self.bells = [0]  # of the caller, who needs none
        self._joining = threading.Lock()
        self.busy = threading.Lock()
        self._asked = 0.0  # when small work last found somebody asleep
        self._core = -1  # where the caller ran when it last woke somebody
        for kernel, dtypes in ((POST, "i8"), (LEAD, "i8"), (SERVE, "i8i8")):
            kernel.entry(dtypes)
        self._post, self._lead = POST.entry("i8"), LEAD.entry("i8")
        self._post_record = as_record(POST.signature.encode((self.mailbox, 0, 0, 1)))
        self._lead_record = as_record(LEAD.signature.encode((self.mailbox,)))

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
            self.mailbox[BELL + worker * LINE] = bell
            self.size = worker + 1
            return worker

    def _serve(self, size: int, joined: threading.Event) -> None:
        try:
            worker = self._join(size)
        finally:
            joined.set()
        if not worker:
            return
        last = np.zeros(1, np.int64)
        record = as_record(SERVE.signature.encode((self.mailbox, last, worker)))
        serve = SERVE.entry("i8i8")
        while True:
            _python().PyThread_acquire_lock(self.bells[worker], 1)
            _leave(self._core)
            self.mailbox[ASLEEP + worker * LINE] = 0
            serve(record, 0, 1)

    def run(self, entry: int, record: int, parts: int, wake: bool = True) -> bool:
        """Run the kernel at the address `entry` on `parts` workers.

        Returns False, having done nothing, if the team is busy, or asleep and not to be woken. Work that does not repay waking, but comes
        again and again, finds the workers awake the next time.
        """
        if self.busy.locked():
            return False
        with self.busy:  # unlike a call of `acquire`, entered without a gap for Ctrl-C; who comes in between waits
            if not wake and any(self.mailbox[ASLEEP + worker * LINE] for worker in range(1, parts)):
                before, self._asked = self._asked, time.perf_counter()
                if self._asked - before < OFTEN:
                    self._ring(parts)
                return False
            self._post_record[-3], self._post_record[-2], self._post_record[-1] = entry, record, parts
            try:
                self._post(self._post_record, 0, 1)
                if self.mailbox[SLEEPERS]:
                    self._core = _core()
            finally:  # workers may have begun: if Ctrl-C is noticed now, those asleep are woken and all is done first
                if self.mailbox[SLEEPERS]:
                    self._lead(self._lead_record, 0, 1)
        return True

    def _ring(self, parts: int) -> None:
        """Wake those of the first `parts` workers who are asleep."""
        self._core = _core()
        for worker in range(1, parts):
            if self.mailbox[ASLEEP + worker * LINE]:
                _python().PyThread_release_lock(self.bells[worker])


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


def launch(entry: Any, record: Any, parts: int, wake: bool = True) -> None:
    """Run a kernel's entry on `parts` threads, or on this one alone while the team is busy, or asleep and not to be woken."""
    if parts > 1:
        import ctypes

        if team(parts).run(_address(entry), ctypes.addressof(record), parts, wake):
            return
    entry(record, 0, 1)
