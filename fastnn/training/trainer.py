"""The training loop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import losses, optim
from .. import metrics as metric_table
from .._arguments import instance, iterable, number, whole
from ..compile import InferenceModel, TrainingStep
from ..compile.feeding import as_fed
from ..data import DataLoader
from ..errors import ArgumentError, DTypeError, StateError
from ..metrics import Meter
from ..nn import Module
from ..optim.schedules import ReduceLROnPlateau, Schedule, check_schedule
from ..tensor import Array, Tensor, guards_noted, no_grad
from .callbacks import Callback, EarlyStopping
from .feed import Feed, feed
from .history import History
from .progress import Progress, progress
from .step import EagerStep

EVALUATION_BATCH = 1024  # examples in a forward pass without gradients


class Trainer:
    """Trains a model on arrays or on a data loader.

    Parameters
    ----------
    model
        Any module with one input and one output.
    loss
        A name in `losses.LOSSES`, or a function of (model output, target).
    optimizer
        An optimiser of the model's parameters, or the name of one, which then has its default settings.
    metrics
        Names in `metrics.METRICS`, which are counted batch by batch, or functions of (predictions, targets) as arrays, which are given
        all of an epoch's.
    seed
        Determines the order of the examples in each epoch.
    scheduler
        Changes the optimiser's learning rate: after each step if it is `per_batch`, as OneCycleLR is, else after each
        epoch; ReduceLROnPlateau sees the validation loss if there is one.
    clip_norm
        The largest norm that the gradient of all parameters together may have.
    callbacks
        What is called between epochs.
    show_progress
        Whether a live line is shown; None: if stderr is a terminal.
    compiled
        Whether steps and evaluations are recorded once and replayed as programs. A model whose course depends on values cannot be
        recorded: it is trained eagerly, and a warning says so.

    Attributes
    ----------
    history
        The numbers of each epoch of the last `fit`.
    measured
        The names of the losses and metrics in each epoch of that history.
    stop_training
        Set to True by a callback, it ends `fit` after the current epoch.

    Raises
    ------
    UnknownNameError
        If a loss, optimiser or metric has no such name.
    DTypeError, ArgumentError
        If `clip_norm` is not positive, `seed` is negative, or an argument is of another type.
    """

    def __init__(
        self,
        model: Module,
        loss: str | losses.Loss = "cross_entropy",
        optimizer: optim.Optimizer | str = "adam",
        metrics: Sequence[str | metric_table.Metric | metric_table.Function] = (),
        seed: int = 0,
        scheduler: Schedule | ReduceLROnPlateau | None = None,
        clip_norm: float | None = None,
        callbacks: Iterable[Callback] = (),
        show_progress: bool | None = None,
        compiled: bool = True,
    ) -> None:
        clip_norm = None if clip_norm is None else number("clip_norm", clip_norm, above=0)
        seed = whole("seed", seed, 0)
        if scheduler is not None:
            check_schedule(scheduler)
        self.model = instance("model", model, Module, "a module")
        self.loss = losses.get(loss)
        several = [metrics] if isinstance(metrics, str) else iterable("metrics", metrics, "a sequence of names and functions")
        self.metrics = [metric_table.get(metric) for metric in several]
        self.optimizer = optim.get(optimizer)(model.parameters()) if isinstance(optimizer, str) else optimizer
        if not isinstance(self.optimizer, optim.Optimizer):
            raise DTypeError(f"optimizer must be an optimiser or the name of one, got {type(self.optimizer).__name__}")
        self.scheduler = scheduler
        self.clip_norm = clip_norm
        self.callbacks = [instance("callbacks", c, Callback, "callbacks") for c in iterable("callbacks", callbacks, "callbacks")]
        self.show_progress = show_progress
        self.seed = seed
        self.history = History()
        self.measured: list[str] = []
        self.stop_training = False
        self._rng = np.random.default_rng(seed)
        self._fit_settings: dict[str, Any] = {}
        self.compiled = compiled
        step = TrainingStep if compiled else EagerStep
        self._counted = [metric for metric in self.metrics if metric.kernel]
        self._step: TrainingStep | EagerStep = step(model, self.loss, self.optimizer, clip_norm, self._counted)
        self._forward = InferenceModel(model, live=True)

    def fit(
        self,
        x: Any,
        y: Any = None,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: tuple[Any, Any] | DataLoader | None = None,
        early_stopping: EarlyStopping | int | None = None,
    ) -> History:
        """Train for some epochs and return their numbers.

        Parameters
        ----------
        x, y
            Inputs and targets, one row for each example; floats are converted to the dtype of the model, and inputs that are bytes (uint8)
            mean x / 255. Or, as `x` alone, a data loader that gives pairs of them.
        epochs
            How often to go through all examples.
        batch_size
            Examples in a step, the last of an epoch may have fewer; a data loader has its own.
        validation_data
            Held-out inputs and targets, or a data loader, evaluated after each epoch.
        early_stopping
            How many epochs may pass without a better validation loss before training stops and the model goes back to its best; or an
            `EarlyStopping` that says it in more detail.

        The history has the mean `loss` over each epoch's steps and the metrics of the outputs in these steps; the same with `val_` in
        front for the validation data; the learning rate `lr` of the epoch's last step, `seconds`, and `samples_per_second` of training.

        Ctrl-C takes effect between two steps: the model and the optimiser are whole then, and `history` has the completed epochs.

        Raises
        ------
        ShapeError, DTypeError, ArgumentError, LabelError
            If the data do not fit each other, the model or the loss, or are not numbers; nothing has changed then. All rows of arrays are
            looked at before training starts. The batches of a data loader are looked at as they come: a wrong one is refused before its
            step changes anything, when those before it have been trained on.
        """
        epochs = whole("epochs", epochs, 0)
        stopping = [] if early_stopping is None else [_stopping(early_stopping)]
        data = self._feed(x, y, batch_size)
        example = self._try(data)
        keep = example if len(self._counted) < len(self.metrics) else None
        held_out = None if validation_data is None else self._feed(*_pair(validation_data), EVALUATION_BATCH)
        if held_out is not None:
            self._try(held_out)
        self._prepare(data)
        callbacks = [*self.callbacks, *stopping]
        measured = ["loss", *(m.name for m in self.metrics)]
        self.measured = measured if held_out is None else [*measured, *(f"val_{name}" for name in measured)]
        for callback in callbacks:
            callback.on_fit_start(self)
        self._fit_settings = {"epochs": epochs, "batch_size": data.batch_size}
        self.history, self.stop_training = History(), False
        with _mode(self.model, training=True), progress(self.show_progress, epochs, len(data)) as live:
            for epoch in range(1, epochs + 1):
                live.start_epoch(epoch)
                record = self._epoch(data, held_out, keep, live)
                self.history.append(record)
                live.end_epoch(record)
                for callback in callbacks:
                    callback.on_epoch_end(self, record)
                if self.stop_training:
                    break
        for callback in callbacks:
            callback.on_fit_end(self)
        return self.history

    def evaluate(self, x: Any, y: Any = None, batch_size: int = EVALUATION_BATCH) -> dict[str, float]:
        """The mean loss and the metrics on inputs and targets, or on a data loader, with the model in evaluation mode.

        Raises the errors of `fit`.
        """
        return self._evaluate(self._feed(x, y, batch_size))

    def predict(self, x: Any, batch_size: int = EVALUATION_BATCH) -> Array:
        """The model's outputs for inputs x, with the model in evaluation mode: scores of a classifier, values of a regression.

        Raises ShapeError, DTypeError or ArgumentError if x is no array that fits the model, or not finite.
        """
        if not hasattr(x, "__len__") or isinstance(x, type):
            raise DTypeError(f"x must be an array of inputs, got {type(x).__name__}")
        data = self._feed(x, np.zeros(len(x)), batch_size)
        return np.concatenate([self._output(part) for part, _ in data])

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What was set by people and is not trained: how the model, the optimiser and the loop were chosen."""
        settings = {k: v for k, v in self.optimizer.param_groups[0].items() if k != "params"}
        return {
            "model": repr(self.model),
            "loss": getattr(self.loss, "__name__", repr(self.loss)),
            "optimizer": type(self.optimizer).__name__,
            **settings,
            "scheduler": None if self.scheduler is None else type(self.scheduler).__name__,
            "clip_norm": self.clip_norm,
            "metrics": [m.name for m in self.metrics],
            "seed": self.seed,
            **self._fit_settings,
        }

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """What is trained and depends on the data: the shape of each of the model's parameters, by name."""
        return {name: p.shape for name, p in self.model.named_parameters() if p.requires_grad}

    def report(self) -> str:
        """Both lists as text: hyperparameters, which were set, and parameters, which are trained."""
        count = sum(int(np.prod(shape)) for shape in self.parameters.values())
        lines = ["hyperparameters, set before training"]
        lines += [f"  {name}: {value}".replace("\n", "\n    ") for name, value in self.hyperparameters.items()]
        lines += [f"parameters, trained: {count:,}"]
        lines += [f"  {name}: {' x '.join(map(str, shape)) or 'one number'}" for name, shape in self.parameters.items()]
        return "\n".join(lines)

    def _feed(self, x: Any, y: Any, batch_size: int) -> Feed:
        return feed(x, y, batch_size, next((p.dtype for p in self.model.parameters()), np.dtype(np.float32)))

    def _try(self, data: Feed) -> Array:
        """The model's outputs for two examples, without learning from them: what does not fit is found before anything changes."""
        x, y = data.first(2)
        with _mode(self.model, training=False), no_grad():
            output: Tensor = self.model(as_fed(x, self._forward.dtype))
            with guards_noted() as guards:
                self.loss(output, y)
        data.check(y, guards)
        for metric in self.metrics:
            metric.function(output.numpy(), y)
        return output.numpy()

    def _prepare(self, data: Feed) -> None:
        """Record the step for each size of batch, which finds what does not fit; if it cannot be done, go on eagerly and say why."""
        if isinstance(self._step, TrainingStep):
            try:
                with _mode(self.model, training=True):
                    for size in data.batch_sizes:
                        self._step.prepare(*data.first(size))
            except StateError as reason:
                warnings.warn(f"training runs eagerly, which is slower: {reason}", stacklevel=3)
                self.compiled = False
                self._step = EagerStep(self.model, self.loss, self.optimizer, self.clip_norm, self._counted)

    def _output(self, x: Array) -> Array:
        """What the model gives for x in evaluation mode."""
        if self.compiled:
            try:
                output: Array = self._forward(x)
                return output
            except StateError as reason:  # it looks at values in evaluation mode only
                warnings.warn(f"evaluation runs eagerly, which is slower: {reason}", stacklevel=5)
                self.compiled = False
        with _mode(self.model, training=False), no_grad():
            return np.asarray(self.model(as_fed(x, self._forward.dtype)).numpy())

    def _epoch(self, data: Feed, held_out: Feed | None, keep: Array | None, live: Progress) -> dict[str, float]:
        """Train once on all data, evaluate, and return the numbers of both."""
        mean, lr = _Mean(), self.optimizer.param_groups[0]["lr"]

        def report(examples: int, loss: float) -> None:
            nonlocal lr
            lr = self.optimizer.param_groups[0]["lr"]
            mean.add(examples, loss)
            live.advance(examples, loss)

        self._step.meter.reset()
        start = time.perf_counter()
        by_step = self.scheduler if isinstance(self.scheduler, Schedule) and self.scheduler.per_batch else None
        results = data.train(self._step, self._rng, keep, report, by_step)
        seconds = time.perf_counter() - start
        record = {"loss": mean.value, **self._measure(self._step.meter, results)}
        if held_out is not None:
            record |= {f"val_{name}": value for name, value in self._evaluate(held_out).items()}
        record |= {"lr": lr, "seconds": seconds, "samples_per_second": mean.examples / seconds}
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(record.get("val_loss", record["loss"]))
        elif self.scheduler is not None and by_step is None:
            self.scheduler.step()
        return record

    def _evaluate(self, data: Feed) -> dict[str, float]:
        kept: list[tuple[Array, Array]] = []
        meter, mean = Meter(self._counted), _Mean()
        for x, y in data:
            output = self._output(x)
            with no_grad():
                mean.add(len(x), self.loss(Tensor(output), y).item())
            meter.add(Tensor(output), Tensor(y))
            if len(self._counted) < len(self.metrics):
                kept.append((output, y))
        results = (np.concatenate([o for o, _ in kept]), np.concatenate([y for _, y in kept])) if kept else None
        return {"loss": mean.value, **self._measure(meter, results)}

    def _measure(self, meter: Meter, results: tuple[Array, Array] | None) -> dict[str, float]:
        """All metrics in their order: those that are counted, and functions of all outputs and targets."""
        values = meter.values()
        if results is not None:
            values |= {m.name: float(m.function(*results)) for m in self.metrics if not m.kernel}
        return {m.name: values[m.name] for m in self.metrics}


class _Mean:
    """A mean of losses, each of which is itself the mean of some examples."""

    def __init__(self) -> None:
        self.examples = 0
        self.total = 0.0

    def add(self, examples: int, loss: float) -> None:
        self.examples += examples
        self.total += examples * loss

    @property
    def value(self) -> float:
        return self.total / self.examples


def _stopping(given: EarlyStopping | int) -> EarlyStopping:
    if isinstance(given, EarlyStopping):
        return given
    return EarlyStopping(whole("early_stopping", given, 1))


def _pair(data: Any) -> tuple[Any, Any]:
    if isinstance(data, DataLoader):
        return data, None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ArgumentError(f"validation_data must be a pair (x, y) or a data loader, got {type(data).__name__}")
    return data[0], data[1]


@contextmanager
def _mode(model: Module, training: bool) -> Iterator[None]:
    """Put the whole model into training or evaluation mode; afterwards each module is in its own mode again."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode
