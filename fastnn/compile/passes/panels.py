"""Weights in panels: large constant right-hand sides of products lie as the tiles of a product read them, one item behind the other."""

from __future__ import annotations

import numpy as np

from ...kernels import Instruction, _host
from ...tensor import Array
from ..memory import root, same_items
from ..recording import Recording
from .memory_plan import new_arena

LARGE = 256 << 10  # bytes of a right-hand side that no longer stays in a cache beside the rest; smaller ones are fast as they are


def pack_weights(recording: Recording) -> None:
    """Replace products with large constant weights by batches of products with their panels, which share the left-hand side.

    Columns that fill no panel become a product of their own.
    """
    written = [a for i in recording.instructions for a in i.outputs]
    variable = {id(root(a)) for a in (*recording.inputs, *written)}
    packed: list[tuple[Array, Array]] = []

    def panels_of(b: Array) -> Array:
        for old, new in packed:
            if same_items(old, b):
                return new
        panels = _panels(b)
        memory = new_arena(panels.nbytes).view(b.dtype).reshape(panels.shape)  # no vector of which lies in two cache lines
        memory[...] = panels
        packed.append((b, memory))
        return memory

    instructions: list[Instruction] = []
    for instruction in recording.instructions:
        if not _fits(instruction, variable):
            instructions.append(instruction)
            continue
        c, a, b, base, extra, *numbers = instruction.operands
        whole = c.shape[2] // _width(c) * _width(c)
        across = [x[:, :, :whole] for x in (c, b, base, extra)]
        left = np.broadcast_to(a, (whole // _width(c), *a.shape[1:]))
        c_panels, base_panels, extra_panels = (_panels(x) for x in (across[0], *across[2:]))
        instructions.append(Instruction("gemm", (c_panels, left, panels_of(across[1]), base_panels, extra_panels, *numbers)))
        if whole < c.shape[2]:
            c, b, base, extra = (x[:, :, whole:] for x in (c, b, base, extra))
            instructions.append(Instruction("gemm", (c, a, np.ascontiguousarray(b), base, extra, *numbers)))
    recording.instructions = instructions


def _fits(instruction: Instruction, variable: set[int]) -> bool:
    """Whether an instruction is a single product with a large constant right-hand side, whose result and base lie row by row."""
    if instruction.kernel != "gemm":
        return False
    c, _, b, base, _, _, beta, _ = instruction.operands
    wide = len(c) == 1 and c.shape[2] >= 2 * _width(c) and b.nbytes >= LARGE
    return wide and id(root(b)) not in variable and all(x.strides[2] == x.itemsize for x in (c, base if beta else c))


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
