"""Activation functions: of float32 or float64 tensors of any shape, to the same dtype and, but for maxout, the same shape.

Each gradient rule has two forms: the derivative kernel, and, where the gradient is itself differentiated, its formula in operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import choice, number, whole
from ..errors import ArgumentError, ShapeError
from ..tensor import Array, Tensor, as_float, as_tensor, record, run
from ._operands import axis_of, inputs
from ._rules import either
from .elementwise import absolute, erf, exp, minimum, where
from .reduce import max
from .shape import reshape

SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al. 2017, "Self-Normalizing Neural Networks", eq. 14
SELU_SCALE = 1.0507009873554804934193349852946
GELU_CUBIC = 0.044715  # Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2

Formula = Callable[[Tensor], Tensor]  # x -> dy/dx


def _forward(kernel: str, x: Tensor, *numbers: float) -> Array:
    y = np.empty(x.shape, x.dtype)
    run(kernel, y, x.data, *numbers)
    return y


def _backward(kernel: str, dy: Tensor, saved: Tensor, *numbers: float) -> Tensor:
    dx = np.empty(saved.shape, saved.dtype)
    run(kernel, dx, dy.data, saved.data, *numbers)
    return Tensor(dx)


def _of_input(kernel: str, input: Any, derivative: Formula, *numbers: float) -> Tensor:
    """An activation whose derivative kernel takes the input."""
    x = as_float(input)
    rule = either(lambda y, dy: _backward(f"{kernel}_grad", dy, x, *numbers), lambda y, dy: dy * derivative(x))
    return record(_forward(kernel, x, *numbers), (x, rule))


def _of_output(kernel: str, input: Any, derivative: Formula) -> Tensor:
    """An activation whose derivative kernel takes the output, so that the input need not be kept."""
    x = as_float(input)
    rule = either(lambda y, dy: _backward(f"{kernel}_grad", dy, y), lambda y, dy: dy * derivative(y))
    return record(_forward(kernel, x), (x, rule))


def _inside(x: Tensor, low: float, high: float) -> Tensor:
    """1 where low < x < high, else 0."""
    return where(x > low, where(x < high, as_tensor(1.0, x), 0.0), 0.0)


def sigmoid(input: Any) -> Tensor:
    """y = 1 / (1 + exp(-x)), for a float input x of any shape. Raises DTypeError for other dtypes."""
    return _of_output("sigmoid", input, lambda y: y * (1.0 - y))


def tanh(input: Any) -> Tensor:
    """y = tanh x, for a float input x of any shape. Raises DTypeError for other dtypes."""
    return _of_output("tanh", input, lambda y: 1.0 - y * y)


def relu(input: Any) -> Tensor:
    """y = max(x, 0), with derivative 0 at 0, for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".
    """
    return _of_output("relu", input, lambda y: where(y > 0.0, as_tensor(1.0, y), 0.0))


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """y = x where x > 0, else negative_slope x.

    Parameters
    ----------
    input
        x, floats of any shape.
    negative_slope
        The slope where x < 0.

    Raises
    ------
    DTypeError, ArgumentError
        If the input holds no floats, or negative_slope is no number.

    Source: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models", section 2.
    """
    slope = number("leaky_relu: negative_slope", negative_slope)
    return _of_input("leaky_relu", input, lambda x: where(x > 0.0, as_tensor(1.0, x), slope), slope)


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else alpha (exp(x) - 1).

    Parameters
    ----------
    input
        x, floats of any shape.
    alpha
        How far below 0 the values go.

    Raises
    ------
    DTypeError, ArgumentError
        If the input holds no floats, or alpha is no number.

    Source: Clevert et al. 2016, "Fast and accurate deep network learning by exponential linear units", eq. 15.
    """
    alpha = number("elu: alpha", alpha)
    return _of_input("elu", input, lambda x: where(x > 0.0, 1.0, alpha * exp(minimum(x, 0.0))), alpha)


