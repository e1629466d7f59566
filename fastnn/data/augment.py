"""Random changes of training images, as modules that stand before the first layer of a model.

    net = nn.Sequential(augment.RandomCrop(32, padding=4), augment.RandomHorizontalFlip(), models.resnet20())

In training each image of a batch is changed on its own, by the generator that `fastnn.manual_seed` seeds; a compiled step does it
between its gather and its first layer, by a stream of its own, which differs from that of eager code. In evaluation images pass as they
are. No gradient passes.

Building one raises DTypeError or ArgumentError for a setting that makes no sense, calling it ShapeError or DTypeError for what is no batch
of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import items, number
from ..errors import ArgumentError, ShapeError
from ..nn import Module
from ..nn import functional as F
from ..nn._check import size as whole
from ..nn._check import sizes, within
from ..ops._operands import dense
from ..random import next_stream
from ..tensor import Tensor, as_float, run

__all__ = ["Cutout", "Normalize", "RandomCrop", "RandomHorizontalFlip"]


class Augmentation(Module):
    """Base of the random changes of images (N, C, H, W)."""

    kernel: str

    def forward(self, x: Any) -> Tensor:
        images = _images(type(self).__name__, x)
        return self._changed(images, images.shape) if self.training else images

    def _changed(self, x: Tensor, shape: tuple[int, ...], *numbers: float) -> Tensor:
        state, site = next_stream()
        y = np.empty(shape, x.dtype)
        run(self.kernel, y, dense(x.data), state, site, 0, *numbers)
        return Tensor(y)


class RandomCrop(Augmentation):
    """A window at a random place of the image with zeros around it; in evaluation the window in the middle.

    Parameters
    ----------
    size
        Of the window: an int, or height and width.
    padding
        How many zeros to put on every side.

    Raises
    ------
    ShapeError
        When called, if the window is larger than the image with its zeros.
    """

    kernel = "random_crop"

    def __init__(self, size: int | Sequence[int], padding: int = 0) -> None:
        self.size = sizes("RandomCrop", "size", size, 2, 1)
        (self.padding,) = sizes("RandomCrop", "padding", padding, 1, 0)

    def forward(self, x: Any) -> Tensor:
        images = _images("RandomCrop", x)
        shape = images.shape[2:]
        room = [n + 2 * self.padding - wanted for n, wanted in zip(shape, self.size, strict=True)]
        if min(room) < 0:
            raise ShapeError(f"RandomCrop: a window of {self.size} does not fit into {shape} with a padding of {self.padding}")
        if self.training:
            return self._changed(images, (*images.shape[:2], *self.size), self.padding)
        if shape == self.size:
            return images
        padded = F.pad(images, [self.padding] * 4)
        top, left = (n // 2 for n in room)
        return padded[:, :, top : top + self.size[0], left : left + self.size[1]]

    def extra_repr(self) -> str:
        return f"size={self.size}, padding={self.padding}"


class RandomHorizontalFlip(Augmentation):
    """The image with its left and right exchanged, with probability p."""

    kernel = "random_flip"

    def __init__(self, p: float = 0.5) -> None:
        self.p = within("RandomHorizontalFlip", "p", p, 0, 1)

    def _changed(self, x: Tensor, shape: tuple[int, ...], *numbers: float) -> Tensor:
        return super()._changed(x, shape, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Cutout(Augmentation):
    """The image with a square of zeros around a random pixel. DeVries & Taylor 2017.

    Parameters
    ----------
    size
        The side of the square in pixels.
    """

    kernel = "cutout"

    def __init__(self, size: int) -> None:
        self.size = whole("Cutout", "size", size)

    def _changed(self, x: Tensor, shape: tuple[int, ...], *numbers: float) -> Tensor:
        return super()._changed(x, shape, self.size)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class Normalize(Module):
    """y = (x - mean) / std for each channel of images (N, C, H, W), in training and in evaluation.

    Parameters
    ----------
    mean, std
        One number for each channel.

    Raises
    ------
    ArgumentError, DTypeError
        If there are not as many means as deviations, a deviation is not above 0, or one is no number.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = items("Normalize: mean", mean, number, "a sequence of numbers")
        self.std = items("Normalize: std", std, number, "a sequence of numbers")
        if len(self.mean) != len(self.std) or not self.mean or min(self.std) <= 0:
            raise ArgumentError(f"Normalize: give a mean and a std above 0 for each channel, got {self.mean} and {self.std}")

    def forward(self, x: Any) -> Tensor:
        images = _images("Normalize", x)
        if images.shape[1] != len(self.mean):
            raise ShapeError(f"Normalize: input must have {len(self.mean)} channels, got shape {images.shape}")
        mean, std = (np.asarray(v, images.dtype).reshape(-1, 1, 1) for v in (self.mean, self.std))
        return (images - mean) / std

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"


def _images(owner: str, x: Any) -> Tensor:
    images = as_float(x)
    if images.ndim != 4:
        raise ShapeError(f"{owner}: input must have shape (N, C, H, W), got {images.shape}")
    return images
