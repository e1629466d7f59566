"""Normalisation of groups of channels, sample by sample: the rows of a matrix, so that the kernels are those of `layer_norm`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number, whole
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, run
from ._operands import adopting, block, count, optional
from .batch_norm import batch_norm
from .normalisation import layer_norm
from .shape import reshape


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias, mean and biased var over the channels of a group.

    Parameters
    ----------
    input
        x (N, C, ...), floats; weight and bias have its dtype.
    num_groups
        Into how many groups of neighbours the channels are divided.
    weight, bias
        (C,), or None for ones and zeros.
    eps
        Keeps the divisor from zero, at least 0.

    Raises
    ------
    ShapeError, DTypeError
        If a shape or a dtype is not as above.
    ArgumentError
        If num_groups does not divide the number of channels, or eps is negative.

    Source: Wu & He 2018, "Group normalization", eq. 1 to 7.
    """
    x = adopting(input, weight)
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ShapeError(f"group_norm: input must have shape (N, C, ...), got {x.shape}")
    C = x.shape[1]
    if whole("group_norm: num_groups", num_groups) < 1 or C % num_groups:
        raise ArgumentError(f"group_norm: num_groups must divide the {C} channels of the input, got {num_groups}")
    scale, shift = optional(weight, x, "weight", (C,)), optional(bias, x, "bias", (C,))
    D = count(x.shape[1:]) // num_groups
    y = reshape(layer_norm(reshape(x, x.shape[0] * num_groups, D), (D,), eps=eps), x.shape)
    across = (C, *(1,) * (x.ndim - 2))
    y = y if scale is None else y * reshape(scale, across)
    return y if shift is None else y + reshape(shift, across)


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias, mean and biased var of each channel of each sample.

    Parameters
    ----------
    input
        x (N, C, ...), floats; everything else has its dtype.
    running_mean, running_var
        (C,) or None. Where use_input_stats holds they become (1 - momentum) running + momentum (average over the samples), in place,
        with the unbiased variance; otherwise they take the place of mean and var.
    weight, bias
        (C,), or None for ones and zeros.
    momentum, eps
        As in `batch_norm`.

    Raises
    ------
    ShapeError
        If a shape is not as above, or there is only one value to a channel.
    DTypeError, ArgumentError
        If a dtype or a number is not as above.
    StateError
        If there are no running statistics where they are needed.

    Source: Ulyanov et al. 2016, "Instance normalization: the missing ingredient for fast stylization", eq. 2.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    momentum = number("instance_norm: momentum", momentum, 0, 1)
    x = adopting(input, weight)
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: input must have shape (N, C, ...) with at least three dimensions, got {x.shape}")
    N, C = x.shape[:2]
    L = count(x.shape[2:])
    if L == 1:
        raise ShapeError(f"instance_norm: it needs more than one value for each channel, got shape {x.shape}")
    average, spread = optional(running_mean, x, "running_mean", (C,)), optional(running_var, x, "running_var", (C,))
    y = group_norm(x, C, weight, bias, eps)
    if average is not None and spread is not None:
        var, mean = np.empty((N, C), x.dtype), np.empty((N, C), x.dtype)
        run("reduce_var", var.reshape(N * C, 1), mean.reshape(N * C, 1), block(x.data, (N * C, L, 1)), 1.0)
        for running, values in ((average, mean), (spread, var)):
            batch = np.empty((1, C), x.dtype)
            run("reduce_mean", batch, values.reshape(1, N, C))
            run("exponential_average", running.data, batch.reshape(C), momentum, 1.0)
    return y
