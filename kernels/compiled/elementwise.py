"""Formulas of the elementwise kernels."""

from .._formula import V
from .._nest import elementwise
from .. import _math


@elementwise
def copy(x: V) -> V:
    return x


@elementwise
def add(a: V, b: V) -> V:
    return a + b


@elementwise
def subtract(a: V, b: V) -> V:
    return a - b


@elementwise
def multiply(a: V, b: V) -> V:
    return a * b


@elementwise
def divide(a: V, b: V) -> V:
    return a / b


@elementwise
def less(a: V, b: V) -> V:
    return a < b


@elementwise
def exp(x: V) -> V:
    return _math.exp(x)
