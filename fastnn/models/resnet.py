"""Residual networks, for small images and for large ones, their pre-activation variants, and the plain nets they are compared with.

`num_classes` is how many scores a net gives for each image; other settings are those of `cifar_resnet` or `ResNet`, and so are the errors
that are raised: DTypeError, ArgumentError and UnknownNameError, before any weight is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from .._arguments import choice, whole
from ..errors import ArgumentError, DTypeError
from ..nn import functional as F
from ..nn import init
from ..random import unless_it_fails
from ..tensor import Tensor
from ._parts import widths as sizes
from ._residual_blocks import SHORTCUTS, BasicBlock, Block, Bottleneck, convolution


class ResNet(nn.Module):
    """A residual network: a stem, stages of blocks, the mean over each channel, and a linear classifier. He et al. 2016.

    Parameters
    ----------
    block
        `BasicBlock` or `Bottleneck`.
    depths, widths
        For each stage, the number of blocks and their inner channels; from the second stage on height and width are halved.
    num_classes, in_channels
        Sizes of dimension 1 of the output (N, num_classes) and of the input (N, in_channels, H, W).
    small_images
        Whether the stem is one 3x3 convolution, for images of about 32x32, or a 7x7 one with stride 2 and a max pooling.
    shortcut
        What goes around blocks that change the shape: "projection" (a 1x1 convolution), "subsample" (no parameters; He et al. 2016,
        option A), or None for a plain net without any way around its blocks.
    preactivation
        Whether normalisation and activation come before the convolutions.
    dtype
        float32 (the default) or float64.

    Convolutions start from N(0, 2 / fan_out). He et al. 2015, eq. 14.

    Raises
    ------
    UnknownNameError
        If there is no such shortcut.
    DTypeError, ArgumentError
        If `block` is no class of blocks, there are not as many widths as depths, or a number is no whole one of at least 1.
    """

    bn1: nn.Module | None
    maxpool: nn.Module | None
    bn: nn.Module | None

    @unless_it_fails()
    def __init__(
        self,
        block: type[Block],
        depths: Sequence[int],
        widths: Sequence[int],
        num_classes: int,
        in_channels: int = 3,
        small_images: bool = False,
        shortcut: str | None = "projection",
        preactivation: bool = False,
        dtype: Any = None,
    ) -> None:
        if not isinstance(block, type) or not issubclass(block, Block):
            raise DTypeError(f"ResNet: block must be BasicBlock or Bottleneck, got {block!r}")
        if shortcut is not None:
            choice("shortcut", shortcut, SHORTCUTS)
        depths, widths = sizes("depths", depths), sizes("widths", widths)
        if len(depths) != len(widths) or not depths:
            raise ArgumentError(f"ResNet: depths and widths must be as many, and at least one each, got {depths} and {widths}")
        num_classes, in_channels = whole("ResNet: num_classes", num_classes, 1), whole("ResNet: in_channels", in_channels, 1)
        kernel, stride = (3, 1) if small_images else (7, 2)
        channels = widths[0]
        self.conv1 = convolution(in_channels, channels, kernel, stride, dtype)
        self.register_module("bn1", None if preactivation else nn.BatchNorm2d(channels, dtype=dtype))
        self.relu = nn.ReLU()
        self.register_module("maxpool", None if small_images else nn.MaxPool2d(3, 2, 1))
        self.stages = len(depths)
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks = []
            for j in range(depth):
                blocks.append(block(channels, width, 2 if i and not j else 1, shortcut, preactivation, dtype))
                channels = width * block.expansion
            self.register_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.register_module("bn", nn.BatchNorm2d(channels, dtype=dtype) if preactivation else None)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes, dtype=dtype)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Tensor:
        x = self.conv1(x)
        if self.bn1 is not None:
            x = self.relu(self.bn1(x))
        if self.maxpool is not None:
            x = self.maxpool(x)
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        if self.bn is not None:
            x = self.relu(self.bn(x))
        scores: Tensor = self.fc(F.flatten(self.avgpool(x), 1))
        return scores


def cifar_resnet(
    depth: int,
    num_classes: int = 10,
    in_channels: int = 3,
    shortcut: str | None = "subsample",
    preactivation: bool = False,
    dtype: Any = None,
) -> ResNet:
    """The residual net for 32x32 images with `depth` layers. He et al. 2016, section 4.2.

    A 3x3 convolution, three stages of (depth - 2) / 6 basic blocks with 16, 32 and 64 channels, a mean and a linear classifier.

    Parameters
    ----------
    depth
        How many layers have weights: 6 n + 2 for some n of at least 1.
    num_classes, in_channels, shortcut, preactivation, dtype
        As for `ResNet`.

    Raises
    ------
    ArgumentError, DTypeError, UnknownNameError
        If there is no net of that depth, or another argument is not as above.
    """
    blocks, rest = divmod(whole("cifar_resnet: depth", depth) - 2, 6)
    if rest or blocks < 1:
        raise ArgumentError(f"cifar_resnet: depth must be 6 n + 2 (20, 32, 44, 56, 110, ...), got {depth}")
    return ResNet(BasicBlock, [blocks] * 3, (16, 32, 64), num_classes, in_channels, True, shortcut, preactivation, dtype)


def resnet20(num_classes: int = 10, **settings: Any) -> ResNet:
    """`cifar_resnet` with 20 layers: 0.27 million parameters."""
    return cifar_resnet(20, num_classes, **settings)


def resnet32(num_classes: int = 10, **settings: Any) -> ResNet:
    """`cifar_resnet` with 32 layers: 0.46 million parameters."""
    return cifar_resnet(32, num_classes, **settings)


def resnet44(num_classes: int = 10, **settings: Any) -> ResNet:
    """`cifar_resnet` with 44 layers: 0.66 million parameters."""
    return cifar_resnet(44, num_classes, **settings)


def resnet56(num_classes: int = 10, **settings: Any) -> ResNet:
    """`cifar_resnet` with 56 layers: 0.85 million parameters."""
    return cifar_resnet(56, num_classes, **settings)


def resnet110(num_classes: int = 10, **settings: Any) -> ResNet:
    """`cifar_resnet` with 110 layers: 1.7 million parameters."""
    return cifar_resnet(110, num_classes, **settings)


WIDTHS = (64, 128, 256, 512)


def resnet18(num_classes: int = 1000, **settings: Any) -> ResNet:
    """The residual net for large images with 18 layers: 11.69 million parameters. He et al. 2016, table 1; settings as for `ResNet`."""
    return ResNet(BasicBlock, (2, 2, 2, 2), WIDTHS, num_classes, **settings)


def resnet34(num_classes: int = 1000, **settings: Any) -> ResNet:
    """The residual net for large images with 34 layers: 21.80 million parameters. He et al. 2016, table 1; settings as for `ResNet`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), WIDTHS, num_classes, **settings)


def resnet50(num_classes: int = 1000, **settings: Any) -> ResNet:
    """The residual net for large images with 50 layers: 25.56 million parameters. He et al. 2016, table 1; settings as for `ResNet`.

    The stride lies in the 3x3 convolutions, as in torchvision.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), WIDTHS, num_classes, **settings)
