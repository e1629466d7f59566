"""Postponement: sums over the whole batch wait until several of them can be done together.

Each worker goes through its own examples without waiting for others, layer after layer. Weight gradients need all examples, hence a
meeting; they are held back while what they work on stays in cache, and follow in one go.
"""

from __future__ import annotations

from ...kernels import KERNELS, Instruction
from ..cost import cost
from ..recording import Recording
from ..slices import by_examples

HELD_BYTES = 512 << 10  # what instructions that are held back may read and write: a part of a level-2 cache


def postpone_sums(recording: Recording) -> None:
    """Hold back what cannot be cut by examples until something depends on it.

    If it has become too much, it waits for no more than the instructions that go on with what a product has just left in cache.
    """
    if not recording.inputs or not recording.inputs[0].ndim:
        return
    examples = len(recording.inputs[0])
    ordered: list[Instruction] = []
    held: list[Instruction] = []
    crowded = False
    for instruction in recording.instructions:
        needed = _needed(recording, instruction, held)
        if crowded and (needed or cost(instruction).flops):
            needed = held
        ordered += needed
        held = [i for i in held if not any(i is n for n in needed)]
        (ordered if by_examples(instruction, examples) else held).append(instruction)
        sums = [i for i in held if not KERNELS[i.kernel].signature.elementwise]
        crowded = sum(cost(i).bytes for i in sums) > HELD_BYTES
    recording.instructions = ordered + held


def _needed(recording: Recording, instruction: Instruction, held: list[Instruction]) -> list[Instruction]:
    """Those that must come before an instruction, in their order."""
    found = [instruction]
    for earlier in reversed(held):
        if any(recording.depend(later, earlier) for later in found):
            found.insert(1, earlier)
    return found[1:]
