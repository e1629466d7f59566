"""Counters that a program keeps from run to run, and averages over what they have counted."""

from .._signature import Float, Floats, Ints


def increment(counter: Ints("1"), /) -> None:
    """counter += 1."""
    counter += 1


def cumulative_average(average: Floats("C"), /, value: Floats("C"), counter: Ints("1"), scale: Float) -> None:
    """average = (counter average + scale value) / (counter + 1): the mean of all values if `counter` came before this one."""
    average += (scale * value - average) / (counter[0] + 1)
