"""Constants: what depends on weights alone is computed once, normalisation moves into the weights before it, weights are laid out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import KERNELS, Instruction
from ...tensor import Array
from ..memory import root, same_items
from ..recording import Recording


def fold_constants(recording: Recording) -> None:
    """Compute what is the same in every run, now; for programs whose weights do not change."""
    _evaluate(recording)
    _fold_normalisation(recording)
    _lay_out_weights(recording)


def _variable(recording: Recording) -> set[int]:
    """The roots, by id, whose values differ from run to run."""
    return recording.temporaries().keys() | {id(root(a)) for a in recording.inputs}


def _evaluate(recording: Recording) -> None:
    """Run instructions that read constants only, into the memory they were recorded with, which is a constant from then on."""
    changing = {id(root(a)) for a in recording.inputs}
    known = 0
    while known < len(changing):  # memory that a later instruction writes to changes for the earlier ones, too
        known = len(changing)
        for instruction in recording.instructions:
            if any(id(root(a)) in changing for a in (*instruction.inputs, *instruction.outputs)):
                changing |= {id(root(a)) for a in instruction.outputs}
    kept = []
    for instruction in recording.instructions:
        if any(id(root(a)) in changing for a in instruction.outputs):
            kept.append(instruction)
        else:
            KERNELS[instruction.kernel].twin(*instruction.operands)
    recording.instructions = kept


def _fold_normalisation(recording: Recording) -> None:
    """A linear map, then batch norm of its channels with constant statistics: the scale goes into the weights, the rest into the bias."""
    variable = _variable(recording)
    uses = recording.uses()
    producers = {id(root(i.operands[0])): n for n, i in enumerate(recording.instructions) if i.kernel in FOLDS}
    dropped = set()
    for n, instruction in enumerate(recording.instructions):
        if instruction.kernel != "batch_norm":
            continue
        y, x, mean, var, weight, bias, _, eps, _ = instruction.operands
        producer = producers.get(id(root(x)))
        if producer is None or uses[id(root(x))] != [producer, n] or any(id(root(a)) in variable for a in (mean, var, weight, bias)):
            continue
        scale = weight / np.sqrt(var + eps)
        before = recording.instructions[producer]
        folded = FOLDS[before.kernel](before.operands, y, x.shape, scale, bias - mean * scale, variable)
        if folded is not None:
            recording.instructions[n] = Instruction(before.kernel, folded)
            dropped.add(producer)
    recording.instructions = [i for n, i in enumerate(recording.instructions) if n not in dropped]


def _fold_into_gemm(operands: Any, y: Array, shape: tuple[int, ...], scale: Array, shift: Array, variable: set[int]) -> Any:
    """The product whose columns are multiplied by `scale` and moved by `shift`, written to y; None where it cannot be."""
    c, a, b, base, extra, alpha, beta, epilogue = operands
    plain = epilogue == 0 and (beta == 0 or (id(root(base)) not in variable and base.strides[1] == 0))
    if not plain or not c.size or (*c.shape, 1) != (1, *shape) or id(root(b)) in variable:
        return None
    offset = (beta * base[0, 0] if beta else 0) * scale + shift
    base = np.broadcast_to(offset.astype(c.dtype), c.shape)
    return y.reshape(c.shape), a, np.ascontiguousarray(b * scale), base, extra, alpha, 1.0, 0


def _fold_into_convolution(operands: Any, y: Array, shape: tuple[int, ...], scale: Array, shift: Array, variable: set[int]) -> Any:
    """The convolution whose output channels are multiplied by `scale` and moved by `shift`, written to y; None where it cannot be."""
    result, x, weight, bias, *others = operands
    if result.shape[:2] != shape[:2] or id(root(weight)) in variable or id(root(bias)) in variable:
        return None
    return y.reshape(result.shape), x, weight * scale[:, None, None, None], bias * scale + shift, *others


FOLDS = {"gemm": _fold_into_gemm, "conv2d": _fold_into_convolution}


def _lay_out_weights(recording: Recording) -> None:
    """Constant right-hand sides of products become row-contiguous, once: the product then reads them where they lie."""
    variable = _variable(recording)
    copies: list[tuple[Array, Array]] = []

    def laid_out(b: Array) -> Array:
        for old, new in copies:
            if same_items(old, b):
                return new
        copies.append((b, np.ascontiguousarray(b)))
        return copies[-1][1]

    def change(instruction: Instruction) -> Instruction:
        if instruction.kernel != "gemm" or id(root(instruction.operands[2])) in variable:
            return instruction
        operands: list[Any] = list(instruction.operands)
        operands[2] = laid_out(operands[2])
        return Instruction("gemm", tuple(operands))

    recording.instructions = [change(i) for i in recording.instructions]
