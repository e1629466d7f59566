"""Fused optimiser updates over flat buffers, in the conventions of PyTorch.

Each optimiser has two elementwise kernels. `<name>_factors` works on single float64 numbers: it advances the step counter and turns
the hyperparameters into the factors of this step. `<name>` then updates all parameters in one pass; its factors are arrays of one
element, so that a program can be replayed while they change.
"""

import numpy as np

from .._signature import Array, Elements

DoubleElements = Array("double", "elementwise")


def adam_factors(
    step: DoubleElements,
    step_size: Elements,
    scale: Elements,
    keep: Elements,
    lr: DoubleElements,
    beta1: DoubleElements,
    beta2: DoubleElements,
    decay: DoubleElements,
) -> None:
    """step += 1; step_size = lr / (1 - beta1^step), scale = (1 - beta2^step)^(-1/2), keep = 1 - lr decay."""
    step += 1
    np.copyto(step_size, lr / (1 - beta1**step), casting="same_kind")
    np.copyto(scale, 1 / np.sqrt(1 - beta2**step), casting="same_kind")
    np.copyto(keep, 1 - lr * decay, casting="same_kind")


def adam(
    param: Elements,
    exp_avg: Elements,
    exp_avg_sq: Elements,
    grad: Elements,
    step_size: Elements,
    scale: Elements,
    keep: Elements,
    beta1: Elements,
    beta2: Elements,
    eps: Elements,
    weight_decay: Elements,
) -> None:
    """Adam (weight_decay) and AdamW (keep). Kingma & Ba 2015, alg. 1; Loshchilov & Hutter 2019, alg. 2.

    g = grad + weight_decay param; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    param = keep param - step_size m / (v^(1/2) scale + eps).
    """
    g = grad + weight_decay * param
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq += (1 - beta2) * (g * g - exp_avg_sq)
    param *= keep
    param -= step_size * exp_avg / (np.sqrt(exp_avg_sq) * scale + eps)
