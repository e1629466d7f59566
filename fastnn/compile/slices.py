"""Slices: which rows of an instruction's operands belong to which examples of a batch, so that each worker can do its own examples.

Where one instruction after the other works row by row, a worker needs nothing but what it computed itself, and no one waits for anyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from ..kernels import KERNELS, Instruction
from .memory import extent, overlap

# Kernels whose results for one index of this dimension depend on nothing but the operands at that index.
ROWS = {
    **dict.fromkeys(("reduce_sum", "reduce_mean", "reduce_var", "reduce_max", "reduce_min", "scatter_index"), "O"),
    **dict.fromkeys(("softmax", "softmax_grad", "log_softmax", "log_softmax_grad"), "N"),
    **dict.fromkeys(("layer_norm", "layer_norm_grad", "layer_norm_grad_add", "rms_norm", "rms_norm_grad"), "N"),
    **dict.fromkeys(("plane_moments", "plane_slopes", "batch_norm", "batch_norm_input_grad", "batch_norm_inference_grad"), "N"),
    **dict.fromkeys(("cross_entropy", "cross_entropy_grad", "nll", "nll_grad", "target_weight", "embedding"), "N"),
    **dict.fromkeys(("conv2d", "conv2d_input_grad", "winograd_conv2d"), "N"),
    **dict.fromkeys(("resample", "resample_grad"), "O"),
    **dict.fromkeys(("random_crop", "random_flip", "cutout"), "N"),
    **dict.fromkeys(("max_pool2d", "largest_of_windows", "adaptive_max_pool2d", "put_indices", "take_indices"), "P"),
    **dict.fromkeys(("avg_pool2d", "avg_pool2d_grad", "adaptive_avg_pool2d", "adaptive_avg_pool2d_grad"), "P"),
}

# Results of those that hold one row for each several rows of the others: how many stands in the last operand.
SUMS_OF_ROWS = dict.fromkeys(("layer_norm_grad", "layer_norm_grad_add", "rms_norm_grad"), "P")

# Kernels that write each result once, and nothing but what follows from their inputs: to do them once more is never noticed.
REPEATABLE = frozenset({"take_rows", "target_weight", "reduce_sum", "copy", "add", "subtract", "multiply", "divide"})
MASK_BLOCK = 4  # items of a random mask that come from one block of the generator


class Slices(NamedTuple):
    """How an instruction is cut into pieces, each for some examples.

    Attributes
    ----------
    units
        For each operand, how many of its rows belong to an example; 0 if every piece uses all of it, a fraction if several share one.
    axis
        The dimension of the rows.
    ordered
        Which operand lists the rows of the others, and is read from a piece's first example on; -1 for none.
    counted
        Which operand is the number of the first row (`first`); -1 for none.
    grain
        At whose multiples pieces may begin.
    """

    instruction: Instruction
    units: tuple[int | Fraction, ...]
    axis: int = 0
    ordered: int = -1
    counted: int = -1
    grain: int = 1

    def piece(self, start: int, stop: int) -> Instruction:
        """The instruction for the examples from `start` to `stop` - 1."""
        lead = (slice(None),) * self.axis
        operands = [
            x[(*lead, slice(ceil(start * n), ceil(stop * n)))] if n else x
            for x, n in zip(self.instruction.operands, self.units, strict=True)
        ]
        if self.ordered >= 0:
            operands[self.ordered] = operands[self.ordered][start:]
        if self.counted >= 0:
            operands[self.counted] += start * self.units[0]
        return Instruction(self.instruction.kernel, tuple(operands))

    def place(self, operand: int) -> tuple[int, int | Fraction, int] | None:
        """Where the first example's rows of an operand lie, how far it is to the next one's, and where all end.

        Operands that agree in this are cut alike. None if the rows of one example lie among those of others.
        """
        x, units = self.instruction.operands[operand], self.units[operand]
        if not units or not x.size or not x.strides[self.axis]:
            return None
        rows, step = ceil(units), x.strides[self.axis]
        low, high = extent(x[(*(slice(None),) * self.axis, slice(rows))])
        return (low, units * step, low + x.shape[self.axis] * step) if high - low <= rows * step else None

    @property
    def apart(self) -> bool:
        """Whether the rows of each example lie apart from those of others, in all operands that are not the same for all examples."""
        moving = [k for k, n in enumerate(self.units) if n and self.instruction.operands[k].strides[self.axis]]
        return all(self.place(k) is not None for k in moving)


def by_examples(instruction: Instruction, examples: int, parts: int = 1) -> Slices | None:
    """How to cut an instruction into `parts` pieces for as many of the `examples` of a batch each; None where its rows are not examples."""
    y = instruction.operands[0]
    if y.ndim == 1 and len(y) != examples:
        return None  # a flat buffer of parameters: that so many go into it is an accident
    found = slices(instruction, examples)
    if found is None or not found.apart or (found.grain > 1 and examples % (found.grain * parts)):
        return None
    return found


def slices(instruction: Instruction, examples: int) -> Slices | None:
    """How to cut an instruction along the first dimension of its results; None if they have not some rows for each of `examples`."""
    kernel, operands = instruction
    signature = KERNELS[kernel].signature
    if examples < 1:
        return None
    if kernel in ("take_rows", "put_rows"):
        rows = 0 if kernel == "take_rows" else 1
        return Slices(instruction, tuple([int(k == rows) for k in range(4)]), ordered=2) if len(operands[rows]) == examples else None
    if kernel == "gemm":
        batch, M, _ = operands[0].shape
        sliced: Sequence[bool] = [k != 3 and isinstance(x, np.ndarray) and x.shape[1] == M for k, x in enumerate(operands)]
        return _sliced(instruction, examples, M if batch == 1 else 0, sliced, axis=1)
    y = operands[0]
    if not y.ndim:
        return None
    if kernel == "dropout":
        found = _sliced(instruction, examples, len(y), [True, True, False, False, False, False])
        return None if found is None or found.units[0] % MASK_BLOCK else found
    rows = len(y)
    if signature.elementwise:
        sliced = [isinstance(x, np.ndarray) and x.ndim == y.ndim and len(x) == rows for x in operands]
    elif kernel in ROWS:
        sliced = [getattr(p, "dims", ())[:1] == (ROWS[kernel],) for p in signature.kinds]
    else:
        return None
    found = _sliced(instruction, examples, rows, sliced)
    return _with_sums(found) if found is not None and kernel in SUMS_OF_ROWS else found


def _with_sums(cut: Slices) -> Slices:
    """The same, with those results that hold one row for each several rows of the others cut as well."""
    sums = [getattr(p, "dims", ())[:1] == (SUMS_OF_ROWS[cut.instruction.kernel],) for p in KERNELS[cut.instruction.kernel].signature.kinds]
    units = Fraction(cut.units[0], cut.instruction.operands[-1])
    return cut._replace(units=tuple([units if summed else n for n, summed in zip(cut.units, sums, strict=True)]), grain=units.denominator)


def repeatable(instruction: Instruction) -> bool:
    """Whether an instruction that is done twice leaves what it left the first time."""
    return instruction.kernel in REPEATABLE and not any(overlap(y, x) for y in instruction.outputs for x in instruction.inputs)


def _sliced(instruction: Instruction, examples: int, rows: int, which: Sequence[Any], axis: int = 0) -> Slices | None:
    if not rows or rows % examples:
        return None
    names = list(KERNELS[instruction.kernel].signature.parameters)
    counted = names.index("first") if "first" in names else -1
    return Slices(instruction, tuple([rows // examples * bool(cut) for cut in which]), axis, counted=counted)
