"""What a module knows of its parts, and what happens to them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import errors, nn


class Block(nn.Module):
    def __init__(self, shared: nn.Parameter | None = None) -> None:
        self.scale = nn.Parameter(np.full(3, 2.0, np.float32)) if shared is None else shared
        self.register_buffer("count", np.zeros((), np.int64))
        self.register_buffer("scratch", np.zeros(2, np.float32), persistent=False)
        self.linear = nn.Linear(3, 3)
        self.nothing = None

    def forward(self, x: object) -> fastnn.Tensor:
        return self.linear(x) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Block()
        self.again = self.first
        self.second = Block(self.first.scale)

    def forward(self, x: object) -> fastnn.Tensor:
        return self.second(self.again(self.first(x)))


def test_parts_are_found_by_being_attributes() -> None:
    net = Net()
    own = ["scale", "linear.weight", "linear.bias"]
    assert [name for name, _ in net.named_parameters()] == [f"first.{n}" for n in own] + ["second.linear.weight", "second.linear.bias"]
    assert len(list(net.parameters())) == 5
    assert [name for name, _ in net.first.named_parameters("here", recurse=False)] == ["here.scale"]
    assert [name for name, _ in net.named_buffers()] == ["first.count", "first.scratch", "second.count", "second.scratch"]
    assert len(list(net.buffers())) == 4
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "first.linear", "second", "second.linear"]
    assert next(net.modules()) is net
    assert list(net.children()) == [net.first, net.second]


def test_a_state_dict_names_shared_parts_under_each_path_and_leaves_scratch_out() -> None:
    own = ["scale", "count", "linear.weight", "linear.bias"]
    net = Net()
    assert list(net.state_dict()) == [f"{part}.{n}" for part in ("first", "again", "second") for n in own]
    assert np.shares_memory(net.state_dict()["first.linear.weight"], net.first.linear.weight.numpy())


def test_parts_are_found_by_their_path() -> None:
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("second.linear") is net.second.linear
    assert net.get_parameter("again.linear.bias") is net.first.linear.bias
    assert net.get_buffer("first.scratch") is net.first.scratch
    with pytest.raises(errors.UnknownNameError, match=r"unknown module 'third'.*first, first"):
        net.get_submodule("third")
    with pytest.raises(errors.UnknownNameError, match=r"did you mean 'first.linear.weight'"):
        net.get_parameter("first.linear.wieght")
    with pytest.raises(errors.UnknownNameError, match=r"unknown buffer 'first.scale'.* first.count"):
        net.get_buffer("first.scale")


def test_a_part_can_be_replaced_by_its_like_only() -> None:
    net = Net()
    net.first.scale = nn.Parameter(np.ones(3, np.float32))
    net.second.scale = None
    assert [name for name, _ in net.second.named_parameters()] == ["linear.weight", "linear.bias"]
    for owner, name, value in ((net.first, "scale", np.ones(3)), (net, "first", 3), (net.first, "count", np.zeros(()))):
        held = getattr(owner, name)
        with pytest.raises(errors.DTypeError, match=rf"{name} must stay a"):
            setattr(owner, name, value)
        assert getattr(owner, name) is held


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training"])
def test_a_name_that_is_taken_or_no_name_is_refused(name: str) -> None:
    module = nn.Module()
    for register, value in (
        (module.register_parameter, nn.Parameter(np.ones(1, np.float32))),
        (module.register_module, nn.ReLU()),
        (module.register_buffer, np.ones(1)),
    ):
        with pytest.raises(errors.ArgumentError, match=repr(name)):
            register(name, value)
    assert list(module.state_dict()) == []


def test_parts_registered_by_name_are_attributes() -> None:
    module = nn.Module()
    module.register_parameter("w", nn.Parameter(np.ones(1, np.float32)))
    module.register_parameter("b", None)
    module.add_module("act", nn.ReLU())
    assert (module.b, type(module.act), [n for n, _ in module.named_parameters()]) == (None, nn.ReLU, ["w"])
    with pytest.raises(errors.DTypeError, match=r"Module\.x must be a Parameter or None, got ndarray"):
        module.register_parameter("x", np.ones(1))
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        module(1)


def test_modes_reach_every_part() -> None:
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    assert net.training
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 4
    assert net.train() is net
    assert [m.training for m in net.modules()] == [True] * 4


def test_apply_visits_children_before_their_parent() -> None:
    seen = []
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_frozen_parameters_get_no_gradient() -> None:
    net = Net()
    net.second.linear.requires_grad_(False)
    net(np.ones((2, 3), np.float32)).sum().backward()
    assert {name for name, p in net.named_parameters() if p.grad is None} == {"second.linear.weight", "second.linear.bias"}


def test_zero_grad_forgets_gradients_or_makes_them_zero() -> None:
    linear = nn.Linear(2, 2)
    linear(np.ones((1, 2), np.float32)).sum().backward()
    held = linear.weight.grad
    linear.zero_grad(set_to_none=False)
    assert linear.weight.grad is held
    assert held.numpy().tolist() == [[0, 0], [0, 0]]
    linear.zero_grad()
    assert linear.weight.grad is None


def test_a_module_converts_to_float64_and_back() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).double()
    assert {str(v.dtype) for v in net.state_dict().values()} == {"float64", "int64"}
    assert net(np.ones((2, 2))).dtype == np.float64
    assert {str(v.dtype) for v in net.float().state_dict().values()} == {"float32", "int64"}
    with pytest.raises(errors.DTypeError, match="float32 or float64, got int64"):
        net.astype("int64")


def test_a_module_that_an_optimiser_holds_is_not_converted() -> None:
    linear = nn.Linear(2, 2)
    linear.weight._home = np.empty((2, 2), np.float32)
    with pytest.raises(errors.StateError, match="an optimiser holds parameters"):
        linear.double()
    assert {str(v.dtype) for v in linear.state_dict().values()} == {"float32"}
    assert linear.float() is linear


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"])
def test_a_copy_has_values_and_sharing_but_no_memory_in_common(duplicate) -> None:
    net = Net().eval()
    flat = np.arange(9, dtype=np.float32)
    net.first.linear.weight.data = flat.reshape(3, 3)  # as an optimiser does
    net.first.linear.weight._home = np.zeros((3, 3), np.float32)
    net(np.ones((2, 3), np.float32)).sum().backward()
    twin = duplicate(net)
    assert repr(twin) == repr(net)
    assert twin.first.scale is twin.second.scale
    assert twin.again is twin.first
    assert not twin.second.linear.training
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], value)
        assert not np.shares_memory(twin.state_dict()[name], value)
    assert all(p.grad is None and p._home is None and isinstance(p, nn.Parameter) for p in twin.parameters())
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(twin(x).numpy(), net(x).numpy())


def test_a_hidden_layer_can_be_read_out() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(net.embed("1", x).numpy(), net[1](net[0](x)).numpy())
    np.testing.assert_array_equal(net.embed("", x).numpy(), net(x).numpy())
    assert "forward" not in vars(net[1])
    with pytest.raises(errors.UnknownNameError, match="unknown module '7'"):
        net.embed("7", x)
    net.append(nn.Identity())
    net.spare = nn.ReLU()
    net.forward = lambda x: net[0](x)
    with pytest.raises(errors.StateError, match="did not use its layer 'spare'"):
        net.embed("spare", x)
    assert net.embed("", x).shape == (5, 3)
    assert "forward" in vars(net)


def test_a_parameter_is_a_tensor_that_is_trained() -> None:
    p = nn.Parameter(np.ones(2, np.float32))
    assert isinstance(p, fastnn.Tensor)
    assert p.requires_grad
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert not nn.Parameter(fastnn.tensor([1.0]), requires_grad=False).requires_grad
    with pytest.raises(errors.DTypeError, match="only float32 and float64"):
        nn.Parameter(np.ones(2, np.int64))


def test_parameters_go_into_a_vector_and_back() -> None:
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.numpy().tolist() == [*net.weight.numpy().ravel().tolist(), *net.bias.numpy().tolist()]
    nn.utils.vector_to_parameters(fastnn.tensor(np.arange(9, dtype=np.float32)), net.parameters())
    assert net.bias.numpy().tolist() == [6, 7, 8]
    with pytest.raises(errors.ShapeError, match=r"vec must have shape \(9,\)"):
        nn.utils.vector_to_parameters(vector[:4], net.parameters())
