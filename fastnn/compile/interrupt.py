"""Ctrl-C between steps instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C in the body of a `with` statement until the function that it is given is called, where nothing is half done.

    A second Ctrl-C does not wait. In other threads than the main one, where Python delivers no signals, nothing is changed.
    """
    previous = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(previous):
        yield lambda: None
        return
    handler, pending = previous, list[tuple[int, FrameType | None]]()

    def note(number: int, frame: FrameType | None) -> None:
        pending.append((number, frame))
        if len(pending) > 1:
            handler(number, frame)

    def deliver() -> None:
        if pending:
            held = pending[0]
            pending.clear()
            handler(*held)

    signal.signal(signal.SIGINT, note)
    try:
        yield deliver
    finally:
        signal.signal(signal.SIGINT, previous)
    deliver()
