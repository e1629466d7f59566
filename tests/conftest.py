"""Before NumPy is imported: test processes that share the cores must not wait for each other's threads. And no test waits for ever."""

import faulthandler
import os

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("FASTNN_NUM_THREADS", "1")

HANGS_AFTER = 600  # seconds; the slow ones are minutes long

_terminal = None


def pytest_configure(config):
    global _terminal
    _terminal = os.dup(2)  # which tests may close or replace


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs, in compiled code too, ends its process, which says where all threads are."""
    faulthandler.dump_traceback_later(HANGS_AFTER * (6 if item.get_closest_marker("slow") else 1), file=_terminal, exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
