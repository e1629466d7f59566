"""What an instruction must at least cost: arithmetic over peak, bytes over bandwidth."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernels import KERNELS, Instruction
from ..tensor import Array

FLOPS_PER_CYCLE = 32.0  # two fused multiply-adds on eight lanes
BYTES_PER_CYCLE = 16.0  # streaming through the level-2 cache
START = 100.0  # cycles to begin a kernel
FACTORS = 1200.0  # of the powers and roots that an optimiser needs once a step


class Cost(NamedTuple):
    """Floating-point operations of matrix products, and bytes that must be read and written."""

    flops: int
    bytes: int
    start: float = START

    @property
    def cycles(self) -> float:
        """A lower bound of the cycles on one core."""
        return self.start + max(self.flops / FLOPS_PER_CYCLE, self.bytes / BYTES_PER_CYCLE)


def _gemm(instruction: Instruction) -> int:
    c, _, a = instruction.operands[:3]
    return int(2 * c.size * a.shape[-1])


def _convolution(instruction: Instruction) -> int:
    y, _, weight = instruction.operands[:3]
    return int(2 * y.size * math.prod(weight.shape[1:]))


def _convolution_input_grad(instruction: Instruction) -> int:
    _, dy, weight = instruction.operands[:3]
    return int(2 * dy.size * math.prod(weight.shape[1:]))


def _convolution_weight_grad(instruction: Instruction) -> int:
    dweight, dy = instruction.operands[:2]
    return int(2 * dy.size * math.prod(dweight.shape[1:]))


def _winograd(instruction: Instruction) -> int:
    y, _, u = instruction.operands[:3]
    return 2 * _tiles(y) * int(u.size)


def _winograd_weight_grad(instruction: Instruction) -> int:
    dweight, dy = instruction.operands[:2]
    return int(2 * _tiles(dy) * 16 * math.prod(dweight.shape[:2]))


def _tiles(images: Array) -> int:
    N, _, H, W = images.shape
    return int(N * math.ceil(H / 2) * math.ceil(W / 2))


FLOPS = {
    "gemm": _gemm,
    "conv2d": _convolution,
    "conv2d_input_grad": _convolution_input_grad,
    "conv2d_weight_grad": _convolution_weight_grad,
    "winograd_conv2d": _winograd,
    "winograd_conv2d_weight_grad": _winograd_weight_grad,
}  # kernels whose arithmetic outgrows their traffic


def cost(instruction: Instruction) -> Cost:
    """The operations and bytes of one instruction."""
    count = FLOPS.get(instruction.kernel)
    arrays = [a for a in instruction.operands if isinstance(a, np.ndarray)]
    start = FACTORS if KERNELS[instruction.kernel].family == "optimiser_factors" else START
    return Cost(count(instruction) if count else 0, sum(map(_traffic, arrays)), start)


def _traffic(a: Array) -> int:
    """The bytes of memory behind an array that may repeat some of it."""
    return int(a.itemsize * math.prod([n for n, stride in zip(a.shape, a.strides, strict=True) if stride]))
