"""The schedule: which instructions are worth sharing among threads, and where threads must meet."""

from __future__ import annotations

from ...kernels import Instruction, Program
from ..cost import cost
from ..memory import Range, extent, touching
from ..recording import Recording

# Meeting at a barrier costs a few tenths of a microsecond; an instruction shorter than this many cycles is not worth one.
SHARING_PAYS = 16_000
WAKING_PAYS = 200_000  # cycles of a whole program below which another thread costs more than it saves


def schedule(recording: Recording) -> Program:
    """The program of a recording whose memory is planned."""
    instructions = recording.instructions
    cycles = [cost(i).cycles for i in instructions]
    worth_it = sum(cycles) >= WAKING_PAYS
    alone = [not worth_it or c < SHARING_PAYS for c in cycles]
    return Program(instructions, barriers(instructions, alone), alone)


def barriers(instructions: list[Instruction], alone: list[bool]) -> list[bool]:
    """Whether all threads must meet before each instruction: if it conflicts with one since their last meeting.

    Two instructions conflict if one writes memory that the other touches, unless the same thread runs both alone.
    """
    found: list[bool] = []
    written: dict[bool, list[Range]] = {True: [], False: []}
    read: dict[bool, list[Range]] = {True: [], False: []}
    for instruction, single in zip(instructions, alone, strict=True):
        outputs = [extent(a) for a in instruction.outputs]
        inputs = [extent(a) for a in instruction.inputs]
        # only a lone instruction can follow a lone one without a meeting
        kinds = (False,) if single else (True, False)
        meet = not found or any(touching(outputs + inputs, written[k]) or touching(outputs, read[k]) for k in kinds)
        if meet:
            written, read = {True: [], False: []}, {True: [], False: []}
        found.append(meet)
        written[single] += outputs
        read[single] += inputs
    return found
