"""Pooling of planes: each worker has planes of its own; windows are cut to the plane before their items are read."""

import math

from .._simd import inlined, share
from .reductions import spread


@inlined
def _largest_of(y, index, x, p, i, j, top, bottom, step_h, left, right, step_w):
    """The largest of x_p at rows `top`, `top` + step_h, ... below `bottom`, columns alike, and the first place that has it."""
    W = x.shape[2]
    best = x.dtype.type(-math.inf)
    at = top * W + left
    for r in range(top, bottom, step_h):
        for c in range(left, right, step_w):
            value = x[p, r, c]
            better = (value > best) | ((value != value) & (best == best))
            best = value if better else best  # without a branch, which no CPU could foretell
            at = r * W + c if better else at
    y[p, i, j] = best
    index[p, i, j] = at


@inlined
def _inside(start, step):
    """The first of start, start + step, ... that is not negative."""
    return start if start >= 0 else start + (-start + step - 1) // step * step


def max_pool2d(team, y, index, x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w):
    P, H, W = x.shape
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(y.shape[1]):
            top = i * stride_h - pad_h
            bottom = min(top + kernel_h * dilation_h, H)
            top = _inside(top, dilation_h)
            for j in range(y.shape[2]):
                left = j * stride_w - pad_w
                right = min(left + kernel_w * dilation_w, W)
                _largest_of(y, index, x, p, i, j, top, bottom, dilation_h, _inside(left, dilation_w), right, dilation_w)


def adaptive_max_pool2d(team, y, index, x):
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(OH):
            top, bottom = i * H // OH, ((i + 1) * H + OH - 1) // OH
            for j in range(OW):
                _largest_of(y, index, x, p, i, j, top, bottom, 1, j * W // OW, ((j + 1) * W + OW - 1) // OW, 1)


def put_indices(team, dx, dy, index):
    P, H, W = dx.shape
    start, stop = share(team, P)
    for p in range(start, stop):
        for r in range(H):
            spread(dx[p, r], 0.0)
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                at = index[p, i, j]
                dx[p, at // W, at % W] += dy[p, i, j]


def take_indices(team, y, x, index):
    W = x.shape[2]
    start, stop = share(team, len(x))
    for p in range(start, stop):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                at = index[p, i, j]
                y[p, i, j] = x[p, at // W, at % W]


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
    start, stop = share(team, P)
    for p in range(start, stop):
        for i in range(y.shape[1]):
            top = i * stride_h - pad_h
            bottom = top + kernel_h
            for j in range(y.shape[2]):
                left = j * stride_w - pad_w
                right = left + kernel_w
                area = _area(top, bottom, left, right, H, W, pad_h, pad_w, count_include_pad, divisor)
                y[p, i, j] = _sum_of(x, p, max(top, 0), min(bottom, H), max(left, 0), min(right, W)) / area


def avg_pool2d_grad(team, dx, dy, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, count_include_pad, divisor):
    P, H, W = dx.shape
    start, stop = share(team, P)
    for p in range(start, stop):
        for r in range(H):
            spread(dx[p, r], 0.0)
        for i in range(dy.shape[1]):
            top = i * stride_h - pad_h
            bottom = top + kernel_h
            for j in range(dy.shape[2]):
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
        for r in range(H):
            spread(dx[p, r], 0.0)
        for i in range(OH):
            top, bottom = i * H // OH, ((i + 1) * H + OH - 1) // OH
            for j in range(OW):
                left, right = j * W // OW, ((j + 1) * W + OW - 1) // OW
                _add_to(dx, p, top, bottom, left, right, dy[p, i, j] / float((bottom - top) * (right - left)))
