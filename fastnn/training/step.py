"""One step of training, and an epoch of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..compile import TrainingStep
from ..compile.feeding import as_fed, as_target
from ..compile.interrupt import interrupts_deferred
from ..data.loader import batches
from ..losses import Loss
from ..metrics import Meter, Metric
from ..nn import Module
from ..optim import Optimizer, clip_grad_norm_
from ..optim.schedules import Schedule
from ..tensor import Array, as_tensor

Step: TypeAlias = "EagerStep | TrainingStep"
Report: TypeAlias = Callable[[int, float], None]  # called with the examples and the mean loss of the steps since the last call


class EagerStep:
    """Forward pass, loss, backward pass and update, one operation at a time.

    Parameters
    ----------
    model, loss, optimizer
        What is trained, by what measure (a function of the model's output and the target), and how.
    clip_norm
        The largest norm that the gradient of all parameters together may have; None leaves it.
    metrics
        What `meter` counts of the outputs.

    After a call, `output` holds what the model gave for that batch.
    """

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, clip_norm: float | None = None, metrics: Sequence[Metric] = ()
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
        self.meter = Meter(metrics)
        self.output: Array = np.empty(0)

    def __call__(self, x: Array, y: Any) -> float:
        """Train on one batch and return its loss. Whatever is raised before the update leaves the model as it was."""
        y = as_target(y, self.dtype)
        self.optimizer.zero_grad()
        buffers = [(buffer.data, buffer.data.copy()) for buffer in self.model.buffers()]
        try:
            output = self.model(as_fed(x, self.dtype))
            loss = self.loss(output, y)
            loss.backward()
            self.meter.add(output, as_tensor(y))
        except BaseException:
            for data, before in buffers:  # which a normalisation has moved
                data[...] = before
            raise
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.output = output.numpy()
        return float(loss.item())

    def run_epoch(
        self,
        x: Array,
        y: Array,
        batch_size: int,
        rng: np.random.Generator | None = None,
        outputs: Array | None = None,
        report: Report | None = None,
        scheduler: Schedule | None = None,
    ) -> Array:
        """Train once on all examples and return the loss of each batch, float64.

        Parameters
        ----------
        x, y
            All inputs and targets; row i of both belong together.
        batch_size
            Examples in a step; the last step takes what is left.
        rng
            Draws the order of the examples; None keeps it.
        outputs
            Row i receives the model's output for example i, as it was when its batch was trained on.
        report
            Called after each step.
        scheduler
            Its `step()` is called after each step.

        Ctrl-C takes effect between two steps.
        """
        losses = []
        self.meter.reset()
        with interrupts_deferred() as deliver_interrupt:
            for rows in batches(len(x), batch_size, rng):
                losses.append(self(x[rows], y[rows]))
                if outputs is not None:
                    outputs[rows] = self.output
                try:
                    if report is not None:
                        report(len(rows), losses[-1])
                finally:  # the schedule agrees with the model even if the report raises
                    if scheduler is not None:
                        scheduler.step()
                deliver_interrupt()
        return np.array(losses)
