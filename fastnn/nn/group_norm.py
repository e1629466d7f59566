"""Normalisation of channels, or groups of them, sample by sample, by the functions of the same meaning in `functional`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import ArgumentError
from ..tensor import Tensor, as_float
from . import functional as F
from ._check import floats, size, within
from .module import Module
from .normalisation import BatchNorm, neutral
from .parameter import Parameter


class GroupNorm(Module):
    """y = (x - mean) (var + eps)^(-1/2) weight + bias, mean and biased var over the channels of a group. Wu & He 2018.

    Parameters
    ----------
    num_groups
        Into how many groups of neighbours the channels are divided.
    num_channels
        C, the size of dimension 1 of x (N, C, ...).
    eps
        Keeps the divisor from zero.
    affine, bias
        Whether there are a weight and a bias, and whether there is a bias, of shape (C).
    dtype
        float32 (the default) or float64.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, dtype: Any = None, *, bias: bool = True
    ) -> None:
        self.num_groups = size("GroupNorm", "num_groups", num_groups)
        self.num_channels = size("GroupNorm", "num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ArgumentError(f"GroupNorm: num_groups must divide num_channels, got {num_groups} and {num_channels}")
        self.eps = within("GroupNorm", "eps", eps, 0)
        self.affine = affine
        self.weight = Parameter(floats("GroupNorm", (self.num_channels,), dtype)) if affine else None
        self.bias = Parameter(floats("GroupNorm", (self.num_channels,), dtype)) if affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        neutral(self.weight, self.bias)

    def forward(self, x: Any) -> Tensor:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class InstanceNorm(BatchNorm):
    """Base of the instance normalisations, which differ in the ranks of input that they take. Ulyanov et al. 2016.

    y = (x - mean) (var + eps)^(-1/2) weight + bias with mean and biased var of each channel of each sample; where running statistics
    are tracked, evaluation takes those instead. Arguments are those of `BatchNorm` with other defaults.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias=bias)

    def forward(self, x: Any) -> Tensor:
        x = as_float(x)
        unbatched = x.ndim == min(self.shapes)
        x = self._fitting(x)
        own = self.training or self.running_mean is None
        y = F.instance_norm(
            x.unsqueeze(0) if unbatched else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            self.momentum or 0.0,
            self.eps,
        )
        return y.squeeze(0) if unbatched else y


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of sequences (N, C, L) or (C, L); arguments are those of `InstanceNorm`."""

    shapes: ClassVar[dict[int, str]] = {2: "(C, L)", 3: "(N, C, L)"}


class InstanceNorm2d(InstanceNorm):
    """Instance normalisation of images (N, C, H, W) or (C, H, W); arguments are those of `InstanceNorm`."""

    shapes: ClassVar[dict[int, str]] = {3: "(C, H, W)", 4: "(N, C, H, W)"}
