import csv
import json
import pickle
import sys

import pytest

from fastnn.errors import MissingDependencyError, StateError, UnknownNameError
from fastnn.training.history import History

EPOCHS = [{"loss": 2.0, "accuracy": 0.25, "val_loss": 2.5, "lr": 0.1}, {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.5, "lr": 0.1}]


@pytest.fixture
def history():
    h = History()
    for epoch in EPOCHS:
        h.append(epoch)
    return h


def test_columns_are_read_as_items_and_as_attributes(history):
    assert history["loss"] == [2, 1]
    assert history.val_loss == [2.5, 1.5]
    assert dict(history) == {name: [e[name] for e in EPOCHS] for name in EPOCHS[0]}
    assert history.epochs == 2
    assert len(history) == 4
    assert "loss" in history
    assert "f1" not in history
    assert repr(history) == "History(2 epochs; last: loss 1, accuracy 0.5, val_loss 1.5, lr 0.1)"
    assert repr(History()) == "History(0 epochs)"


def test_unknown_columns_are_named(history):
    with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
        history["los"]
    with pytest.raises(AttributeError, match="did you mean 'loss'"):
        history.los  # noqa: B018


def test_an_epoch_with_other_columns_is_refused_and_changes_nothing(history):
    with pytest.raises(StateError, match="val_loss"):
        history.append({"loss": 1})
    assert history.epochs == 2


def test_a_history_can_be_pickled(history):
    assert dict(pickle.loads(pickle.dumps(history))) == dict(history)


def test_files_hold_every_number(history, tmp_path):
    history.to_csv(tmp_path / "h.csv")
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
    assert [r["epoch"] for r in rows] == ["1", "2"]
    assert [{k: float(r[k]) for k in EPOCHS[0]} for r in rows] == EPOCHS
    history.to_json(tmp_path / "h.json")
    assert json.loads((tmp_path / "h.json").read_text()) == dict(history)


def test_the_plot_has_one_panel_for_the_loss_and_each_metric(history, tmp_path):
    pytest.importorskip("matplotlib")
    figure = history.plot(tmp_path / "curve.png")
    assert [a.get_ylabel() for a in figure.axes] == ["loss", "accuracy"]
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert lines == {"training": [2, 1], "validation": [2.5, 1.5]}
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_there_is_nothing_to_plot_before_the_first_epoch():
    pytest.importorskip("matplotlib")
    with pytest.raises(StateError, match="no completed epoch"):
        History().plot()


def test_a_missing_matplotlib_is_named_with_its_extra(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"fastnn-cpu\[plot\]"):
        history.plot()
