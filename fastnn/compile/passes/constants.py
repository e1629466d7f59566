"""Constants: what depends on weights alone is computed once, and normalisation moves into the weights before it or behind it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import KERNELS, Instruction
from ...tensor import Array
from ..constants import Constants
from ..memory import address, as_bytes, overlap, root
from ..recording import Recording


def fold_constants(recording: Recording) -> None:
    """Compute what is the same in every run, now; for programs whose weights do not change."""
    _evaluate(recording)
    _fold_normalisation(recording)
    _fold_forward(recording)


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
    kept: list[Instruction] = []
    computed: dict[int, Array] = {}
    for instruction in recording.instructions:
        if any(id(root(a)) in changing for a in instruction.outputs):
            kept.append(instruction)
        else:
            KERNELS[instruction.kernel].twin(*instruction.operands)
            computed |= recording.roots(instruction)[0]
    recording.instructions = kept
    uses = recording.uses()
    for key, whole in computed.items():
        if key in uses:
            recording.relocate(whole, as_bytes(_shared(recording.constants, whole)))


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
        folded = FOLDS[before.kernel](recording.constants, before.operands, y, x.shape, scale, bias - mean * scale, variable)
        if folded is not None:
            recording.instructions[n] = Instruction(before.kernel, folded)
            dropped.add(producer)
    recording.instructions = [i for n, i in enumerate(recording.instructions) if n not in dropped]


def _fold_into_gemm(
    constants: Constants, operands: Any, y: Array, shape: tuple[int, ...], scale: Array, shift: Array, variable: set[int]
) -> Any:
    """The product whose columns are multiplied by `scale` and moved by `shift`, written to y; None where it cannot be."""
    c, sums, a, b, base, extra, alpha, beta, epilogue = operands
    plain = epilogue == 0 and (beta == 0 or (id(root(base)) not in variable and base.strides[1] == 0))
    if not plain or not c.size or (*c.shape, 1) != (1, *shape) or id(root(b)) in variable:
        return None
    base = np.broadcast_to(_shared(constants, ((beta * base[0, 0] if beta else 0) * scale + shift).astype(c.dtype)), c.shape)
    scaled = constants.made("columns scaled", lambda: np.multiply(b, scale, order="C"), b, scale, undo=lambda s: s / scale)
    return y.reshape(c.shape), sums, a, scaled, base, extra, alpha, 1.0, 0


def _fold_into_convolution(
    constants: Constants, operands: Any, y: Array, shape: tuple[int, ...], scale: Array, shift: Array, variable: set[int]
) -> Any:
    """The convolution whose output channels are multiplied by `scale` and moved by `shift`, written to y; None where it cannot be."""
    result, x, weight, bias, *others = operands
    if result.shape[:2] != shape[:2] or id(root(weight)) in variable or id(root(bias)) in variable:
        return None
    across = scale[:, None, None, None]
    scaled = constants.made("channels scaled", lambda: weight * across, weight, scale, undo=lambda s: s / across)
    return y.reshape(result.shape), x, scaled, _shared(constants, bias * scale + shift), *others


def _fold_forward(recording: Recording) -> None:
    """Batch norm with constant statistics, then a linear map of its result: the scale goes into the weights, the rest into the bias.

    Where an activation lies between there is nothing to fold; and the scale and shift of layer norm are two operations on what is in
    registers, which it would do on ones and zeros as well.
    """
    variable, n = _variable(recording), 0
    while n < len(recording.instructions):
        n += not _folds_forward(recording, n, variable)


def _folds_forward(recording: Recording, n: int, variable: set[int]) -> bool:
    instruction = recording.instructions[n]
    if instruction.kernel != "batch_norm" or any(id(root(a)) in variable for a in instruction.operands[2:6]):
        return False
    y, x, mean, var, weight, bias, _, eps, epilogue = instruction.operands
    uses = recording.uses()[id(root(y))]
    if epilogue or len(uses) != 2 or uses[1] == len(recording.instructions) or id(root(y)) not in recording.temporaries():
        return False
    behind = recording.instructions[uses[1]]
    overwritten = any(overlap(a, x) for i in recording.instructions[n + 1 : uses[1]] for a in i.outputs)
    if overwritten or behind.kernel not in FOLDS_FORWARD or not _whole(behind.inputs[0], y):
        return False
    scale = weight / np.sqrt(var + eps)
    folded = FOLDS_FORWARD[behind.kernel](recording.constants, behind.operands, x, scale, bias - mean * scale, variable)
    if folded is None:
        return False
    recording.instructions[uses[1]] = Instruction(behind.kernel, folded)
    del recording.instructions[n]
    return True


def _whole(a: Array, y: Array) -> bool:
    """Whether two contiguous views of memory are the same items."""
    return address(a) == address(y) and a.size == y.size and a.flags.c_contiguous


def _fold_behind_into_gemm(constants: Constants, operands: Any, x: Array, scale: Array, shift: Array, variable: set[int]) -> Any:
    """The product of x instead of scale x + shift, each channel of which is some neighbouring rows of b; None where it cannot be."""
    c, sums, a, b, base, extra, alpha, beta, epilogue = operands
    plain = beta == 0 or (id(root(base)) not in variable and base.strides[1] == 0)
    if not plain or sums.size or not c.size or len(c) != 1 or id(root(b)) in variable or a.shape[1:] != (len(x), x.size // len(x)):
        return None
    scales, shifts = (np.repeat(v, b.shape[1] // len(v)) for v in (scale, shift))
    row = (beta * base[0, 0] if beta else 0) + alpha * (shifts @ b[0])
    scaled = constants.made(
        "rows scaled", lambda: np.multiply(b, scales[:, None], order="C"), b, scales, undo=lambda s: s / scales[:, None]
    )
    base = np.broadcast_to(_shared(constants, row.astype(c.dtype)), c.shape)
    return c, sums, x.reshape(a.shape), scaled, base, extra, alpha, 1.0, epilogue


def _fold_behind_into_convolution(constants: Constants, operands: Any, x: Array, scale: Array, shift: Array, variable: set[int]) -> Any:
    """The convolution of x instead of scale x + shift; None where it cannot be: zeros around the image are not moved."""
    y, a, weight, bias, extra, *steps, pad_h, pad_w, dilation_h, dilation_w, groups, epilogue = operands
    if pad_h or pad_w or groups != 1 or a.shape[:2] != x.shape[:2] or id(root(weight)) in variable or id(root(bias)) in variable:
        return None
    across = scale[:, None, None]
    scaled = constants.made("inputs scaled", lambda: weight * across, weight, scale, undo=lambda s: s / across)
    moved = _shared(constants, bias + weight.sum(axis=(2, 3)) @ shift)
    return y, x.reshape(a.shape), scaled, moved, extra, *steps, pad_h, pad_w, dilation_h, dilation_w, groups, epilogue


FOLDS_FORWARD = {"gemm": _fold_behind_into_gemm, "conv2d": _fold_behind_into_convolution}


def _shared(constants: Constants, values: Array) -> Array:
    """These values, or the same ones of another program."""
    return constants.made("value", lambda: values, values)


FOLDS = {"gemm": _fold_into_gemm, "conv2d": _fold_into_convolution}
