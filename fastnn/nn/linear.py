"""Layers that multiply by a matrix of weights, by the functions of the same meaning in `functional`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

import math
from typing import Any

from .._arguments import whole
from ..tensor import Tensor
from . import functional as F
from . import init
from ._check import floats, size
from .module import Module
from .parameter import Parameter


class Linear(Module):
    """y = x weight^T + bias: each output is a neuron's z = w x + b.

    Parameters
    ----------
    in_features, out_features
        Sizes of the last dimension of x (..., in_features) and of y (..., out_features).
    bias
        Whether to add a bias.
    dtype
        float32 (the default) or float64.

    The parameters weight (out_features, in_features) and bias (out_features) start from U(-b, b) with b = in_features^(-1/2).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None) -> None:
        self.in_features = size("Linear", "in_features", in_features)
        self.out_features = size("Linear", "out_features", out_features)
        self.weight = Parameter(floats("Linear", (self.out_features, self.in_features), dtype))
        self.bias = Parameter(floats("Linear", (self.out_features,), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        start_uniform(self.in_features, self.weight, self.bias)

    def forward(self, x: Any) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_k = x1^T weight_k x2 + bias_k.

    Parameters
    ----------
    in1_features, in2_features, out_features
        Sizes of the last dimensions of x1, x2 and y; the dimensions before them are the same.
    bias
        Whether to add a bias.
    dtype
        float32 (the default) or float64.

    The parameters weight (out, in1, in2) and bias (out) start from U(-b, b) with b = in1_features^(-1/2).
    """

    def __init__(self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, dtype: Any = None) -> None:
        self.in1_features = size("Bilinear", "in1_features", in1_features)
        self.in2_features = size("Bilinear", "in2_features", in2_features)
        self.out_features = size("Bilinear", "out_features", out_features)
        self.weight = Parameter(floats("Bilinear", (self.out_features, self.in1_features, self.in2_features), dtype))
        self.bias = Parameter(floats("Bilinear", (self.out_features,), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        start_uniform(self.in1_features, self.weight, self.bias)

    def forward(self, x1: Any, x2: Any) -> Tensor:
        return F.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Embedding(Module):
    """y = weight[x]: a table of vectors, looked up by integer.

    Parameters
    ----------
    num_embeddings
        Size of the table; x holds int64 numbers in [0, num_embeddings).
    embedding_dim
        Size of each vector: y has the shape of x and one more dimension.
    padding_idx
        A row (counted from the end if negative) that starts as zeros and is never trained.
    dtype
        float32 (the default) or float64.

    The parameter weight (num_embeddings, embedding_dim) starts from N(0, 1).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, dtype: Any = None) -> None:
        self.num_embeddings = size("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = size("Embedding", "embedding_dim", embedding_dim)
        last = self.num_embeddings - 1
        row = None if padding_idx is None else whole("Embedding: padding_idx", padding_idx, -last - 1, last)
        self.padding_idx = None if row is None else row % self.num_embeddings
        self.weight = Parameter(floats("Embedding", (self.num_embeddings, self.embedding_dim), dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, x: Any) -> Tensor:
        return F.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def start_uniform(fan_in: int, *parameters: Parameter | None) -> None:
    """Draw parameters from U(-b, b) with b = fan_in^(-1/2)."""
    bound = 1 / math.sqrt(fan_in)
    for parameter in parameters:
        if parameter is not None:
            init.uniform_(parameter, -bound, bound)
