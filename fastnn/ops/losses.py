"""Losses between an input and a target of equal shape, element by element, then reduced.

Whatever they raise, they raise before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import choice, number
from ..errors import ShapeError
from ..tensor import Rule, Tensor, as_tensor, record, run
from ._operands import together
from ._rules import either
from ._targets import NOT_NEGATIVE, NUMBERS, PROBABILITIES, SHARES, SIGNS, Values, check_input, check_target
from .activations import sigmoid, softplus
from .elementwise import clip, exp, log, maximum, sign, where
from .reduce import mean, sum

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": mean, "sum": sum, "none": lambda loss: loss}


def reducer(reduction: str) -> Callable[[Tensor], Tensor]:
    """What turns the losses of the elements into the loss: "mean", "sum" or "none". Raises UnknownNameError."""
    return REDUCTIONS[choice("reduction", reduction, REDUCTIONS)]


def _alike(input: Any, target: Any, values: Values = NUMBERS) -> tuple[Tensor, Tensor]:
    """Input and target as tensors of one dtype and shape, the target with these values."""
    x, t = together(input=input, target=target)
    if x.shape != t.shape:
        raise ShapeError(f"target must have the shape of input, {x.shape}, got {t.shape}")
    check_target(t, values)
    return x, t


def _elements(kernel: str, x: Tensor, target: Tensor, to_input: Rule, to_target: Rule, *more: Any, fast: bool = True) -> Tensor:
    """The losses of the elements; the rules are given as operations, and `fast` says that there is a kernel for the input's, too."""
    loss = np.empty(x.shape, x.dtype)
    run(kernel, loss, x.data, target.data, *more)
    if fast:
        to_input = either(lambda y, dy: _gradient(kernel, dy, x, target, *more), to_input)
    return record(loss, (x, to_input), (target, to_target))


def _gradient(kernel: str, dloss: Tensor, x: Tensor, target: Tensor, *more: Any) -> Tensor:
    dx = np.empty(x.shape, x.dtype)
    run(f"{kernel}_grad", dx, dloss.data, x.data, target.data, *more)
    return Tensor(dx)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """(x - t)^2, the squared error.

    Parameters
    ----------
    input
        x, floats of any shape.
    target
        t, what x should be, of the input's shape and dtype.
    reduction
        "mean", "sum" or "none" of the elements' losses.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError
        If an argument is not as above.
    LabelError
        If a target is NaN.
    """
    reduce = reducer(reduction)
    x, t = _alike(input, target)
    return reduce(_elements("mse", x, t, lambda y, dy: 2.0 * (x - t) * dy, lambda y, dy: 2.0 * (t - x) * dy))


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """|x - t|, the absolute error, with derivative 0 at 0.

    Parameters
    ----------
    input
        x, floats of any shape.
    target
        t, what x should be, of the input's shape and dtype.
    reduction
        "mean", "sum" or "none" of the elements' losses.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError
        If an argument is not as above.
    LabelError
        If a target is NaN.
    """
    reduce = reducer(reduction)
    x, t = _alike(input, target)
    return reduce(_elements("l1", x, t, lambda y, dy: sign(x - t) * dy, lambda y, dy: sign(t - x) * dy))


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = x - t.

    Parameters
    ----------
    input
        x, floats of any shape.
    target
        t, what x should be, of the input's shape and dtype.
    reduction
        "mean", "sum" or "none" of the elements' losses.
    delta
        The error from which on the loss grows linearly, above 0.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError, ArgumentError
        If an argument is not as above.
    LabelError
        If a target is NaN.

    Source: Huber 1964, "Robust estimation of a location parameter".
    """
    reduce = reducer(reduction)
    delta = number("huber_loss: delta", delta, above=0)
    x, t = _alike(input, target)
    to_input: Rule = lambda y, dy: clip(x - t, -delta, delta) * dy  # noqa: E731
    return reduce(_elements("huber", x, t, to_input, lambda y, dy: clip(t - x, -delta, delta) * dy, delta))


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = x - t.

    Parameters
    ----------
    input
        x, floats of any shape.
    target
        t, what x should be, of the input's shape and dtype.
    reduction
        "mean", "sum" or "none" of the elements' losses.
    beta
        The error from which on the loss grows linearly, at least 0; with 0 this is `l1_loss`.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError, ArgumentError
        If an argument is not as above.
    LabelError
        If a target is NaN.

    Source: Girshick 2015, "Fast R-CNN", eq. 3.
    """
    if number("smooth_l1_loss: beta", beta, 0) == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) / beta


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Tensor:
    """-(t ln x + (1 - t) ln(1 - x)) for probabilities x, with logarithms held above -100.

    Parameters
    ----------
    input
        x, probabilities from 0 to 1, floats of any shape.
    target
        t, probabilities from 0 to 1, of the input's shape and dtype.
    weight
        What to multiply the loss of each element by; it broadcasts to the input's shape.
    reduction
        "mean", "sum" or "none" of the elements' losses.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError
        If an argument is not as above.
    LabelError, ArgumentError
        If a target, or an input, is NaN or lies outside 0 to 1. Inputs that a recorded program computes are not looked at.
    """
    reduce = reducer(reduction)
    x, t = _alike(input, target, SHARES)
    check_input(x, PROBABILITIES)

    def to_input(y: Tensor, dy: Tensor) -> Tensor:
        return dy * (x - t) / maximum(x * (1.0 - x), 1e-12)

    def to_target(y: Tensor, dy: Tensor) -> Tensor:
        return dy * (maximum(log(1.0 - x), -100.0) - maximum(log(x), -100.0))

    return reduce(_weighted(_elements("bce", x, t, to_input, to_target), weight))


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """-(p t ln s + (1 - t) ln(1 - s)) with s = sigmoid(x), computed without overflow.

    Parameters
    ----------
    input
        x, floats of any shape.
    target
        t, probabilities from 0 to 1, of the input's shape and dtype.
    weight
        What to multiply the loss of each element by; it broadcasts to the input's shape.
    reduction
        "mean", "sum" or "none" of the elements' losses.
    pos_weight
        p, what to multiply the loss of the positive class by, a constant that gets no gradient; it broadcasts to the input's shape.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError
        If an argument is not as above.
    LabelError
        If a target is NaN or lies outside 0 to 1.
    """
    reduce = reducer(reduction)
    x, t = _alike(input, target, SHARES)
    p = as_tensor(1.0 if pos_weight is None else pos_weight, x, "pos_weight")
    _check_broadcast("pos_weight", p, x)

    def to_input(y: Tensor, dy: Tensor) -> Tensor:
        return dy * ((1.0 - t) - (1.0 + (p - 1.0) * t) * sigmoid(-x))

    def to_target(y: Tensor, dy: Tensor) -> Tensor:
        return dy * ((p - 1.0) * softplus(-x, threshold=math.inf) - x)

    return reduce(_weighted(_elements("bce_with_logits", x, t, to_input, to_target, p.data), weight))


