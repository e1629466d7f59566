"""A schedule worked out ahead: hyperparameters of steps that compiled code then runs without asking Python."""

from __future__ import annotations

import numpy as np

from ..kernels import Instruction
from ..optim import Optimizer
from ..optim.schedules import Schedule

MOST_STEPS = 1024  # in advance


class Ahead:
    """Tables of hyperparameters, one for each parameter group and one row for each step to come, and a cursor that says where it stands."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.order = np.arange(MOST_STEPS)
        self.cursor = np.zeros(2, np.int64)
        self.tables = [(numbers.values, np.zeros((MOST_STEPS, numbers.values.size))) for numbers in optimizer.numbers]

    def before(self) -> list[Instruction]:
        """The instructions with which a step begins: they take its hyperparameters."""
        return [Instruction("take_rows", (values.reshape(1, -1), table, self.order, self.cursor)) for values, table in self.tables]

    def after(self) -> Instruction:
        """The instruction with which it ends."""
        return Instruction("advance", (self.cursor, 1))

    def look(self, schedule: Schedule, count: int) -> tuple[int, Exception | None]:
        """Work out the hyperparameters of up to `count` steps, and move the schedule to the last of them.

        Returns how many there are, and what the schedule raises where it would go on from there, if that is known by now.
        """
        count = min(count, MOST_STEPS)
        groups = list(zip(self.optimizer.numbers, self.optimizer.param_groups, strict=True))
        found = [[numbers.of(group)] for numbers, group in groups]
        failure = None
        for _ in range(1, count):
            try:
                schedule.step()
            except Exception as error:  # raised when the steps before are done
                failure = error
                break
            for rows, (numbers, group) in zip(found, groups, strict=True):
                rows.append(numbers.of(group))
        done = len(found[0])
        for (_, table), rows in zip(self.tables, found, strict=True):
            table[:done] = rows
        self.cursor[:] = 0
        return done, failure
