"""Activations as modules: each holds its settings and calls the function of the same meaning in `functional`, on tensors of any shape.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .._arguments import choice, whole
from ..tensor import Tensor
from . import functional as F
from . import init
from ._check import floats, size, within
from .module import Module
from .parameter import Parameter


class Activation(Module):
    """Base of the activations without parameters: `forward(x)` is `function(x, **settings)`.

    PyTorch's argument `inplace` is accepted wherever PyTorch has it and changes nothing: no tensor is ever overwritten here.
    """

    function: ClassVar[Callable[..., Tensor]]
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inplace: bool = False) -> None:
        del inplace

    def forward(self, x: Any) -> Tensor:
        return type(self).function(x, **{name: getattr(self, name) for name in self.settings})

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    function = staticmethod(F.sigmoid)


class Tanh(Activation):
    """tanh x."""

    function = staticmethod(F.tanh)


class ReLU(Activation):
    """max(x, 0)."""

    function = staticmethod(F.relu)


class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    function = staticmethod(F.relu6)


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope x."""

    function = staticmethod(F.leaky_relu)
    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = within("LeakyReLU", "negative_slope", negative_slope)


class ELU(Activation):
    """x where x > 0, else alpha (exp(x) - 1). Clevert et al. 2016."""

    function = staticmethod(F.elu)
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = within("ELU", "alpha", alpha)


class SELU(Activation):
    """scale (x where x > 0, else alpha (exp(x) - 1)), with fixed constants. Klambauer et al. 2017."""

    function = staticmethod(F.selu)


class CELU(Activation):
    """x where x > 0, else alpha (exp(x / alpha) - 1). Barron 2017."""

    function = staticmethod(F.celu)
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = within("CELU", "alpha", alpha)


class GELU(Activation):
    """x Phi(x), Phi being the Gaussian distribution function, or, with approximate="tanh", nearly so. Hendrycks & Gimpel 2016."""

    function = staticmethod(F.gelu)
    settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = choice("approximation of GELU", approximate, ("none", "tanh"))


class SiLU(Activation):
    """x sigmoid(x). Hendrycks & Gimpel 2016, Ramachandran et al. 2017 ("swish")."""

    function = staticmethod(F.silu)


class Mish(Activation):
    """x tanh(softplus(x)). Misra 2019."""

    function = staticmethod(F.mish)


class Softplus(Activation):
    """ln(1 + exp(beta x)) / beta, or x where beta x > threshold."""

    function = staticmethod(F.softplus)
    settings = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = within("Softplus", "beta", beta)
        self.threshold = within("Softplus", "threshold", threshold)


class LogSigmoid(Activation):
    """ln sigmoid(x)."""

    function = staticmethod(F.logsigmoid)


class Softsign(Activation):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class Hardtanh(Activation):
    """x held between min_val and max_val."""

    function = staticmethod(F.hardtanh)
    settings = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.min_val = within("Hardtanh", "min_val", min_val)
        self.max_val = within("Hardtanh", "max_val", max_val, low=self.min_val)


class Hardsigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6."""

    function = staticmethod(F.hardsigmoid)


class Hardswish(Activation):
    """x min(max(x + 3, 0), 6) / 6. Howard et al. 2019."""

    function = staticmethod(F.hardswish)


class Softmax(Activation):
    """exp(x) / sum exp(x) along `dim`."""

    function = staticmethod(F.softmax)
    settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole("Softmax: dim", dim)


class LogSoftmax(Activation):
    """x - ln sum exp(x) along `dim`."""

    function = staticmethod(F.log_softmax)
    settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole("LogSoftmax: dim", dim)


class Maxout(Activation):
    """The largest of each `pieces` neighbours along `dim`, whose size becomes that much smaller. Goodfellow et al. 2013.

    With a `Linear` before it, each output is the largest of `pieces` linear functions of the input.
    """

    function = staticmethod(F.maxout)
    settings = ("pieces", "dim")

    def __init__(self, pieces: int, dim: int = -1) -> None:
        self.pieces = size("Maxout", "pieces", pieces)
        self.dim = whole("Maxout: dim", dim)


class PReLU(Module):
    """x where x > 0, else weight x, with a trained weight. He et al. 2015.

    Parameters
    ----------
    num_parameters
        1, or the size of dimension 1 of x for one weight per feature.
    init
        What the weight starts from.
    dtype
        float32 (the default) or float64.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None) -> None:
        self.num_parameters = size("PReLU", "num_parameters", num_parameters)
        self.init = within("PReLU", "init", init)
        self.weight = Parameter(floats("PReLU", (self.num_parameters,), dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to what it starts from."""
        init.constant_(self.weight, self.init)

    def forward(self, x: Any) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


# The activations that keep the shape and need no argument, by the name of their function.
ACTIVATIONS: dict[str, type[Module]] = {
    kind.function.__name__: kind
    for kind in (
        Sigmoid,
        Tanh,
        ReLU,
        ReLU6,
        LeakyReLU,
        ELU,
        SELU,
        CELU,
        GELU,
        SiLU,
        Mish,
        Softplus,
        LogSigmoid,
        Softsign,
        Hardtanh,
        Hardsigmoid,
        Hardswish,
    )
} | {"prelu": PReLU}
