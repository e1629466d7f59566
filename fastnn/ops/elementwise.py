"""Arithmetic and elementary functions of tensors; operands broadcast as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..tensor import Tensor, as_float, as_tensor, record, run


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Both operands as float tensors of one dtype: a plain number or array takes on the dtype of the tensor."""
    if isinstance(a, Tensor):
        a = as_float(a, "first operand")
        return a, as_tensor(b, a, "second operand")
    b = as_float(b, "second operand")
    return as_tensor(a, b, "first operand"), b


def _binary(kernel: str, a: Tensor, b: Tensor, dtype: Any = None) -> Any:
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(f"{kernel}: shapes {a.shape} and {b.shape} do not broadcast together") from None
    y = np.empty(shape, dtype or a.dtype)
    run(kernel, y, a.data, b.data)
    return y


def _unary(kernel: str, x: Tensor, *numbers: float) -> Any:
    y = np.empty(x.shape, x.dtype)
    run(kernel, y, x.data, *numbers)
    return y


def add(a: Any, b: Any) -> Tensor:
    """a + b."""
    a, b = _pair(a, b)
    return record(_binary("add", a, b), (a, lambda y, dy: dy), (b, lambda y, dy: dy))


def subtract(a: Any, b: Any) -> Tensor:
    """a - b."""
    a, b = _pair(a, b)
    return record(_binary("subtract", a, b), (a, lambda y, dy: dy), (b, lambda y, dy: -dy))


def multiply(a: Any, b: Any) -> Tensor:
    """a b, element by element."""
    a, b = _pair(a, b)
    return record(_binary("multiply", a, b), (a, lambda y, dy: dy * b), (b, lambda y, dy: dy * a))


def divide(a: Any, b: Any) -> Tensor:
    """a / b."""
    a, b = _pair(a, b)
    return record(_binary("divide", a, b), (a, lambda y, dy: dy / b), (b, lambda y, dy: -dy * y / b))


def negative(x: Any) -> Tensor:
    """-x."""
    x = as_float(x)
    return record(_unary("negative", x), (x, lambda y, dy: -dy))


def exp(x: Any) -> Tensor:
    """e to the power x."""
    x = as_float(x)
    return record(_unary("exp", x), (x, lambda y, dy: dy * y))
