"""Normalisation over the rows of a matrix and over the channels of a batch; variances in two passes, the second one from cache."""

from .._columns import column_sums
from .._compiler import by_hand, inlined
from .._each_row import each_row
from .._memory import flattened, scratch
from .._rows import SUM, number, row
from .._shares import share, share_columns
from .._simd import sqrt, where
from .reductions import columns_sum_of_squares, columns_total, divided, sum_of_squares
from .softmax import scaled, total

root = number(sqrt)


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


# Batch normalisation works on channels. In a plain matrix (L = 1) they are columns, else each is a row of L items per sample.
TILE = 512  # columns that are normalised at a time
scale_of_columns = scratch(TILE)
shift_of_columns = scratch(TILE)
slope_of_columns = scratch(TILE)


@row(stores=1)
def _affine(x, mean, scale, bias):
    return (x - mean) * scale + bias


@row(stores=1)
def _affine_relu(x, mean, scale, bias):
    y = (x - mean) * scale + bias
    return where(y < 0, 0.0, y)


@row(stores=1)
def _affine_add_relu(x, extra, mean, scale, bias):
    y = (x - mean) * scale + bias + extra
    return where(y < 0, 0.0, y)


@row(stores=1)
def _passed(dy, y):
    return where(y > 0, dy, 0.0)


@row(stores=1, folds=(SUM, SUM))
def _passed_slopes(dy, y, x, mean):
    g = where(y > 0, dy, 0.0)
    return g, g * (x - mean), g


@row(stores=1)
def _scale(weight, var, eps):
    return weight / sqrt(var + eps)


@row(stores=1)
def _ratio(a, var, eps, count):
    return a / sqrt(var + eps) / count


@column_sums(sums=2)
def _columns_slopes(dy, x, mean):
    return dy * (x - mean), dy


@row(folds=(SUM, SUM))
def _slopes(dy, x, mean):
    return dy * (x - mean), dy


@row(stores=1)
def _channel_slope(dy, x, mean, scale, shift, slope):
    return scale * (dy - shift - (x - mean) * slope)


@inlined
def _channels(team, x):
    return share_columns(team, x.shape[1]) if x.shape[2] == 1 else share(team, x.shape[1])


@inlined
def _statistics(team, mean, var, x):
    N, _, L = x.shape
    low, high = _channels(team, x)
    count = float(N * L)
    if L == 1:
        columns_total(mean, low, high, flattened(x))
        divided(mean[low:high], mean[low:high], count)
        columns_sum_of_squares(var, low, high, flattened(x), mean)
        divided(var[low:high], var[low:high], count)
        return
    for c in range(low, high):
        sum = 0.0
        for n in range(N):
            sum += total(x[n, c])
        mean[c] = sum / count
        sum = 0.0
        for n in range(N):
            sum += sum_of_squares(x[n, c], mean[c])
        var[c] = sum / count


@inlined
def _normalise(team, y, x, mean, var, weight, bias, eps):
    N, _, L = x.shape
    low, high = _channels(team, x)
    if L == 1:
        for start in range(low, high, TILE):
            stop = min(start + TILE, high)
            scale = scale_of_columns(x)[: stop - start]
            _scale(scale, weight[start:stop], var[start:stop], eps)
            for n in range(N):
                _affine(flattened(y)[n, start:stop], flattened(x)[n, start:stop], mean[start:stop], scale, bias[start:stop])
        return
    for c in range(low, high):
        for n in range(N):
            _affine(y[n, c], x[n, c], mean[c], weight[c] / root(var[c] + eps), bias[c])


@inlined
def _weight_slopes_of_channels(team, dweight, dbias, dy, x, mean, var, eps):
    N, _, L = x.shape
    low, high = _channels(team, x)
    if L == 1:
        _columns_slopes(dweight, dbias, low, high, flattened(dy), flattened(x), mean)
        _scale(dweight[low:high], dweight[low:high], var[low:high], eps)
        return
    for c in range(low, high):
        weighted, plain = 0.0, 0.0
        for n in range(N):
            a, b = _slopes(dy[n, c], x[n, c], mean[c])
            weighted += a
            plain += b
        dweight[c] = weighted / root(var[c] + eps)
        dbias[c] = plain


def batch_norm(team, y, mean, var, x, weight, bias, eps):
    _statistics(team, mean, var, x)
    _normalise(team, y, x, mean, var, weight, bias, eps)


def batch_norm_inference(team, y, x, mean, var, weight, bias, eps):
    _normalise(team, y, x, mean, var, weight, bias, eps)


