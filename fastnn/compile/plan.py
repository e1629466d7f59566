"""From a recording to something that runs: the passes in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import FastnnError, StateError
from ..kernels import Program
from ..tensor import Array
from .describe import describe
from .memory import counterpart, overlap, root
from .passes import (
    fold_constants,
    forward_copies,
    fuse,
    join_bias_sums,
    join_softmax_and_loss,
    pack_weights,
    plan_memory,
    postpone_sums,
    remove_dead_code,
    reuse_in_place,
    scheduled,
    transform_constant_convolutions,
    transform_convolutions,
    update_behind_gradients,
)
from .passes.memory_plan import Bytes
from .recording import Recording

PASSES: tuple[Callable[[Recording], None], ...] = (
    remove_dead_code,
    forward_copies,
    join_softmax_and_loss,
    fuse,
    join_bias_sums,
    transform_convolutions,
    update_behind_gradients,
    postpone_sums,
    reuse_in_place,
)
INFERENCE_PASSES: tuple[Callable[[Recording], None], ...] = (
    remove_dead_code,
    fold_constants,
    forward_copies,
    fuse,
    transform_constant_convolutions,
    reuse_in_place,
    pack_weights,
)
CHECKED_BYTES = 1 << 20  # of values that are looked at together


class Guard(NamedTuple):
    """A check of what a program is given: of which input, what part of it, and what raises if it is wrong."""

    source: int
    part: Callable[[Array], Array]
    check: Callable[[Array], None]

    def look(self, values: Array, place: Array) -> None:
        """Check values of the input that lies at `place`, some rows at a time, as they are once they are there."""
        rows = max(1, CHECKED_BYTES * len(values) // max(1, values.nbytes)) if values.ndim else 1
        if values.ndim == 0 or len(values) <= rows:
            self.check(self.part(_converted(values, place)))
            return
        for start in range(0, len(values), rows):
            try:
                self.check(self.part(_converted(values[start : start + rows], place)))
            except FastnnError:
                self.check(self.part(_converted(values, place)))  # which names the place among all rows
                raise


def _converted(values: Array, place: Array) -> Array:
    return values.astype(place.dtype, copy=False) if values.dtype.kind == "f" else values


class Plan:
    """A program with its memory.

    Attributes
    ----------
    program
        The instructions, in order, and how any number of threads share them out.
    inputs, outputs
        Where the caller puts what the program reads, and finds what it computes: views of the arena.
    examples
        How many examples the batch has: the rows of the first input.
    arena
        The memory that the program works in; plans that never run at the same time may share one.
    needed
        How many bytes of it this program uses: its peak.

    Raises
    ------
    StateError
        If the recording checks values that are neither inputs nor known.
    """

    def __init__(self, recording: Recording, arena: Bytes | None = None, fold: bool = False) -> None:
        known = recording.temporaries().keys() | {id(root(a)) for a in recording.inputs}
        for array, check in recording.guards:
            if id(root(array)) not in known:
                check(array)
        recording.guards = [(a, check) for a, check in recording.guards if id(root(a)) in known]
        for improve in INFERENCE_PASSES if fold else PASSES:
            improve(recording)
        recording.constants.settle(recording.instructions)
        self.arena, self.needed = plan_memory(recording, arena)
        self.recording = recording
        self.inputs: list[Array] = recording.inputs
        self.outputs: list[Array] = recording.outputs
        self.examples = len(self.inputs[0]) if self.inputs and self.inputs[0].ndim else 0
        self.program: Program = scheduled(recording.instructions, self.examples, self._moving())
        self.guards = [Guard(*self._source(a), check) for a, check in recording.guards]

    def _moving(self) -> Array | None:
        """The input that a run may read elsewhere: a single one, unless it is part of what the program returns."""
        alone = len(self.inputs) == 1 and not any(overlap(self.inputs[0], y) for y in self.outputs)
        return self.inputs[0] if alone else None

    def _source(self, array: Array) -> tuple[int, Callable[[Array], Array]]:
        """Which input `array` is a view of, and how to see the same part of given values of that input."""
        for i, place in enumerate(self.inputs):
            part = counterpart(array, place)
            if part is not None:
                return i, part
        raise StateError(
            f"an array of shape {array.shape} holds labels or indices that the program itself computes, "
            "so that they cannot be checked before it runs; such code runs in eager mode only"
        )

    def check(self, values: tuple[Array, ...]) -> None:
        """Raise what eager code would raise on seeing these values of the inputs."""
        for guard in self.guards:
            guard.look(values[guard.source], self.inputs[guard.source])

    def __str__(self) -> str:
        return describe(self)
