"""Normalisation over the rows of a matrix and over the channels of a batch; variances in two passes, the second one from cache."""

from .._columns import column_sums
from .._formula import sqrt
from .._rows import SUM, number, row
from .._simd import flattened, inlined, scratch, share, share_columns
from .reductions import columns_sum_of_squares, columns_total, divided, sum_of_squares
from .softmax import dot, first_of_rows, scaled, second_of_rows, together, total

root = number(sqrt)


@row(stores=1)
def _inverse_roots(var, eps):
    return 1 / sqrt(var + eps)


@row(stores=1)
def _normalised(x, mean, rstd, weight, bias):
    return (x - mean) * rstd * weight + bias


@row(stores=1)
def _weighted(x, rstd, weight):
    return x * rstd * weight


@row(folds=(SUM, SUM))
def _slope_sums(dy, x, weight, mean):
    g = dy * weight
    return g, g * (x - mean)


@row(stores=1)
def _slope(dy, x, weight, mean, rstd, shift, slope):
    return dy * weight * rstd - shift - (x - mean) * slope


@row(folds=(SUM,))
def _rms_slope_mean(dy, x, weight, rstd):
    return dy * weight * (x * rstd)


@row(stores=1)
def _rms_slope(dy, x, weight, rstd, gx_mean):
    return rstd * (dy * weight - x * rstd * gx_mean)


@column_sums(sums=2, by_row=("mean", "rstd"))
def _weight_slopes(dy, x, mean, rstd):
    return dy * ((x - mean) * rstd), dy


@column_sums(by_row=("rstd",))
def _rms_weight_slope(dy, x, rstd):
    return dy * (x * rstd)


def layer_norm(team, y, mean, rstd, x, weight, bias, eps):
    N, D = x.shape
    per_item = 1.0 / D
    step = together(D)
    start, stop = share(team, N)
    for i in range(start, stop, step):
        end = min(i + step, stop)
        for k in range(i, end):
            mean[k] = total(x[k]) * per_item
        for k in range(i, end):
            rstd[k] = sum_of_squares(x[k], mean[k]) * per_item
        _inverse_roots(rstd[i:end], rstd[i:end], eps)
        for k in range(i, end):
            _normalised(y[k], x[k], mean[k], rstd[k], weight, bias)


def layer_norm_grad(team, dx, dy, x, weight, mean, rstd):
    N, D = x.shape
    per_item = 1.0 / D
    shift, slope = first_of_rows(x), second_of_rows(x)
    step = together(D)
    start, stop = share(team, N)
    for i in range(start, stop, step):
        count = min(step, stop - i)
        for k in range(count):
            g, gx = _slope_sums(dy[i + k], x[i + k], weight, mean[i + k])
            r = rstd[i + k]
            shift[k], slope[k] = g * per_item * r, gx * per_item * r * r * r
        for k in range(count):
            _slope(dx[i + k], dy[i + k], x[i + k], weight, mean[i + k], rstd[i + k], shift[k], slope[k])


def layer_norm_weight_grad(team, dweight, dbias, dy, x, mean, rstd):
    low, high = share_columns(team, x.shape[1])
    _weight_slopes(dweight, dbias, low, high, dy, x, mean, rstd)


def rms_norm(team, y, rstd, x, weight, eps):
    N, D = x.shape
    per_item = 1.0 / D
    step = together(D)
    start, stop = share(team, N)
    for i in range(start, stop, step):
        end = min(i + step, stop)
        for k in range(i, end):
            rstd[k] = dot(x[k], x[k]) * per_item
        _inverse_roots(rstd[i:end], rstd[i:end], eps)
        for k in range(i, end):
            _weighted(y[k], x[k], rstd[k], weight)


def rms_norm_grad(team, dx, dy, x, weight, rstd):
    N, D = x.shape
    per_item = 1.0 / D
    gx_mean = first_of_rows(x)
    step = together(D)
    start, stop = share(team, N)
    for i in range(start, stop, step):
        count = min(step, stop - i)
        for k in range(count):
            gx_mean[k] = _rms_slope_mean(dy[i + k], x[i + k], weight, rstd[i + k]) * per_item
        for k in range(count):
            _rms_slope(dx[i + k], dy[i + k], x[i + k], weight, rstd[i + k], gx_mean[k])


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


def batch_norm_grad(team, dx, dweight, dbias, dy, x, weight, mean, var, eps):
    _weight_slopes_of_channels(team, dweight, dbias, dy, x, mean, var, eps)
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
