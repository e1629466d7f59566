"""Arithmetic and elementary functions of float32 and float64 tensors.

Operands broadcast as in NumPy, and the result has the shape that they have together. Plain numbers and arrays take on the dtype of the
tensor that they meet.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._arguments import number
from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import Array, Tensor, as_float, as_tensor, record, run
from ._operands import together


def _common_shape(name: str, *operands: Tensor) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(x.shape for x in operands))
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in operands)
        which = "a and b" if len(operands) == 2 else "mask, a and b"
        raise ShapeError(f"{name}: the shapes of {which} must broadcast together, got {shapes}") from None


def _binary(kernel: str, a: Tensor, b: Tensor, dtype: Any = None) -> Array:
    shape = a.shape if a.shape == b.shape else _common_shape(kernel, a, b)
    y = np.empty(shape, dtype or a.dtype)
    run(kernel, y, a.data, b.data)
    return y


def _unary(kernel: str, x: Tensor, *numbers: float) -> Array:
    y = np.empty(x.shape, x.dtype)
    run(kernel, y, x.data, *numbers)
    return y


def add(a: Any, b: Any) -> Tensor:
    """a + b, of floats a and b, whose shapes broadcast.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("add", a, b), (a, lambda y, dy: dy), (b, lambda y, dy: dy))


def subtract(a: Any, b: Any) -> Tensor:
    """a - b, of floats a and b, whose shapes broadcast.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("subtract", a, b), (a, lambda y, dy: dy), (b, lambda y, dy: -dy))


def multiply(a: Any, b: Any) -> Tensor:
    """a b, element by element, of floats a and b, whose shapes broadcast.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("multiply", a, b), (a, lambda y, dy: dy * b), (b, lambda y, dy: dy * a))


def divide(a: Any, b: Any) -> Tensor:
    """a / b, of floats a and b, whose shapes broadcast.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("divide", a, b), (a, lambda y, dy: dy / b), (b, lambda y, dy: -dy * y / b))


def power(a: Any, b: Any) -> Tensor:
    """a to the power b, of floats whose shapes broadcast; NaN where a is negative and b is no integer.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    if isinstance(b, (int, float)) and b == 2:
        return multiply(a, a)
    a, b = together(a=a, b=b)
    return record(
        _binary("power", a, b),
        (a, lambda y, dy: _unless_zero(b, dy * b * a ** (b - 1.0))),
        (b, lambda y, dy: _unless_zero(a, dy * y * log(a))),
    )


def _unless_zero(x: Tensor, gradient: Tensor) -> Tensor:
    """`gradient`, and 0 where x = 0: there a^b has the derivatives 0 (b = 0) and 0 (a = 0, b > 0), not 0 times infinity."""
    return where(x < 0.0, gradient, where(x > 0.0, gradient, 0.0))


def maximum(a: Any, b: Any) -> Tensor:
    """The larger one of a and b, floats whose shapes broadcast; NaN where either is NaN. Equals get half of the gradient each.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("maximum", a, b), (a, lambda y, dy: _to_winner(dy, b, a)), (b, lambda y, dy: _to_winner(dy, a, b)))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller one of a and b, floats whose shapes broadcast; NaN where either is NaN. Equals get half of the gradient each.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("minimum", a, b), (a, lambda y, dy: _to_winner(dy, a, b)), (b, lambda y, dy: _to_winner(dy, b, a)))


def _to_winner(dy: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """dy where low < high, half of it where they are equal, else 0."""
    return where(low < high, dy, where(high < low, 0.0, 0.5 * dy))


def negative(x: Any) -> Tensor:
    """-x, for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("negative", x), (x, lambda y, dy: -dy))


def absolute(x: Any) -> Tensor:
    """|x|, with derivative 0 at 0, for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("absolute", x), (x, lambda y, dy: dy * sign(x)))


def sign(x: Any) -> Tensor:
    """The sign of x, -1, 0 or 1, without a gradient, for floats x of any shape. Raises DTypeError for other dtypes."""
    return record(_unary("sign", as_float(x, "x")))


def sqrt(x: Any) -> Tensor:
    """The square root of x, NaN below 0, for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("sqrt", x), (x, lambda y, dy: 0.5 * dy / y))


