"""Winograd: 3x3 convolutions that repay it multiply transforms of pixels and weights, which takes 4 of 9 multiplications."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...kernels import KERNELS, Instruction
from ...tensor import Array
from ..recording import Recording

STEP = (1, 1)  # the stride
PLAIN = (1, 1, 1)  # both dilations, and groups
LEAST_CHANNELS, MOST_CHANNELS = 16, 256  # of both images: fewer do not repay transforms, and more leave no room for tiles in a cache
LEAST_TILES = 32  # in a batch, of four results each
REPAYING_TILES = 64  # those that repay a transform of the weights in each run
LEAST_FOR_WEIGHTS = 32  # channels for which the gradient of a weight repays transforms of both images
WASTE = 4 / 3  # results of tiles for each result of the convolution, at most


class Transformed(NamedTuple):
    """A convolution by Winograd: the kernel that transforms its weight, that weight, and the operands before and behind the transform."""

    transform: str
    weight: Array
    before: tuple[Any, ...]
    behind: tuple[Any, ...]

    def pays(self, least: int) -> bool:
        """Whether this is faster than a sum of products, given `least` tiles; float64, which is used for its digits, stays such a sum."""
        y, x = self.before
        channels = y.shape[1], x.shape[1]
        return min(channels) >= LEAST_CHANNELS and max(channels) <= MOST_CHANNELS and _full(y, least)

    def empty(self) -> Array:
        """Room for the transformed weight."""
        y, x = self.before
        return np.empty((16, y.shape[1], x.shape[1]), y.dtype)


def _full(y: Array, least: int) -> bool:
    """Whether the images y make `least` tiles, which they fill; float64, which is used for its digits, makes none."""
    N, C, H, W = y.shape
    tiles = N * math.ceil(H / 2) * math.ceil(W / 2)
    return bool(y.dtype == np.float32 and tiles >= least and 4 * tiles * C <= WASTE * y.size)


def transform_convolutions(recording: Recording) -> None:
    """Replace 3x3 convolutions of stride 1, and their gradients, by transforms and products in each run."""

    def in_each_run(found: Transformed) -> tuple[list[Instruction], Array]:
        u = found.empty()
        return [Instruction(found.transform, (u, found.weight))], u

    _replace(recording, REPAYING_TILES, in_each_run)
    recording.instructions = [_weight_grad(instruction) for instruction in recording.instructions]


def transform_constant_convolutions(recording: Recording) -> None:
    """The same where weights do not change: they are transformed now."""

    def now(found: Transformed) -> tuple[list[Instruction], Array]:
        return [], recording.constants.made(found.transform, partial(_computed, found), found.weight)

    _replace(recording, LEAST_TILES, now)


def _computed(found: Transformed) -> Array:
    u = found.empty()
    KERNELS[found.transform].twin(u, found.weight)
    return u


def _replace(recording: Recording, least: int, transform: Callable[[Transformed], tuple[list[Instruction], Array]]) -> None:
    instructions: list[Instruction] = []
    for instruction in recording.instructions:
        candidate = CONVOLUTIONS[instruction.kernel](*instruction.operands) if instruction.kernel in CONVOLUTIONS else None
        if candidate is None or not candidate.pays(least):
            instructions.append(instruction)
            continue
        before, u = transform(candidate)
        instructions += [*before, Instruction("winograd_conv2d", (*candidate.before, u, *candidate.behind))]
    recording.instructions = instructions


def _forward(
    y: Array, x: Array, weight: Array, bias: Array, extra: Array, stride_h: int, stride_w: int, pad_h: int, pad_w: int, *others: int
) -> Transformed | None:
    *rest, epilogue = others
    if weight.shape[2:] != (3, 3) or (stride_h, stride_w) != STEP or tuple(rest) != PLAIN:
        return None
    return Transformed("winograd_weight", weight, (y, x), (bias, extra, pad_h, pad_w, epilogue))


def _backward(
    dx: Array, dy: Array, weight: Array, extra: Array, stride_h: int, stride_w: int, pad_h: int, pad_w: int, *others: int
) -> Transformed | None:
    *rest, epilogue = others
    if weight.shape[2:] != (3, 3) or (stride_h, stride_w) != STEP or tuple(rest) != PLAIN or max(pad_h, pad_w) > 2:
        return None
    bias = np.zeros(dx.shape[1], dx.dtype)
    return Transformed("winograd_weight_back", weight, (dx, dy), (bias, extra, 2 - pad_h, 2 - pad_w, epilogue))


def _weight_grad(instruction: Instruction) -> Instruction:
    """The gradient of a weight by Winograd, where that is faster; every other instruction as it is."""
    if instruction.kernel != "conv2d_weight_grad":
        return instruction
    dweight, dy, x, stride_h, stride_w, pad_h, pad_w, *rest = instruction.operands
    fits = dweight.shape[2:] == (3, 3) and (stride_h, stride_w) == STEP and tuple(rest) == PLAIN
    if not (fits and min(dweight.shape[:2]) >= LEAST_FOR_WEIGHTS and _full(dy, REPAYING_TILES)):
        return instruction
    return Instruction("winograd_conv2d_weight_grad", (dweight, dy, x, pad_h, pad_w))


CONVOLUTIONS: dict[str, Callable[..., Transformed | None]] = {"conv2d": _forward, "conv2d_input_grad": _backward}
