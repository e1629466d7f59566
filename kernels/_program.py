"""Programs: a list of kernel calls on fixed memory, run again and again without Python in between."""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _registry
from ._registry import KERNELS, Kernel, as_record
from ._signature import Int, Ints
from ._team import get_num_threads, launch


class Instruction(NamedTuple):
    """One kernel call: the kernel's name and its operands, arrays and numbers, in the order of its signature."""

    kernel: str
    operands: tuple[Any, ...]

    @property
    def outputs(self) -> tuple[Any, ...]:
        """The operands that the kernel writes."""
        return self.operands[: KERNELS[self.kernel].signature.outputs]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The arrays that the kernel only reads."""
        return tuple(x for x in self.operands[KERNELS[self.kernel].signature.outputs :] if isinstance(x, np.ndarray))


def _interpret(table: Ints("I 4"), meeting: Ints("S"), repeat: Int) -> None: ...


INTERPRET = Kernel("interpret", "execution", _interpret)


class Program:
    """Instructions made ready to run.

    Parameters
    ----------
    instructions
        What to run, in this order.
    barriers
        Per instruction, whether all threads must have finished what stands before it.
    alone
        Per instruction, whether it is too small to be shared among threads.
    """

    def __init__(self, instructions: Sequence[Instruction], barriers: Sequence[bool], alone: Sequence[bool]) -> None:
        self.instructions = list(instructions)
        self.barriers = list(barriers)
        self.alone = list(alone)
        self.shared = not all(alone)
        self._table: np.ndarray[Any, Any] | None = None

    def _prepare(self) -> None:
        """Encode every instruction and look up its entry point; kernels not used before are compiled now."""
        self.records = []
        self._table = np.zeros((len(self.instructions), 4), np.int64)
        for i, (name, operands) in enumerate(self.instructions):
            kernel = KERNELS[name]
            record = as_record(kernel.signature.encode(operands))
            entry = kernel.entry(kernel.signature.dtypes(operands))
            self.records.append(record)
            address = ctypes.cast(entry, ctypes.c_void_p).value
            self._table[i] = address, ctypes.addressof(record), self.barriers[i], self.alone[i]
        self._meeting = np.zeros(8, np.int64)
        self._entry = INTERPRET.entry("i8i8")
        self._call = as_record(INTERPRET.signature.encode((self._table, self._meeting, 1)))

    def extended(self, before: Sequence[Instruction], after: Sequence[Instruction]) -> "Program":
        """This program with further instructions around it; each of those waits for all that stands before it and runs alone."""
        return Program(
            [*before, *self.instructions, *after],
            [True] * len(before) + [i == 0 or b for i, b in enumerate(self.barriers)] + [True] * len(after),
            [True] * len(before) + self.alone + [True] * len(after),
        )

    def run(self, repeat: int = 1) -> None:
        """Run all instructions, `repeat` times over, on the backend in use."""
        if _registry._backend == "numpy":
            for _ in range(repeat):
                for name, operands in self.instructions:
                    KERNELS[name].twin(*operands)
            return
        if self._table is None:
            self._prepare()
        self._call[-1] = repeat
        if self.shared:
            self._meeting[0] = 0
            launch(self._entry, self._call, get_num_threads())
        else:
            self._entry(self._call, 0, 1)
