"""Normalisation over the rows of a matrix; variances in two passes, the second one from cache."""

from .._columns import column_sums
from .._compiler import by_hand
from .._each_row import each_row
from .._rows import SUM
from .._shares import share, share_columns
from .._simd import sqrt


@each_row(statistics=2)
def _layer_norm(x, weight, bias, per_item, eps):
    mean = (yield SUM(x)) * per_item
    d = x - mean
    rstd = 1 / sqrt((yield SUM(d * d)) * per_item + eps)
    return d * rstd * weight + bias, mean, rstd


@each_row(by_row=("mean", "rstd"))
def _layer_norm_grad(dy, x, weight, mean, rstd, per_item):
    g, d = dy * weight, x - mean
    total, slope = yield SUM(g), SUM(g * d)
    return g * rstd - total * per_item * rstd - d * (slope * per_item * rstd * rstd * rstd)


@each_row(statistics=1)
def _rms_norm(x, weight, per_item, eps):
    rstd = 1 / sqrt((yield SUM(x * x)) * per_item + eps)
    return x * rstd * weight, rstd


@each_row(by_row=("rstd",))
def _rms_norm_grad(dy, x, weight, rstd, per_item):
    g, xhat = dy * weight, x * rstd
    slope = yield SUM(g * xhat)
    return rstd * (g - xhat * (slope * per_item))


@column_sums(sums=2, by_row=("mean", "rstd"))
def _weight_slopes(dy, x, mean, rstd):
    return dy * ((x - mean) * rstd), dy


@column_sums(by_row=("rstd",))
def _rms_weight_slope(dy, x, rstd):
    return dy * (x * rstd)


@by_hand
def layer_norm(team, y, mean, rstd, x, weight, bias, eps):
    start, stop = share(team, len(x))
    _layer_norm(y[start:stop], mean[start:stop], rstd[start:stop], x[start:stop], weight, bias, 1.0 / x.shape[1], eps)


@by_hand
def layer_norm_grad(team, dx, dy, x, weight, mean, rstd):
    start, stop = share(team, len(x))
    _layer_norm_grad(dx[start:stop], dy[start:stop], x[start:stop], weight, mean[start:stop], rstd[start:stop], 1.0 / x.shape[1])


@by_hand
def layer_norm_weight_grad(team, dweight, dbias, dy, x, mean, rstd):
    low, high = share_columns(team, x.shape[1])
    _weight_slopes(dweight, dbias, low, high, dy, x, mean, rstd)


@by_hand
def rms_norm(team, y, rstd, x, weight, eps):
    start, stop = share(team, len(x))
    _rms_norm(y[start:stop], rstd[start:stop], x[start:stop], weight, 1.0 / x.shape[1], eps)


@by_hand
def rms_norm_grad(team, dx, dy, x, weight, rstd):
    start, stop = share(team, len(x))
    _rms_norm_grad(dx[start:stop], dy[start:stop], x[start:stop], weight, rstd[start:stop], 1.0 / x.shape[1])


@by_hand
def rms_norm_weight_grad(team, dweight, dy, x, rstd):
    low, high = share_columns(team, x.shape[1])
    _rms_weight_slope(dweight, low, high, dy, x, rstd)
