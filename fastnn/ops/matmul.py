"""Matrix products. Kernels take operands of any strides, so a transpose costs nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..tensor import Array, Tensor, record, run
from ._operands import count, inputs, nothing, optional, reshaped, together
from .reduce import sum
from .shape import reshape, squeeze, transpose, unsqueeze


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product a @ b.

    Parameters
    ----------
    a, b
        Floats of one dtype. Shapes (..., M, K) and (..., K, N) give (..., M, N); leading dimensions broadcast. A vector is taken as a
        row (a) or a column (b), and that dimension is left out of the result.

    Raises
    ------
    ShapeError, DTypeError
        If the sizes K differ, an operand has no dimension, the leading dimensions do not broadcast, or a dtype is not as above.
    """
    a, b = together(a=a, b=b)
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: both operands need at least one dimension, got shapes {a.shape} and {b.shape}")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ShapeError(f"matmul: the last size of a must be the last but one of b, got shapes {a.shape} and {b.shape}")
    if a.ndim == 1:
        return squeeze(matmul(unsqueeze(a, 0), b), -2 if b.ndim > 1 else 0)
    if b.ndim == 1:
        return squeeze(matmul(a, unsqueeze(b, 1)), -1)
    return record(
        _product(a.data, b.data), (a, lambda y, dy: matmul(dy, transpose(b, -1, -2))), (b, lambda y, dy: _right_gradient(dy, a, b))
    )


def _product(a: Array, b: Array) -> Array:
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: the leading dimensions of shapes {a.shape} and {b.shape} do not broadcast together") from None
    M, N = a.shape[-2], b.shape[-1]
    y = np.empty((*lead, M, N), a.dtype)
    if b.ndim == 2:
        c, a, b = rows(y)[None], rows(a)[None], b[None]
    else:
        c, a, b = y.reshape(count(lead), M, N), _stacked(a, lead), _stacked(b, lead)
    run("gemm", c, no_sums(c), a, b, nothing(c), nothing(c), 1.0, 0.0, 0)
    return y


def no_sums(c: Array) -> Array:
    """No place for the sums of the rows of a product's left operand."""
    return np.empty((len(c), 0), c.dtype)


def rows(x: Array) -> Array:
    """x (..., D) as a matrix of all its rows."""
    return x if x.ndim == 2 else reshaped(x, (count(x.shape[:-1]), x.shape[-1]))


def _stacked(x: Array, lead: tuple[int, ...]) -> Array:
    """x (..., M, N), its leading dimensions broadcast to `lead`, as one batch of matrices."""
    return reshaped(np.broadcast_to(x, lead + x.shape[-2:]), (count(lead), *x.shape[-2:]))


def _right_gradient(dy: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The gradient of b in a @ b; of a plain matrix b as one product over all rows of a."""
    if b.ndim == 2:
        a, dy = _as_rows(a), _as_rows(dy)
    return matmul(transpose(a, -1, -2), dy)


def _as_rows(x: Tensor) -> Tensor:
    return x if x.ndim == 2 else reshape(x, count(x.shape[:-1]), x.shape[-1])


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """input @ weight.T + bias.

    Parameters
    ----------
    input
        (..., in_features), floats.
    weight
        (out_features, in_features)
    bias
        (out_features,) or None; both have the input's dtype.

    Raises
    ------
    ShapeError, DTypeError
        If shapes or dtypes are not as above.
    """
    x, weight = inputs(weight, input=input)
    if weight.ndim != 2:
        raise ShapeError(f"linear: weight must have shape (out_features, in_features), got {weight.shape}")
    O, I = weight.shape
    if not x.ndim or x.shape[-1] != I:
        raise ShapeError(f"linear: input must have shape (..., {I}) for a weight of shape {weight.shape}, got {x.shape}")
    bias = optional(bias, x, "bias", (O,))
    y = np.empty((*x.shape[:-1], O), x.dtype)
    parents = [(x, lambda y, dy: matmul(dy, weight)), (weight, lambda y, dy: matmul(transpose(_as_rows(dy), 0, 1), _as_rows(x)))]
    c = rows(y)[None]
    if bias is not None:
        parents.append((bias, lambda y, dy: dy))
    base = nothing(c) if bias is None else np.broadcast_to(bias.data, c.shape)
    run("gemm", c, no_sums(c), rows(x.data)[None], weight.data.T[None], base, nothing(c), 1.0, 0.0 if bias is None else 1.0, 0)
    return record(y, *parents)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """y_o = sum_ij input1_i weight_oij input2_j + bias_o.

    Parameters
    ----------
    input1, input2
        (..., in1_features) and (..., in2_features), floats, with equal leading dimensions.
    weight
        (out_features, in1_features, in2_features)
    bias
        (out_features,) or None; all have the dtype of input1.

    Raises
    ------
    ShapeError, DTypeError
        If shapes or dtypes are not as above.
    """
    a, b, weight = inputs(weight, input1=input1, input2=input2)
    if weight.ndim != 3:
        raise ShapeError(f"bilinear: weight must have shape (out_features, in1_features, in2_features), got {weight.shape}")
    O, I, J = weight.shape
    if not a.ndim or a.shape[-1] != I or b.shape != (*a.shape[:-1], J):
        raise ShapeError(
            f"bilinear: inputs must have shapes (..., {I}) and (..., {J}) for a weight of shape {weight.shape}, got {a.shape} and {b.shape}"
        )
    bias = optional(bias, a, "bias", (O,))
    products = sum(matmul(_as_rows(a), weight) * _as_rows(b), -1)  # (O, rows)
    y = reshape(transpose(products, 0, 1), *a.shape[:-1], O)
    return y if bias is None else y + bias
