"""Activations and their derivatives as formulas; what each computes stands in its twin."""

import math

import numpy as np

from .. import _math
from .._math import exp, expm1
from .._nest import Formula, elementwise
from .._simd import V, absolute, clip, double, fma, single, where
from ..reference.activations import GELU_CUBIC, SELU_ALPHA, SELU_SCALE

MISH_ONE = 20.0  # from there on, tanh(softplus(x)) is 1 in float64
MISH_FAR = -40.0  # below it, tanh(softplus(x)) is e^x in float64
MISH_LIFT = 36.0  # what is added there, a constant whose sum with x is exact
MISH_ZERO = -760.0  # from there on, x e^x is 0 in float64
GELU_SLOPE = 2 * math.sqrt(2 / math.pi)  # gelu_tanh is x sigmoid(2 u); this is 2 u' at 0
GELU_TANH_FLAT = 22.0  # beyond it, the tanh in gelu is -1 or 1, and what is left of its tail 0 in float64
SILU_FLAT = 800.0  # beyond it, the sigmoid in silu is 0 or 1 in float64

sigmoid = elementwise(_math.sigmoid)
tanh = elementwise(_math.tanh)
gelu = Formula(_math.gelu, abreast=2)


@elementwise
def sigmoid_grad(dy: V, y: V) -> V:
    return dy * y * (1 - y)


@elementwise
def tanh_grad(dy: V, y: V) -> V:
    return dy * (1 - y * y)


@elementwise
def relu(x: V) -> V:
    return where(x < 0, 0.0, x)


@elementwise
def relu_grad(dy: V, y: V) -> V:
    return where(y > 0, dy, 0.0)


@elementwise
def leaky_relu(x: V, negative_slope: V) -> V:
    return where(x > 0, x, negative_slope * x)


@elementwise
def leaky_relu_grad(dy: V, x: V, negative_slope: V) -> V:
    return where(x > 0, dy, negative_slope * dy)


@elementwise
def prelu(x: V, weight: V) -> V:
    return where(x > 0, x, weight * x)


@elementwise
def prelu_grad(dy: V, x: V, weight: V) -> V:
    return where(x > 0, dy, weight * dy)


@elementwise
def prelu_weight_grad(dy: V, x: V) -> V:
    return where(x > 0, 0.0, x * dy)


@elementwise
def elu(x: V, alpha: V) -> V:
    return where(x > 0, x, alpha * expm1(x))


@elementwise
def elu_grad(dy: V, x: V, alpha: V) -> V:
    return where(x > 0, dy, alpha * exp(x) * dy)


@elementwise
def selu(x: V) -> V:
    return where(x > 0, x * SELU_SCALE, expm1(x) * (SELU_SCALE * SELU_ALPHA))


@elementwise
def selu_grad(dy: V, x: V) -> V:
    return where(x > 0, dy * SELU_SCALE, exp(x) * dy * (SELU_SCALE * SELU_ALPHA))


@elementwise
def celu(x: V, alpha: V) -> V:
    return where(x > 0, x, alpha * expm1(x / alpha))


@elementwise
def celu_grad(dy: V, x: V, alpha: V) -> V:
    return where(x > 0, dy, exp(x / alpha) * dy)


@elementwise
def gelu_grad(dy: V, x: V) -> V:
    return dy * _math.gelu_slope(x)


@elementwise
def gelu_tanh(x: V) -> V:
    # far from 0 the sigmoid is an exponential, whose relative error is the argument's absolute one: float32 rounds too much away
    held = where(x < -GELU_TANH_FLAT, -GELU_TANH_FLAT, x)
    d = double(held)
    exact = d * fma(d * d, GELU_SLOPE * GELU_CUBIC, GELU_SLOPE)
    if x.dtype is np.float64:
        return _math.times_sigmoid(held, exact)
    argument = single(exact)
    return _math.times_sigmoid(held, argument, single(exact - double(argument)))


@elementwise
def gelu_tanh_grad(dy: V, x: V) -> V:
    x = clip(x, -GELU_TANH_FLAT, GELU_TANH_FLAT)
    square = x * x
    s, slope = _math.sigmoid_and_slope(x * fma(square, GELU_SLOPE * GELU_CUBIC, GELU_SLOPE))
    return dy * (s + x * slope * fma(square, 3 * GELU_SLOPE * GELU_CUBIC, GELU_SLOPE))


@elementwise
def silu(x: V) -> V:
    return _math.times_sigmoid(x, x)


@elementwise
def silu_grad(dy: V, x: V) -> V:
    x = clip(x, -SILU_FLAT, SILU_FLAT)
    s, slope = _math.sigmoid_and_slope(x)
    return dy * (s + x * slope)


def _mish_parts(x: V) -> tuple[V, V, V]:
    """x and e = e^x, both held where the result no longer changes, and q = e (e + 2): tanh(ln(1 + e)) = q / (q + 2)."""
    x = where(x > MISH_ONE, MISH_ONE, x)
    e = exp(x)
    return x, e, fma(e, e, e + e)


@elementwise
def mish(x: V) -> V:
    # far below 0 it is x e^x, which is not denormal yet where e^x is
    far = x < MISH_FAR
    x = where(x < MISH_ZERO, MISH_ZERO, x)
    _, e, q = _mish_parts(where(far, x + MISH_LIFT, x))
    return x * where(far, e, q / (q + 2)) * where(far, x.like(math.exp(-MISH_LIFT)), 1.0)


@elementwise
def mish_grad(dy: V, x: V) -> V:
    # 1 - tanh^2 = 4 (1 + e)^2 / (q + 2)^2, of which sigmoid(x) = e / (1 + e) takes away one factor
    x, e, q = _mish_parts(where(x < MISH_ZERO, MISH_ZERO, x))
    reciprocal = 1 / (q + 2)
    return dy * (q * reciprocal + x * 4 * (e * (e + 1) * reciprocal) * reciprocal)


@elementwise
def softplus(x: V, beta: V, threshold: V) -> V:
    scaled = beta * x
    return where(scaled > threshold, x, _math.softplus(scaled) / beta)


@elementwise
def softplus_grad(dy: V, x: V, beta: V, threshold: V) -> V:
    scaled = beta * x
    return where(scaled > threshold, dy, dy * _math.sigmoid(scaled))


@elementwise
def softsign(x: V) -> V:
    return x / (absolute(x) + 1)


@elementwise
def softsign_grad(dy: V, x: V) -> V:
    d = absolute(x) + 1
    return dy / (d * d)


@elementwise
def hardtanh(x: V, min_val: V, max_val: V) -> V:
    return clip(x, min_val, max_val)


@elementwise
def hardtanh_grad(dy: V, x: V, min_val: V, max_val: V) -> V:
    return where((x > min_val) & (x < max_val), dy, 0.0)


@elementwise
def relu6(x: V) -> V:
    return clip(x, 0.0, 6.0)


@elementwise
def relu6_grad(dy: V, x: V) -> V:
    return where((x > 0) & (x < 6), dy, 0.0)


@elementwise
def hardsigmoid(x: V) -> V:
    return clip(x + 3, 0.0, 6.0) / 6


@elementwise
def hardsigmoid_grad(dy: V, x: V) -> V:
    return where((x > -3) & (x < 3), dy / 6, 0.0)


@elementwise
def hardswish(x: V) -> V:
    x = where(x < -3, -3.0, x)
    return x * (where(x > 3, 6.0, x + 3) / 6)


@elementwise
def hardswish_grad(dy: V, x: V) -> V:
    return where(x <= -3, 0.0, where(x >= 3, dy, dy * (x * 2 + 3) / 6))
