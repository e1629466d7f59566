"""Dead code: instructions whose results nobody reads, and second results of others."""

from __future__ import annotations

from ...kernels import Instruction
from ..memory import root
from ..recording import Recording

ALONE = {"max_pool2d": "largest_of_windows"}  # kernels with a second result, and what computes the first one alone


def remove_dead_code(recording: Recording) -> None:
    """Drop every instruction that writes only temporaries which nothing after it reads, and second results of which that is true."""
    temporaries = recording.temporaries()
    needed = {id(root(a)) for a in recording.outputs}
    kept = []
    for instruction in reversed(recording.instructions):
        written = {id(root(a)) for a in instruction.outputs}
        if written <= temporaries.keys() and not written & needed:
            continue
        if instruction.kernel in ALONE and written & temporaries.keys() - needed >= {id(root(instruction.outputs[1]))}:
            first, _, *inputs = instruction.operands
            instruction = Instruction(ALONE[instruction.kernel], (first, *inputs))
        needed |= {id(root(a)) for a in instruction.inputs}
        kept.append(instruction)
    recording.instructions = kept[::-1]
