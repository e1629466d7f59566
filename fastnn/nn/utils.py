"""Helpers around the parameters of a model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .._arguments import instance, iterable
from ..errors import DTypeError, ShapeError
from ..ops.shape import concatenate, reshape
from ..optim.clip import clip_grad_norm_, clip_grad_value_
from ..tensor import FLOATS, Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All values of tensors of one dtype as a vector. Raises DTypeError if they are not, ArgumentError if there are none."""
    return concatenate([reshape(parameter, -1) for parameter in _tensors(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the values of the vector `vec` into the parameters, in their order.

    Raises ShapeError if it is too long or too short, DTypeError if it is no tensor or `parameters` holds others; nothing was written then.
    """
    instance("vec", vec, Tensor, "a tensor")
    parameters = _tensors(parameters)
    size = sum(parameter.size for parameter in parameters)
    if vec.shape != (size,):
        raise ShapeError(f"vec must have shape ({size},), one value for each of the parameters, got {vec.shape}")
    start = 0
    for parameter in parameters:
        np.copyto(parameter.data, vec.data[start : start + parameter.size].reshape(parameter.shape))
        start += parameter.size


def _tensors(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters, each a float tensor."""
    given: list[Tensor] = iterable("parameters", parameters, "an iterable of tensors")
    for p in given:
        if instance("parameters", p, Tensor, "an iterable of tensors").dtype not in FLOATS:
            raise DTypeError(f"parameters must be float32 or float64, got {p.dtype}")
    return given
