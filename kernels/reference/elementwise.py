"""Arithmetic and elementary functions, element by element; operands broadcast to the shape of the output."""

import numpy as np

from .._signature import Anything, Elements, Masks


def copy(y: Anything, x: Anything) -> None:
    """y = x, converted to the dtype of y."""
    np.copyto(y, x, casting="unsafe")


def add(y: Elements, a: Elements, b: Elements) -> None:
    """y = a + b."""
    np.add(a, b, out=y)


def subtract(y: Elements, a: Elements, b: Elements) -> None:
    """y = a - b."""
    np.subtract(a, b, out=y)


def multiply(y: Elements, a: Elements, b: Elements) -> None:
    """y = a b."""
    np.multiply(a, b, out=y)


def divide(y: Elements, a: Elements, b: Elements) -> None:
    """y = a / b."""
    np.divide(a, b, out=y)


def less(y: Masks, a: Elements, b: Elements) -> None:
    """y = a < b."""
    np.less(a, b, out=y)


def exp(y: Elements, x: Elements) -> None:
    """y = e^x."""
    np.exp(x, out=y)
