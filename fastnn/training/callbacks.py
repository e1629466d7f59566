"""What may happen between epochs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._arguments import number, whole
from ..errors import unknown_name

if TYPE_CHECKING:
    from .trainer import Trainer


class Callback:
    """Base of what a trainer calls while it trains; each method does nothing unless a subclass defines it."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first epoch; what is raised here leaves everything as it was."""

    def on_epoch_end(self, trainer: Trainer, epoch: Mapping[str, float]) -> None:
        """After each epoch, whose numbers are the last of `trainer.history`. Setting `trainer.stop_training` makes it the last one."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch; not after an interruption."""


class EarlyStopping(Callback):
    """Stop when a number has not become better for a while.

    Parameters
    ----------
    patience
        How many epochs may pass without a better value.
    monitor
        Which column of the history is watched: a loss (smaller is better) or a metric, with `val_` in front for validation data. The
        validation loss by default.
    min_delta
        How much better counts as better.
    restore_best
        Whether the model gets back the parameters and buffers that it had after its best epoch. The optimiser keeps its state.

    Attributes
    ----------
    best, best_epoch
        The best value, and the epoch it came after, counted from 1.

    Raises
    ------
    DTypeError, ArgumentError
        If `patience` is no whole number of at least 1, or `min_delta` no number of at least 0.
    UnknownNameError
        When training starts, if nothing called `monitor` is measured.
    """

    def __init__(self, patience: int = 10, monitor: str = "val_loss", min_delta: float = 0.0, restore_best: bool = True) -> None:
        self.patience = whole("EarlyStopping: patience", patience, 1)
        self.monitor = monitor
        self.min_delta = number("EarlyStopping: min_delta", min_delta, 0)
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_epoch = 0
        self._best_state: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer) -> None:
        if self.monitor not in trainer.measured:
            raise unknown_name("number to monitor", self.monitor, trainer.measured)
        self.best, self.best_epoch, self._best_state = None, 0, {}
        name = self.monitor.removeprefix("val_")
        watched = [m for m in trainer.metrics if m.name == name]
        self._sign = 1.0 if watched and watched[0].higher_is_better else -1.0

    def on_epoch_end(self, trainer: Trainer, epoch: Mapping[str, float]) -> None:
        value, count = epoch[self.monitor], trainer.history.epochs
        if self.best is None or self._sign * (value - self.best) > self.min_delta or self.best != self.best:
            self.best, self.best_epoch = value, count
            if self.restore_best:
                self._best_state = copy.deepcopy(trainer.model.state_dict())
        elif count - self.best_epoch >= self.patience:
            trainer.stop_training = True

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._best_state:
            trainer.model.load_state_dict(self._best_state)
            self._best_state = {}
