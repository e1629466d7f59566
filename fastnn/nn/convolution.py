"""Convolution layers, which call the functions of the same meaning in `functional`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .._arguments import choice
from ..errors import ArgumentError
from ..ops.convolution import PADDINGS
from ..ops.images import BEYOND
from ..tensor import Tensor
from . import functional as F
from ._check import floats, size, sizes
from .linear import start_uniform
from .module import Module
from .parameter import Parameter

Size = int | Sequence[int]
PADDING_MODES = ("zeros", *BEYOND)


class Convolution(Module):
    """Base of the layers that slide a kernel over sequences or images.

    y = bias + sum over input channels and kernel of weight x, as in the function of the same meaning in `functional`.

    Parameters
    ----------
    in_channels, out_channels
        I and O: sizes of dimension 1 of x and of y.
    kernel_size, stride, dilation
        An int, or one for each dimension: the size of the kernel, the steps by which it moves, and how far its items lie apart.
    padding
        The same: what is put around x; or "valid" for none, or "same" for as much as keeps the size.
    groups
        Into how many groups the channels are divided; each output sees the inputs of its group only. groups = in_channels is a
        depthwise convolution.
    bias
        Whether to add a bias.
    padding_mode
        What is put around x: "zeros", "reflect", "replicate" or "circular".
    dtype
        float32 (the default) or float64.

    The parameters weight (O, I / groups, *kernel_size) and bias (O) start from U(-b, b) with b = fan_in^(-1/2), the fan in being
    I / groups times the size of the kernel.
    """

    dims: ClassVar[int]
    padding: str | tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = None,
    ) -> None:
        owner = type(self).__name__
        self.in_channels = size(owner, "in_channels", in_channels)
        self.out_channels = size(owner, "out_channels", out_channels)
        self.kernel_size = sizes(owner, "kernel_size", kernel_size, self.dims, 1)
        self.stride = sizes(owner, "stride", stride, self.dims, 1)
        self.dilation = sizes(owner, "dilation", dilation, self.dims, 1)
        self.groups = size(owner, "groups", groups)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ArgumentError(
                f"{owner}: groups must divide in_channels and out_channels, got {groups} for {in_channels} and {out_channels}"
            )
        if isinstance(padding, str):
            choice(f"{owner} padding", padding, PADDINGS)
            if padding == "same" and set(self.stride) != {1}:
                raise ArgumentError(f"{owner}: padding 'same' needs a stride of 1, got {self.stride}")
            self.padding = padding
        else:
            self.padding = sizes(owner, "padding", padding, self.dims, 0)
        self.padding_mode = choice(f"{owner} padding_mode", padding_mode, PADDING_MODES)
        self.weight = Parameter(floats(owner, self._weight_shape(), dtype))
        self.bias = Parameter(floats(owner, (self.out_channels,), dtype)) if bias else None
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        start_uniform(self.weight.size // len(self.weight), self.weight, self.bias)

    def _around(self) -> list[int]:
        """The padding as `functional.pad` takes it."""
        if self.padding == "valid":
            return [0, 0] * self.dims
        if isinstance(self.padding, str):
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [n for total in reversed(totals) for n in (total // 2, total - total // 2)]
        return [n for p in reversed(self.padding) for n in (p, p)]

    def _convolve(self, function: Any, x: Any) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._around(), self.padding_mode), 0
        y: Tensor = function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return y

    def extra_repr(self) -> str:
        none = (0,) * self.dims
        unusual = {
            "padding": self.padding != none and self.padding,
            "dilation": self.dilation != (1,) * self.dims and self.dilation,
            "output_padding": getattr(self, "output_padding", none) != none and getattr(self, "output_padding", none),
            "groups": self.groups != 1 and self.groups,
        }
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        shown += [f"{name}={value}" for name, value in unusual.items() if value]
        shown += ["bias=False"] * (self.bias is None) + [f"padding_mode={self.padding_mode}"] * (self.padding_mode != "zeros")
        return ", ".join(shown)


class Conv1d(Convolution):
    """Convolution of sequences (N, I, L) or (I, L); arguments are those of `Convolution`."""

    dims = 1

    def forward(self, x: Any) -> Tensor:
        return self._convolve(F.conv1d, x)


class Conv2d(Convolution):
    """Convolution of images (N, I, H, W) or (I, H, W); arguments are those of `Convolution`. LeCun et al. 1989."""

    dims = 2

    def forward(self, x: Any) -> Tensor:
        return self._convolve(F.conv2d, x)


class TransposedConvolution(Convolution):
    """Base of the transposes of convolutions, which make images larger: each input adds a copy of the kernel to the output.

    Parameters
    ----------
    stride, padding, dilation, groups
        Those of the convolution from O to I channels that this map is the transpose of.
    output_padding
        How many items to add at the end of each dimension of y, less than stride or dilation.
    in_channels, out_channels, kernel_size, bias, dtype
        As for `Convolution`; padding_mode can only be "zeros".

    The parameters weight (I, O / groups, *kernel_size) and bias (O) start from U(-b, b) with b = (O / groups * kernel)^(-1/2).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        dtype: Any = None,
    ) -> None:
        owner = type(self).__name__
        choice(f"{owner} padding_mode", padding_mode, ("zeros",))
        if isinstance(padding, str):
            raise ArgumentError(f"{owner}: padding must be an int or {self.dims} ints, got {padding!r}")
        self.output_padding = sizes(owner, "output_padding", output_padding, self.dims, 0)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)

    def _spread(self, function: Any, x: Any) -> Tensor:
        y: Tensor = function(x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return y


class ConvTranspose1d(TransposedConvolution):
    """Transposed convolution of sequences (N, I, L) or (I, L); arguments are those of `TransposedConvolution`."""

    dims = 1

    def forward(self, x: Any) -> Tensor:
        return self._spread(F.conv_transpose1d, x)


class ConvTranspose2d(TransposedConvolution):
    """Transposed convolution of images (N, I, H, W) or (I, H, W); arguments are those of `TransposedConvolution`. Zeiler et al. 2010."""

    dims = 2

    def forward(self, x: Any) -> Tensor:
        return self._spread(F.conv_transpose2d, x)