def _weighted(loss: Tensor, weight: Any) -> Tensor:
    if weight is None:
        return loss
    factor = as_tensor(weight, loss, "weight")
    _check_broadcast("weight", factor, loss)
    return loss * factor


def _check_broadcast(name: str, x: Tensor, to: Tensor) -> None:
    lead = to.ndim - x.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(x.shape, to.shape[lead:], strict=True)):
        raise ShapeError(f"{name} must broadcast to shape {to.shape}, got {x.shape}")


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t (ln t - x) for a log-probability x and a probability t, or e^t (t - x) where `log_target` says that t is logarithmic too.

    Parameters
    ----------
    input
        x, log-probabilities, floats of any shape.
    target
        t, probabilities, or their logarithms if `log_target`, of the input's shape and dtype.
    reduction
        "mean", "sum" or "none" of the elements' losses, or "batchmean", the sum divided by the size of dimension 0: the divergence of
        the distributions of a batch, on average.
    log_target
        Whether t is logarithmic.

    Raises
    ------
    DTypeError, ShapeError, UnknownNameError
        If an argument is not as above.
    LabelError
        If a target is NaN, or a probability negative.

    Source: Kullback & Leibler 1951, "On information and sufficiency", eq. 2.4.
    """
    batch_mean = isinstance(reduction, str) and reduction == "batchmean"
    reduce = reducer("sum" if batch_mean else reduction)
    x, t = _alike(input, target, NUMBERS if log_target else NOT_NEGATIVE)
    if log_target:
        losses = _elements("kl_div_log_target", x, t, lambda y, dy: -exp(t) * dy, lambda y, dy: exp(t) * (t - x + 1.0) * dy, fast=False)
    else:
        to_target: Rule = lambda y, dy: where(t > 0.0, (log(t) + 1.0 - x) * dy, 0.0)  # noqa: E731
        losses = _elements("kl_div", x, t, lambda y, dy: -t * dy, to_target, fast=False)
    loss = reduce(losses)
    return loss / max(1, x.shape[0] if x.ndim else 1) if batch_mean else loss


def hinge_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """max(0, margin - t x), with derivative 0 at the margin.

    Parameters
    ----------
    input
        x, floats of any shape.
    target
        t, each -1 or 1, of the input's shape and dtype.
    margin
        How far on its side an input must lie to cost nothing.
    reduction
        "mean", "sum" or "none" of the elements' losses.

    Raises
    ------
    DTypeError, ShapeError, ArgumentError, UnknownNameError
        If an argument is not as above.
    LabelError
        If a target is neither -1 nor 1.

    Source: Cortes & Vapnik 1995, "Support-vector networks".
    """
    reduce = reducer(reduction)
    margin = number("hinge_loss: margin", margin)
    x, t = _alike(input, target, SIGNS)

    def towards(other: Tensor) -> Rule:
        return lambda y, dy: where(x * t < margin, -other * dy, 0.0)

    return reduce(_elements("hinge", x, t, towards(t), towards(x), margin))
