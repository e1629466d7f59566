"""Normalisation of each channel over the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import number
from ..errors import ShapeError, StateError
from ..tensor import Array, Tensor, record, run
from ._operands import adopting, block, count, nothing, optional, vector
from ._rules import Shared, either, if_given
from .elementwise import sqrt
from .reduce import mean, sum, var
from .shape import reshape

Move = Callable[[Array, Array, float], None]


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias, channel by channel.

    Parameters
    ----------
    input
        x (N, C) or (N, C, ...), floats; everything else has its dtype.
    running_mean, running_var
        (C,); None in training keeps no statistics. In training mean and variance are those of the batch, and the running ones
        become (1 - momentum) running + momentum batch, in place, with the unbiased variance; otherwise they are the running ones.
    weight, bias
        (C,), or None for ones and zeros.
    training
        Whether the statistics are those of the batch.
    momentum
        The weight of the batch in the running statistics, from 0 to 1.
    eps
        Keeps the divisor from zero, at least 0.

    Raises
    ------
    ShapeError
        If a shape is not as above, or, in training, there is only one value for each channel.
    DTypeError, ArgumentError
        If a dtype or a number is not as above.
    StateError
        If there are no running statistics where they are needed.

    The running statistics have not changed then. Source: Ioffe & Szegedy 2015, "Batch normalization", alg. 1 and 2.
    """
    momentum = number("batch_norm: momentum", momentum, 0, 1)

    def move(running: Array, batch: Array, scale: float) -> None:
        run("exponential_average", running, batch, momentum, scale)

    return moving_batch_norm(input, running_mean, running_var, weight, bias, training, move, eps)


def moving_batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, training: bool, move: Move, eps: float
) -> Tensor:
    """`batch_norm`, where `move` (a running statistic, that of the batch, what to multiply this by) moves the running statistics."""
    x = adopting(input, weight)
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: input must have shape (N, C) or (N, C, ...), got {x.shape}")
    eps = number("batch_norm: eps", eps, 0)
    C = x.shape[1]
    N, L = x.shape[0], count(x.shape[2:])
    scale, shift = optional(weight, x, "weight", (C,)), optional(bias, x, "bias", (C,))
    average, spread = optional(running_mean, x, "running_mean", (C,)), optional(running_var, x, "running_var", (C,))
    w, b = vector(scale, C, x, 1.0), vector(shift, C, x, 0.0)
    planes = block(x.data, (N, C, L))
    y = np.empty(x.shape, x.dtype)
    if training:
        if N * L == 1:
            raise ShapeError(f"batch_norm: training needs more than one value for each channel, got shape {x.shape}")
        mu, variance = _moments(planes)
        if average is not None:
            move(average.data, mu, 1.0)
        if spread is not None:
            move(spread.data, variance, N * L / max(1, N * L - 1))
    else:
        if average is None or spread is None:
            raise StateError("batch_norm: running_mean and running_var are needed outside training, got None")
        mu, variance = average.data, spread.data
    run("batch_norm", y.reshape(N, C, L), planes, mu, variance, w, b, nothing(planes), eps, 0)

    def to_weight_and_bias(dy: Array) -> tuple[Array, Array]:
        return _slopes(block(dy, (N, C, L)), planes, mu, variance, eps)

    def to_all(dy: Array) -> tuple[Array, Array, Array]:
        dx, (dweight, dbias) = np.empty(x.shape, x.dtype), to_weight_and_bias(dy)
        run("batch_norm_input_grad", dx.reshape(N, C, L), block(dy, (N, C, L)), planes, w, mu, variance, dweight, dbias, eps, N * L)
        return dx, dweight, dbias

    def to_input_alone(y: Tensor, dy: Tensor) -> Tensor:
        dx = np.empty(x.shape, x.dtype)
        run("batch_norm_inference_grad", dx.reshape(N, C, L), block(dy.data, (N, C, L)), variance, w, eps)
        return Tensor(dx)

    whole = training and x.requires_grad
    shared = Shared(to_all if whole else to_weight_and_bias)
    again = _Composed(x, scale, None if training else (mu, variance), eps)
    return record(
        y,
        (x, either(shared.rule(0) if whole else to_input_alone, again.to_input)),
        *if_given(scale, either(shared.rule(int(whole)), again.to_weight)),
        *if_given(shift, either(shared.rule(1 + int(whole)), again.to_bias)),
    )


def _moments(x: Array) -> tuple[Array, Array]:
    """The mean and variance of each channel of x (N, C, L)."""
    N, C, L = x.shape
    mean, var, means, squares = (np.empty(shape, x.dtype) for shape in (C, C, (N, C), (N, C)))
    if L == 1:
        run("reduce_var", var[None], mean[None], x.reshape(1, N, C), 0.0)
    else:
        run("plane_moments", means, squares, x)
        run("batch_moments", mean, var, means, squares, L)
    return mean, var


def _slopes(dy: Array, x: Array, mean: Array, var: Array, eps: float) -> tuple[Array, Array]:
    """The gradients of weight and bias."""
    N, C, L = x.shape
    dweight, dbias, slopes, shifts = (np.empty(shape, x.dtype) for shape in (C, C, (N, C), (N, C)))
    if L == 1:
        run("batch_norm_weight_grad", dweight, dbias, dy.reshape(N, C), x.reshape(N, C), mean, var, eps)
    else:
        run("plane_slopes", slopes, shifts, dy, x, mean)
        run("batch_slopes", dweight, dbias, slopes, shifts, var, eps)
    return dweight, dbias


class _Composed:
    """The gradient rules as operations, for higher derivatives."""

    def __init__(self, x: Tensor, weight: Tensor | None, statistics: tuple[Array, Array] | None, eps: float) -> None:
        self.x, self.weight, self.statistics, self.eps = x, weight, statistics, eps
        self.axes = (0, *range(2, x.ndim))
        self.across = (x.shape[1], *(1,) * (x.ndim - 2))  # how a vector of channels broadcasts to x

    def _normalised(self) -> tuple[Tensor, Tensor]:
        if self.statistics is None:
            mu, variance = mean(self.x, self.axes, keepdims=True), var(self.x, self.axes, keepdims=True, correction=0)
        else:
            mu, variance = (Tensor(s.reshape(self.across)) for s in self.statistics)
        rstd = 1.0 / sqrt(variance + self.eps)
        return (self.x - mu) * rstd, rstd

    def to_input(self, y: Tensor, dy: Tensor) -> Tensor:
        xhat, rstd = self._normalised()
        g = dy if self.weight is None else dy * reshape(self.weight, self.across)
        if self.statistics is not None:
            return g * rstd
        return rstd * (g - mean(g, self.axes, keepdims=True) - xhat * mean(g * xhat, self.axes, keepdims=True))

    def to_weight(self, y: Tensor, dy: Tensor) -> Tensor:
        return sum(dy * self._normalised()[0], self.axes)

    def to_bias(self, y: Tensor, dy: Tensor) -> Tensor:
        return sum(dy, self.axes)
