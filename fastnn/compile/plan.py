"""From a recording to something that runs: the passes in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import Program
from ..tensor import Array
from .memory import address, extent, root
from .passes import forward_copies, plan_memory, remove_dead_code, schedule
from .recording import Recording

PASSES: tuple[Callable[[Recording], None], ...] = (remove_dead_code, forward_copies)
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Plan:
    """A program with its memory.

    Attributes
    ----------
    program
        The instructions, in an order and with barriers that any number of threads may follow.
    inputs, outputs
        Where the caller puts what the program reads, and finds what it computes: views of the arena.
    arena
        All memory that the program itself uses.
    """

    def __init__(self, recording: Recording, arena: Bytes | None = None) -> None:
        for improve in PASSES:
            improve(recording)
        self.arena = plan_memory(recording, arena)
        self.recording = recording
        self.inputs: list[Array] = recording.inputs
        self.outputs: list[Array] = recording.outputs
        self.program: Program = schedule(recording)
        self.guards = [(self._input_of(a), a, check) for a, check in recording.guards]

    def _input_of(self, array: Array) -> int:
        """Which input `array` is a view of."""
        for i, a in enumerate(self.inputs):
            (low, high), (start, _) = extent(a), extent(array)
            if root(a) is root(array) and low <= start < high:
                return i
        raise LookupError(f"an array at {address(array):#x} is not part of an input")

    def check(self, values: tuple[Array, ...]) -> None:
        """Raise what eager code would raise on seeing these values of the inputs."""
        for i, array, check in self.guards:
            check(values[i].reshape(-1, *array.shape[1:]) if values[i].ndim == array.ndim else values[i].reshape(-1))