def batch_norm_relu(team, y, mean, var, x, weight, bias, extra, eps):
    _statistics(team, mean, var, x)
    N, _, L = x.shape
    low, high = _channels(team, x)
    if L == 1:
        for n in range(N):
            for start in range(low, high, TILE):
                stop = min(start + TILE, high)
                scale, out, source = scale_of_columns(x)[: stop - start], flattened(y)[n, start:stop], flattened(x)[n, start:stop]
                _scale(scale, weight[start:stop], var[start:stop], eps)
                if len(extra) > 0:
                    _affine_add_relu(out, source, flattened(extra)[n, start:stop], mean[start:stop], scale, bias[start:stop])
                else:
                    _affine_relu(out, source, mean[start:stop], scale, bias[start:stop])
        return
    for c in range(low, high):
        scale_of_channel = weight[c] / root(var[c] + eps)
        for n in range(N):
            if len(extra) > 0:
                _affine_add_relu(y[n, c], x[n, c], extra[n, c], mean[c], scale_of_channel, bias[c])
            else:
                _affine_relu(y[n, c], x[n, c], mean[c], scale_of_channel, bias[c])


@inlined
def _slopes_of_all(team, dx, dweight, dbias, dy, x, weight, mean, var, eps):
    """dx, from the sums over all samples in dweight and dbias."""
    N, _, L = x.shape
    low, high = _channels(team, x)
    count = float(N * L)
    if L == 1:
        for start in range(low, high, TILE):
            stop = min(start + TILE, high)
            scale, shift, slope = (
                scale_of_columns(x)[: stop - start],
                shift_of_columns(x)[: stop - start],
                slope_of_columns(x)[: stop - start],
            )
            _scale(scale, weight[start:stop], var[start:stop], eps)
            divided(shift, dbias[start:stop], count)
            _ratio(slope, dweight[start:stop], var[start:stop], eps, count)
            for n in range(N):
                _channel_slope(
                    flattened(dx)[n, start:stop],
                    flattened(dy)[n, start:stop],
                    flattened(x)[n, start:stop],
                    mean[start:stop],
                    scale,
                    shift,
                    slope,
                )
        return
    for c in range(low, high):
        rstd = 1 / root(var[c] + eps)
        for n in range(N):
            _channel_slope(dx[n, c], dy[n, c], x[n, c], mean[c], weight[c] * rstd, dbias[c] / count, dweight[c] * rstd / count)


def batch_norm_grad(team, dx, dweight, dbias, dy, x, weight, mean, var, eps):
    _weight_slopes_of_channels(team, dweight, dbias, dy, x, mean, var, eps)
    _slopes_of_all(team, dx, dweight, dbias, dy, x, weight, mean, var, eps)


def batch_norm_relu_grad(team, dx, dweight, dbias, dy, y, x, weight, mean, var, eps):
    N, _, L = x.shape
    low, high = _channels(team, x)
    if L == 1:
        for n in range(N):
            _passed(flattened(dx)[n, low:high], flattened(dy)[n, low:high], flattened(y)[n, low:high])
        _weight_slopes_of_channels(team, dweight, dbias, dx, x, mean, var, eps)
    else:
        for c in range(low, high):
            weighted, plain = 0.0, 0.0
            for n in range(N):
                a, b = _passed_slopes(dx[n, c], dy[n, c], y[n, c], x[n, c], mean[c])
                weighted += a
                plain += b
            dweight[c] = weighted / root(var[c] + eps)
            dbias[c] = plain
    _slopes_of_all(team, dx, dweight, dbias, dx, x, weight, mean, var, eps)


def batch_norm_inference_grad(team, dx, dy, var, weight, eps):
    N, _, L = dy.shape
    low, high = _channels(team, dy)
    if L == 1:
        for start in range(low, high, TILE):
            stop = min(start + TILE, high)
            scale = scale_of_columns(dy)[: stop - start]
            _scale(scale, weight[start:stop], var[start:stop], eps)
            for n in range(N):
                scaled(flattened(dx)[n, start:stop], flattened(dy)[n, start:stop], scale)
        return
    for c in range(low, high):
        for n in range(N):
            scaled(dx[n, c], dy[n, c], weight[c] / root(var[c] + eps))


def batch_norm_weight_grad(team, dweight, dbias, dy, x, mean, var, eps):
    _weight_slopes_of_channels(team, dweight, dbias, dy, x, mean, var, eps)
