"""Activations and their derivatives. A derivative kernel takes dy and what it needs of the forward pass, and writes dx."""

import math

import numpy as np

from .._signature import Elements, Float
from .elementwise import erf as _erf_into

SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al. 2017, "Self-Normalizing Neural Networks", eq. 14
SELU_SCALE = 1.0507009873554804934193349852946
GELU_CUBIC = 0.044715  # Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2


def _logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _gaussian_cdf(x):
    y = np.empty_like(x)
    _erf_into(y, x * math.sqrt(0.5))
    return 0.5 * (1 + y)


def _tanh_of_gelu(x):
    return np.tanh(math.sqrt(2 / math.pi) * (x + GELU_CUBIC * x**3))


def sigmoid(y: Elements, /, x: Elements) -> None:
    """y = 1 / (1 + exp(-x))."""
    np.copyto(y, _logistic(x))


def sigmoid_grad(dx: Elements, /, dy: Elements, y: Elements) -> None:
    """dx = dy y (1 - y)."""
    np.copyto(dx, dy * y * (1 - y))


def tanh(y: Elements, /, x: Elements) -> None:
    """y = tanh x."""
    np.tanh(x, out=y)


def tanh_grad(dx: Elements, /, dy: Elements, y: Elements) -> None:
    """dx = dy (1 - y^2)."""
    np.copyto(dx, dy * (1 - y * y))


def relu(y: Elements, /, x: Elements) -> None:
    """y = max(x, 0)."""
    np.maximum(x, 0, out=y)


def relu_grad(dx: Elements, /, dy: Elements, y: Elements) -> None:
    """dx = dy where y > 0, else 0."""
    np.copyto(dx, np.where(y > 0, dy, 0))


def leaky_relu(y: Elements, /, x: Elements, negative_slope: Float) -> None:
    """y = x where x > 0, else negative_slope x."""
    np.copyto(y, np.where(x > 0, x, negative_slope * x))


def leaky_relu_grad(dx: Elements, /, dy: Elements, x: Elements, negative_slope: Float) -> None:
    """dx = dy where x > 0, else negative_slope dy."""
    np.copyto(dx, np.where(x > 0, dy, negative_slope * dy))


def prelu(y: Elements, /, x: Elements, weight: Elements) -> None:
    """y = x where x > 0, else weight x; the weight broadcasts."""
    np.copyto(y, np.where(x > 0, x, weight * x))


def prelu_grad(dx: Elements, /, dy: Elements, x: Elements, weight: Elements) -> None:
    """dx = dy where x > 0, else weight dy."""
    np.copyto(dx, np.where(x > 0, dy, weight * dy))


def prelu_weight_grad(dweight: Elements, /, dy: Elements, x: Elements) -> None:
    """dweight = 0 where x > 0, else x dy; of x's shape, to be summed to the weight's."""
    np.copyto(dweight, np.where(x > 0, 0, x * dy))


def elu(y: Elements, /, x: Elements, alpha: Float) -> None:
    """y = x where x > 0, else alpha (exp(x) - 1)."""
    np.copyto(y, np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def elu_grad(dx: Elements, /, dy: Elements, x: Elements, alpha: Float) -> None:
    """dx = dy where x > 0, else alpha exp(x) dy."""
    np.copyto(dx, np.where(x > 0, dy, alpha * np.exp(np.minimum(x, 0)) * dy))


def selu(y: Elements, /, x: Elements) -> None:
    """y = scale (x where x > 0, else alpha (exp(x) - 1)), with the constants of Klambauer et al. 2017."""
    np.copyto(y, SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))))


def selu_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = scale dy (1 where x > 0, else alpha exp(x))."""
    np.copyto(dx, SELU_SCALE * np.where(x > 0, dy, SELU_ALPHA * np.exp(np.minimum(x, 0)) * dy))


def celu(y: Elements, /, x: Elements, alpha: Float) -> None:
    """y = x where x > 0, else alpha (exp(x / alpha) - 1)."""
    np.copyto(y, np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)))


def celu_grad(dx: Elements, /, dy: Elements, x: Elements, alpha: Float) -> None:
    """dx = dy where x > 0, else exp(x / alpha) dy."""
    np.copyto(dx, np.where(x > 0, dy, np.exp(np.minimum(x, 0) / alpha) * dy))


def gelu(y: Elements, /, x: Elements) -> None:
    """y = x Phi(x), Phi being the Gaussian distribution function (1 + erf(x / sqrt 2)) / 2."""
    np.copyto(y, x * _gaussian_cdf(x))


def gelu_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy (Phi(x) + x phi(x)), phi being the Gaussian density."""
    np.copyto(dx, dy * (_gaussian_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)))


