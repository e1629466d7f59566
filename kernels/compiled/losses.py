"""Losses: formulas for those per element, loops over rows for those per sample."""

from .. import _math
from .._compiler import by_hand
from .._each_row import each_row
from .._memory import scratch
from .._nest import elementwise
from .._rows import SUM, row
from .._shares import share
from .._simd import V, absolute, clip, maximum, where
from .reductions import spread
from .softmax import ROWS, exp_nonpositive, log_sum, tops_and_totals, total

LOWEST_LOG = -100.0  # logarithms in bce are held above this, as in PyTorch
SMALLEST_SLOPE = 1e-12  # and x (1 - x) in its gradient above this


@elementwise
def mse(x: V, target: V) -> V:
    return (x - target) * (x - target)


@elementwise
def mse_grad(dloss: V, x: V, target: V) -> V:
    return 2 * (x - target) * dloss


@elementwise
def l1(x: V, target: V) -> V:
    return absolute(x - target)


@elementwise
def l1_grad(dloss: V, x: V, target: V) -> V:
    d = x - target
    return where(d > 0, 1.0, where(d < 0, d.like(-1.0), d)) * dloss


@elementwise
def huber(x: V, target: V, delta: V) -> V:
    d = absolute(x - target)
    return where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


@elementwise
def huber_grad(dloss: V, x: V, target: V, delta: V) -> V:
    return clip(x - target, -delta, delta) * dloss


@elementwise
def bce(x: V, target: V) -> V:
    return -(target * maximum(_math.log(x), LOWEST_LOG) + (1 - target) * maximum(_math.log1p(-x), LOWEST_LOG))


@elementwise
def bce_grad(dloss: V, x: V, target: V) -> V:
    return dloss * (x - target) / maximum(x * (1 - x), SMALLEST_SLOPE)


@elementwise
def bce_with_logits(x: V, target: V, pos_weight: V) -> V:
    positive, negative = pos_weight * target, 1 - target  # weights of the two logarithms; no sum of theirs ever cancels
    return where(x < 0, -x * positive, x * negative) + (positive + negative) * _math.log1p(exp_nonpositive(-absolute(x)))


@elementwise
def bce_with_logits_grad(dloss: V, x: V, target: V, pos_weight: V) -> V:
    e = exp_nonpositive(-absolute(x))
    return dloss * ((1 - target) * where(x < 0, e, 1.0) - pos_weight * target * where(x < 0, 1.0, e)) / (1 + e)


@elementwise
def kl_div(x: V, target: V) -> V:
    positive = target > 0
    return where(positive, target * (_math.log(where(positive, target, 1.0)) - x), 0.0)


@elementwise
def kl_div_log_target(x: V, target: V) -> V:
    return _math.exp(target) * (target - x)


@elementwise
def hinge(x: V, target: V, margin: V) -> V:
    return maximum(margin - target * x, 0.0)


@elementwise
def hinge_grad(dloss: V, x: V, target: V, margin: V) -> V:
    return where(target * x < margin, -target * dloss, 0.0)


@row(folds=(SUM,))
def _weighted_distance(x, weight, lse):
    return (lse - x) * weight


@each_row(by_row=("lse", "scale", "dloss"))
def _slopes(x, weight, lse, scale, dloss, smooth):
    return exp_nonpositive(x - lse) * scale - weight * (dloss * smooth)


@each_row(by_row=("lse", "scale"))
def _plain_slopes(x, lse, scale):
    return exp_nonpositive(x - lse) * scale


scales = scratch(ROWS)


@by_hand
def cross_entropy(team, loss, lse, x, target, weight, label_smoothing, ignore_index):
    N, C = x.shape
    start, stop = share(team, N)
    for first in range(start, stop, ROWS):
        last = min(first + ROWS, stop)
        tops_and_totals(lse[first:last], loss[first:last], x[first:last])
        log_sum(lse[first:last], lse[first:last], loss[first:last])
        for i in range(first, last):
            t = target[i]
            loss[i] = 0
            if t != ignore_index:
                loss[i] = (1 - label_smoothing) * weight[t] * (lse[i] - x[i, t])
                if label_smoothing != 0:
                    loss[i] += label_smoothing / C * _weighted_distance(x[i], weight, lse[i])


@by_hand
def cross_entropy_grad(team, dx, dloss, x, lse, target, weight, label_smoothing, ignore_index):
    N, C = x.shape
    smooth = label_smoothing / C
    smooth_total = smooth * total(weight)
    start, stop = share(team, N)
    for i in range(start, stop, ROWS):
        end = min(i + ROWS, stop)
        scale = scales(x)[: end - i]
        for k in range(i, end):
            t = target[k] if target[k] != ignore_index else 0
            scale[k - i] = dloss[k] * ((1 - label_smoothing) * weight[t] + smooth_total)
        if label_smoothing == 0:
            _plain_slopes(dx[i:end], x[i:end], lse[i:end], scale)
        else:
            _slopes(dx[i:end], x[i:end], weight, lse[i:end], scale, dloss[i:end], smooth)
        for k in range(i, end):
            t = target[k]
            if t == ignore_index:
                spread(dx[k], 0.0)
            else:
                dx[k, t] -= dloss[k] * ((1 - label_smoothing) * weight[t])


def target_weight(team, weight_of, target, weight, ignore_index):
    start, stop = share(team, len(target))
    for i in range(start, stop):
        t = target[i]
        weight_of[i] = weight.dtype.type(0) if t == ignore_index else weight[t]


def nll(team, loss, x, target, weight, ignore_index):
    start, stop = share(team, len(target))
    for i in range(start, stop):
        t = target[i]
        loss[i] = 0
        if t != ignore_index:
            loss[i] = -weight[t] * x[i, t]


def nll_grad(team, dx, dloss, target, weight, ignore_index):
    start, stop = share(team, len(target))
    for i in range(start, stop):
        t = target[i]
        spread(dx[i], 0.0)
        if t != ignore_index:
            dx[i, t] = -weight[t] * dloss[i]
