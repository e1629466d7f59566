"""Telling a person at a terminal that kernels are being compiled, once it has taken longer than a second."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 1.0  # seconds of compilation in all that pass in silence

Show = Callable[[str], None]


def _terminal(text: str) -> None:
    """Rewrite the current line of a terminal on stderr; an empty text clears it."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


show: Show = _terminal
_seconds = 0.0
_kernels = 0


@contextmanager
def compiling(name: str) -> Iterator[None]:
    """Around the compilation of kernel `name`; one compilation at a time."""
    global _seconds, _kernels
    _kernels += 1
    # A timer, since the very first compilation, which imports Numba, may alone take longer than that.
    notice = threading.Timer(max(0.0, PATIENCE - _seconds), show, [f"compiling kernels for this CPU, once: {name} ({_kernels} so far)"])
    notice.daemon = True
    start = time.perf_counter()
    notice.start()
    try:
        yield
    finally:
        _seconds += time.perf_counter() - start
        notice.cancel()
        notice.join()
        if _seconds > PATIENCE:
            show("")


@contextmanager
def shown_by(other: Show) -> Iterator[None]:
    """Hand the notices over to `other`, such as a progress bar that owns the terminal, in the body of a `with` statement."""
    global show
    before, show = show, other
    try:
        yield
    finally:
        show = before
