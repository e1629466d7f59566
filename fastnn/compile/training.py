"""The compiled training step: forward, loss, backward, clipping and update as one program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import function, instance, iterable, number
from .._arguments import whole as whole_number
from ..errors import ArgumentError, DTypeError, ShapeError
from ..kernels import get_backend
from ..losses import Loss
from ..losses import get as get_loss
from ..metrics import Meter, Metric
from ..metrics import get as get_metric
from ..nn import Module
from ..ops._targets import NUMBERS, check_target
from ..optim import Optimizer, clip_grad_norm_
from ..optim.schedules import Schedule, check_schedule
from ..random import generator, streams_from
from ..tensor import DTYPES, FLOATS, Array, Tensor, as_array, to_array
from .ahead import Ahead
from .epoch import Epoch
from .feeding import fed_dtype, feed, tensor_dtype
from .interrupt import interrupts_deferred
from .memory import root
from .passes.memory_plan import Bytes
from .plan import Plan
from .profile import Profile, profile
from .recording import Recording, outputs_of, recorded, recording
from .replay import Report, replay
from .settings import Settings

MOST_PLANS = 64  # kept besides the last one
Kind = tuple[tuple[int, ...], np.dtype[Any]]  # shape and dtype of one array of a batch


class TrainingStep:
    """One training step of a model, recorded once per shape of its batch and replayed without Python.

    The model and the optimiser stay the live objects that they are: their parameters and moments are updated in place, and eager calls
    and compiled steps may alternate. Learning rates are read from `optimizer.param_groups` before every call.

    Calling it with a batch (x, y) trains on that batch and returns its loss as a float. Arguments and errors are those of
    `compile_training`.

    `meter` has the metrics: `meter.values()` are those of the examples since the last epoch began, or since `meter.reset()`.
    """

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, clip_norm: float | None = None, metrics: Sequence[Metric] = ()
    ) -> None:
        if not isinstance(model, Module):
            raise DTypeError(f"model must be a module, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(f"optimizer must be an optimiser of the model's parameters, got {type(optimizer).__name__}")
        clip_norm = None if clip_norm is None else number("clip_norm", clip_norm, above=0)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.meter = Meter(metrics)
        self.dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._arena: Bytes | None = None
        self._stream = np.array([generator().integers(1 << 62), 0], np.uint64)
        self._last: Plan | None = None
        self._epoch: Epoch | None = None
        self._settings = Settings(model, *([loss] if isinstance(loss, Module) else []))

    @property
    def program(self) -> Plan:
        """The plan of the last batch; printed, it is a table of its instructions."""
        if self._last is None:
            raise ArgumentError("there is no program yet: it is recorded when the step is first called")
        return self._last

    @property
    def output(self) -> Array:
        """What the model gave for the last batch, before the update; valid until the next call."""
        if self._last is None:
            raise ArgumentError("there is no output yet: call the step first")
        return self._last.outputs[1]

    def __call__(self, x: Any, y: Any) -> float:
        """Train on one batch.

        Parameters
        ----------
        x, y
            Inputs and targets; floats are converted to the model's dtype, and inputs that are bytes (uint8) mean x / 255. A tuple of
            inputs is given to the model as several arguments, a tuple of targets to the loss as a tuple.

        Raises
        ------
        ShapeError, DTypeError, LabelError
            If they do not fit the model or the loss; nothing has changed then.
        """
        xs, ys = self._parts(x, "input"), self._parts(y, "target")
        values = xs + ys
        self.optimizer.sync()
        plan = self._plan(self._kinds(xs, ys), len(xs), isinstance(y, tuple))
        plan.check(values)
        for place, value in zip(plan.inputs, values, strict=True):
            feed(place, value)
        if get_backend() == "numba":
            plan.program.run()  # one call into compiled code, which Ctrl-C does not cut short
        else:
            with interrupts_deferred():
                plan.program.run()
        return float(plan.outputs[0].item())

    def prepare(self, x: Any, y: Any) -> None:
        """Record the step for batches like this one without running it. Raises what calling it would raise."""
        xs, ys = self._parts(x, "input"), self._parts(y, "target")
        self.optimizer.sync()
        self._plan(self._kinds(xs, ys), len(xs), isinstance(y, tuple)).check(xs + ys)

    def profile(self, x: Any, y: Any) -> Profile:
        """Train on one batch, then time each instruction of that step; the times change nothing else."""
        self(x, y)
        return profile(self.program)

    def run_epoch(
        self,
        x: Any,
        y: Any,
        batch_size: int,
        rng: np.random.Generator | None = None,
        outputs: Array | None = None,
        report: Report | None = None,
        scheduler: Any = None,
    ) -> Array:
        """Train once on all examples, in compiled code, and return the loss of each batch.

        Parameters
        ----------
        x, y
            All inputs and targets, as for a single step; row i of both belong together. Memory maps are read as the steps need
            them. Those of float32, float64, int64, uint8 and bool are read by compiled code; what is of another dtype, or does not lie
            row by row, is converted a few MiB at a time.
        batch_size
            Examples in a step; the last step takes what is left.
        rng
            Draws the order of the examples; None keeps it.
        outputs
            Row i receives the model's output for example i, as it was when its batch was trained on.
        report
            Called at the end and before that at most every 100 ms.
        scheduler
            Its `step()` is called after each step; that of a `Schedule`, which follows from the number of steps alone, some time before.

        Ctrl-C takes effect between two steps, within 100 ms or a step; model, optimiser and schedule agree on how many there were.

        Raises
        ------
        ShapeError, DTypeError, LabelError, ArgumentError
            If the data do not fit each other, the model or the loss, or another argument is not as above. All rows are looked at before
            the first step, and nothing has changed then.
        """
        batch_size = whole_number("batch_size", batch_size, 1)
        if rng is not None:
            instance("rng", rng, np.random.Generator, "a NumPy generator")
        if report is not None:
            function("report", report)
        if scheduler is not None:
            check_schedule(scheduler)
        xs, ys = self._parts(x, "input"), self._parts(y, "target")
        values = xs + ys
        lengths = {len(v) for v in values}
        if len(lengths) != 1:
            raise ShapeError(f"inputs and targets must have the same length, got {' and '.join(str(len(v)) for v in values)}")
        total = lengths.pop()
        whole, rest = divmod(total, batch_size)
        rows = [(shape[1:], dtype) for shape, dtype in self._kinds(xs, ys)]
        self.optimizer.sync()
        plans = []
        for size, steps in ((batch_size, whole), (rest, int(rest > 0))):
            if steps:
                key = tuple([((size, *shape), dtype) for shape, dtype in rows])
                plans.append((self._plan(key, len(xs), isinstance(y, tuple)), steps))
                plans[-1][0].check(values)
                if outputs is not None:
                    _check_outputs(outputs, total, plans[-1][0].outputs[1])
        epoch, ahead = self._epoch, isinstance(scheduler, Schedule)
        if epoch is None or not epoch.fits(plans, values, outputs, ahead):
            epoch = self._epoch = Epoch(plans, values, outputs, Ahead(self.optimizer) if ahead else None)
        epoch.order[:] = np.arange(total) if rng is None else rng.permutation(total)
        epoch.cursor[:] = 0
        self.meter.reset()
        replay(epoch, self.optimizer, report, scheduler)
        return epoch.losses.copy()

    def _parts(self, data: Any, name: str) -> tuple[Array, ...]:
        return tuple([self._values(part, name) for part in (data if isinstance(data, tuple) else (data,))])

    def _values(self, data: Any, name: str) -> Array:
        array = data.data if isinstance(data, Tensor) else as_array(data, name)
        if array.dtype not in DTYPES:  # others are converted where they are read, or refused now
            to_array(array[:0] if array.ndim else array, self.dtype if array.dtype.kind == "f" else None, name)
        return np.atleast_1d(array)

    def _kinds(self, xs: tuple[Array, ...], ys: tuple[Array, ...]) -> tuple[Kind, ...]:
        """The shapes and dtypes in which the program gets these inputs and targets."""
        targets = [(y.shape, tensor_dtype(y.dtype, self.dtype)) for y in ys]
        return tuple([(x.shape, fed_dtype(x, self.dtype)) for x in xs] + targets)

    def _plan(self, kinds: tuple[Kind, ...], inputs: int, several_targets: bool) -> Plan:
        """The plan for a batch of these shapes and dtypes; the first `inputs` go to the model with its present settings."""
        for i, (shape, _) in enumerate(kinds):
            if shape[:1] == (0,):
                raise ShapeError(f"{'input' if i < inputs else 'target'} must hold at least one example, got shape {shape}")
        key = (kinds, inputs, several_targets, self._settings.number, self.optimizer.serial)
        plan = self._plans.get(key)
        if plan is None:
            with self._settings.forward_runs():
                found = recorded(self.model, lambda: self._record(kinds, inputs, several_targets))
            plan = Plan(found, self._arena)
            key = (kinds, inputs, several_targets, self._settings.number, self.optimizer.serial)  # recording may have changed the last two
            kept = list(self._plans.items())[-MOST_PLANS:]
            if plan.arena is not self._arena:  # it has grown; what lies in the old one is recorded anew when its turn comes
                self._arena, kept = plan.arena, []
            self._plans = {**{k: p for k, p in kept if k[-1] == key[-1]}, key: plan}
        self._last = plan
        return plan

    def _record(self, kinds: tuple[Kind, ...], inputs: int, several_targets: bool) -> Recording:
        sites = 0

        def next_stream() -> tuple[Array, int]:
            nonlocal sites
            sites += 1
            return self._stream, sites

        parameters = list(self.model.parameters())
        state = [p.data for p in parameters] + [np.asarray(b) for b in self.model.buffers()] + self.optimizer.arrays() + [self._stream]
        before = [p.grad for p in parameters]
        try:
            with recording(state) as found, streams_from(next_stream):
                batch: list[Tensor] = [found.tensor(np.empty(shape, dtype)) for shape, dtype in kinds]
                found.inputs = [t.data for t in batch]
                self.optimizer.zero_grad()
                output = self.model(*batch[:inputs])
                outputs = outputs_of(output)
                loss = self.loss(output, tuple(batch[inputs:]) if several_targets else batch[inputs])
                for target in batch[inputs:]:
                    if target.dtype in FLOATS and not any(root(a) is target.data for a, _ in found.guards):
                        check_target(target, NUMBERS)  # the loss does not look at it itself
                if self.meter.metrics:
                    self.meter.add(*_measured(output, batch[inputs:]))
                    found.state += self.meter.arrays
                instance("loss", loss, Tensor, "a function that returns a tensor").backward()
                if self.clip_norm is not None:
                    clip_grad_norm_(parameters, self.clip_norm)
                self.optimizer.update()
                found.outputs = [loss.data, *outputs]
                if sites:
                    found.append("advance_stream", self._stream)
        finally:
            for p, grad in zip(parameters, before, strict=True):
                p.grad = grad
        return found


def _measured(output: Any, targets: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """What metrics compare."""
    if not isinstance(output, Tensor) or len(targets) != 1:
        raise DTypeError("metrics need a model of one output, and one target")
    return output, targets[0]


def _check_outputs(outputs: Any, rows: int, output: Array) -> None:
    """Raise a typed error unless a row for each example, like those of the model's output, can be written."""
    instance("outputs", outputs, np.ndarray, "an array")
    wanted = (rows, *output.shape[1:])
    if outputs.shape != wanted or not outputs.flags.c_contiguous or not outputs.flags.writeable:
        raise ShapeError(f"outputs must be contiguous, writeable and of shape {wanted}, got shape {outputs.shape}")
    if outputs.dtype != output.dtype:
        raise DTypeError(f"outputs must be {output.dtype} like the model's output, got {outputs.dtype}")


