"""Pooling of planes: each worker has planes of its own.

Where windows are 2x2 squares side by side, or lie one or two columns apart, outputs that are neighbours in a row are worked on in
one vector; elsewhere each output reads its own window, cut to the plane.
"""

import math

from .._compiler import inlined
from .._memory import address, flattened
from .._pixels import window_row
from .._rows import row
from .._shares import share
from .._simd import maximum, where
from .reductions import spread


@row(stores=2, registers=1, pairs=("top", "bottom"))
def _largest_of_squares(top, bottom, at, below, position):
    best, place = top[0], at + position * 2
    for value, here in ((top[1], place + 1), (bottom[0], place + below), (bottom[1], place + below + 1)):
        better = (value > best) | (value != value)
        best, place = where(better, value, best), where(better, here, place)
    return best, place


@row(stores=1, registers=1, pairs=("top", "bottom"))
def _largest_of_squares_alone(top, bottom):
    return maximum(maximum(top[0], top[1]), maximum(bottom[0], bottom[1]))


@row(stores=2, registers=1)
def _update(x, best, place, at, position):
    better = (x > best) | (x != x)
    return where(better, x, best), where(better, at + position, place)


@row(stores=2, registers=1, pairs=("x",))
def _update_from_pairs(x, best, place, at, position):
    better = (x[0] > best) | (x[0] != x[0])
    return where(better, x[0], best), where(better, at + position * 2, place)


@row(stores=1, registers=1, pairs=("top", "bottom"))
def _sums_of_squares(top, bottom, factor):
    return ((top[0] + top[1]) + (bottom[0] + bottom[1])) * factor


@row(stores=2, registers=1, pairs=("out0", "out1"))
def _to_squares(dy, factor):
    each = dy * factor
    return (each, each), (each, each)


@inlined
def _inside(start, step):
    """The first of start, start + step, ... that is not negative."""
    return start if start >= 0 else start + (-start + step - 1) // step * step


@inlined
def _are_squares(kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, OH, OW, H, W):
    """Whether windows are 2x2 squares side by side that lie in the plane."""
    own = kernel_h == 2 and kernel_w == 2 and stride_h == 2 and stride_w == 2 and pad_h == 0 and pad_w == 0
    return own and dilation_h == 1 and dilation_w == 1 and 2 * OH <= H and 2 * OW <= W


