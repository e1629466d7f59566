"""The steps of an epoch, many at a time: between them progress is reported, a schedule moves on, and Ctrl-C is heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..optim import Optimizer
from ..tensor import Array
from .epoch import Epoch
from .interrupt import interrupts_deferred

Report = Callable[[int, float], None]  # called with the examples and the mean loss of the steps since the last call
SECONDS_AT_A_TIME = 0.05  # in compiled code, so that Ctrl-C is heard within 100 ms
SECONDS_BETWEEN_REPORTS = 0.1


class _Progress:
    """The steps that have not been reported yet."""

    def __init__(self, report: Report | None) -> None:
        self.report = report
        self.examples = 0
        self.total = 0.0
        self.since = time.perf_counter()

    def add(self, size: int, losses: Array, last: bool) -> None:
        """Take note of the losses of steps of `size` examples; report at the end, and before if the last report is some time ago."""
        if self.report is None:
            return
        self.examples += size * len(losses)
        self.total += size * float(losses.sum())
        now = time.perf_counter()
        if last or now - self.since >= SECONDS_BETWEEN_REPORTS:
            examples, mean = self.examples, self.total / self.examples
            self.examples, self.total, self.since = 0, 0.0, now
            self.report(examples, mean)


def replay(epoch: Epoch, optimizer: Optimizer, report: Report | None, scheduler: Any) -> None:
    """Run all steps; after each step the schedule, if there is one, has moved on by one.

    Steps are done as a whole, with what belongs to them, before Ctrl-C takes effect.
    """
    progress = _Progress(report)
    with interrupts_deferred() as deliver_interrupt:
        for number, stretch in enumerate(epoch.stretches):
            left = stretch.steps
            while left:
                most = epoch.at_a_time[number]
                count, failure = min(left, stretch.most, most if scheduler is None or epoch.ahead is not None else 1), None
                epoch.stage(count * stretch.size)
                if epoch.ahead is not None:
                    count, failure = epoch.ahead.look(scheduler, count)
                first = int(epoch.cursor[1])
                start = time.perf_counter()
                stretch.program.run(count)
                seconds = time.perf_counter() - start
                left -= count
                try:
                    progress.add(stretch.size, epoch.losses[first : first + count], last=not left and stretch is epoch.stretches[-1])
                finally:  # the schedule agrees with the model even if the report raises
                    if failure is not None:
                        raise failure
                    if scheduler is not None:
                        scheduler.step()
                        optimizer.sync()
                epoch.at_a_time[number] = max(1, min(2 * most, int(count * SECONDS_AT_A_TIME / max(seconds, 1e-9))))
                deliver_interrupt()
