"""The blocks of residual nets and the ways around them. Names of attributes are those of torchvision, so that its weights load here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import nn
from ..nn import functional as F
from ..tensor import Tensor


def convolution(channels: int, width: int, kernel: int, stride: int = 1, dtype: Any = None) -> nn.Conv2d:
    """A convolution without bias, as a normalisation follows it, that keeps the size with stride 1."""
    return nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False, dtype=dtype)


class Subsample(nn.Module):
    """Every `stride`-th row and column, and zeros for the channels that are missing: a shortcut without parameters. He et al. 2016, (A)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        self.stride = stride
        self.more = width - channels

    def forward(self, x: Any) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, more={self.more}"


def _subsample(channels: int, width: int, stride: int, norm: bool, dtype: Any) -> nn.Module:
    return Subsample(channels, width, stride)


def _project(channels: int, width: int, stride: int, norm: bool, dtype: Any) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 1, stride, bias=False, dtype=dtype)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(width, dtype=dtype)] if norm else []))


# What a block adds to its result where the number of channels or the size changes; elsewhere it is the input itself.
SHORTCUTS: dict[str, Callable[..., nn.Module]] = {"subsample": _subsample, "projection": _project}


class Block(nn.Module):
    """Base of the blocks: y = relu(body(x) + shortcut(x)), or, with preactivation, y = body(x) + shortcut(x).

    Parameters
    ----------
    channels, width
        Channels of the input and of the inner convolutions.
    stride
        By which height and width shrink.
    shortcut
        A name in `SHORTCUTS`, or None for a plain block, which adds nothing.
    preactivation
        Whether normalisation and activation come before each convolution instead of after it. He et al. 2016, "Identity mappings in
        deep residual networks", fig. 1b.
    dtype
        float32 or float64.
    """

    expansion: ClassVar[int]  # output channels per inner one
    kernels: ClassVar[tuple[int, ...]]  # of the convolutions
    strided: ClassVar[int]  # which of them has the stride
    conv1: nn.Module
    bn1: nn.Module
    downsample: nn.Module | None

    def __init__(self, channels: int, width: int, stride: int, shortcut: str | None, preactivation: bool, dtype: Any) -> None:
        self.residual = shortcut is not None
        self.preactivation = preactivation
        out = width * self.expansion
        widths = [channels, *[width] * (len(self.kernels) - 1), out]
        for i, kernel in enumerate(self.kernels):
            step = stride if i == self.strided else 1
            self.register_module(f"conv{i + 1}", convolution(widths[i], widths[i + 1], kernel, step, dtype))
            self.register_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i] if preactivation else widths[i + 1], dtype=dtype))
        self.relu = nn.ReLU()
        changes = stride != 1 or channels != out
        make = SHORTCUTS[shortcut] if shortcut is not None and changes else None
        self.register_module("downsample", make and make(channels, out, stride, not preactivation, dtype))

    def forward(self, x: Any) -> Tensor:
        return self._preactivated(x) if self.preactivation else self._postactivated(x)

    def _postactivated(self, x: Tensor) -> Tensor:
        y = x
        for i in range(1, len(self.kernels) + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < len(self.kernels):
                y = self.relu(y)
        if self.residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        last: Tensor = self.relu(y)
        return last

    def _preactivated(self, x: Tensor) -> Tensor:
        first: Tensor = self.relu(self.bn1(x))
        y: Tensor = self.conv1(first)
        for i in range(2, len(self.kernels) + 1):
            y = getattr(self, f"conv{i}")(self.relu(getattr(self, f"bn{i}")(y)))
        if not self.residual:
            return y
        kept: Tensor = x if self.downsample is None else self.downsample(first)
        return y + kept


class BasicBlock(Block):
    """Two 3x3 convolutions. He et al. 2016, fig. 5 left; arguments are those of `Block`."""

    expansion = 1
    kernels = (3, 3)
    strided = 0


class Bottleneck(Block):
    """A 1x1 convolution to fewer channels, a 3x3 one with the stride, and a 1x1 one to four times as many. He et al. 2016, fig. 5 right.

    Arguments are those of `Block`.
    """

    expansion = 4
    kernels = (1, 3, 1)
    strided = 1
