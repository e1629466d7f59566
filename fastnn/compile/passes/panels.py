"""Weights as products read them: large constant right-hand sides lie in panels, one item behind the other, all others row by row."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...kernels import Instruction, _host
from ...tensor import Array
from ..memory import root
from ..recording import Recording
from .memory_plan import new_arena

LARGE = 256 << 10  # bytes of a right-hand side that no longer stays in a cache beside the rest; smaller ones are fast as they are


def pack_weights(recording: Recording) -> None:
    """Replace products with large constant weights by batches of products with their panels, which share the left-hand side.

    Columns that fill no panel become a product of their own. Smaller weights become row-contiguous.
    """
    written = [a for i in recording.instructions for a in i.outputs]
    variable = {id(root(a)) for a in (*recording.inputs, *written)}
    made = recording.constants.made

    def by_rows(operands: tuple[Any, ...]) -> Instruction:
        c, sums, a, b, *others = operands
        return Instruction("gemm", (c, sums, a, made("rows", lambda: np.ascontiguousarray(b), b, undo=_same), *others))

    instructions: list[Instruction] = []
    for instruction in recording.instructions:
        if instruction.kernel != "gemm" or id(root(instruction.operands[3])) in variable:
            instructions.append(instruction)
            continue
        if not _fits(instruction):
            instructions.append(by_rows(instruction.operands))
            continue
        c, sums, a, b, base, extra, *numbers = instruction.operands
        whole = c.shape[2] // _width(c) * _width(c)
        across = [x[:, :, :whole] for x in (c, b, base, extra)]
        left, no_sums = np.broadcast_to(a, (whole // _width(c), *a.shape[1:])), np.empty((whole // _width(c), 0), c.dtype)
        c_panels, b_panels, base_panels, extra_panels = (_panels(x) for x in across)
        b_panels = made("panels", partial(_aligned, b_panels), b_panels, undo=_same)
        instructions.append(Instruction("gemm", (c_panels, no_sums, left, b_panels, base_panels, extra_panels, *numbers)))
        if whole < c.shape[2]:
            c, b, base, extra = (x[:, :, whole:] for x in (c, b, base, extra))
            instructions.append(by_rows((c, sums, a, b, base, extra, *numbers)))
    recording.instructions = instructions


def _fits(instruction: Instruction) -> bool:
    """Whether a product is a single one with a large right-hand side, whose result and base lie row by row."""
    c, sums, _, b, base, _, _, beta, _ = instruction.operands
    wide = len(c) == 1 and not sums.size and c.shape[2] >= 2 * _width(c) and b.nbytes >= LARGE
    return wide and all(x.strides[2] == x.itemsize for x in (c, base if beta else c))


def _same(copy: Array) -> Array:
    return copy


def _aligned(panels: Array) -> Array:
    """A copy of panels of which no vector lies in two cache lines."""
    memory = new_arena(panels.nbytes).view(panels.dtype).reshape(panels.shape)
    memory[...] = panels
    return memory


def _width(x: Array) -> int:
    columns: int = _host.panel_columns(x.itemsize)
    return columns


def _panels(x: Array) -> Array:
    """A matrix (1, R, C) as its panels (P, R, C / P), a view; of one that repeats a single item, too."""
    panels = (x.shape[2] // _width(x), x.shape[1], _width(x))
    if not any(x.strides):
        return np.broadcast_to(x[:1, :1, :1], panels)
    found: Array = x[0].reshape(panels[1], panels[0], panels[2]).swapaxes(0, 1)
    return found