def gelu_tanh(y: Elements, /, x: Elements) -> None:
    """y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    np.copyto(y, 0.5 * x * (1 + _tanh_of_gelu(x)))


def gelu_tanh_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2), with t = tanh u and u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    x = np.clip(x, -20, 20)  # beyond, the tanh is -1 or 1, and the square of x may be too large
    t = _tanh_of_gelu(x)
    du = math.sqrt(2 / math.pi) * (1 + 3 * GELU_CUBIC * x * x)
    np.copyto(dx, dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du))


def silu(y: Elements, /, x: Elements) -> None:
    """y = x sigmoid(x)."""
    np.copyto(y, x * _logistic(x))


def silu_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy s (1 + x (1 - s)), with s = sigmoid(x)."""
    s = _logistic(x)
    np.copyto(dx, dy * s * (1 + x * (1 - s)))


def mish(y: Elements, /, x: Elements) -> None:
    """y = x tanh(softplus(x)). Misra 2019."""
    np.copyto(y, x * np.tanh(_softplus(x)))


def mish_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy (t + x (1 - t^2) sigmoid(x)), with t = tanh(softplus(x))."""
    t = np.tanh(_softplus(x))
    np.copyto(dx, dy * (t + x * (1 - t * t) * _logistic(x)))


def softplus(y: Elements, /, x: Elements, beta: Float, threshold: Float) -> None:
    """y = ln(1 + exp(beta x)) / beta, or x where beta x > threshold."""
    np.copyto(y, np.where(beta * x > threshold, x, _softplus(beta * x) / beta))


def softplus_grad(dx: Elements, /, dy: Elements, x: Elements, beta: Float, threshold: Float) -> None:
    """dx = dy sigmoid(beta x), or dy where beta x > threshold."""
    np.copyto(dx, np.where(beta * x > threshold, dy, dy * _logistic(beta * x)))


def softsign(y: Elements, /, x: Elements) -> None:
    """y = x / (1 + |x|)."""
    np.copyto(y, x / (1 + np.abs(x)))


def softsign_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy / (1 + |x|)^2."""
    np.copyto(dx, dy / (1 + np.abs(x)) ** 2)


def hardtanh(y: Elements, /, x: Elements, min_val: Float, max_val: Float) -> None:
    """y = x held between min_val and max_val."""
    np.clip(x, min_val, max_val, out=y)


def hardtanh_grad(dx: Elements, /, dy: Elements, x: Elements, min_val: Float, max_val: Float) -> None:
    """dx = dy where min_val < x < max_val, else 0."""
    np.copyto(dx, np.where((x > min_val) & (x < max_val), dy, 0))


def relu6(y: Elements, /, x: Elements) -> None:
    """y = min(max(x, 0), 6)."""
    np.clip(x, 0, 6, out=y)


def relu6_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy where 0 < x < 6, else 0."""
    np.copyto(dx, np.where((x > 0) & (x < 6), dy, 0))


def hardsigmoid(y: Elements, /, x: Elements) -> None:
    """y = min(max(x + 3, 0), 6) / 6."""
    np.copyto(y, np.clip(x + 3, 0, 6) / 6)


def hardsigmoid_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy / 6 where -3 < x < 3, else 0."""
    np.copyto(dx, np.where((x > -3) & (x < 3), dy / 6, 0))


def hardswish(y: Elements, /, x: Elements) -> None:
    """y = x min(max(x + 3, 0), 6) / 6."""
    np.copyto(y, x * (np.clip(x + 3, 0, 6) / 6))


def hardswish_grad(dx: Elements, /, dy: Elements, x: Elements) -> None:
    """dx = dy (0 where x <= -3, 1 where x >= 3, else (2 x + 3) / 6)."""
    np.copyto(dx, np.where(x <= -3, 0, np.where(x >= 3, dy, dy * (2 * x + 3) / 6)))
