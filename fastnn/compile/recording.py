"""A recording: the kernel calls that eager code would have made, in order, and what the memory they touch is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels import Instruction
from ..tensor import Array, mode
from .memory import moved, root


@dataclass
class Recording:
    """Kernel calls on memory that holds no values yet.

    Attributes
    ----------
    instructions
        The kernel calls in program order.
    inputs
        Arrays that the caller fills before each run.
    outputs
        Arrays that the caller reads after each run.
    state
        Arrays that live longer than the program: parameters, buffers, optimiser state.
    guards
        Arrays whose values eager code would have checked, each with the function that checks them.
    """

    instructions: list[Instruction] = field(default_factory=list)
    inputs: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    state: list[Array] = field(default_factory=list)
    guards: list[tuple[Array, Callable[[Array], None]]] = field(default_factory=list)

    def append(self, kernel: str, *operands: Any) -> None:
        """Note a kernel call instead of making it."""
        self.instructions.append(Instruction(kernel, operands))

    def guard(self, array: Array, check: Callable[[Array], None]) -> None:
        """Note a check of values that are not there yet."""
        self.guards.append((array, check))

    def temporaries(self) -> dict[int, Array]:
        """The memory that only the program itself uses, by id: written before it is read, and neither input nor state."""
        outside = {id(root(a)) for a in (*self.inputs, *self.state)}
        found: dict[int, Array] = {}
        for instruction in self.instructions:
            outside |= {id(root(a)) for a in instruction.inputs} - found.keys()
            for a in instruction.outputs:
                if id(root(a)) not in outside:
                    found[id(root(a))] = root(a)
        return found

    def uses(self) -> dict[int, list[int]]:
        """For each root by id, the indices of the instructions that touch it, in order; outputs are touched once more at the end."""
        found: dict[int, list[int]] = {}
        for i, instruction in enumerate(self.instructions):
            for key in {id(root(a)) for a in instruction.operands if isinstance(a, np.ndarray)}:
                found.setdefault(key, []).append(i)
        for a in self.outputs:
            found.setdefault(id(root(a)), []).append(len(self.instructions))
        return found

    def substitute(self, change: Callable[[Array], Array]) -> None:
        """Replace every array operand, input and output by what `change` makes of it."""
        self.instructions = [
            Instruction(i.kernel, tuple(change(x) if isinstance(x, np.ndarray) else x for x in i.operands)) for i in self.instructions
        ]
        self.inputs = [change(a) for a in self.inputs]
        self.outputs = [change(a) for a in self.outputs]
        self.guards = [(change(a), check) for a, check in self.guards]

    def relocate(self, origin: Array, place: Array) -> None:
        """Let all that lies in the memory of the root `origin` lie in the bytes `place` instead."""
        self.substitute(lambda a: moved(a, origin, place, 0) if root(a) is origin else a)


@contextmanager
def recording(state: Sequence[Array] = ()) -> Iterator[Recording]:
    """Note all kernel calls of this thread in the body of a `with` statement instead of making them."""
    result = Recording(state=list(state))
    before = mode.run, mode.guard
    mode.run, mode.guard = result.append, result.guard
    try:
        yield result
    finally:
        mode.run, mode.guard = before
