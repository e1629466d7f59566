"""Where a trainer's examples come from: arrays in memory (or memory-mapped), or a data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..compile.feeding import as_target
from ..compile.interrupt import interrupts_deferred
from ..compile.memory import counterpart
from ..data import DataLoader
from ..data.dataset import check_lengths
from ..data.loader import batches, check_batch_size
from ..errors import ArgumentError, DTypeError, LabelError
from ..optim.schedules import Schedule
from ..tensor import Array, as_array
from .step import Report, Step

Guard = tuple[Array, Callable[[Array], None]]  # values, and what raises if they are wrong
CHECKED_ROWS = 4096  # rows looked at together when values are checked


class ArrayFeed:
    """Rows of two arrays.

    Raises
    ------
    ShapeError, DTypeError
        If the arrays are of different lengths, or hold no numbers.
    ArgumentError, LabelError
        If there are no examples, or inputs or targets hold NaN or infinity.
    """

    def __init__(self, x: Any, y: Any, batch_size: int, dtype: np.dtype[Any]) -> None:
        self.x, self.y = _numbers(x, "x"), _numbers(y, "y")  # which are converted where they are read
        self.dtype = dtype
        check_lengths(self.x, self.y)
        if not len(self.x):
            raise ArgumentError("there must be at least one example, got none")
        _check_finite(self.x, "x", ArgumentError, dtype)
        _check_finite(self.y, "y", LabelError, dtype)
        self.batch_size = check_batch_size(batch_size)
        self._outputs: Array | None = None  # the same memory in every epoch, for which steps are made ready once

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        for rows in batches(len(self), self.batch_size):
            part = slice(rows[0], rows[-1] + 1)
            yield self.x[part], as_target(self.y[part], self.dtype)

    @property
    def batch_sizes(self) -> list[int]:
        """The sizes of an epoch's batches, each once."""
        return _batch_sizes(len(self), self.batch_size)

    def first(self, count: int) -> tuple[Array, Array]:
        """The first `count` examples, or all if they are fewer."""
        return self.x[:count], as_target(self.y[:count], self.dtype)

    def check(self, y: Array, guards: list[Guard]) -> None:
        """Look at all targets as `guards` look at `y`, some of them."""
        for array, check in guards:
            part = counterpart(array, y)
            if part is not None:
                check(part(self.y))

    def train(
        self, step: Step, rng: np.random.Generator, keep: Array | None, report: Report, scheduler: Schedule | None
    ) -> tuple[Array, Array] | None:
        """Train on every example once, in an order drawn from `rng`.

        Returns all outputs and targets if `keep`, a few outputs, shows what they are like.
        """
        if keep is not None and self._outputs is None:
            self._outputs = np.empty((len(self), *keep.shape[1:]), keep.dtype)
        outputs = None if keep is None else self._outputs
        step.run_epoch(self.x, self.y, self.batch_size, rng, outputs, report, scheduler)
        return None if outputs is None else (outputs, as_target(self.y, self.dtype))


class LoaderFeed:
    """The batches of a data loader, which give pairs of inputs and targets.

    A batch is looked at when it comes. One that does not fit is refused before its step changes anything; those before it were trained on.
    """

    def __init__(self, loader: DataLoader, dtype: np.dtype[Any]) -> None:
        if not len(loader):
            raise ArgumentError("the data loader must give at least one batch, got none")
        self.loader = loader
        self.dtype = dtype
        self.batch_size = loader.batch_size

    def __len__(self) -> int:
        return len(self.loader.dataset)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        for parts in self.loader:
            yield self._pair(parts)

    @property
    def batch_sizes(self) -> list[int]:
        """The sizes of an epoch's batches, each once."""
        return _batch_sizes(len(self), self.batch_size, self.loader.drop_last)

    def first(self, count: int) -> tuple[Array, Array]:
        """The first `count` examples, or all if they are fewer."""
        return self._pair(self.loader.dataset.batch(np.arange(min(count, len(self)))))

    def check(self, y: Array, guards: list[Guard]) -> None:
        """Nothing: a batch is looked at when it comes, before its step changes anything."""

    def train(
        self, step: Step, rng: np.random.Generator, keep: Array | None, report: Report, scheduler: Schedule | None
    ) -> tuple[Array, Array] | None:
        """As for arrays, but the loader itself draws the order."""
        kept = []
        with interrupts_deferred() as deliver_interrupt:
            for x, y in self:
                loss = step(x, y)
                try:
                    report(len(x), loss)
                finally:  # the schedule agrees with the model even if the report raises
                    if scheduler is not None:
                        scheduler.step()
                if keep is not None:
                    kept.append((step.output.copy(), y))
                deliver_interrupt()
        return None if keep is None else (np.concatenate([o for o, _ in kept]), np.concatenate([y for _, y in kept]))

    def _pair(self, parts: tuple[Array, ...]) -> tuple[Array, Array]:
        if len(parts) != 2:
            raise ArgumentError(f"the data loader must give pairs of inputs and targets, got {len(parts)} parts")
        x, y = _numbers(parts[0], "x of a batch"), as_target(_numbers(parts[1], "y of a batch"), self.dtype)
        check_lengths(x, y)
        _check_finite(x, "x of a batch", ArgumentError, self.dtype)
        _check_finite(y, "y of a batch", LabelError, self.dtype)
        return x, y


Feed = ArrayFeed | LoaderFeed


def feed(x: Any, y: Any, batch_size: int, dtype: np.dtype[Any]) -> Feed:
    """What to train on or evaluate, from what a user gave: two arrays, or a data loader as `x` alone."""
    if isinstance(x, DataLoader):
        if y is not None:
            raise ArgumentError("y must be left out with a data loader, which gives inputs and targets itself")
        return LoaderFeed(x, dtype)
    if y is None:
        raise ArgumentError("y must be given with an array x; only a data loader brings its own targets; got None")
    return ArrayFeed(x, y, batch_size, dtype)


def _batch_sizes(examples: int, batch_size: int, drop_last: bool = False) -> list[int]:
    whole, rest = divmod(examples, batch_size)
    return [batch_size] * (whole > 0) + [rest] * (rest > 0 and not drop_last)


def _numbers(values: Any, name: str) -> Array:
    """An array of numbers of whatever dtype."""
    array = as_array(values.data if hasattr(values, "backward") else values, name)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{name} must be numbers, got an array of dtype {array.dtype}")
    return array


def _check_finite(values: Array, name: str, error: type[Exception], dtype: np.dtype[Any]) -> None:
    """Raise `error` unless floats are finite, in the dtype in which they are computed with as well."""
    if values.dtype.kind != "f":
        return
    for start in range(0, len(values), CHECKED_ROWS):
        finite = np.isfinite(values[start : start + CHECKED_ROWS].astype(dtype, copy=False))
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            position = (where[0] + start, *where[1:])
            raise error(f"{name} must be finite, got {values[position]} at {name}[{', '.join(map(str, position))}]")
