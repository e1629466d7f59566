"""Arithmetic and elementary functions as formulas; what each computes stands in its twin."""

from .. import _math, _simd
from .._nest import elementwise
from .._simd import V


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
def negative(x: V) -> V:
    return -x


@elementwise
def sign(x: V) -> V:
    return _simd.where(x > 0, 1.0, _simd.where(x < 0, -1.0, x))


@elementwise
def less(a: V, b: V) -> V:
    return a < b


@elementwise
def less_equal(a: V, b: V) -> V:
    return a <= b


@elementwise
def add_relu(a: V, b: V) -> V:
    y = a + b
    return _simd.where(y < 0, 0.0, y)


@elementwise
def clip_grad(dy: V, x: V, low: V, high: V) -> V:
    return _simd.where((x >= low) & (x <= high), dy, 0.0)


@elementwise
def exponential_average(average: V, value: V, momentum: V, scale: V) -> V:
    return average * (1 - momentum) + value * (momentum * scale)


maximum = elementwise(_simd.maximum)
minimum = elementwise(_simd.minimum)
absolute = elementwise(_simd.absolute)
where = elementwise(_simd.where)
clip = elementwise(_simd.clip)
sqrt = elementwise(_simd.sqrt)
power = elementwise(_math.power)
exp = elementwise(_math.exp)
log = elementwise(_math.log)
sin = elementwise(_math.sin)
cos = elementwise(_math.cos)
erf = elementwise(_math.erf)