def selu(input: Any) -> Tensor:
    """y = scale (x where x > 0, else alpha (exp(x) - 1)), for a float input x of any shape. Raises DTypeError for other dtypes.

    The constants make mean 0 and variance 1 a fixed point. Source: Klambauer et al. 2017, "Self-normalizing neural networks", eq. 2.
    """
    return _of_input("selu", input, lambda x: where(x > 0.0, SELU_SCALE, (SELU_SCALE * SELU_ALPHA) * exp(minimum(x, 0.0))))


def celu(input: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else alpha (exp(x / alpha) - 1).

    Parameters
    ----------
    input
        x, floats of any shape.
    alpha
        How far below 0 the values go; not 0.

    Raises
    ------
    DTypeError, ArgumentError
        If the input holds no floats, or alpha is 0 or no number.

    Source: Barron 2017, "Continuously differentiable exponential linear units", eq. 2.
    """
    alpha = _nonzero("celu: alpha", alpha)
    return _of_input("celu", input, lambda x: where(x > 0.0, 1.0, exp(minimum(x, 0.0) / alpha)), alpha)


def _nonzero(name: str, value: float) -> float:
    value = number(name, value)
    if value == 0:
        raise ArgumentError(f"{name} must not be 0, got {value}")
    return value


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """y = x Phi(x), Phi being the Gaussian distribution function.

    Parameters
    ----------
    input
        x, floats of any shape.
    approximate
        "none", or "tanh" for y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    Raises
    ------
    DTypeError
        If the input holds no floats.
    UnknownNameError
        If there is no such approximation.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2.
    """
    kernel, derivative = GELU_KERNELS[choice("approximation of GELU", approximate, GELU_KERNELS)]
    return _of_input(kernel, input, derivative)


def _gelu_derivative(x: Tensor) -> Tensor:
    return 0.5 * (1.0 + erf(x * math.sqrt(0.5))) + x * exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh_derivative(x: Tensor) -> Tensor:
    t = tanh(math.sqrt(2 / math.pi) * (x + GELU_CUBIC * x * x * x))
    du = math.sqrt(2 / math.pi) * (1.0 + (3 * GELU_CUBIC) * x * x)
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du


GELU_KERNELS = {"none": ("gelu", _gelu_derivative), "tanh": ("gelu_tanh", _gelu_tanh_derivative)}


def silu(input: Any) -> Tensor:
    """y = x sigmoid(x), also known as swish, for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2; Ramachandran et al. 2017, arXiv:1710.05941.
    """

    def derivative(x: Tensor) -> Tensor:
        s = sigmoid(x)
        return s * (1.0 + x * (1.0 - s))

    return _of_input("silu", input, derivative)


def mish(input: Any) -> Tensor:
    """y = x tanh(softplus(x)), for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Misra 2019, "Mish: a self regularized non-monotonic activation function", eq. 1.
    """

    def derivative(x: Tensor) -> Tensor:
        t = tanh(softplus(x, threshold=math.inf))
        return t + x * (1.0 - t * t) * sigmoid(x)

    return _of_input("mish", input, derivative)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """y = ln(1 + exp(beta x)) / beta, or x where beta x > threshold.

    Parameters
    ----------
    input
        x, floats of any shape.
    beta
        How sharp the bend is; not 0.
    threshold
        Where the line begins; infinity for nowhere.

    Raises
    ------
    DTypeError, ArgumentError
        If the input holds no floats, beta is 0, or beta or threshold are no numbers.

    Source: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing", eq. 5.
    """
    beta, threshold = _nonzero("softplus: beta", beta), number("softplus: threshold", threshold)
    return _of_input("softplus", input, lambda x: where(beta * x > threshold, 1.0, sigmoid(beta * x)), beta, threshold)


def logsigmoid(input: Any) -> Tensor:
    """y = ln sigmoid(x), for a float input x of any shape. Raises DTypeError for other dtypes."""
    return -softplus(-as_float(input), threshold=math.inf)


def softsign(input: Any) -> Tensor:
    """y = x / (1 + |x|), for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Bergstra et al. 2009, "Quadratic polynomials learn better image features".
    """
    return _of_input("softsign", input, lambda x: 1.0 / (1.0 + absolute(x)) ** 2)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """y = x held between min_val and max_val, with derivative 0 at both.

    Parameters
    ----------
    input
        x, floats of any shape.
    min_val, max_val
        The bounds.

    Raises
    ------
    DTypeError, ArgumentError
        If the input holds no floats, a bound is no number, or min_val lies above max_val.

    Source: Collobert 2004, "Large scale machine learning", section 5.2.
    """
    min_val = number("hardtanh: min_val", min_val)
    max_val = number("hardtanh: max_val", max_val, low=min_val)
    return _of_input("hardtanh", input, lambda x: _inside(x, min_val, max_val), min_val, max_val)


def relu6(input: Any) -> Tensor:
    """y = min(max(x, 0), 6), with derivative 0 at both, for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".
    """
    return _of_input("relu6", input, lambda x: _inside(x, 0.0, 6.0))


def hardsigmoid(input: Any) -> Tensor:
    """y = min(max(x + 3, 0), 6) / 6, for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.
    """
    return _of_input("hardsigmoid", input, lambda x: _inside(x, -3.0, 3.0) / 6.0)


def hardswish(input: Any) -> Tensor:
    """y = x min(max(x + 3, 0), 6) / 6, for a float input x of any shape. Raises DTypeError for other dtypes.

    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.
    """
    return _of_input("hardswish", input, lambda x: where(x <= -3.0, 0.0, where(x >= 3.0, 1.0, (2.0 * x + 3.0) / 6.0)))


def prelu(input: Any, weight: Any) -> Tensor:
    """y = x where x > 0, else weight x.

    Parameters
    ----------
    input
        x, floats of any shape.
    weight
        One number, or one for each feature, which is dimension 1 of the input; of the input's dtype.

    Raises
    ------
    DTypeError
        If they do not hold floats of one dtype.
    ShapeError
        If the weight has another number of elements.

    Source: He et al. 2015, "Delving deep into rectifiers", eq. 1.
    """
    x, weight = inputs(weight, input=input)
    features = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, features):
        raise ShapeError(f"prelu: weight must have 1 or {features} elements for an input of shape {x.shape}, got shape {weight.shape}")
    return _prelu(x, reshape(weight, weight.size, *(1,) * (x.ndim - 2)) if weight.size > 1 else reshape(weight, ()))


def _prelu(x: Tensor, weight: Tensor) -> Tensor:
    y = np.empty(x.shape, x.dtype)
    run("prelu", y, x.data, weight.data)

    def to_input(y: Tensor, dy: Tensor) -> Tensor:
        dx = np.empty(x.shape, x.dtype)
        run("prelu_grad", dx, dy.data, x.data, weight.data)
        return Tensor(dx)

    return record(
        y,
        (x, either(to_input, lambda y, dy: where(x > 0.0, dy, dy * weight))),
        (weight, either(lambda y, dy: _backward("prelu_weight_grad", dy, x), lambda y, dy: where(x > 0.0, 0.0, dy * x))),
    )


def maxout(input: Any, pieces: int, dim: int = -1) -> Tensor:
    """The largest of each `pieces` neighbours along `dim`, whose size becomes that much smaller.

    Parameters
    ----------
    input
        Floats of any shape.
    pieces
        How many neighbours make one output.
    dim
        The dimension that they lie in.

    Raises
    ------
    DTypeError
        If the input holds no floats, or pieces or dim is no int.
    ShapeError
        If there is no such dimension, or its size is no multiple of `pieces`.

    Source: Goodfellow et al. 2013, "Maxout networks", section 2.
    """
    x = as_float(input)
    at = axis_of(dim, x.ndim, "dim")
    size = x.shape[at]
    if whole("maxout: pieces", pieces) < 1 or size % pieces:
        raise ShapeError(f"maxout: the size of dimension {dim} must be a multiple of pieces = {pieces}, got shape {x.shape}")
    return max(reshape(x, *x.shape[:at], size // pieces, pieces, *x.shape[at + 1 :]), at + 1)
