"""Softmax and its logarithm. A row that fits in the level-1 cache is read from memory once."""

import math

from .. import _math, _simd
from .._compiler import by_hand
from .._each_row import each_row, kept
from .._math import horner
from .._memory import scratch
from .._rows import LARGEST, SUM, row
from .._shares import share
from .._simd import V, bits, fma, from_bits, where


def exp_nonpositive(x: V) -> V:
    """e^x for x <= 0 at half the price of the general one: results below the smallest normal number are 0."""
    form = _math.FORMATS[x.dtype]
    magic = form.magic
    if _simd.has_tables(x):
        x = where(x < form.exp_range[0], form.exp_range[0], x)
    else:
        magic += form.bias
    shifted = fma(x, 1 / math.log(2.0), magic)
    n = shifted - magic
    r = fma(n, -math.log(2.0), x)
    if form.mantissa > 23:  # float32: rounding ln 2 costs less than 2 ULP at the far end, where results vanish beside e^0
        high, low = form.ln2
        r = fma(n, -low, fma(n, -high, x))
    p = horner(r, (*form.expm1_tail, 1.0, 1.0))
    if _simd.has_tables(x):
        return _simd.scaled(p, n)
    return where(x < (1 - form.bias) * math.log(2.0), 0.0, p * from_bits(bits(shifted) << form.mantissa))


@row(folds=(SUM,))
def total(x):
    return x


@row(stores=1)
def scaled(x, factor):
    return x * factor


@row(stores=1, registers=2)
def log_sum(top, sum):
    return top + _math.log(sum)


@each_row()
def _softmax(x):
    top = yield LARGEST(x)
    e = exp_nonpositive(x - top)
    e, sum = yield kept(e), SUM(e)
    return e * (1 / sum)


@each_row()
def _softmax_grad(dy, y):
    mean = yield SUM(dy, y)
    return y * (dy - mean)


@each_row(stores=0, statistics=2)
def tops_and_totals(x):
    top = yield LARGEST(x)
    sum = yield SUM(exp_nonpositive(x - top))
    return top, sum


@each_row(by_row=("top", "log_sum"))
def _log_softmax(x, top, log_sum):
    return x - top - log_sum


@each_row()
def _log_softmax_grad(dy, y):
    sum = yield SUM(dy)
    return dy - exp_nonpositive(y) * sum


@row(stores=1, registers=2)
def _logarithms(x):
    return _math.log(x)


ROWS = 64  # whose tops and totals are kept at a time
tops = scratch(ROWS)
totals = scratch(ROWS)


@by_hand
def softmax(team, y, x):
    start, stop = share(team, len(x))
    _softmax(y[start:stop], x[start:stop])


@by_hand
def softmax_grad(team, dx, dy, y):
    start, stop = share(team, len(y))
    _softmax_grad(dx[start:stop], dy[start:stop], y[start:stop])


@by_hand
def log_softmax(team, y, x):
    start, stop = share(team, len(x))
    for i in range(start, stop, ROWS):
        end = min(i + ROWS, stop)
        top, sum = tops(x)[: end - i], totals(x)[: end - i]
        tops_and_totals(top, sum, x[i:end])
        _logarithms(sum, sum)
        _log_softmax(y[i:end], x[i:end], top, sum)


@by_hand
def log_softmax_grad(team, dx, dy, y):
    start, stop = share(team, len(y))
    _log_softmax_grad(dx[start:stop], dy[start:stop], y[start:stop])