def compile_training(
    model: Module,
    loss: str | Loss,
    optimizer: Optimizer,
    clip_norm: float | None = None,
    metrics: Sequence[str | Metric] = (),
) -> TrainingStep:
    """A training step of `model` that runs without Python in between.

    Parameters
    ----------
    model
        Any module made of this library's operations; a tuple x is its several inputs, and `loss` gets what it returns, a tensor or several.
        Control flow on values cannot be recorded.
    loss
        A name in `fastnn.losses.LOSSES`, or a function of (output, target) that returns a tensor with one element.
    optimizer
        An optimiser of the model's parameters.
    clip_norm
        The largest norm that the gradient of all parameters together may have; None for any.
    metrics
        Names in `fastnn.metrics.METRICS`, of what is counted of the outputs of each step; `step.meter.values()` gives them.

    Raises
    ------
    UnknownNameError
        If there is no loss or metric of that name.
    DTypeError
        If `model` is no module, `optimizer` no optimiser, or `clip_norm` no number.
    ArgumentError
        If `clip_norm` is not positive, or a metric needs all predictions at once.
    """
    named = [metrics] if isinstance(metrics, str) else iterable("metrics", metrics, "a sequence of names")
    found = [get_metric(metric) for metric in named]
    for metric in found:
        if not metric.kernel:
            raise ArgumentError(f"metrics must be names of metrics that add up batch by batch, got the function {metric.name}")
    return TrainingStep(model, get_loss(loss), optimizer, clip_norm, found)
