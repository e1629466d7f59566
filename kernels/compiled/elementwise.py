"""Arithmetic and elementary functions as formulas; what each computes stands in its twin."""

from .. import _formula, _math
from .._formula import V
from .._nest import elementwise


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
    return _formula.where(x > 0, 1.0, _formula.where(x < 0, -1.0, x))


@elementwise
def less(a: V, b: V) -> V:
    return a < b


@elementwise
def less_equal(a: V, b: V) -> V:
    return a <= b


@elementwise
def add_relu(a: V, b: V) -> V:
    y = a + b
    return _formula.where(y < 0, 0.0, y)


@elementwise
def clip_grad(dy: V, x: V, low: V, high: V) -> V:
    return _formula.where((x >= low) & (x <= high), dy, 0.0)


@elementwise
def exponential_average(average: V, value: V, momentum: V, scale: V) -> V:
    return average * (1 - momentum) + value * (momentum * scale)


maximum = elementwise(_formula.maximum)
minimum = elementwise(_formula.minimum)
absolute = elementwise(_formula.absolute)
where = elementwise(_formula.where)
clip = elementwise(_formula.clip)
sqrt = elementwise(_formula.sqrt)
power = elementwise(_math.power)
exp = elementwise(_math.exp)
log = elementwise(_math.log)
sin = elementwise(_math.sin)
cos = elementwise(_math.cos)
erf = elementwise(_math.erf)
