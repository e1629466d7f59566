"""Softmax and its logarithm. A row that fits in the level-2 cache is read from memory once."""

import math

from .. import _math
from .._formula import V, bits, fma, from_bits, horner, where
from .._rows import LARGEST, SUM, number, row
from .._simd import share

log = number(_math.log)


def exp_nonpositive(x: V) -> V:
    """e^x for x <= 0 at half the price of the general one: results below the smallest normal number are 0."""
    form = _math.FORMATS[x.dtype]
    shifted = fma(x, 1 / math.log(2.0), form.magic)
    n = shifted - form.magic
    r = fma(n, -math.log(2.0), x)
    if form.mantissa > 23:  # float32: rounding ln 2 costs less than 2 ULP at the far end, where results vanish beside e^0
        high, low = form.ln2
        r = fma(n, -low, fma(n, -high, x))
    p = horner(r, (*form.expm1_tail, 1.0, 1.0))
    return where(x < (1 - form.bias) * math.log(2.0), 0.0, from_bits(bits(p) + (bits(shifted) << form.mantissa)))


@row(folds=(LARGEST,))
def largest(x):
    return x


@row(folds=(SUM,))
def total(x):
    return x


@row(folds=(SUM,), registers=2)
def sum_of_exponentials(x, top):
    return exp_nonpositive(x - top)


@row(stores=1, folds=(SUM,), registers=2)
def _exponentials(x, top):
    e = exp_nonpositive(x - top)
    return e, e


@row(stores=1)
def scaled(x, factor):
    return x * factor


@row(stores=1)
def _shifted(x, top, log_total):
    return x - top - log_total


@row(folds=(SUM,))
def dot(a, b):
    return a * b


@row(stores=1)
def _slope(dy, y, dot):
    return y * (dy - dot)


@row(stores=1, registers=2)
def _log_slope(dy, y, total):
    return dy - _math.exp(y) * total


def softmax(team, y, x):
    start, stop = share(team, len(x))
    for i in range(start, stop):
        scaled(y[i], y[i], 1 / _exponentials(y[i], x[i], largest(x[i])))


def softmax_grad(team, dx, dy, y):
    start, stop = share(team, len(y))
    for i in range(start, stop):
        _slope(dx[i], dy[i], y[i], dot(dy[i], y[i]))


def log_softmax(team, y, x):
    start, stop = share(team, len(x))
    for i in range(start, stop):
        top = largest(x[i])
        _shifted(y[i], x[i], top, log(sum_of_exponentials(x[i], top)))


def log_softmax_grad(team, dx, dy, y):
    start, stop = share(team, len(y))
    for i in range(start, stop):
        _log_slope(dx[i], dy[i], y[i], total(dy[i]))
