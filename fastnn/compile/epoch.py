"""An epoch: the program of a step between the instructions that take the next rows of the data and those that note the loss and move on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..kernels import Instruction, Program
from ..tensor import Array
from .ahead import Ahead
from .feeding import UNIT
from .memory import same_items
from .passes import scheduled
from .plan import Plan
from .staging import Staging, readable


class Stretch(NamedTuple):
    """Steps of one batch size: their plan and program, how many there are, the examples of each, and how many can be made ready at once."""

    plan: Plan
    program: Program
    steps: int
    size: int
    most: int


class Epoch:
    """All steps over some data, with an order, a cursor and a log of losses of their own: they run again and again.

    Parameters
    ----------
    plans
        The plan of the whole batches and that of the rest, each with the number of steps that it is good for.
    data
        All inputs and targets, one row for each example.
    outputs
        Where row i receives the model's output for example i; or None.
    ahead
        Where each step finds its hyperparameters, if they are not the same for all; or None.
    """

    def __init__(
        self, plans: Sequence[tuple[Plan, int]], data: tuple[Array, ...], outputs: Array | None, ahead: Ahead | None = None
    ) -> None:
        self.data = data
        self.outputs = outputs
        self.ahead = ahead
        self.order = np.zeros(len(data[0]), np.int64)
        self.cursor = np.zeros(2, np.int64)
        self.losses = np.zeros(sum(steps for _, steps in plans))
        self.staged = {
            i: Staging(a, place.dtype, plan.examples)
            for plan, _ in plans[:1]  # whose batches are the largest
            for i, (place, a) in enumerate(zip(plan.inputs, data, strict=True))
            if not readable(a)
        }
        ready = min((len(staging.rows) for staging in self.staged.values()), default=len(self.order))
        self.stretches = [Stretch(plan, self._program(plan), steps, plan.examples, ready // plan.examples) for plan, steps in plans]
        self.at_a_time = [1] * len(plans)  # steps of each stretch that one call is known to be good for

    def fits(self, plans: Sequence[tuple[Plan, int]], data: tuple[Array, ...], outputs: Array | None, ahead: bool) -> bool:
        """Whether this is the epoch of these plans over the very same memory, with or without a schedule that is worked out ahead."""
        found = [(s.plan, s.steps) for s in self.stretches]
        arrays = [(a, b) for a, b in zip((*data, outputs), (*self.data, self.outputs), strict=False) if a is not b]
        alike = len(data) == len(self.data) and all(a is not None and b is not None and same_items(a, b) for a, b in arrays)
        return alike and list(plans) == found and ahead == (self.ahead is not None)

    def stage(self, rows: int) -> None:
        """Have the next `rows` rows ready that compiled code cannot read where they are."""
        first = int(self.cursor[0])
        for staging in self.staged.values():
            staging.fill(self.order[first : first + rows])

    def _program(self, plan: Plan) -> Program:
        """The program of one step."""
        before = [] if self.ahead is None else self.ahead.before()
        for i, (place, source) in enumerate(zip(plan.inputs, self.data, strict=True)):
            if i in self.staged:
                before.append(self.staged[i].before(_rows(place)))
            else:
                before.append(Instruction("take_rows", (_rows(place), _rows(source), self.order, self.cursor)))
            if source.dtype == np.uint8 and place.dtype != np.uint8:
                before.append(Instruction("multiply", (place, place, np.asarray(UNIT, place.dtype))))
        after = [Instruction("note", (self.losses, plan.outputs[0].reshape(1), self.cursor))]
        if self.outputs is not None:
            after.append(Instruction("put_rows", (_rows(self.outputs), _rows(plan.outputs[1]), self.order, self.cursor)))
        after.append(Instruction("advance", (self.cursor, plan.examples)))
        after += [staging.after(plan.examples) for staging in self.staged.values()]
        if self.ahead is not None:
            after.append(self.ahead.after())
        return scheduled([*before, *plan.program.instructions, *after], plan.examples)


def _rows(a: Array) -> Array:
    return a.reshape(len(a), -1)
