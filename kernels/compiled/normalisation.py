"""Normalisation over the rows of a matrix; variances in two passes, the second one from cache."""

from .._compiler import by_hand, inlined
from .._each_row import each_row
from .._rows import SUM
from .._shares import share
from .._simd import fma, sqrt, where


@each_row(statistics=2)
def _layer_norm(x, weight, bias, per_item, eps):
    mean = (yield SUM(x)) * per_item
    d = x - mean
    left, squares = yield SUM(d), SUM(d, d)
    shift = left * per_item  # what the mean has been rounded by, which is all that there is in a row of one number
    var = fma(squares, per_item, -shift * shift)
    rstd = 1 / sqrt(where(var < 0, 0.0, var) + eps)
    return (d - shift) * rstd * weight + bias, mean + shift, rstd


def _slopes(dy, x, weight, mean, rstd, per_item):
    g, d = dy * weight, x - mean
    total, slope = yield SUM(g), SUM(g, d)
    scaled = dy * rstd
    shift, tilt = total * per_item * rstd, slope * per_item * rstd * rstd * rstd
    return fma(scaled, weight, fma(d, -tilt, -shift)), (scaled, d), dy


@each_row(sums=2, by_row=("mean", "rstd"))
def _layer_norm_grad(dy, x, weight, mean, rstd, per_item):
    return (yield from _slopes(dy, x, weight, mean, rstd, per_item))


@each_row(sums=2, by_row=("mean", "rstd"))
def _layer_norm_grad_add(dy, x, extra, weight, mean, rstd, per_item):
    dx, *sums = yield from _slopes(dy, x, weight, mean, rstd, per_item)
    return dx + extra, *sums


@each_row(statistics=1)
def _rms_norm(x, weight, per_item, eps):
    rstd = 1 / sqrt((yield SUM(x, x)) * per_item + eps)
    return x * rstd * weight, rstd


@each_row(sums=1, by_row=("rstd",))
def _rms_norm_grad(dy, x, weight, rstd, per_item):
    g, xhat = dy * weight, x * rstd
    slope = yield SUM(g, xhat)
    return rstd * fma(xhat, -(slope * per_item), g), (dy, xhat)


@by_hand
def layer_norm(team, y, mean, rstd, x, weight, bias, eps):
    start, stop = share(team, len(x))
    _layer_norm(y[start:stop], mean[start:stop], rstd[start:stop], x[start:stop], weight, bias, 1.0 / x.shape[1], eps)


@inlined
def _rows(p, pieces, rows, N, own):
    """The rows of sum p; or first its portion of those that are in no sum, whose results go where its own ones come to lie."""
    first = min(pieces * rows, N)
    start, stop = (p * rows, (p + 1) * rows) if own else (first + (N - first) * p // pieces, first + (N - first) * (p + 1) // pieces)
    return slice(start, min(stop, N))


@by_hand
def layer_norm_grad(team, dx, dweights, dbiases, dy, x, weight, mean, rstd, rows):
    first, last = share(team, len(dweights))
    for p in range(first, last):
        for own in range(len(dweights) * rows >= len(x), 2):
            i = _rows(p, len(dweights), rows, len(x), own)
            _layer_norm_grad(dx[i], dweights[p], dbiases[p], dy[i], x[i], weight, mean[i], rstd[i], 1.0 / x.shape[1])


@by_hand
def layer_norm_grad_add(team, dx, dweights, dbiases, dy, x, extra, weight, mean, rstd, rows):
    first, last = share(team, len(dweights))
    for p in range(first, last):
        for own in range(len(dweights) * rows >= len(x), 2):
            i, inverse = _rows(p, len(dweights), rows, len(x), own), 1.0 / x.shape[1]
            _layer_norm_grad_add(dx[i], dweights[p], dbiases[p], dy[i], x[i], extra[i], weight, mean[i], rstd[i], inverse)


@by_hand
def rms_norm(team, y, rstd, x, weight, eps):
    start, stop = share(team, len(x))
    _rms_norm(y[start:stop], rstd[start:stop], x[start:stop], weight, 1.0 / x.shape[1], eps)


@by_hand
def rms_norm_grad(team, dx, dweights, dy, x, weight, rstd, rows):
    first, last = share(team, len(dweights))
    for p in range(first, last):
        for own in range(len(dweights) * rows >= len(x), 2):
            i = _rows(p, len(dweights), rows, len(x), own)
            _rms_norm_grad(dx[i], dweights[p], dy[i], x[i], weight, rstd[i], 1.0 / x.shape[1])
