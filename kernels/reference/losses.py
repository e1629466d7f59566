"""Losses per element or per sample, and their gradients. Means, sums and weights per sample are applied by the caller."""

import numpy as np

from .._signature import Elements, Float, Floats, Int, Ints


def mse(loss: Elements, /, x: Elements, target: Elements) -> None:
    """loss = (x - target)^2."""
    np.copyto(loss, (x - target) ** 2)


def mse_grad(dx: Elements, /, dloss: Elements, x: Elements, target: Elements) -> None:
    """dx = 2 (x - target) dloss."""
    np.copyto(dx, 2 * (x - target) * dloss)


def l1(loss: Elements, /, x: Elements, target: Elements) -> None:
    """loss = |x - target|."""
    np.copyto(loss, np.abs(x - target))


def l1_grad(dx: Elements, /, dloss: Elements, x: Elements, target: Elements) -> None:
    """dx = sign(x - target) dloss."""
    np.copyto(dx, np.sign(x - target) * dloss)


def huber(loss: Elements, /, x: Elements, target: Elements, delta: Float) -> None:
    """loss = d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = x - target. Huber 1964."""
    d = np.abs(x - target)
    np.copyto(loss, np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)))


def huber_grad(dx: Elements, /, dloss: Elements, x: Elements, target: Elements, delta: Float) -> None:
    """dx = d held between -delta and delta, times dloss, with d = x - target."""
    np.copyto(dx, np.clip(x - target, -delta, delta) * dloss)


def bce(loss: Elements, /, x: Elements, target: Elements) -> None:
    """loss = -(target ln x + (1 - target) ln(1 - x)); each logarithm is held above -100, so that the loss is finite."""
    with np.errstate(divide="ignore"):
        np.copyto(loss, -(target * np.maximum(np.log(x), -100) + (1 - target) * np.maximum(np.log1p(-x), -100)))


def bce_grad(dx: Elements, /, dloss: Elements, x: Elements, target: Elements) -> None:
    """dx = dloss (x - target) / max(x (1 - x), 1e-12)."""
    np.copyto(dx, dloss * (x - target) / np.maximum(x * (1 - x), 1e-12))


def bce_with_logits(loss: Elements, /, x: Elements, target: Elements, pos_weight: Elements) -> None:
    """loss = (1 - target) x + (1 + (pos_weight - 1) target) ln(1 + exp(-x)), computed without overflow."""
    positive, negative = pos_weight * target, 1 - target
    np.copyto(loss, np.maximum(x, 0) * negative + np.maximum(-x, 0) * positive + (positive + negative) * np.log1p(np.exp(-np.abs(x))))


def bce_with_logits_grad(dx: Elements, /, dloss: Elements, x: Elements, target: Elements, pos_weight: Elements) -> None:
    """dx = dloss ((1 - target) - (1 + (pos_weight - 1) target) sigmoid(-x))."""
    e = np.exp(-np.abs(x))
    np.copyto(dx, dloss * ((1 - target) * np.where(x < 0, e, 1) - pos_weight * target * np.where(x < 0, 1, e)) / (1 + e))


def kl_div(loss: Elements, /, x: Elements, target: Elements) -> None:
    """loss = target (ln target - x) for a log-probability x; 0 where target = 0."""
    positive = target > 0
    np.copyto(loss, np.where(positive, target * (np.log(np.where(positive, target, 1)) - x), 0))


def kl_div_log_target(loss: Elements, /, x: Elements, target: Elements) -> None:
    """loss = exp(target) (target - x) for log-probabilities x and target."""
    np.copyto(loss, np.exp(target) * (target - x))


def hinge(loss: Elements, /, x: Elements, target: Elements, margin: Float) -> None:
    """loss = max(0, margin - target x), with target -1 or 1."""
    np.copyto(loss, np.maximum(margin - target * x, 0))


def hinge_grad(dx: Elements, /, dloss: Elements, x: Elements, target: Elements, margin: Float) -> None:
    """dx = -target dloss where target x < margin, else 0."""
    np.copyto(dx, np.where(target * x < margin, -target * dloss, 0))


def cross_entropy(
    loss: Floats("N"),
    lse: Floats("N"),
    /,
    x: Floats("N C"),
    target: Ints("N"),
    weight: Floats("C"),
    label_smoothing: Float,
    ignore_index: Int,
) -> None:
    """loss_i = (1 - s) w_t (lse_i - x_it) + s / C sum_c w_c (lse_i - x_ic), with t = target_i and lse_i = ln sum_c exp(x_ic).

    The loss of a sample whose target is `ignore_index` is 0. lse is kept for the gradient.
    """
    top = x.max(axis=1, initial=-np.inf)
    np.copyto(lse, top + np.log(np.exp(x - top[:, None]).sum(axis=1)))
    kept, t = _kept(target, ignore_index)
    mixed = (1 - label_smoothing) * (weight[t] * (lse[kept] - x[kept, t]))
    if label_smoothing:  # a logit of -inf would make 0 * inf of it
        mixed += label_smoothing * ((lse[kept, None] - x[kept]) * weight).sum(axis=1) / x.shape[1]
    loss[:] = 0
    loss[kept] = mixed


def _kept(target: np.ndarray, ignore_index: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the samples that are not ignored, and their classes."""
    kept = np.flatnonzero(target != ignore_index)
    return kept, target[kept]


def cross_entropy_grad(
    dx: Floats("N C"),
    /,
    dloss: Floats("N"),
    x: Floats("N C"),
    lse: Floats("N"),
    target: Ints("N"),
    weight: Floats("C"),
    label_smoothing: Float,
    ignore_index: Int,
) -> None:
    """dx_ic = dloss_i (p_ic ((1 - s) w_t + s / C sum_c w_c) - (1 - s) w_t [c = t] - s / C w_c), with p = softmax(x)."""
    kept, t = _kept(target, ignore_index)
    picked = (1 - label_smoothing) * weight[t]
    smooth = label_smoothing * weight / x.shape[1]
    slopes = np.exp(x[kept] - lse[kept, None]) * (picked + smooth.sum())[:, None] - smooth
    slopes[np.arange(len(kept)), t] -= picked
    dx[:] = 0
    dx[kept] = slopes * dloss[kept, None]


def target_weight(weight_of: Floats("N"), /, target: Ints("N"), weight: Floats("C"), ignore_index: Int) -> None:
    """weight_of_i = weight of the class target_i; 0 where target_i = ignore_index."""
    kept, t = _kept(target, ignore_index)
    weight_of[:] = 0
    weight_of[kept] = weight[t]


def nll(loss: Floats("N"), /, x: Floats("N C"), target: Ints("N"), weight: Floats("C"), ignore_index: Int) -> None:
    """loss_i = -w_t x_it with t = target_i, for log-probabilities x; 0 where t = ignore_index."""
    kept, t = _kept(target, ignore_index)
    loss[:] = 0
    loss[kept] = -weight[t] * x[kept, t]


def nll_grad(dx: Floats("N C"), /, dloss: Floats("N"), target: Ints("N"), weight: Floats("C"), ignore_index: Int) -> None:
    """dx_ic = -w_t dloss_i where c = t = target_i, else 0."""
    kept, t = _kept(target, ignore_index)
    dx[:] = 0
    dx[kept, t] = -weight[t] * dloss[kept]
