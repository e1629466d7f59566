"""A snapshot of a model is a model of its own, whatever holds or uses the layers."""

from collections import OrderedDict, namedtuple
from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.compile.snapshot import snapshot

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
Pair = namedtuple("Pair", ["first", "second"])


class Holding(nn.Module):
    """A layer, and something that leads to it."""

    def __init__(self, hold):
        fastnn.manual_seed(0)
        self.layer = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.held = hold(self)

    def twice(self, x):
        return self.norm(self.layer(x)) * 2.0

    def forward(self, x):
        return self.call(x)


def holds(hold, call):
    """A model that holds its layers in some way, and comes to them by that way."""
    return type("Holds", (Holding,), {"call": call})(hold)


def by_function(model):
    def function(x, again=True):
        return function(x, again=False) if again else model.twice(x)

    return function


HOLDERS = {
    "list": (lambda m: [m.layer, m.norm], lambda self, x: self.held[1](self.held[0](x))),
    "tuple": (lambda m: (m.layer, m.norm), lambda self, x: self.held[1](self.held[0](x))),
    "named tuple": (lambda m: Pair(m.layer, m.norm), lambda self, x: self.held.second(self.held.first(x))),
    "dictionary": (lambda m: {"a": [m.layer], "b": m.norm}, lambda self, x: self.held["b"](self.held["a"][0](x))),
    "ordered dictionary": (lambda m: OrderedDict(a=m.layer, b=m.norm), lambda self, x: self.held["b"](self.held["a"](x))),
    "method": (lambda m: m.twice, lambda self, x: self.held(x)),
    "function": (by_function, lambda self, x: self.held(x)),
    "partial": (lambda m: partial(by_function(m), again=False), lambda self, x: self.held(x)),
    "itself": (lambda m: [m], lambda self, x: self.held[0].twice(x)),
    "array": (lambda m: np.ones(4, np.float32), lambda self, x: self.twice(x) * self.held),
    "weight": (lambda m: m.layer.weight, lambda self, x: self.twice(x) @ self.held),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_it_computes_the_same_and_goes_on_doing_so(name):
    model = holds(*HOLDERS[name])
    twin = snapshot(model, live=False)
    expected = model.eval()(X).numpy().copy()
    np.testing.assert_array_equal(twin(X).numpy(), expected)
    model.layer.weight.data[...] += 1
    model.norm.running_mean.data[...] += 1
    if isinstance(model.held, np.ndarray):
        model.held += 1
    assert abs(model(X).numpy() - expected).max() > 0.1
    np.testing.assert_array_equal(twin(X).numpy(), expected)


@pytest.mark.parametrize("name", HOLDERS)
def test_a_live_one_shares_the_values_and_is_in_evaluation_mode(name):
    model = holds(*HOLDERS[name])
    twin = snapshot(model, live=True)
    assert model.norm.training
    model.layer.weight.data[...] += 1
    found = twin(X).numpy()
    np.testing.assert_array_equal(model.norm.running_mean.numpy(), 0)  # which training mode would have moved
    np.testing.assert_array_equal(found, model.eval()(X).numpy())
    assert twin.layer.weight.data is model.layer.weight.data


def test_shared_parameters_stay_shared():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    twin = snapshot(model, live=False)
    assert twin[1].weight is twin[0].weight is not model[0].weight
    assert isinstance(twin[0].weight, nn.Parameter)


def test_what_holds_no_layers_is_shared():
    class Settings:
        pass

    model = nn.Identity()
    model.settings, model.function = Settings(), np.tanh
    twin = snapshot(model, live=False)
    assert twin.settings is model.settings
    assert twin.function is np.tanh
