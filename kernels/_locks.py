"""Locks that a forked child finds open, whoever held them in the parent: `fork` waits until nobody does."""

import os
import threading
from typing import Any


def lock() -> Any:
    """A lock that the thread that holds it may take again. Of two that are taken one inside the other, the inner one is made first."""
    made = threading.RLock()
    if hasattr(os, "register_at_fork"):  # which takes the last one first
        os.register_at_fork(before=made.acquire, after_in_parent=made.release, after_in_child=made.release)
    return made


compiling = lock()  # of all that finds, compiles or loads a kernel
