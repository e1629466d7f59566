"""What a training run was like, epoch by epoch."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .._arguments import choice, instance
from ..errors import MissingDependencyError, StateError, UnknownNameError
from ..files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class History(Mapping[str, list[float]]):
    """Lists of numbers, one for each epoch: `history["val_loss"]`, or `history.val_loss`.

    What lists there are is the trainer's choice: `loss`, the metrics asked for, the same with `val_` in front for validation data, and
    `lr`, `seconds`, `samples_per_second`.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {}

    def append(self, epoch: Mapping[str, float]) -> None:
        """Add the numbers of one more epoch. Raises StateError unless they have the names of the epochs before, DTypeError for others."""
        instance("epoch", epoch, Mapping, "a mapping from names to numbers")
        if self._columns and set(epoch) != set(self._columns):
            raise StateError(f"an epoch of this history has {', '.join(self._columns)}; got {', '.join(epoch)}")
        for name, value in epoch.items():
            self._columns.setdefault(name, []).append(float(value))

    @property
    def epochs(self) -> int:
        """How many epochs were completed."""
        return len(next(iter(self._columns.values()), ()))

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[choice("column of the history", name, self._columns)]

    def __getattr__(self, name: str) -> list[float]:
        try:
            return self[name] if not name.startswith("_") else self.__dict__[name]
        except (UnknownNameError, KeyError) as error:
            raise AttributeError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.items())
        return f"History({self.epochs} epochs{'; last: ' + last if last else ''})"

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with one row for each epoch, counted from 1."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["epoch", *self])
        table.writerows([i, *row] for i, row in enumerate(zip(*self.values(), strict=True), 1))
        write_atomically(path, text.getvalue().encode())

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the lists as one JSON object."""
        write_atomically(path, json.dumps(self._columns, indent=1).encode())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """The learning curves as a figure: the loss and each metric, training and validation together.

        Parameters
        ----------
        path
            Where to write it; the ending (png, svg, pdf) chooses the format.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        StateError
            If no epoch was completed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingDependencyError("plot() needs matplotlib, which is not installed: pip install 'fastnn-cpu[plot]'") from error
        if not self.epochs:
            raise StateError("plot(): this history has no completed epoch")
        names = [name for name in self if name not in ("lr", "seconds", "samples_per_second") and not name.startswith("val_")]
        figure = Figure(figsize=(4.5 * len(names), 3.5), layout="constrained")
        epochs = range(1, self.epochs + 1)
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for column, label in ((name, "training"), (f"val_{name}", "validation")):
                if column in self:
                    axes.plot(epochs, self[column], marker=".", label=label)
            axes.set(xlabel="epoch", ylabel=name)
            axes.grid(alpha=0.3)
            axes.legend()
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure
