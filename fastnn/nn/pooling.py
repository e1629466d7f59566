"""Pooling layers: each holds its settings and calls the function of the same meaning in `functional`.

Building a layer raises DTypeError for an argument of a wrong type, ArgumentError or UnknownNameError for a value that makes no sense.
Calling it raises what the function raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from .._arguments import whole
from . import functional as F
from ._check import sizes
from .module import Module

Size = int | Sequence[int]


class Pooling(Module):
    """Base of the poolings: `forward(x)` is `function(x, **settings)`."""

    function: ClassVar[Callable[..., Any]]
    settings: ClassVar[tuple[str, ...]]
    shown: ClassVar[tuple[str, ...]]
    dims: ClassVar[int] = 2

    def forward(self, x: Any) -> Any:
        return type(self).function(x, **{name: getattr(self, name) for name in self.settings})

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)

    def _windows(self, kernel_size: Size, stride: Size | None, padding: Size) -> None:
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else self._checked("stride", stride, 1)
        self.padding = self._checked("padding", padding, 0)

    def _checked(self, name: str, value: Size, least: int) -> Size:
        sizes(type(self).__name__, name, value, self.dims, least)
        return value


class MaxPool(Pooling):
    """Base of the poolings that take the largest value of each window.

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        An int, or one for each dimension; stride None is kernel_size.
    return_indices
        Whether the output is a pair: the values, and where they lie.
    ceil_mode
        Whether a last window may reach beyond the padding.
    """

    settings = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._windows(kernel_size, stride, padding)
        self.dilation = self._checked("dilation", dilation, 1)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode


class MaxPool1d(MaxPool):
    """The largest values of windows of sequences (N, C, L) or (C, L); arguments are those of `MaxPool`."""

    function = staticmethod(F.max_pool1d)
    dims = 1


class MaxPool2d(MaxPool):
    """The largest values of windows of images (N, C, H, W) or (C, H, W); arguments are those of `MaxPool`."""

    function = staticmethod(F.max_pool2d)


class AvgPool1d(Pooling):
    """The means of windows of sequences (N, C, L) or (C, L).

    Parameters
    ----------
    kernel_size, stride, padding
        Ints; stride None is kernel_size.
    ceil_mode
        Whether a last window may reach beyond the padding.
    count_include_pad
        Whether padded elements count as elements of the mean.
    """

    function = staticmethod(F.avg_pool1d)
    settings = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    shown = ("kernel_size", "stride", "padding")
    dims = 1

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        self._windows(kernel_size, stride, padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def _checked(self, name: str, value: Size, least: int) -> Size:
        return sizes("AvgPool1d", name, value, self.dims, least)


class AvgPool2d(Pooling):
    """The means of windows of images (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    kernel_size, stride, padding
        An int, or one for height and one for width; stride None is kernel_size.
    ceil_mode, count_include_pad
        As for `AvgPool1d`.
    divisor_override
        What to divide sums by instead of the number of elements.
    """

    function = staticmethod(F.avg_pool2d)
    settings = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._windows(kernel_size, stride, padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = None if divisor_override is None else whole("AvgPool2d: divisor_override", divisor_override)


class _Adaptive(Pooling):
    settings: ClassVar[tuple[str, ...]] = ("output_size",)
    shown = ("output_size",)

    def __init__(self, output_size: int | Sequence[int | None] | None) -> None:
        given = output_size if isinstance(output_size, (tuple, list)) else [output_size] * self.dims
        sizes(type(self).__name__, "output_size", [1 if n is None else n for n in given], self.dims, 1)
        self.output_size = output_size


class AdaptiveAvgPool1d(_Adaptive):
    """The means of `output_size` cells that cover a sequence as evenly as can be."""

    function = staticmethod(F.adaptive_avg_pool1d)
    dims = 1


class AdaptiveAvgPool2d(_Adaptive):
    """The means of cells that cover an image as evenly as can be; `output_size` is an int or two, None keeps a size."""

    function = staticmethod(F.adaptive_avg_pool2d)


class _AdaptiveMax(_Adaptive):
    settings = ("output_size", "return_indices")

    def __init__(self, output_size: int | Sequence[int | None] | None, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The largest values of `output_size` cells that cover a sequence as evenly as can be, and with return_indices their places."""

    function = staticmethod(F.adaptive_max_pool1d)
    dims = 1


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The largest values of cells that cover an image as evenly as can be; arguments are those of the other adaptive poolings."""

    function = staticmethod(F.adaptive_max_pool2d)
