"""What is changed on a model after its step was compiled is seen by the next step, and what is changed back is not recorded anew."""

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.compile import settings
from fastnn.compile.plan import Plan
from fastnn.nn import functional as F

RNG = np.random.default_rng(0)
FEATURES, CLASSES = 12, 5
X = RNG.normal(size=(40, FEATURES))
LABELS = RNG.integers(0, CLASSES, len(X))


class Scaled(nn.Module):
    """Attributes of all kinds, and one that forward itself assigns."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)
        self.options = {"scale": [1.0, 2.0]}
        self.activation = F.tanh
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.last = self.layer(x)
        return self.activation(self.last) * self.options["scale"][1]


def between(layer):
    """A net with a layer under test between two others."""

    def make():
        fastnn.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 16), layer(), nn.Linear(16, CLASSES)).astype(np.float64)

    return make


def scaled():
    fastnn.manual_seed(0)
    return Scaled().astype(np.float64)


def assigned(path, name, value):
    """A change that gives the submodule `path` another attribute, and one that gives back the old one."""
    old = {}

    def change(model):
        module = model.get_submodule(path)
        old[module] = getattr(module, name)
        setattr(module, name, value)

    return change, lambda model: setattr(model.get_submodule(path), name, old[model.get_submodule(path)])


def trained(path, value):
    return lambda model: setattr(model.get_parameter(path), "requires_grad", value)


SETTINGS = {
    "dropout": (between(lambda: nn.Dropout(0.0)), *assigned("1", "p", 1.0)),
    "batch norm's momentum": (between(lambda: nn.BatchNorm1d(16)), *assigned("1", "momentum", 0.9)),
    "batch norm's eps": (between(lambda: nn.BatchNorm1d(16)), *assigned("1", "eps", 1.0)),
    "slope": (between(lambda: nn.LeakyReLU(0.1)), *assigned("1", "negative_slope", 5.0)),
    "mode of one layer": (between(lambda: nn.BatchNorm1d(16)), *assigned("1", "training", False)),
    "another layer": (between(nn.ReLU), *assigned("", "1", nn.Tanh())),
    "a function": (scaled, *assigned("", "activation", F.relu)),
    "nested numbers": (scaled, *assigned("", "options", {"scale": [1.0, 3.0]})),
}


class Pair:
    """The same net trained by a compiled step and eagerly."""

    def __init__(self, make, monkeypatch, optimizer=lambda parameters: optim.Adam(parameters, lr=0.01)):
        self.models = make(), make()
        self.optimizers = [optimizer(model.parameters()) for model in self.models]
        self.step = fastnn.compile_training(self.models[0], "cross_entropy", self.optimizers[0])
        self.planned = 0

        def counted(*arguments):
            self.planned += 1
            return Plan(*arguments)

        monkeypatch.setattr("fastnn.compile.training.Plan", counted)

    def change(self, change):
        for model in self.models:
            change(model)

    def agree(self, steps=2):
        """Train both, and compare."""
        model, optimizer = self.models[1], self.optimizers[1]
        for _ in range(steps):
            loss = F.cross_entropy(model(X), LABELS)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert self.step(X, LABELS) == pytest.approx(loss.item(), rel=1e-9)
        for (name, value), other in zip(self.models[0].state_dict().items(), model.state_dict().values(), strict=True):
            np.testing.assert_allclose(value, other, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_changes_is_seen_and_one_that_comes_back_is_known(name, monkeypatch):
    make, change, change_back = SETTINGS[name]
    pair = Pair(make, monkeypatch)
    pair.agree()
    assert pair.planned == 1
    for _ in range(2):
        pair.change(change)
        pair.agree()
        planned = pair.planned
        pair.change(change_back)
        pair.agree()
    assert planned <= 3  # a third time if the second program needed a larger arena, which the first one then moves into
    assert pair.planned == planned


@pytest.mark.parametrize("path", ["0.weight", "0.bias", "2.weight"])
def test_a_parameter_that_is_frozen_stays_and_goes_on_later(path, monkeypatch):
    pair = Pair(between(nn.ReLU), monkeypatch)
    pair.agree()
    pair.change(trained(path, False))
    before = pair.models[0].get_parameter(path).numpy().copy()
    pair.agree()
    np.testing.assert_array_equal(pair.models[0].get_parameter(path).numpy(), before)
    pair.change(trained(path, True))
    pair.agree()
    assert not np.array_equal(pair.models[0].get_parameter(path).numpy(), before)


def test_a_parameter_that_is_replaced_is_read(monkeypatch):
    pair = Pair(between(nn.ReLU), monkeypatch)
    pair.agree()
    pair.change(lambda model: setattr(model[0], "weight", nn.Parameter(np.full((16, FEATURES), 0.1))))
    pair.agree()
    assert (pair.models[0][0].weight.numpy() == 0.1).all()


def test_settings_of_a_loss_are_seen():
    model, loss = between(nn.ReLU)(), nn.CrossEntropyLoss()
    step = fastnn.compile_training(model, loss, optim.SGD(model.parameters(), lr=0.0))
    plain = step(X, LABELS)
    loss.label_smoothing = 0.5
    assert step(X, LABELS) == pytest.approx(F.cross_entropy(model(X), LABELS, label_smoothing=0.5).item())
    assert step(X, LABELS) != pytest.approx(plain)


def test_settings_are_looked_at_only_when_something_was_assigned(monkeypatch):
    pair = Pair(scaled, monkeypatch)
    pair.agree()
    looks = []
    described = settings.described
    monkeypatch.setattr(settings, "described", lambda value: looks.append(value) or described(value))
    for _ in range(3):
        pair.step(X, LABELS)
    assert not looks
    pair.models[0].options = {"scale": [1.0, 2.5]}
    pair.step(X, LABELS)
    assert looks


def test_settings_that_never_come_back_are_forgotten():
    model = between(lambda: nn.LeakyReLU(0.1))()
    found = settings.Settings(model)
    first = found.number
    for slope in np.linspace(1, 2, 3 * settings.KEPT):
        model[1].negative_slope = float(slope)
        assert found.number > first
    assert len(found._numbers) <= settings.KEPT
    model[1].negative_slope = 0.1
    assert found.number > first
