"""Helpers around the parameters of a model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .._arguments import instance, iterable
from ..errors import ShapeError
from ..ops.shape import concatenate, reshape
from ..optim.clip import clip_grad_norm_, clip_grad_value_
from ..tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All values of tensors of one dtype as a vector. Raises DTypeError if they are not, ArgumentError if there are none."""
    return concatenate([reshape(parameter, -1) for parameter in iterable("parameters", parameters, "an iterable of tensors")])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the values of a vector into the parameters, in their order.

    Raises ShapeError if it is too long or too short, DTypeError if it is no tensor or `parameters` holds others; nothing was written then.
    """
    instance("vec", vec, Tensor, "a tensor")
    parameters = [instance("parameters", p, Tensor, "an iterable of tensors") for p in iterable("parameters", parameters, "tensors")]
    size = sum(parameter.size for parameter in parameters)
    if vec.shape != (size,):
        raise ShapeError(f"vec must have shape ({size},), one value for each of the parameters, got {vec.shape}")
    start = 0
    for parameter in parameters:
        np.copyto(parameter.data, vec.data[start : start + parameter.size].reshape(parameter.shape))
        start += parameter.size