def exp(x: Any) -> Tensor:
    """e to the power x, for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("exp", x), (x, lambda y, dy: dy * y))


def log(x: Any) -> Tensor:
    """The natural logarithm of x, NaN below 0, for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("log", x), (x, lambda y, dy: dy / x))


def sin(x: Any) -> Tensor:
    """The sine of x (radians), for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("sin", x), (x, lambda y, dy: dy * cos(x)))


def cos(x: Any) -> Tensor:
    """The cosine of x (radians), for floats of any shape. Raises DTypeError for other dtypes."""
    x = as_float(x, "x")
    return record(_unary("cos", x), (x, lambda y, dy: -dy * sin(x)))


def erf(x: Any) -> Tensor:
    """The error function of x, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, for floats of any shape.

    Raises DTypeError for other dtypes.
    """
    x = as_float(x, "x")
    return record(_unary("erf", x), (x, lambda y, dy: dy * exp(-x * x) * (2 / math.sqrt(math.pi))))


def clip(x: Any, low: float | None = None, high: float | None = None) -> Tensor:
    """x held between `low` and `high`, with the gradient where low <= x <= high.

    Parameters
    ----------
    x
        Floats of any shape.
    low, high
        Numbers; None leaves that side open.

    Raises
    ------
    DTypeError, ArgumentError
        If x holds no floats, a bound is no number, or low lies above high.
    """
    x = as_float(x, "x")
    bounds = (-math.inf if low is None else number("clip: low", low), math.inf if high is None else number("clip: high", high))
    if bounds[0] > bounds[1]:
        raise ArgumentError(f"clip: low must not lie above high, got {low} and {high}")
    return record(_unary("clip", x, *bounds), (x, lambda y, dy: _clip_grad(dy, x, *bounds)))


def _clip_grad(dy: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    dx = np.empty(x.shape, x.dtype)
    run("clip_grad", dx, dy.data, x.data, low, high)
    return record(dx, (dy, lambda _, ddx: _clip_grad(ddx, x, low, high)))


def where(mask: Any, a: Any, b: Any) -> Tensor:
    """a where the mask holds, else b.

    Parameters
    ----------
    mask
        Bools.
    a, b
        Floats of one dtype; all three shapes broadcast. The mask has no gradient.

    Raises
    ------
    DTypeError, ShapeError
        If a dtype or a shape is not as above.
    """
    mask = as_tensor(mask, name="mask")
    if mask.dtype != np.bool_:
        raise DTypeError(f"where: mask must be bool, got {mask.dtype}")
    a, b = together(a=a, b=b)
    y = np.empty(_common_shape("where", mask, a, b), a.dtype)
    run("where", y, mask.data, a.data, b.data)
    return record(y, (a, lambda y, dy: where(mask, dy, 0.0)), (b, lambda y, dy: where(mask, 0.0, dy)))


def less(a: Any, b: Any) -> Tensor:
    """a < b as a bool tensor, which has no gradient, of floats a and b, whose shapes broadcast.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("less", a, b, np.bool_))


def less_equal(a: Any, b: Any) -> Tensor:
    """a <= b as a bool tensor, which has no gradient, of floats a and b, whose shapes broadcast.

    Raises DTypeError unless both are float32 or both float64, ShapeError if their shapes do not broadcast.
    """
    a, b = together(a=a, b=b)
    return record(_binary("less_equal", a, b, np.bool_))


def greater(a: Any, b: Any) -> Tensor:
    """a > b as a bool tensor, which has no gradient; raises what `less` raises."""
    return less(b, a)


def greater_equal(a: Any, b: Any) -> Tensor:
    """a >= b as a bool tensor, which has no gradient; raises what `less_equal` raises."""
    return less_equal(b, a)
