"""Formulas of the fused optimiser updates."""

import inspect
from collections.abc import Callable
from typing import Any

from .._nest import Formula, elementwise
from .._simd import V, absolute, maximum, minimum, sqrt, where


def penalised(grad: V, param: V, decay: V, sign: V) -> V:
    """The gradient of the penalised objective, to be minimised."""
    return sign * grad + decay * param


def average(before: V, value: V, gain: V) -> V:
    """A running average after one more value, from whichever weighs more: a small value after a large one is not lost."""
    step, little = value - before, gain < 0.5
    return where(little, before, value) + step * where(little, gain, gain - 1)


def average_square(before: V, value: V, fade: V, gain: V) -> V:
    """A running average of squares after one more value."""
    return before * fade + gain * (value * value)


def update(formula: Callable[..., Any]) -> Formula:
    """Make `formula` an elementwise kernel; what follows the gradient are factors, as a rule a number each for all parameters."""
    names = list(inspect.signature(formula).parameters)
    return Formula(formula, singles=names[names.index("grad") + 1 :])


@update
def sgd(param: V, grad: V, step_size: V, decay: V, sign: V) -> V:
    return param - step_size * penalised(grad, param, decay, sign)


@update
def sgd_momentum(
    param: V, momentum_buffer: V, grad: V, step_size: V, decay: V, sign: V, carry: V, gain: V, ahead: V, direct: V
) -> tuple[V, V]:
    g = penalised(grad, param, decay, sign)
    buffer = momentum_buffer * carry + gain * g
    return param - step_size * (ahead * buffer + direct * g), buffer


@update
def adam(
    param: V,
    exp_avg: V,
    exp_avg_sq: V,
    grad: V,
    step_size: V,
    scale: V,
    offset: V,
    keep: V,
    decay: V,
    sign: V,
    gain1: V,
    gain2: V,
    fade: V,
) -> tuple[V, V, V]:
    g = penalised(grad, param, decay, sign)
    m, v = average(exp_avg, g, gain1), average_square(exp_avg_sq, g, fade, gain2)
    return param * keep - step_size * m / (sqrt(v) * scale + offset), m, v


@update
def adam_amsgrad(
    param: V,
    exp_avg: V,
    exp_avg_sq: V,
    max_exp_avg_sq: V,
    grad: V,
    step_size: V,
    scale: V,
    offset: V,
    keep: V,
    decay: V,
    sign: V,
    gain1: V,
    gain2: V,
    fade: V,
) -> tuple[V, V, V, V]:
    g = penalised(grad, param, decay, sign)
    m, v = average(exp_avg, g, gain1), average_square(exp_avg_sq, g, fade, gain2)
    largest = maximum(max_exp_avg_sq, v)
    return param * keep - step_size * m / (sqrt(largest) * scale + offset), m, v, largest


@update
def nadam(
    param: V,
    exp_avg: V,
    exp_avg_sq: V,
    grad: V,
    step_size: V,
    direct: V,
    scale: V,
    offset: V,
    keep: V,
    decay: V,
    sign: V,
    gain1: V,
    gain2: V,
    fade: V,
) -> tuple[V, V, V]:
    g = penalised(grad, param, decay, sign)
    m, v = average(exp_avg, g, gain1), average_square(exp_avg_sq, g, fade, gain2)
    return param * keep - (step_size * m + direct * g) / (sqrt(v) * scale + offset), m, v


@update
def adamax(param: V, exp_avg: V, exp_inf: V, grad: V, step_size: V, offset: V, decay: V, sign: V, gain1: V, fade: V) -> tuple[V, V, V]:
    g = penalised(grad, param, decay, sign)
    m, u = average(exp_avg, g, gain1), maximum(fade * exp_inf, absolute(g) + offset)
    return param - step_size * m / u, m, u


@update
def rmsprop(param: V, square_avg: V, grad: V, step_size: V, offset: V, decay: V, sign: V, gain2: V, fade: V) -> tuple[V, V]:
    g = penalised(grad, param, decay, sign)
    v = average_square(square_avg, g, fade, gain2)
    return param - step_size * g / (sqrt(v) + offset), v


@update
def rmsprop_momentum(
    param: V, square_avg: V, momentum_buffer: V, grad: V, step_size: V, offset: V, decay: V, sign: V, gain2: V, fade: V, carry: V
) -> tuple[V, V, V]:
    g = penalised(grad, param, decay, sign)
    v = average_square(square_avg, g, fade, gain2)
    buffer = momentum_buffer * carry + g / (sqrt(v) + offset)
    return param - step_size * buffer, v, buffer


@update
def rmsprop_centered(
    param: V, square_avg: V, grad_avg: V, grad: V, step_size: V, offset: V, decay: V, sign: V, gain2: V, fade: V
) -> tuple[V, V, V]:
    g = penalised(grad, param, decay, sign)
    v, a = average_square(square_avg, g, fade, gain2), average(grad_avg, g, gain2)
    return param - step_size * g / (sqrt(v - a * a) + offset), v, a


@update
def rmsprop_centered_momentum(
    param: V,
    square_avg: V,
    momentum_buffer: V,
    grad_avg: V,
    grad: V,
    step_size: V,
    offset: V,
    decay: V,
    sign: V,
    gain2: V,
    fade: V,
    carry: V,
) -> tuple[V, V, V, V]:
    g = penalised(grad, param, decay, sign)
    v, a = average_square(square_avg, g, fade, gain2), average(grad_avg, g, gain2)
    buffer = momentum_buffer * carry + g / (sqrt(v - a * a) + offset)
    return param - step_size * buffer, v, buffer, a


@update
def adagrad(param: V, sum: V, grad: V, step_size: V, offset: V, decay: V, sign: V) -> tuple[V, V]:
    g = penalised(grad, param, decay, sign)
    sum = sum + g * g
    return param - step_size * g / (sqrt(sum) + offset), sum


@update
def adadelta(
    param: V, square_avg: V, acc_delta: V, grad: V, step_size: V, offset: V, decay: V, sign: V, gain2: V, fade: V
) -> tuple[V, V, V]:
    g = penalised(grad, param, decay, sign)
    v = average_square(square_avg, g, fade, gain2)
    delta = sqrt(acc_delta + offset) / sqrt(v + offset) * g
    return param - step_size * delta, v, average_square(acc_delta, delta, fade, gain2)


@update
def lion(param: V, exp_avg: V, grad: V, step_size: V, keep: V, sign: V, gain1: V, gain2: V) -> tuple[V, V]:
    g = sign * grad
    mixed = average(exp_avg, g, gain1)
    direction = where(mixed > 0.0, 1.0, where(mixed < 0.0, -1.0, mixed))
    return param * keep - step_size * direction, average(exp_avg, g, gain2)


@elementwise
def clip_factor(norm: V, max_norm: V) -> V:
    return minimum(max_norm / (norm + 1e-6), 1.0)
