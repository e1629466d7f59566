"""Fused optimiser updates: all parameters in one pass over flat buffers, in the conventions of PyTorch.

Each takes the parameters, the optimiser's state, the gradient and the factors of this step, which `optimiser_factors` computes; they
are arrays of one element, so that a program can be replayed while they change.
"""

from typing import Any

import numpy as np

from .._signature import Elements, Float


def _penalised(grad: Any, param: Any, decay: Any, sign: Any) -> Any:
    """The gradient of the penalised objective, to be minimised: g = sign grad + decay param."""
    return sign * grad + decay * param


def _average(average: Any, value: Any, gain: Any) -> None:
    """average = (1 - gain) average + gain value, from whichever of the two weighs more, as PyTorch's `lerp`."""
    step = value - average
    np.copyto(average, np.where(gain < 0.5, average + gain * step, value - (1 - gain) * step))


def _average_square(average: Any, value: Any, fade: Any, gain: Any) -> None:
    """average = fade average + gain value^2: a sum of positive numbers, so that a small value after large ones is not lost."""
    average *= fade
    average += gain * (value * value)


def sgd(param: Elements, /, grad: Elements, step_size: Elements, decay: Elements, sign: Elements) -> None:
    """Gradient descent: g = sign grad + decay param; param = param - step_size g."""
    param -= step_size * _penalised(grad, param, decay, sign)


def sgd_momentum(
    param: Elements,
    momentum_buffer: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    decay: Elements,
    sign: Elements,
    carry: Elements,
    gain: Elements,
    ahead: Elements,
    direct: Elements,
) -> None:
    """Gradient descent with momentum, also Nesterov's. Sutskever et al. 2013, in PyTorch's form.

    g = sign grad + decay param; buffer = carry buffer + gain g; param = param - step_size (ahead buffer + direct g).
    """
    g = _penalised(grad, param, decay, sign)
    momentum_buffer *= carry
    momentum_buffer += gain * g
    param -= step_size * (ahead * momentum_buffer + direct * g)


def adam(
    param: Elements,
    exp_avg: Elements,
    exp_avg_sq: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    scale: Elements,
    offset: Elements,
    keep: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
    fade: Elements,
) -> None:
    """Adam, AdamW and RAdam. Kingma & Ba 2015, alg. 1; Loshchilov & Hutter 2019, alg. 2; Liu et al. 2020, alg. 2.

    g = sign grad + decay param; m = m + gain1 (g - m); v = fade v + gain2 g^2;
    param = keep param - step_size m / (v^(1/2) scale + offset).
    """
    g = _penalised(grad, param, decay, sign)
    _average(exp_avg, g, gain1)
    _average_square(exp_avg_sq, g, fade, gain2)
    param *= keep
    param -= step_size * exp_avg / (np.sqrt(exp_avg_sq) * scale + offset)


def adam_amsgrad(
    param: Elements,
    exp_avg: Elements,
    exp_avg_sq: Elements,
    max_exp_avg_sq: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    scale: Elements,
    offset: Elements,
    keep: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
    fade: Elements,
) -> None:
    """Adam and AdamW whose step never grows: the largest v so far takes the place of v. Reddi et al. 2018, alg. 2."""
    g = _penalised(grad, param, decay, sign)
    _average(exp_avg, g, gain1)
    _average_square(exp_avg_sq, g, fade, gain2)
    np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    param *= keep
    param -= step_size * exp_avg / (np.sqrt(max_exp_avg_sq) * scale + offset)


def nadam(
    param: Elements,
    exp_avg: Elements,
    exp_avg_sq: Elements,
    /,
    grad: Elements,
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
) -> None:
    """Adam with Nesterov's momentum. Dozat 2016, alg. 2.

    g, m, v as in `adam`; param = keep param - (step_size m + direct g) / (v^(1/2) scale + offset).
    """
    g = _penalised(grad, param, decay, sign)
    _average(exp_avg, g, gain1)
    _average_square(exp_avg_sq, g, fade, gain2)
    param *= keep
    param -= (step_size * exp_avg + direct * g) / (np.sqrt(exp_avg_sq) * scale + offset)


def adamax(
    param: Elements,
    exp_avg: Elements,
    exp_inf: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain1: Elements,
    fade: Elements,
) -> None:
    """Adam with the infinity norm. Kingma & Ba 2015, alg. 2.

    g, m as in `adam`; u = max(fade u, |g| + offset); param = param - step_size m / u.
    """
    g = _penalised(grad, param, decay, sign)
    _average(exp_avg, g, gain1)
    np.maximum(fade * exp_inf, np.abs(g) + offset, out=exp_inf)
    param -= step_size * exp_avg / exp_inf


