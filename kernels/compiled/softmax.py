"""Softmax and its logarithm. A row that fits in the level-2 cache is read from memory once."""

import math

from .. import _math
from .._formula import V, bits, double, fma, from_bits, horner, where
from .._rows import LARGEST, SUM, row
from .._simd import inlined, scratch, share


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


@row(stores=1, folds=(SUM,))
def _exponentials(x, top):
    e = exp_nonpositive(x - top)
    return e, e


@row(stores=1)
def _reciprocals(x):
    return 1 / x


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


@row(stores=1)
def _log_slope(dy, y, total):
    return dy - exp_nonpositive(y) * total


@row(stores=1, registers=1)
def _logarithms(x):
    return _math.log(double(x))


@row(stores=1, registers=1)
def log_sum(top, sum):
    return double(top) + _math.log(double(sum))


# Short rows are worked on some at a time, step by step, so that no step waits for the end of the one before in the same row.
TOGETHER = 16
TOGETHER_ITEMS = 4096  # of one array: half of a level-1 cache
first_of_rows = scratch(TOGETHER)
second_of_rows = scratch(TOGETHER)


@inlined
def together(columns):
    return max(1, min(TOGETHER, TOGETHER_ITEMS // max(columns, 1)))


def softmax(team, y, x):
    top, sum = first_of_rows(x), second_of_rows(x)
    step = together(x.shape[1])
    start, stop = share(team, len(x))
    for i in range(start, stop, step):
        count = min(step, stop - i)
        for k in range(count):
            top[k] = largest(x[i + k])
        for k in range(count):
            sum[k] = _exponentials(y[i + k], x[i + k], top[k])
        _reciprocals(sum[:count], sum[:count])
        for k in range(count):
            scaled(y[i + k], y[i + k], sum[k])


def softmax_grad(team, dx, dy, y):
    mean = first_of_rows(y)
    step = together(y.shape[1])
    start, stop = share(team, len(y))
    for i in range(start, stop, step):
        count = min(step, stop - i)
        for k in range(count):
            mean[k] = dot(dy[i + k], y[i + k])
        for k in range(count):
            _slope(dx[i + k], dy[i + k], y[i + k], mean[k])


def log_softmax(team, y, x):
    top, sum = first_of_rows(x), second_of_rows(x)
    step = together(x.shape[1])
    start, stop = share(team, len(x))
    for i in range(start, stop, step):
        count = min(step, stop - i)
        for k in range(count):
            top[k] = largest(x[i + k])
        for k in range(count):
            sum[k] = sum_of_exponentials(x[i + k], top[k])
        _logarithms(sum[:count], sum[:count])
        for k in range(count):
            _shifted(y[i + k], x[i + k], top[k], sum[k])


def log_softmax_grad(team, dx, dy, y):
    sum = first_of_rows(y)
    step = together(y.shape[1])
    start, stop = share(team, len(y))
    for i in range(start, stop, step):
        count = min(step, stop - i)
        for k in range(count):
            sum[k] = total(dy[i + k])
        for k in range(count):
            _log_slope(dx[i + k], dy[i + k], y[i + k], sum[k])
