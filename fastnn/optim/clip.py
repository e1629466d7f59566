"""Gradients held within bounds before a step."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import numpy as np

from .._arguments import instance, iterable, number
from ..errors import StateError
from ..tensor import Array, Tensor, run
from .flat import spans


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Array]:
    """The gradients that are there, as few arrays."""
    given = [parameters] if isinstance(parameters, Tensor) else iterable("parameters", parameters, "an iterable of tensors")
    for p in given:
        instance("parameters", p, Tensor, "an iterable of tensors")
    return spans([p.grad.data for p in given if p.grad is not None])


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients together by min(1, max_norm / (norm + 1e-6)) and return their norm before.

    Parameters
    ----------
    parameters
        Tensors; those without a gradient count as zero.
    max_norm
        The largest norm that the gradients may have together.
    norm_type
        The p of the p-norm (sum |g|^p)^(1/p), > 0; `math.inf` for the largest absolute value.
    error_if_nonfinite
        Whether to raise instead of scaling if the norm is NaN or infinite.

    Raises
    ------
    ArgumentError, DTypeError
        If max_norm is negative, norm_type is not positive, or `parameters` holds no tensors.
    StateError
        If the norm is not finite and `error_if_nonfinite` is set.

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", alg. 1.
    """
    max_norm, norm_type = number("max_norm", max_norm, 0), number("norm_type", norm_type, above=0)
    gradients = _gradients(parameters)
    dtype = np.result_type(*gradients) if gradients else np.dtype(np.float32)
    partial = np.empty(len(gradients), dtype)
    for i, g in enumerate(gradients):
        part = np.empty(1, g.dtype)
        _fold(part, g, norm_type)
        run("copy", partial[i : i + 1], part)
    total = np.empty((), dtype)
    if norm_type == inf and gradients:
        run("reduce_max", total.reshape(1, 1), np.empty((1, 1), np.int64), partial.reshape(1, -1, 1))
    else:
        run("reduce_sum", total.reshape(1, 1), partial.reshape(1, -1, 1))
        if norm_type == 2:
            run("sqrt", total, total)
        else:
            run("power", total, total, np.array(1 / norm_type, dtype))
    norm = Tensor(total)
    if error_if_nonfinite and not np.isfinite(norm.item()):
        raise StateError(f"clip_grad_norm_(): the norm of the gradients is {norm.item()}")
    for g in gradients:
        factor = np.empty((), g.dtype)
        run("copy", factor, total)
        run("clip_factor", factor, factor, max_norm)
        run("multiply", g, g, factor)
    return norm


def _fold(part: Array, g: Array, p: float) -> None:
    """part = sum |g|^p, or max |g| for infinite p."""
    size = np.empty(g.shape, g.dtype)
    run("absolute", size, g)
    row = size.reshape(1, -1, 1)
    if p == inf:
        run("reduce_max", part.reshape(1, 1), np.empty((1, 1), np.int64), row)
        return
    if p == 2:
        run("multiply", size, size, size)
    elif p != 1:
        run("power", size, size, np.array(p, g.dtype))
    run("reduce_sum", part.reshape(1, 1), row)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Hold every gradient of the parameters, a tensor or several, between -clip_value and clip_value.

    Raises ArgumentError if clip_value is negative, DTypeError if it is no number or `parameters` holds no tensors.
    """
    clip_value = number("clip_value", clip_value, 0)
    for g in _gradients(parameters):
        run("clip", g, g, -clip_value, clip_value)
