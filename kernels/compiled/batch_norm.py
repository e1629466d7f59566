"""Batch normalisation: each worker has planes of its own, or channels. Where planes are single items, vectors hold channels."""

import math

from .._columns import column_sums
from .._compiler import by_hand, inlined
from .._memory import flattened, scratch
from .._rows import SUM, row
from .._shares import share, share_columns
from .._simd import sqrt, where
from ..reference._finish import EPILOGUES
from .reductions import columns_total, divided, sum_of_squares
from .softmax import scaled, total

RELU, ADD, ADD_RELU = (EPILOGUES.index(name) for name in ("relu", "add", "add_relu"))
TILE = 512  # channels that are worked on at a time
scale_of_channels = scratch(TILE)
shift_of_channels = scratch(TILE)
slope_of_channels = scratch(TILE)


@row(stores=1)
def _affine(x, mean, scale, bias, floor):
    y = (x - mean) * scale + bias
    return where(y < floor, floor, y)


@row(stores=1)
def _affine_beside(x, extra, mean, scale, bias, floor):
    y = (x - mean) * scale + bias + extra
    return where(y < floor, floor, y)


@row(stores=1)
def _scale(weight, var, eps):
    return weight / sqrt(var + eps)


@row(stores=1)
def _ratio(a, var, eps, count):
    return a / sqrt(var + eps) / count


@row(folds=(SUM, SUM))
def _slopes(dy, x, mean):
    return dy * (x - mean), dy


@row(stores=1)
def _input_slope(dy, x, mean, scale, shift, slope):
    return scale * (dy - shift - (x - mean) * slope)


@column_sums()
def _columns_squares(means, squares, mean, length):
    d = means - mean
    return squares + length * (d * d)


@column_sums(sums=2)
def _columns_slopes(dy, x, mean):
    return dy * (x - mean), dy


@inlined
def _tile(start, stop, C, n, low):
    """The first and the last + 1 of those channels of the tile from `low` on whose planes, of sample n, are from `start` to `stop` - 1."""
    return max(low, start - n * C), min(low + TILE, C, stop - n * C)


@by_hand
def plane_moments(team, mean, square, x):
    N, C, L = x.shape
    start, stop = share(team, N * C)
    for p in range(start, stop):
        n, c = p // C, p % C
        mean[n, c] = total(x[n, c]) / L
        square[n, c] = sum_of_squares(x[n, c], mean[n, c])


@by_hand
def batch_moments(team, mean, var, means, squares, length):
    low, high = share_columns(team, means.shape[1])
    count = float(len(means))
    columns_total(mean, low, high, means)
    divided(mean[low:high], mean[low:high], count)
    _columns_squares(var, low, high, means, squares, mean, float(length))
    divided(var[low:high], var[low:high], count * length)


@by_hand
def batch_norm(team, y, x, mean, var, weight, bias, extra, eps, epilogue):
    N, C, L = x.shape
    floor = 0.0 if epilogue in (RELU, ADD_RELU) else -math.inf
    beside = epilogue in (ADD, ADD_RELU)
    start, stop = share(team, N * C)
    for tile in range(0, C, TILE):
        scale = scale_of_channels(x)
        _scale(scale[: min(TILE, C - tile)], weight[tile : tile + TILE], var[tile : tile + TILE], eps)
        for n in range(start // C, -(-stop // C)):
            low, high = _tile(start, stop, C, n, tile)
            some = slice(low - tile, high - tile)
            if low >= high:
                continue
            if L == 1 and beside:
                _affine_beside(flattened(y)[n, low:high], flattened(x)[n, low:high], flattened(extra)[n, low:high], mean[low:high],
                               scale[some], bias[low:high], floor)  # fmt: skip
            elif L == 1:
                _affine(flattened(y)[n, low:high], flattened(x)[n, low:high], mean[low:high], scale[some], bias[low:high], floor)
            else:
                for c in range(low, high):
                    if beside:
                        _affine_beside(y[n, c], x[n, c], extra[n, c], mean[c], scale[c - tile], bias[c], floor)
                    else:
                        _affine(y[n, c], x[n, c], mean[c], scale[c - tile], bias[c], floor)


@by_hand
def plane_slopes(team, slope, shift, dy, x, mean):
    N, C, _ = x.shape
    start, stop = share(team, N * C)
    for p in range(start, stop):
        n, c = p // C, p % C
        slope[n, c], shift[n, c] = _slopes(dy[n, c], x[n, c], mean[c])


@by_hand
def batch_slopes(team, dweight, dbias, slopes, shifts, var, eps):
    low, high = share_columns(team, slopes.shape[1])
    columns_total(dweight, low, high, slopes)
    columns_total(dbias, low, high, shifts)
    _scale(dweight[low:high], dweight[low:high], var[low:high], eps)


@by_hand
def batch_norm_weight_grad(team, dweight, dbias, dy, x, mean, var, eps):
    low, high = share_columns(team, x.shape[1])
    _columns_slopes(dweight, dbias, low, high, dy, x, mean)
    _scale(dweight[low:high], dweight[low:high], var[low:high], eps)


@by_hand
def batch_norm_input_grad(team, dx, dy, x, weight, mean, var, dweight, dbias, eps, count):
    N, C, L = x.shape
    start, stop = share(team, N * C)
    for tile in range(0, C, TILE):
        scale, shift, slope = scale_of_channels(x), shift_of_channels(x), slope_of_channels(x)
        all, size = slice(tile, tile + TILE), min(TILE, C - tile)
        _scale(scale[:size], weight[all], var[all], eps)
        divided(shift[:size], dbias[all], float(count))
        _ratio(slope[:size], dweight[all], var[all], eps, float(count))
        for n in range(start // C, -(-stop // C)):
            low, high = _tile(start, stop, C, n, tile)
            some = slice(low - tile, high - tile)
            if low < high and L == 1:
                _input_slope(flattened(dx)[n, low:high], flattened(dy)[n, low:high], flattened(x)[n, low:high], mean[low:high], scale[some],
                             shift[some], slope[some])  # fmt: skip
            elif low < high:
                for c in range(low, high):
                    _input_slope(dx[n, c], dy[n, c], x[n, c], mean[c], scale[c - tile], shift[c - tile], slope[c - tile])


@by_hand
def batch_norm_inference_grad(team, dx, dy, var, weight, eps):
    N, C, L = dy.shape
    start, stop = share(team, N * C)
    for tile in range(0, C, TILE):
        scale = scale_of_channels(dy)
        _scale(scale[: min(TILE, C - tile)], weight[tile : tile + TILE], var[tile : tile + TILE], eps)
        for n in range(start // C, -(-stop // C)):
            low, high = _tile(start, stop, C, n, tile)
            if low < high and L == 1:
                scaled(flattened(dx)[n, low:high], flattened(dy)[n, low:high], scale[low - tile : high - tile])
            elif low < high:
                for c in range(low, high):
                    scaled(dx[n, c], dy[n, c], scale[c - tile])
