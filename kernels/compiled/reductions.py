"""Reductions: along rows where the reduced dimension is the last one, else down columns."""

import math

from .._columns import column_extreme, column_sums
from .._memory import flattened
from .._rows import MAXIMUM, MINIMUM, SUM, first, row
from .._shares import share_both
from .._simd import where
from .softmax import total


@column_sums()
def columns_total(x):
    return x


@row(folds=(SUM,))
def sum_of_squares(x, mean):
    d = x - mean
    return d * d


@column_sums()
def columns_sum_of_squares(x, mean):
    d = x - mean
    return d * d


@row(stores=1)
def divided(x, count):
    return x / count


@row(stores=1)
def spread(value):
    return value


@row(stores=1)
def copied(x):
    return x


@first
def _first_equal(x, value):
    return (x == value) | (x != x)  # an item is NaN only where `value` is too


@row(folds=(MAXIMUM,))
def _maximum(x):
    return x


@row(folds=(MINIMUM,))
def _minimum(x):
    return x


@column_extreme
def _columns_maximum(x, best):
    return (x > best) | ((x != x) & (best == best))


@column_extreme
def _columns_minimum(x, best):
    return (x < best) | ((x != x) & (best == best))


@row(stores=1)
def _where_index(dy, index, r):
    return where(index == r, dy, 0.0)


def reduce_sum(team, y, x):
    outer, _, inner = x.shape
    start, stop, low, high = share_both(team, outer, inner)
    for o in range(start, stop):
        if inner == 1:
            y[o, 0] = total(flattened(x)[o])
        else:
            columns_total(y[o], low, high, x[o])


def reduce_mean(team, y, x):
    outer, length, inner = x.shape
    start, stop, low, high = share_both(team, outer, inner)
    for o in range(start, stop):
        if inner == 1:
            y[o, 0] = total(flattened(x)[o]) / length
        else:
            columns_total(y[o], low, high, x[o])
            divided(y[o, low:high], y[o, low:high], float(length))


def reduce_var(team, y, mean, x, correction):
    outer, length, inner = x.shape
    start, stop, low, high = share_both(team, outer, inner)
    for o in range(start, stop):
        if inner == 1:
            mean[o, 0] = total(flattened(x)[o]) / length
            y[o, 0] = sum_of_squares(flattened(x)[o], mean[o, 0]) / (length - correction)
        else:
            columns_total(mean[o], low, high, x[o])
            divided(mean[o, low:high], mean[o, low:high], float(length))
            columns_sum_of_squares(y[o], low, high, x[o], mean[o])
            divided(y[o, low:high], y[o, low:high], length - correction)


def _extremum(of_row, of_columns):
    def kernel(team, y, index, x):
        outer, length, inner = x.shape
        start, stop, low, high = share_both(team, outer, inner)
        for o in range(start, stop):
            if length == 0:
                spread(y[o, low:high], math.nan)
                index[o, low:high] = 0
            elif inner == 1:
                items = flattened(x)[o]
                index[o, 0] = _first_equal(items, of_row(items))
                y[o, 0] = items[index[o, 0]]
            else:
                of_columns(y[o], index[o], low, high, x[o])

    return kernel


reduce_max = _extremum(_maximum, _columns_maximum)
reduce_min = _extremum(_minimum, _columns_minimum)


def scatter_index(team, dx, dy, index):
    outer, length, inner = dx.shape
    start, stop, low, high = share_both(team, outer, inner)
    for o in range(start, stop):
        if inner == 1:
            spread(flattened(dx)[o], 0.0)
            if length > 0:
                dx[o, index[o, 0], 0] = dy[o, 0]
        else:
            for r in range(length):
                _where_index(dx[o, r, low:high], dy[o, low:high], index[o, low:high], r)
