"""Formulas of the factors of each optimiser's step: one float64 number per tensor that is updated."""

from .._math import power
from .._nest import elementwise
from .._simd import V, sqrt, where


@elementwise
def sgd_factors(lr: V, weight_decay: V, maximize: V) -> tuple[V, ...]:
    return lr, weight_decay, 1.0 - 2.0 * maximize


@elementwise
def sgd_momentum_factors(step: V, lr: V, weight_decay: V, maximize: V, momentum: V, dampening: V, nesterov: V) -> tuple[V, ...]:
    step = step + 1.0
    begun, looking_ahead = step > 1.0, nesterov != 0.0
    carry, gain = where(begun, momentum, 0.0), where(begun, 1.0 - dampening, 1.0)
    ahead, direct = where(looking_ahead, momentum, 1.0), where(looking_ahead, step.like(1.0), 0.0)
    return step, lr, weight_decay, 1.0 - 2.0 * maximize, carry, gain, ahead, direct


def of_adam(lr: V, beta1: V, beta2: V, weight_decay: V, decoupled_weight_decay: V, maximize: V) -> tuple[V, ...]:
    """keep, decay, sign, gain1, gain2 and fade, which do not depend on the step."""
    keep = 1.0 - lr * weight_decay * decoupled_weight_decay
    decay = weight_decay * (1.0 - decoupled_weight_decay)
    return keep, decay, 1.0 - 2.0 * maximize, 1.0 - beta1, 1.0 - beta2, beta2


@elementwise
def adam_factors(step: V, lr: V, beta1: V, beta2: V, eps: V, weight_decay: V, decoupled_weight_decay: V, maximize: V) -> tuple[V, ...]:
    step = step + 1.0
    step_size = lr / (1.0 - power(beta1, step))
    scale = 1.0 / sqrt(1.0 - power(beta2, step))
    return step, step_size, scale, eps, *of_adam(lr, beta1, beta2, weight_decay, decoupled_weight_decay, maximize)


@elementwise
def radam_factors(step: V, lr: V, beta1: V, beta2: V, eps: V, weight_decay: V, decoupled_weight_decay: V, maximize: V) -> tuple[V, ...]:
    step = step + 1.0
    faded = power(beta2, step)
    correction = 1.0 - faded
    limit = 2.0 / (1.0 - beta2) - 1.0
    length = limit - 2.0 * step * faded / correction
    rectified = length > 5.0
    variance = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length)
    step_size = lr / (1.0 - power(beta1, step)) * sqrt(where(rectified, variance * correction, 1.0))
    scale, offset = where(rectified, step.like(1.0), 0.0), where(rectified, eps, 1.0)
    return step, step_size, scale, offset, *of_adam(lr, beta1, beta2, weight_decay, decoupled_weight_decay, maximize)


@elementwise
def nadam_factors(
    step: V,
    mu_product: V,
    lr: V,
    beta1: V,
    beta2: V,
    eps: V,
    weight_decay: V,
    decoupled_weight_decay: V,
    momentum_decay: V,
    maximize: V,
) -> tuple[V, ...]:
    step = step + 1.0
    base = step.like(0.96)
    mu = beta1 * (1.0 - 0.5 * power(base, step * momentum_decay))
    mu_next = beta1 * (1.0 - 0.5 * power(base, (step + 1.0) * momentum_decay))
    mu_product = mu_product * mu
    direct = lr * (1.0 - mu) / (1.0 - mu_product)
    step_size = lr * mu_next / (1.0 - mu_product * mu_next)
    scale = 1.0 / sqrt(1.0 - power(beta2, step))
    return step, mu_product, step_size, direct, scale, eps, *of_adam(lr, beta1, beta2, weight_decay, decoupled_weight_decay, maximize)


@elementwise
def adamax_factors(step: V, lr: V, beta1: V, beta2: V, eps: V, weight_decay: V, maximize: V) -> tuple[V, ...]:
    step = step + 1.0
    return step, lr / (1.0 - power(beta1, step)), eps, weight_decay, 1.0 - 2.0 * maximize, 1.0 - beta1, beta2


@elementwise
def rmsprop_factors(step: V, lr: V, alpha: V, eps: V, weight_decay: V, momentum: V, maximize: V) -> tuple[V, ...]:
    return step + 1.0, lr, eps, weight_decay, 1.0 - 2.0 * maximize, 1.0 - alpha, alpha, momentum


@elementwise
def adagrad_factors(step: V, lr: V, lr_decay: V, eps: V, weight_decay: V, maximize: V) -> tuple[V, ...]:
    return step + 1.0, lr / (1.0 + step * lr_decay), eps, weight_decay, 1.0 - 2.0 * maximize


@elementwise
def adadelta_factors(step: V, lr: V, rho: V, eps: V, weight_decay: V, maximize: V) -> tuple[V, ...]:
    return step + 1.0, lr, eps, weight_decay, 1.0 - 2.0 * maximize, 1.0 - rho, rho


@elementwise
def lion_factors(step: V, lr: V, beta1: V, beta2: V, weight_decay: V, maximize: V) -> tuple[V, ...]:
    return step + 1.0, lr, 1.0 - lr * weight_decay, 1.0 - 2.0 * maximize, 1.0 - beta1, 1.0 - beta2
