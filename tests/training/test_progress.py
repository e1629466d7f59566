import io
import sys

import numpy as np
from fastnn.kernels import _notice

import fastnn
from fastnn import nn
from fastnn.training import Trainer
from fastnn.training.progress import Progress, TerminalProgress, counted, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Make stderr a terminal. No fixture: pytest exchanges stderr after its fixtures are set up."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def fit(**options):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    with fastnn.use_backend("numpy"):
        Trainer(nn.Linear(4, 3), metrics=["accuracy"], **options).fit(x, y, epochs=3, batch_size=20, validation_data=(x, y))


def test_nothing_is_written_where_no_terminal_is(capsys):
    fit()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_terminal_sees_epoch_loss_metric_and_speed(monkeypatch):
    screen = terminal(monkeypatch)
    fit()
    text = screen.getvalue()
    assert "epoch 3/3" in text
    assert "100%" in text
    assert "loss" in text
    assert "val_accuracy 0." in text
    assert " accuracy 0." not in text


def test_progress_can_be_asked_for_and_declined(monkeypatch):
    screen = terminal(monkeypatch)
    fit(show_progress=False)
    assert screen.getvalue() == ""
    fit(show_progress=True)
    assert "epoch 3/3" in screen.getvalue()


def test_the_line_shows_speed_and_compilation(monkeypatch):
    terminal(monkeypatch)
    with progress(None, 1, 100) as live:
        assert isinstance(live, TerminalProgress)
        live.start_epoch(1)
        for _ in range(5):
            live.advance(20, 0.5)
        _notice.show("compiling kernels: exp")
        assert "compiling kernels: exp" in live._bar.tasks[0].fields["note"]
        assert live._bar.tasks[0].fields["speed"].endswith("samples/s")
    assert _notice.show is _notice._terminal


def test_silence_accepts_every_report():
    with progress(False, 1, 100) as live:
        assert type(live) is Progress
        live.start_epoch(1)
        live.advance(10, 0.5)
        live.end_epoch({"loss": 0.5})


def test_counted_items_come_in_order_with_and_without_a_terminal(capsys):
    assert list(counted([3, 1, 2], "counting")) == [3, 1, 2]
    assert capsys.readouterr().err == ""


def test_counting_is_shown_on_a_terminal(monkeypatch):
    screen = terminal(monkeypatch)
    assert list(counted([3, 1, 2], "counting")) == [3, 1, 2]
    assert "counting" in screen.getvalue()
