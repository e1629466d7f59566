"""A live line for people who watch: epoch, loss, metrics, samples a second and the time that is left."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ..kernels import _notice

T = TypeVar("T")


class Progress:
    """Silence: what a trainer reports to when nobody watches."""

    def start_epoch(self, epoch: int) -> None:
        """Epoch number `epoch`, counted from 1, begins."""

    def advance(self, examples: int, loss: float) -> None:
        """That many more examples were trained on, with this mean loss."""

    def end_epoch(self, record: Mapping[str, float]) -> None:
        """The epoch's numbers are known."""


class TerminalProgress(Progress):
    """One line on the terminal, redrawn ten times a second by `rich`."""

    def __init__(self, epochs: int, examples: int) -> None:
        from rich import progress
        from rich.console import Console

        self._epochs = epochs
        self._result = ""
        self._note = ""
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[loss]}{task.fields[result]}{task.fields[note]}"),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            speed_estimate_period=5,
        )
        self._task = self._bar.add_task("", total=epochs * examples, loss="", result="", note="", speed="")

    def start_epoch(self, epoch: int) -> None:
        self._bar.update(self._task, description=f"epoch {epoch}/{self._epochs}")

    def advance(self, examples: int, loss: float) -> None:
        self._bar.update(self._task, advance=examples, loss=f"loss {loss:.4f}", note="")
        if speed := self._bar.tasks[0].speed:
            self._bar.update(self._task, speed=f"{speed:,.0f} samples/s")

    def end_epoch(self, record: Mapping[str, float]) -> None:
        shown = [n for n in record if n not in ("loss", "lr", "seconds", "samples_per_second")]
        shown = [n for n in shown if f"val_{n}" not in shown]
        self._bar.update(self._task, result="".join(f" {name} {record[name]:.4f}" for name in shown))

    def note(self, text: str) -> None:
        """Show that kernels are being compiled."""
        self._bar.update(self._task, note=f" {text}")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw in the body of a `with` statement."""
        with self._bar, _notice.shown_by(self.note):
            yield


@contextmanager
def progress(show: bool | None, epochs: int, examples: int) -> Iterator[Progress]:
    """What to report to: a live line if `show`, or, where that is None, if stderr is a terminal; else silence."""
    if show is None:
        show = sys.stderr is not None and sys.stderr.isatty()
    if not show:
        yield Progress()
        return
    terminal = TerminalProgress(epochs, examples)
    with terminal.shown():
        yield terminal


def counted(items: Sequence[T], title: str) -> Iterator[T]:
    """Each of `items` in turn, counted on a live line if stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, title, console=Console(stderr=True))
