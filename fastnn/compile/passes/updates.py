"""Updates behind gradients: each parameter of a large model is updated as soon as its gradient is there, while that is in cache."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...kernels import KERNELS, Instruction
from ...tensor import Array
from ..memory import address, extent, overlap
from ..recording import Recording

FITS_IN_CACHE = 256 << 10  # bytes of gradients that stay in cache anyway until one update at the end takes them all
LEAST_PIECE = FITS_IN_CACHE // 4  # bytes that repay an instruction of their own


def update_behind_gradients(recording: Recording) -> None:
    """Split elementwise updates of large flat buffers where one gradient ends and the next begins, and move the pieces forward."""
    n = 0
    while n < len(recording.instructions):
        instruction = recording.instructions[n]
        if _is_update(instruction):
            n = _hoist_numbers(recording, n)
            pieces = _pieces(recording, n, instruction)
            if len(pieces) > 1:
                recording.instructions[n : n + 1] = pieces
                for i in range(n, n + len(pieces)):
                    _move_forward(recording, i)
                n += len(pieces) - 1
        n += 1


def _hoist_numbers(recording: Recording, n: int) -> int:
    """Move the instruction that computes the single numbers of update n to where it can run first; returns where the update is then."""
    for i in reversed(range(n)):
        earlier = recording.instructions[i]
        if KERNELS[earlier.kernel].signature.elementwise and any(overlap(a, x) for a in earlier.outputs for x in _numbers(recording, n)):
            _move_forward(recording, i)
    return n


def _numbers(recording: Recording, n: int) -> list[Array]:
    instruction = recording.instructions[n]
    return [x for x in instruction.inputs if x.size == 1]


def _flat(instruction: Instruction) -> list[int]:
    """The positions of the operands that run over the whole buffer: the rest are single numbers."""
    return [k for k, x in enumerate(instruction.operands) if isinstance(x, np.ndarray) and x.size > 1]


def _is_update(instruction: Instruction) -> bool:
    if not KERNELS[instruction.kernel].signature.elementwise or len(instruction.outputs) < 1:
        return False
    y = instruction.outputs[0]
    flat = [instruction.operands[k] for k in _flat(instruction)]
    return y.ndim == 1 and y.nbytes > FITS_IN_CACHE and all(x.shape == y.shape and x.flags.c_contiguous for x in flat)


def _pieces(recording: Recording, n: int, instruction: Instruction) -> list[Instruction]:
    """The instruction once for each array, or a few small ones, that were written into one of its inputs before."""
    starts: set[int] = set()
    for x in instruction.inputs:
        low, high = extent(x)
        for earlier in recording.instructions[:n]:
            starts |= {(address(a) - low) // x.itemsize for a in earlier.outputs if x.size > 1 and low <= address(a) < high}
    y = instruction.outputs[0]
    edges = [0]
    for start in sorted(starts):
        if min(start - edges[-1], y.size - start) * y.itemsize >= LEAST_PIECE:
            edges.append(start)
    edges.append(y.size)
    flat = set(_flat(instruction))

    def part(k: int, x: Array, start: int, stop: int) -> Array:
        return x[start:stop] if k in flat else x

    return [
        Instruction(instruction.kernel, tuple(part(k, x, a, b) for k, x in enumerate(instruction.operands))) for a, b in pairwise(edges)
    ]


def _move_forward(recording: Recording, n: int) -> None:
    """Move instruction n to right behind the last one before it that it depends on."""
    moving, place = recording.instructions[n], n
    while place and not recording.depend(moving, recording.instructions[place - 1]):
        place -= 1
    recording.instructions.insert(place, recording.instructions.pop(n))
