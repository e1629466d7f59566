"""Normalisation over the last dimensions of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import items, number, whole
from ..errors import ShapeError
from ..tensor import Array, Tensor, record, run
from ._operands import adopting, block, count, optional, vector
from ._rules import Shared, either, if_given
from .elementwise import sqrt
from .reduce import mean, var


def layer_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias, mean and biased var over the last dimensions of each sample.

    Parameters
    ----------
    input
        x (..., *normalized_shape), floats.
    normalized_shape
        The sizes of the last dimensions; an int for one.
    weight, bias
        Of shape normalized_shape and the input's dtype, or None for ones and zeros.
    eps
        Keeps the divisor from zero, at least 0.

    Raises
    ------
    ShapeError, DTypeError, ArgumentError
        If an argument is not as above.

    Source: Ba et al. 2016, "Layer normalization", eq. 4.
    """
    eps = number("layer_norm: eps", eps, 0)
    x, shape, scale, shift = _last_dimensions("layer_norm", input, normalized_shape, weight, bias)
    N, D = count(x.shape[: x.ndim - len(shape)]), count(shape)
    w, b = vector(scale, D, x, 1.0), vector(shift, D, x, 0.0)
    rows = block(x.data, (N, D))
    y, mu, rstd = np.empty(x.shape, x.dtype), np.empty(N, x.dtype), np.empty(N, x.dtype)
    run("layer_norm", y.reshape(N, D), mu, rstd, rows, w, b, eps)

    def to_input(y: Tensor, dy: Tensor) -> Tensor:
        dx = np.empty((N, D), x.dtype)
        run("layer_norm_grad", dx, block(dy.data, (N, D)), rows, w, mu, rstd)
        return Tensor(dx.reshape(x.shape))

    def to_weight_and_bias(dy: Array) -> tuple[Array, Array]:
        dweight, dbias = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
        run("layer_norm_weight_grad", dweight.reshape(D), dbias.reshape(D), block(dy, (N, D)), rows, mu, rstd)
        return dweight, dbias

    def normalised() -> tuple[Tensor, Tensor]:
        r = 1.0 / sqrt(var(x, last, keepdims=True, correction=0) + eps)
        return (x - mean(x, last, keepdims=True)) * r, r

    def to_input_again(y: Tensor, dy: Tensor) -> Tensor:
        (xhat, r), g = normalised(), dy if scale is None else dy * scale
        return r * (g - mean(g, last, keepdims=True) - xhat * mean(g * xhat, last, keepdims=True))

    last = tuple(range(x.ndim - len(shape), x.ndim))
    shared = Shared(to_weight_and_bias)
    return record(
        y,
        (x, either(to_input, to_input_again)),
        *if_given(scale, either(shared.rule(0), lambda y, dy: dy * normalised()[0])),
        *if_given(shift, either(shared.rule(1), lambda y, dy: dy)),
    )


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Tensor:
    """y = x / sqrt(mean(x^2) + eps) weight, the mean over the last dimensions of each sample.

    Parameters
    ----------
    input, normalized_shape, weight
        As in `layer_norm`.
    eps
        At least 0; None takes the machine epsilon of the input's dtype.

    Raises
    ------
    ShapeError, DTypeError, ArgumentError
        If an argument is not as above.

    Source: Zhang & Sennrich 2019, "Root mean square layer normalization", eq. 4.
    """
    x, shape, scale, _ = _last_dimensions("rms_norm", input, normalized_shape, weight, None)
    eps = float(np.finfo(x.dtype).eps) if eps is None else number("rms_norm: eps", eps, 0)
    N, D = count(x.shape[: x.ndim - len(shape)]), count(shape)
    w = vector(scale, D, x, 1.0)
    rows = block(x.data, (N, D))
    y, rstd = np.empty(x.shape, x.dtype), np.empty(N, x.dtype)
    run("rms_norm", y.reshape(N, D), rstd, rows, w, eps)

    def to_input(y: Tensor, dy: Tensor) -> Tensor:
        dx = np.empty((N, D), x.dtype)
        run("rms_norm_grad", dx, block(dy.data, (N, D)), rows, w, rstd)
        return Tensor(dx.reshape(x.shape))

    def to_weight(y: Tensor, dy: Tensor) -> Tensor:
        dweight = np.empty(shape, x.dtype)
        run("rms_norm_weight_grad", dweight.reshape(D), block(dy.data, (N, D)), rows, rstd)
        return Tensor(dweight)

    def root() -> Tensor:
        return 1.0 / sqrt(mean(x * x, last, keepdims=True) + eps)

    def to_input_again(y: Tensor, dy: Tensor) -> Tensor:
        r, g = root(), dy if scale is None else dy * scale
        return r * (g - x * r * mean(g * x * r, last, keepdims=True))

    last = tuple(range(x.ndim - len(shape), x.ndim))
    return record(y, (x, either(to_input, to_input_again)), *if_given(scale, either(to_weight, lambda y, dy: dy * x * root())))


def _last_dimensions(
    name: str, input: Any, normalized_shape: Sequence[int], weight: Any, bias: Any
) -> tuple[Tensor, tuple[int, ...], Tensor | None, Tensor | None]:
    x = adopting(input, weight)
    given = [normalized_shape] if isinstance(normalized_shape, (int, np.integer)) else normalized_shape
    shape = items(f"{name}: normalized_shape", given, whole, "an int, or ints")
    if not shape or x.shape[-len(shape) :] != shape or 0 in shape:
        raise ShapeError(f"{name}: input must have shape (..., {', '.join(map(str, shape))}), got {x.shape}")
    return x, shape, optional(weight, x, "weight", shape), optional(bias, x, "bias", shape)
