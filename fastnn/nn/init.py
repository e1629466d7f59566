"""Initial values of parameters, drawn from the generator that `fastnn.manual_seed` seeds; formulas and defaults as in PyTorch.

Every function fills its tensor, of any shape unless it says otherwise, in place and returns it. Numbers are drawn in float64 and then
rounded, so that a model starts from the same values in float32 and in float64. The last argument is a NumPy generator to draw from instead.
What is raised is raised before anything is drawn: DTypeError for a wrong type, ArgumentError for a number out of its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import random
from .._arguments import LARGEST, choice, instance, number
from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import FLOATS, Array, Tensor

GAINS: dict[str, Callable[[float], float]] = {
    "linear": lambda _: 1.0,
    "conv1d": lambda _: 1.0,
    "conv2d": lambda _: 1.0,
    "conv_transpose2d": lambda _: 1.0,
    "sigmoid": lambda _: 1.0,
    "tanh": lambda _: 5 / 3,
    "relu": lambda _: math.sqrt(2),
    "leaky_relu": lambda slope: math.sqrt(2 / (1 + slope**2)),
    "selu": lambda _: 3 / 4,
}
FANS = ("fan_in", "fan_out")
Generator = np.random.Generator


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which the standard deviation of weights grows to make up for a nonlinearity.

    Parameters
    ----------
    nonlinearity
        A name in `GAINS`.
    param
        The negative slope of "leaky_relu", 0.01 if left out.

    Raises
    ------
    UnknownNameError, DTypeError, ArgumentError
        If there is no such nonlinearity, or `param` is no number.

    Source: He et al. 2015, "Delving deep into rectifiers", section 2.2.
    """
    return GAINS[choice("nonlinearity", nonlinearity, GAINS)](0.01 if param is None else _finite("calculate_gain: param", param))


def fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs reach one output of a weight (out, in, *kernel), and how many outputs one input reaches.

    Raises ShapeError for less than two dimensions, DTypeError for what is no tensor.
    """
    if _checked(tensor).ndim < 2:
        raise ShapeError(f"fan in and fan out need a weight with at least 2 dimensions (out, in, ...), got shape {tensor.shape}")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with the number `val`. Raises DTypeError unless it is one of the tensor's kind."""
    number("constant_: val", val)
    instance("tensor", tensor, Tensor, "a tensor")
    if not np.can_cast(np.asarray(val).dtype, tensor.dtype, "same_kind"):
        raise DTypeError(f"constant_: val must be {tensor.dtype} like the tensor, got {val!r}")
    return _fill(tensor, np.asarray(val))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0. Raises DTypeError for what is no tensor."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1. Raises DTypeError for what is no tensor."""
    return constant_(tensor, 1)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from U(a, b). Raises ArgumentError unless a <= b."""
    a = _finite("uniform_: a", a)
    b = number("uniform_: b", b, a, LARGEST)
    return _fill(tensor, _source(generator).uniform(a, b, _checked(tensor).shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from N(mean, std^2). Raises ArgumentError for a negative std."""
    mean, std = _finite("normal_: mean", mean), _scale("normal_", std)
    return _fill(tensor, _source(generator).normal(mean, std, _checked(tensor).shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None
) -> Tensor:
    """Fill from N(mean, std^2), drawing again whatever falls outside [a, b].

    Raises ArgumentError unless a < b and at least a thousandth of the distribution lies between them.
    """
    _checked(tensor)
    mean, a, b = _finite("trunc_normal_: mean", mean), number("trunc_normal_: a", a), number("trunc_normal_: b", b)
    sigma = _scale("trunc_normal_", std) * math.sqrt(2)
    inside = (math.erf((b - mean) / sigma) - math.erf((a - mean) / sigma)) / 2 if sigma > 0 else float(a <= mean <= b)
    if not a < b or inside < 1e-3:
        raise ArgumentError(f"trunc_normal_: a and b must enclose some of N({mean:g}, {std:g}^2), got a={a:g} and b={b:g}")
    source = _source(generator)
    values = source.normal(mean, std, tensor.size)
    outside = np.flatnonzero((values < a) | (values > b))
    while outside.size:
        values[outside] = source.normal(mean, std, outside.size)
        outside = outside[(values[outside] < a) | (values[outside] > b)]
    return _fill(tensor, values.reshape(tensor.shape))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from U(-b, b) with b = gain sqrt(6 / (fan_in + fan_out)). Glorot & Bengio 2010, eq. 16.

    Raises ShapeError for less than two dimensions.
    """
    return _uniform(tensor, _scale("xavier_uniform_", gain, "gain") * math.sqrt(2 / max(sum(fan_in_and_fan_out(tensor)), 1)), generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from N(0, std^2) with std = gain sqrt(2 / (fan_in + fan_out)). Glorot & Bengio 2010, eq. 12.

    Raises ShapeError for less than two dimensions.
    """
    return normal_(tensor, 0.0, _scale("xavier_normal_", gain, "gain") * math.sqrt(2 / max(sum(fan_in_and_fan_out(tensor)), 1)), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """Fill from U(-b, b) with b = gain sqrt(3 / fan). He et al. 2015, eq. 10; a is the negative slope of "leaky_relu".

    The fan is that of the `mode`, "fan_in" or "fan_out", and the gain that of the `nonlinearity`. Raises UnknownNameError for other names,
    ShapeError for less than two dimensions.
    """
    return _uniform(tensor, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """Fill from N(0, std^2) with std = gain / sqrt(fan). He et al. 2015, eq. 10; a is the negative slope of "leaky_relu".

    The fan is that of the `mode`, "fan_in" or "fan_out", and the gain that of the `nonlinearity`. Raises UnknownNameError for other names,
    ShapeError for less than two dimensions.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Fill from U(-b, b) with b = sqrt(3 / fan_in). LeCun et al. 1998, "Efficient BackProp", eq. 16.

    Raises ShapeError for less than two dimensions.
    """
    return _uniform(tensor, _kaiming_std(tensor, 0.0, "fan_in", "linear"), generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Fill from N(0, std^2) with std = fan_in^(-1/2), as SELU networks want it. LeCun et al. 1998, "Efficient BackProp", eq. 16.

    Raises ShapeError for less than two dimensions.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, 0.0, "fan_in", "linear"), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with gain times a random matrix whose rows, or columns if they are fewer, are orthonormal. Saxe et al. 2014.

    Dimensions from the second on are taken as one. Raises ShapeError for less than two dimensions.
    """
    gain = _finite("orthogonal_: gain", gain)
    if _checked(tensor).ndim < 2:
        raise ShapeError(f"orthogonal_: the tensor must have at least 2 dimensions, got shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_source(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # without it q would not be uniformly distributed: Mezzadri 2007, section 5
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = fan_in_and_fan_out(tensor)[FANS.index(choice("mode", mode, FANS))]
    return calculate_gain(nonlinearity, _finite("a", a)) / math.sqrt(max(fan, 1))


def _uniform(tensor: Tensor, std: float, generator: Generator | None) -> Tensor:
    """Fill from the uniform distribution around 0 that has this standard deviation."""
    bound = math.sqrt(3) * std
    return uniform_(tensor, -bound, bound, generator)


def _checked(tensor: Tensor) -> Tensor:
    if instance("tensor", tensor, Tensor, "a tensor").dtype not in FLOATS:
        raise DTypeError(f"tensor must be float32 or float64, got {tensor.dtype}")
    return tensor


def _finite(name: str, value: float) -> float:
    return number(name, value, -LARGEST, LARGEST)


def _scale(function: str, value: float, name: str = "std") -> float:
    return number(f"{function}: {name}", value, 0, LARGEST)


def _source(generator: Generator | None) -> Generator:
    return random.generator() if generator is None else instance("generator", generator, Generator, "a NumPy generator")


def _fill(tensor: Tensor, values: Array) -> Tensor:
    np.copyto(tensor.data, values, casting="same_kind")
    return tensor
