"""What the hyperparameters of an optimiser come to at this step: the factors of the fused updates in `optimisers`.

`<name>_factors` works on float64 numbers, one per tensor that is updated. It advances the step counter and turns the hyperparameters,
which keep PyTorch's names, into factors, rounded once to the dtype of the parameters. Factors that several optimisers share:

=========  ===============================================================
step_size  multiplies the direction of the update
decay      the L2 penalty: decay param is added to the gradient
keep       what decoupled weight decay leaves of a parameter
sign       -1 to maximise, else 1
gain1      1 - beta1, the weight of a new gradient in its average
gain2      1 - beta2, the weight of a new squared gradient in its average
fade       beta2, what that average keeps of itself
offset     eps, which keeps divisors away from zero
=========  ===============================================================
"""

from typing import Any

import numpy as np

from .._signature import Array, Elements

DoubleElements = Array("double", "elementwise")


def _write(factor: Any, value: Any) -> None:
    """factor = value, rounded to the factor's dtype."""
    np.copyto(factor, value, casting="same_kind")


def sgd_factors(
    step_size: Elements,
    decay: Elements,
    sign: Elements,
    /,
    lr: DoubleElements,
    weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step_size = lr, decay = weight_decay, sign = 1 - 2 maximize."""
    _write(step_size, lr)
    _write(decay, weight_decay)
    _write(sign, 1 - 2 * maximize)


def sgd_momentum_factors(
    step: DoubleElements,
    step_size: Elements,
    decay: Elements,
    sign: Elements,
    carry: Elements,
    gain: Elements,
    ahead: Elements,
    direct: Elements,
    /,
    lr: DoubleElements,
    weight_decay: DoubleElements,
    maximize: DoubleElements,
    momentum: DoubleElements,
    dampening: DoubleElements,
    nesterov: DoubleElements,
) -> None:
    """step += 1; carry = momentum and gain = 1 - dampening, but 0 and 1 at the first step; ahead and direct mix buffer and gradient.

    ahead = momentum, direct = 1 with Nesterov's momentum; ahead = 1, direct = 0 without.
    """
    step += 1
    sgd_factors(step_size, decay, sign, lr, weight_decay, maximize)
    _write(carry, np.where(step > 1, momentum, 0))
    _write(gain, np.where(step > 1, 1 - dampening, 1))
    _write(ahead, np.where(nesterov != 0, momentum, 1))
    _write(direct, np.where(nesterov != 0, 1.0, 0.0))


def adam_factors(
    step: DoubleElements,
    step_size: Elements,
    scale: Elements,
    offset: Elements,
    keep: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
    fade: Elements,
    /,
    lr: DoubleElements,
    beta1: DoubleElements,
    beta2: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    decoupled_weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; step_size = lr / (1 - beta1^step), scale = (1 - beta2^step)^(-1/2), offset = eps.

    keep = 1 - lr weight_decay and decay = 0 where decoupled_weight_decay, else keep = 1 and decay = weight_decay.
    """
    step += 1
    _write(step_size, lr / (1 - beta1**step))
    _write(scale, 1 / np.sqrt(1 - beta2**step))
    _write(offset, eps)
    _write(keep, 1 - lr * weight_decay * decoupled_weight_decay)
    _write(decay, weight_decay * (1 - decoupled_weight_decay))
    _write(sign, 1 - 2 * maximize)
    _write(gain1, 1 - beta1)
    _write(gain2, 1 - beta2)
    _write(fade, beta2)


def radam_factors(
    step: DoubleElements,
    step_size: Elements,
    scale: Elements,
    offset: Elements,
    keep: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
    fade: Elements,
    /,
    lr: DoubleElements,
    beta1: DoubleElements,
    beta2: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    decoupled_weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """Factors that make `adam` the rectified Adam of Liu et al. 2020, alg. 2.

    step += 1; rho_inf = 2 / (1 - beta2) - 1; rho = rho_inf - 2 step beta2^step / (1 - beta2^step).
    Where rho > 5: step_size = lr / (1 - beta1^step) r (1 - beta2^step)^(1/2), scale = 1, offset = eps, with
    r = ((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))^(1/2).
    Elsewhere step_size = lr / (1 - beta1^step), scale = 0, offset = 1: the plain average of gradients.
    """
    adam_factors(
        step,
        step_size,
        scale,
        offset,
        keep,
        decay,
        sign,
        gain1,
        gain2,
        fade,
        lr,
        beta1,
        beta2,
        eps,
        weight_decay,
        decoupled_weight_decay,
        maximize,
    )
    correction = 1 - beta2**step
    limit = 2 / (1 - beta2) - 1
    length = limit - 2 * step * beta2**step / correction
    rectified = length > 5
    safe = np.where(rectified, length, 5)
    variance = (safe - 4) * (safe - 2) * limit / ((limit - 4) * (limit - 2) * safe)
    _write(step_size, lr / (1 - beta1**step) * np.sqrt(np.where(rectified, variance * correction, 1)))
    _write(scale, np.where(rectified, 1.0, 0.0))
    _write(offset, np.where(rectified, eps, 1))


def nadam_factors(
    step: DoubleElements,
    mu_product: DoubleElements,
    step_size: Elements,
    direct: Elements,
    scale: Elements,
    offset: Elements,
    keep: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
    fade: Elements,
    /,
    lr: DoubleElements,
    beta1: DoubleElements,
    beta2: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    decoupled_weight_decay: DoubleElements,
    momentum_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2); mu_product *= mu_step; the rest as in `adam_factors`, but

    direct = lr (1 - mu_step) / (1 - mu_product) and step_size = lr mu_(step + 1) / (1 - mu_product mu_(step + 1)).
    """
    adam_factors(
        step,
        step_size,
        scale,
        offset,
        keep,
        decay,
        sign,
        gain1,
        gain2,
        fade,
        lr,
        beta1,
        beta2,
        eps,
        weight_decay,
        decoupled_weight_decay,
        maximize,
    )
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    mu_product *= mu
    _write(direct, lr * (1 - mu) / (1 - mu_product))
    _write(step_size, lr * mu_next / (1 - mu_product * mu_next))


def adamax_factors(
    step: DoubleElements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    fade: Elements,
    /,
    lr: DoubleElements,
    beta1: DoubleElements,
    beta2: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; step_size = lr / (1 - beta1^step), offset = eps, fade = beta2."""
    step += 1
    _write(step_size, lr / (1 - beta1**step))
    _write(offset, eps)
    _write(decay, weight_decay)
    _write(sign, 1 - 2 * maximize)
    _write(gain1, 1 - beta1)
    _write(fade, beta2)


def rmsprop_factors(
    step: DoubleElements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
    carry: Elements,
    /,
    lr: DoubleElements,
    alpha: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    momentum: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; step_size = lr, offset = eps, gain2 = 1 - alpha, fade = alpha, carry = momentum."""
    step += 1
    _write(step_size, lr)
    _write(offset, eps)
    _write(decay, weight_decay)
    _write(sign, 1 - 2 * maximize)
    _write(gain2, 1 - alpha)
    _write(fade, alpha)
    _write(carry, momentum)


def adagrad_factors(
    step: DoubleElements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    /,
    lr: DoubleElements,
    lr_decay: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; step_size = lr / (1 + (step - 1) lr_decay), offset = eps."""
    step += 1
    _write(step_size, lr / (1 + (step - 1) * lr_decay))
    _write(offset, eps)
    _write(decay, weight_decay)
    _write(sign, 1 - 2 * maximize)


def adadelta_factors(
    step: DoubleElements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
    /,
    lr: DoubleElements,
    rho: DoubleElements,
    eps: DoubleElements,
    weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; step_size = lr, offset = eps, gain2 = 1 - rho, fade = rho."""
    step += 1
    _write(step_size, lr)
    _write(offset, eps)
    _write(decay, weight_decay)
    _write(sign, 1 - 2 * maximize)
    _write(gain2, 1 - rho)
    _write(fade, rho)


def lion_factors(
    step: DoubleElements,
    step_size: Elements,
    keep: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
    /,
    lr: DoubleElements,
    beta1: DoubleElements,
    beta2: DoubleElements,
    weight_decay: DoubleElements,
    maximize: DoubleElements,
) -> None:
    """step += 1; step_size = lr, keep = 1 - lr weight_decay, gain1 = 1 - beta1, gain2 = 1 - beta2."""
    step += 1
    _write(step_size, lr)
    _write(keep, 1 - lr * weight_decay)
    _write(sign, 1 - 2 * maximize)
    _write(gain1, 1 - beta1)
    _write(gain2, 1 - beta2)
