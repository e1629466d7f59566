"""Counters that a program keeps from run to run."""

from .._signature import Ints


def increment(counter: Ints("1"), /) -> None:
    """counter += 1."""
    counter += 1
