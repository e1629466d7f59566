"""Arithmetic and elementary functions, element by element; operands broadcast to the shape of the output."""

import math

import numpy as np

from .._signature import Anything, Elements, Float, Masks


def copy(y: Anything, /, x: Anything) -> None:
    """y = x, converted to the dtype of y."""
    np.copyto(y, x, casting="unsafe")


def add(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = a + b."""
    np.add(a, b, out=y)


def subtract(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = a - b."""
    np.subtract(a, b, out=y)


def multiply(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = a b."""
    np.multiply(a, b, out=y)


def divide(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = a / b."""
    np.divide(a, b, out=y)


def power(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = a^b; NaN for a negative a and a fractional b."""
    np.power(a, b, out=y)


def maximum(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = max(a, b); NaN where either is NaN."""
    np.maximum(a, b, out=y)


def minimum(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = min(a, b); NaN where either is NaN."""
    np.minimum(a, b, out=y)


def negative(y: Elements, /, x: Elements) -> None:
    """y = -x."""
    np.negative(x, out=y)


def absolute(y: Elements, /, x: Elements) -> None:
    """y = |x|."""
    np.abs(x, out=y)


def sign(y: Elements, /, x: Elements) -> None:
    """y = -1, 0 or 1."""
    np.sign(x, out=y)


def sqrt(y: Elements, /, x: Elements) -> None:
    """y = x^(1/2)."""
    np.sqrt(x, out=y)


def exp(y: Elements, /, x: Elements) -> None:
    """y = e^x."""
    np.exp(x, out=y)


def log(y: Elements, /, x: Elements) -> None:
    """y = ln x."""
    np.log(x, out=y)


def sin(y: Elements, /, x: Elements) -> None:
    """y = sin x."""
    np.sin(x, out=y)


def cos(y: Elements, /, x: Elements) -> None:
    """y = cos x."""
    np.cos(x, out=y)


def erf(y: Elements, /, x: Elements) -> None:
    """y = 2 / sqrt(pi) int_0^x exp(-t^2) dt."""
    np.copyto(y, np.vectorize(math.erf, otypes=[np.float64])(x), casting="same_kind")


def less(y: Masks, /, a: Elements, b: Elements) -> None:
    """y = a < b."""
    np.less(a, b, out=y)


def less_equal(y: Masks, /, a: Elements, b: Elements) -> None:
    """y = a <= b."""
    np.less_equal(a, b, out=y)


def where(y: Elements, /, mask: Masks, a: Elements, b: Elements) -> None:
    """y = a where the mask holds, else b."""
    np.copyto(y, np.where(mask, a, b))


def add_relu(y: Elements, /, a: Elements, b: Elements) -> None:
    """y = max(a + b, 0)."""
    np.maximum(a + b, 0, out=y)


def clip(y: Elements, /, x: Elements, low: Float, high: Float) -> None:
    """y = min(max(x, low), high); NaN stays NaN."""
    np.clip(x, low, high, out=y)


def clip_grad(dx: Elements, /, dy: Elements, x: Elements, low: Float, high: Float) -> None:
    """dx = dy where low <= x <= high, else 0."""
    np.copyto(dx, np.where((x >= low) & (x <= high), dy, 0))


def exponential_average(average: Elements, /, value: Elements, momentum: Float, scale: Float) -> None:
    """average = (1 - momentum) average + momentum scale value."""
    average *= 1 - momentum
    average += (momentum * scale) * value
