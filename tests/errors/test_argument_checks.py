"""The checks that all public functions share: what they let through, and what they say of the rest."""

from math import inf, nan

import numpy as np
import pytest

from fastnn._arguments import LARGEST, choice, items, number, whole
from fastnn.errors import ArgumentError, DTypeError, UnknownNameError


@pytest.mark.parametrize("value", [0, 1, 0.5, True + 0, np.float32(0.25), np.int64(1)])
def test_numbers_of_every_kind_become_floats(value):
    assert number("p", value, 0, 1) == value
    assert type(number("p", value, 0, 1)) is float


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: number("p", 1.5, 0, 1), ArgumentError, "p must lie between 0 and 1, got 1.5"),
        (lambda: number("p", nan, 0, 1), ArgumentError, "p must lie between 0 and 1, got nan"),
        (lambda: number("eps", -1, 0), ArgumentError, "eps must be at least 0, got -1"),
        (lambda: number("x", nan), ArgumentError, "x must be a number, got nan"),
        (lambda: number("x", inf, 0, LARGEST), ArgumentError, "x must be finite, got inf"),
        (lambda: number("x", -inf, -LARGEST, LARGEST), ArgumentError, "x must be finite, got -inf"),
        (lambda: number("delta", 0, above=0), ArgumentError, "delta must be above 0, got 0"),
        (lambda: number("factor", 2, high=1, above=0), ArgumentError, "factor must be above 0 and at most 1, got 2"),
        (lambda: number("x", True), DTypeError, "x must be a number, got True"),
        (lambda: number("x", np.ones(50)), DTypeError, "x must be a number, got an object of type ndarray"),
        (lambda: whole("n", 1.0), DTypeError, "n must be a whole number, got 1.0"),
        (lambda: whole("n", False), DTypeError, "n must be a whole number, got False"),
        (lambda: whole("n", 0, 1), ArgumentError, "n must be at least 1, got 0"),
        (lambda: whole("n", 7, -3, 5), ArgumentError, "n must lie between -3 and 5, got 7"),
        (lambda: items("sizes", "12", whole, "ints"), DTypeError, "sizes must be ints, got '12'"),
        (lambda: items("sizes", np.array(3), whole, "ints"), DTypeError, "sizes must be ints, got array(3)"),
        (lambda: items("sizes", [1, "a"], whole, "ints"), DTypeError, "sizes[1] must be a whole number, got 'a'"),
        (lambda: choice("mode", "mex", ("min", "max")), UnknownNameError, "unknown mode 'mex'; did you mean 'max'? Known: max, min"),
        (lambda: choice("mode", ["min"], ("min", "max")), UnknownNameError, "unknown mode ['min']. Known: max, min"),
    ],
)
def test_messages_say_what_was_wanted_and_what_was_got(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
