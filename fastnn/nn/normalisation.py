"""Normalisation layers, which call the functions of the same meaning in `functional`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..ops.batch_norm import moving_batch_norm
from ..tensor import Array, Tensor, as_float, run
from . import functional as F
from . import init
from ._check import floats, size, within
from .module import Module
from .parameter import Parameter


class LayerNorm(Module):
    """y = (x - mean) (var + eps)^(-1/2) weight + bias, mean and biased var over the last dimensions of each sample. Ba et al. 2016.

    Parameters
    ----------
    normalized_shape
        The size of the last dimension, or the sizes of the last few.
    eps
        Keeps the divisor from zero.
    elementwise_affine, bias
        Whether there are a weight and a bias, and whether there is a bias, of shape normalized_shape.
    dtype
        float32 (the default) or float64.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape("LayerNorm", normalized_shape)
        self.eps = within("LayerNorm", "eps", eps, 0)
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(floats("LayerNorm", self.normalized_shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(floats("LayerNorm", self.normalized_shape, dtype)) if elementwise_affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        neutral(self.weight, self.bias)

    def forward(self, x: Any) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """y = x (mean x^2 + eps)^(-1/2) weight, the mean over the last dimensions of each sample. Zhang & Sennrich 2019.

    Parameters
    ----------
    normalized_shape
        The size of the last dimension, or the sizes of the last few.
    eps
        Keeps the divisor from zero; None is the spacing of the dtype at 1.
    elementwise_affine
        Whether there is a weight of shape normalized_shape.
    dtype
        float32 (the default) or float64.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True, dtype: Any = None
    ) -> None:
        self.normalized_shape = _shape("RMSNorm", normalized_shape)
        self.eps = None if eps is None else within("RMSNorm", "eps", eps, 0)
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(floats("RMSNorm", self.normalized_shape, dtype)) if elementwise_affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1."""
        neutral(self.weight)

    def forward(self, x: Any) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class BatchNorm(Module):
    """Base of the batch normalisations, which differ in the ranks of input that they take. Ioffe & Szegedy 2015.

    y = (x - mean) (var + eps)^(-1/2) weight + bias for each channel: in training with mean and biased var of the batch, which also
    move the running statistics, running = (1 - momentum) running + momentum batch (there with the unbiased var); in evaluation with
    the running statistics.

    Parameters
    ----------
    num_features
        C, the size of dimension 1 of x.
    eps
        Keeps the divisor from zero.
    momentum
        The weight of a new batch in the running statistics; None averages over all batches alike.
    affine, bias
        Whether there are a weight and a bias, and whether there is a bias, of shape (C).
    track_running_stats
        Without it the statistics are those of the batch in evaluation, too.
    dtype
        float32 (the default) or float64.
    """

    shapes: ClassVar[dict[int, str]]  # rank -> shape of the inputs that are taken
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        owner = type(self).__name__
        dtype = floats(owner, (0,), dtype).dtype
        self.num_features = size(owner, "num_features", num_features)
        self.eps = within(owner, "eps", eps, 0)
        self.momentum = None if momentum is None else within(owner, "momentum", momentum, 0, 1)
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (self.num_features,)
        self.weight = Parameter(floats(owner, shape, dtype)) if affine else None
        self.bias = Parameter(floats(owner, shape, dtype)) if affine and bias else None
        self.register_buffer("running_mean", floats(owner, shape, dtype) if track_running_stats else None)
        self.register_buffer("running_var", floats(owner, shape, dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running variance to 1, and forget how many batches there were."""
        neutral(self.running_var, self.running_mean)
        if self.num_batches_tracked is not None:
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set the weight to 1, the bias to 0, and reset the running statistics."""
        self.reset_running_stats()
        neutral(self.weight, self.bias)

    def _fitting(self, x: Any) -> Tensor:
        t = as_float(x)
        if t.ndim not in self.shapes:
            raise ShapeError(f"{type(self).__name__}: input must have shape {' or '.join(self.shapes.values())}, got {t.shape}")
        return t

    def forward(self, x: Any) -> Tensor:
        x = self._fitting(x)
        counter = self.num_batches_tracked.data.reshape(1) if self.training and self.num_batches_tracked is not None else None
        batch = self.training or self.running_mean is None
        given = (x, self.running_mean, self.running_var, self.weight, self.bias, batch)
        if self.momentum is None and counter is not None:
            y = moving_batch_norm(*given, partial(_average_over_all, counter), self.eps)
        else:
            y = F.batch_norm(*given, self.momentum or 0.0, self.eps)
        if counter is not None:
            run("increment", counter)
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """Batch normalisation of x of shape (N, C) or (N, C, L); formula and arguments are those of `BatchNorm`."""

    shapes: ClassVar[dict[int, str]] = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(BatchNorm):
    """Batch normalisation of images x of shape (N, C, H, W); formula and arguments are those of `BatchNorm`."""

    shapes: ClassVar[dict[int, str]] = {4: "(N, C, H, W)"}


def _average_over_all(counter: Array, running: Array, batch: Array, scale: float) -> None:
    """Let `running` become the mean over the batches that were counted and this one."""
    run("cumulative_average", running, batch, counter, scale)


def _shape(owner: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else [normalized_shape]
    if not sizes:
        raise ArgumentError(f"{owner}: normalized_shape must hold at least one size, got {normalized_shape}")
    return tuple(size(owner, "normalized_shape", n) for n in sizes)


def neutral(scale: Tensor | None, shift: Tensor | None = None) -> None:
    """Set a scale to 1 and a shift to 0."""
    if scale is not None:
        init.ones_(scale)
    if shift is not None:
        init.zeros_(shift)