def rmsprop(
    param: Elements,
    square_avg: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
) -> None:
    """RMSprop. Tieleman & Hinton 2012, lecture 6.5.

    g = sign grad + decay param; v = fade v + gain2 g^2; param = param - step_size g / (v^(1/2) + offset).
    """
    g = _penalised(grad, param, decay, sign)
    _average_square(square_avg, g, fade, gain2)
    param -= step_size * g / (np.sqrt(square_avg) + offset)


def rmsprop_momentum(
    param: Elements,
    square_avg: Elements,
    momentum_buffer: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
    carry: Elements,
) -> None:
    """RMSprop with momentum: buffer = carry buffer + g / (v^(1/2) + offset); param = param - step_size buffer."""
    g = _penalised(grad, param, decay, sign)
    _average_square(square_avg, g, fade, gain2)
    momentum_buffer *= carry
    momentum_buffer += g / (np.sqrt(square_avg) + offset)
    param -= step_size * momentum_buffer


def rmsprop_centered(
    param: Elements,
    square_avg: Elements,
    grad_avg: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
) -> None:
    """RMSprop with the gradient's variance v - a^2 instead of v, where a = a + gain2 (g - a). Graves 2013, eq. 38-41."""
    g = _penalised(grad, param, decay, sign)
    _average_square(square_avg, g, fade, gain2)
    _average(grad_avg, g, gain2)
    param -= step_size * g / (np.sqrt(square_avg - grad_avg * grad_avg) + offset)


def rmsprop_centered_momentum(
    param: Elements,
    square_avg: Elements,
    momentum_buffer: Elements,
    grad_avg: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
    carry: Elements,
) -> None:
    """RMSprop with the gradient's variance and momentum: `rmsprop_centered` and `rmsprop_momentum` in one."""
    g = _penalised(grad, param, decay, sign)
    _average_square(square_avg, g, fade, gain2)
    _average(grad_avg, g, gain2)
    momentum_buffer *= carry
    momentum_buffer += g / (np.sqrt(square_avg - grad_avg * grad_avg) + offset)
    param -= step_size * momentum_buffer


def adagrad(
    param: Elements,
    sum: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
) -> None:
    """Adagrad. Duchi, Hazan & Singer 2011, fig. 1.

    g = sign grad + decay param; sum = sum + g^2; param = param - step_size g / (sum^(1/2) + offset).
    """
    g = _penalised(grad, param, decay, sign)
    sum += g * g
    param -= step_size * g / (np.sqrt(sum) + offset)


def adadelta(
    param: Elements,
    square_avg: Elements,
    acc_delta: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    offset: Elements,
    decay: Elements,
    sign: Elements,
    gain2: Elements,
    fade: Elements,
) -> None:
    """Adadelta. Zeiler 2012, alg. 1.

    g = sign grad + decay param; v = fade v + gain2 g^2; d = (acc + offset)^(1/2) / (v + offset)^(1/2) g;
    acc = fade acc + gain2 d^2; param = param - step_size d.
    """
    g = _penalised(grad, param, decay, sign)
    _average_square(square_avg, g, fade, gain2)
    delta = np.sqrt(acc_delta + offset) / np.sqrt(square_avg + offset) * g
    _average_square(acc_delta, delta, fade, gain2)
    param -= step_size * delta


def lion(
    param: Elements,
    exp_avg: Elements,
    /,
    grad: Elements,
    step_size: Elements,
    keep: Elements,
    sign: Elements,
    gain1: Elements,
    gain2: Elements,
) -> None:
    """Lion. Chen et al. 2023, alg. 2.

    g = sign grad; param = keep param - step_size sgn(m + gain1 (g - m)); then m = m + gain2 (g - m).
    """
    g = sign * grad
    param *= keep
    param -= step_size * np.sign(exp_avg + gain1 * (g - exp_avg))
    _average(exp_avg, g, gain2)


def clip_factor(factor: Elements, /, norm: Elements, max_norm: Float) -> None:
    """factor = min(1, max_norm / (norm + 1e-6)): what brings gradients of this norm down to max_norm. Pascanu et al. 2013, alg. 1."""
    np.minimum(max_norm / (norm + 1e-6), 1, out=factor)