def max_pool2d(team, y, index, x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w):
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    squares = _are_squares(kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, OH, OW, H, W)
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(OH):
            top = i * stride_h - pad_h
            bottom = min(top + kernel_h * dilation_h, H)
            top = _inside(top, dilation_h)
            best, place = y[p, i], index[p, i]
            if squares:
                _largest_of_squares(best, place, x[p, top, : 2 * OW], x[p, top + 1, : 2 * OW], top * W, W)
                continue
            spread(best, -math.inf)
            for j in range(OW):
                left = j * stride_w - pad_w
                first = _inside(left, dilation_w)
                place[j] = top * W + first if top < bottom and first < min(left + kernel_w * dilation_w, W) else -1
            for r in range(top, bottom, dilation_h):
                for k in range(kernel_w):
                    shift = k * dilation_w - pad_w
                    low = max(0, (stride_w - 1 - shift) // stride_w)
                    high = min(OW, (W - 1 - shift) // stride_w + 1)
                    if low >= high:
                        continue
                    c = low * stride_w + shift
                    at = r * W + c
                    if stride_w == 1:
                        _update(best[low:high], place[low:high], x[p, r, c : c + high - low], best[low:high], place[low:high], at)
                        continue
                    # pairs that lie in the row: the odd item of the last one may not exist
                    whole = min(high - low, (W - c) // 2) if stride_w == 2 else 0
                    middle = low + whole
                    _update_from_pairs(
                        best[low:middle], place[low:middle], x[p, r, c : c + 2 * whole], best[low:middle], place[low:middle], at
                    )
                    for j in range(middle, high):
                        value = x[p, r, j * stride_w + shift]
                        if value > best[j] or value != value:
                            best[j] = value
                            place[j] = r * W + j * stride_w + shift


def largest_of_windows(team, y, x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w):
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    item, one = x.itemsize, x.dtype.type(1)
    squares = _are_squares(kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, OH, OW, H, W)
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(OH):
            if squares:
                _largest_of_squares_alone(y[p, i], x[p, i * 2, : 2 * OW], x[p, i * 2 + 1, : 2 * OW])
                continue
            window_row(address(y) + (p * OH + i) * OW * item, OW, address(x) + p * H * W * item, H, W, i * stride_h - pad_h, -pad_w,
                       kernel_h, kernel_w, dilation_h, dilation_w, stride_w, one)  # fmt: skip


def adaptive_max_pool2d(team, y, index, x):
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(OH):
            top, bottom = i * H // OH, ((i + 1) * H + OH - 1) // OH
            for j in range(OW):
                left, right = j * W // OW, ((j + 1) * W + OW - 1) // OW
                best, at = x.dtype.type(-math.inf), top * W + left
                for r in range(top, bottom):
                    for c in range(left, right):
                        value = x[p, r, c]
                        if value > best or value != value:
                            best = value
                            at = r * W + c
                y[p, i, j] = best
                index[p, i, j] = at


def put_indices(team, dx, dy, index):
    start, stop = share(team, len(dx))
    for p in range(start, stop):
        target, source, place = flattened(dx)[p], flattened(dy)[p], flattened(index)[p]
        spread(target, 0.0)
        for k in range(len(source)):
            if place[k] >= 0:
                target[place[k]] += source[k]


def take_indices(team, y, x, index):
    start, stop = share(team, len(x))
    for p in range(start, stop):
        target, source, place = flattened(y)[p], flattened(x)[p], flattened(index)[p]
        for k in range(len(target)):
            target[k] = source[place[k]] if place[k] >= 0 else 0.0


@inlined
def _sum_of(x, p, top, bottom, left, right):
    sum = 0.0
    for r in range(top, bottom):
        for c in range(left, right):
            sum += x[p, r, c]
    return sum


@inlined
def _add_to(dx, p, top, bottom, left, right, share_of_each):
    for r in range(top, bottom):
        for c in range(left, right):
            dx[p, r, c] += share_of_each


@inlined
def _area(top, bottom, left, right, H, W, pad_h, pad_w, count_include_pad, divisor):
    """What the sum of the window from (top, left) to (bottom, right) is divided by."""
    if divisor != 0:
        return float(divisor)
    if count_include_pad != 0:
        return float((min(bottom, H + pad_h) - top) * (min(right, W + pad_w) - left))
    return float(max((min(bottom, H) - max(top, 0)) * (min(right, W) - max(left, 0)), 1))


def avg_pool2d(team, y, x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, count_include_pad, divisor):
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    squares = _are_squares(kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, 1, 1, OH, OW, H, W)
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(OH):
            top = i * stride_h - pad_h
            bottom = top + kernel_h
            if squares:
                factor = 1.0 / (divisor if divisor != 0 else 4)
                _sums_of_squares(y[p, i], x[p, top, : 2 * OW], x[p, top + 1, : 2 * OW], factor)
                continue
            for j in range(OW):
                left = j * stride_w - pad_w
                right = left + kernel_w
                area = _area(top, bottom, left, right, H, W, pad_h, pad_w, count_include_pad, divisor)
                y[p, i, j] = _sum_of(x, p, max(top, 0), min(bottom, H), max(left, 0), min(right, W)) / area


def avg_pool2d_grad(team, dx, dy, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, count_include_pad, divisor):
    P, H, W = dx.shape
    OH, OW = dy.shape[1:]
    squares = _are_squares(kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, 1, 1, OH, OW, H, W)
    start, stop = share(team, P)
    for p in range(start, stop):
        if not squares or H > 2 * OH or W > 2 * OW:
            spread(flattened(dx)[p], 0.0)
        for i in range(OH):
            top = i * stride_h - pad_h
            bottom = top + kernel_h
            if squares:
                factor = 1.0 / (divisor if divisor != 0 else 4)
                _to_squares(dx[p, top, : 2 * OW], dx[p, top + 1, : 2 * OW], dy[p, i], factor)
                continue
            for j in range(OW):
                left = j * stride_w - pad_w
                right = left + kernel_w
                area = _area(top, bottom, left, right, H, W, pad_h, pad_w, count_include_pad, divisor)
                _add_to(dx, p, max(top, 0), min(bottom, H), max(left, 0), min(right, W), dy[p, i, j] / area)


def adaptive_avg_pool2d(team, y, x):
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(OH):
            top, bottom = i * H // OH, ((i + 1) * H + OH - 1) // OH
            for j in range(OW):
                left, right = j * W // OW, ((j + 1) * W + OW - 1) // OW
                y[p, i, j] = _sum_of(x, p, top, bottom, left, right) / float((bottom - top) * (right - left))


def adaptive_avg_pool2d_grad(team, dx, dy):
    P, H, W = dx.shape
    OH, OW = dy.shape[1:]
    start, stop = share(team, P)
    for p in range(start, stop):
        spread(flattened(dx)[p], 0.0)
        for i in range(OH):
            top, bottom = i * H // OH, ((i + 1) * H + OH - 1) // OH
            for j in range(OW):
                left, right = j * W // OW, ((j + 1) * W + OW - 1) // OW
                _add_to(dx, p, top, bottom, left, right, dy[p, i, j] / float((bottom - top) * (right - left)))
