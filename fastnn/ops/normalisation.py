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

FEWEST_ROWS, MOST_ROWS = 16, 128  # of a sum in single precision


def rows_of_a_sum(N: int) -> int:
    """How many of N rows are added up at a time where gradients of weights are computed row by row, before these sums are.

    N is halved as long as that goes, so that workers who get halves of a batch, or quarters, have whole sums to do.
    """
    rows = N
    while rows % 2 == 0 and rows > max(FEWEST_ROWS, N // MOST_ROWS):
        rows //= 2
    return rows if rows <= MOST_ROWS else MOST_ROWS // 2


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

    def gradients(dy: Array) -> tuple[Array, ...]:
        dx = np.empty((N, D), x.dtype)
        dweights, dbiases = np.empty((2, _sums(N), D), x.dtype)
        run("layer_norm_grad", dx, dweights, dbiases, block(dy, (N, D)), rows, w, mu, rstd, rows_of_a_sum(N))
        return dx.reshape(x.shape), *(_total(sums, shape) for sums in (dweights, dbiases))

    def normalised() -> tuple[Tensor, Tensor]:
        r = 1.0 / sqrt(var(x, last, keepdims=True, correction=0) + eps)
        return (x - mean(x, last, keepdims=True)) * r, r

    def to_input_again(y: Tensor, dy: Tensor) -> Tensor:
        (xhat, r), g = normalised(), dy if scale is None else dy * scale
        return r * (g - mean(g, last, keepdims=True) - xhat * mean(g * xhat, last, keepdims=True))

    last = tuple(range(x.ndim - len(shape), x.ndim))
    shared = Shared(gradients)
    return record(
        y,
        (x, either(shared.rule(0), to_input_again)),
        *if_given(scale, either(shared.rule(1), lambda y, dy: dy * normalised()[0])),
        *if_given(shift, either(shared.rule(2), lambda y, dy: dy)),
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

    def gradients(dy: Array) -> tuple[Array, ...]:
        dx, dweights = np.empty((N, D), x.dtype), np.empty((_sums(N), D), x.dtype)
        run("rms_norm_grad", dx, dweights, block(dy, (N, D)), rows, w, rstd, rows_of_a_sum(N))
        return dx.reshape(x.shape), _total(dweights, shape)

    def root() -> Tensor:
        return 1.0 / sqrt(mean(x * x, last, keepdims=True) + eps)

    def to_input_again(y: Tensor, dy: Tensor) -> Tensor:
        r, g = root(), dy if scale is None else dy * scale
        return r * (g - x * r * mean(g * x * r, last, keepdims=True))

    last = tuple(range(x.ndim - len(shape), x.ndim))
    shared = Shared(gradients)
    return record(y, (x, either(shared.rule(0), to_input_again)), *if_given(scale, either(shared.rule(1), lambda y, dy: dy * x * root())))


def _sums(N: int) -> int:
    return -(-N // rows_of_a_sum(N)) if N else 0


def _total(sums: Array, shape: tuple[int, ...]) -> Array:
    """The sum of some gradients of a parameter of `shape`."""
    total = np.empty(shape, sums.dtype)
    run("reduce_sum", total.reshape(1, -1), sums[None])
    return total


def _last_dimensions(
    name: str, input: Any, normalized_shape: Sequence[int], weight: Any, bias: Any
) -> tuple[Tensor, tuple[int, ...], Tensor | None, Tensor | None]:
    x = adopting(input, weight)
    given = [normalized_shape] if isinstance(normalized_shape, (int, np.integer)) else normalized_shape
    shape = items(f"{name}: normalized_shape", given, whole, "an int, or ints")
    if not shape or x.shape[-len(shape) :] != shape or 0 in shape:
        raise ShapeError(f"{name}: input must have shape (..., {', '.join(map(str, shape))}), got {x.shape}")
    return x, shape, optional(weight, x, "weight", shape), optional(bias, x, "bias", shape)
