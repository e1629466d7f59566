"""Containers of modules, and the residual block."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import errors, nn

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def kinds(modules) -> list[str]:
    return [type(module).__name__ for module in modules]


def test_a_sequence_applies_its_modules_in_order() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    np.testing.assert_array_equal(net(X).numpy(), np.maximum(net[0](X).numpy(), 0))
    assert nn.Sequential()(X) is X


def test_a_sequence_can_have_names() -> None:
    net = nn.Sequential({"inner": nn.Linear(4, 3), "out": nn.ReLU()})
    assert list(net.state_dict()) == ["inner.weight", "inner.bias"]
    assert net.inner is net[0]
    assert [name for name, _ in net[1:].named_children()] == ["out"]


@pytest.mark.parametrize(
    "build", [lambda *modules: nn.Sequential(*modules), lambda *modules: nn.ModuleList(modules)], ids=["Sequential", "List"]
)
def test_sequences_and_lists_are_changed_like_lists(build) -> None:
    modules = build(nn.ReLU(), nn.Tanh(), nn.SiLU())
    assert len(modules) == 3
    assert kinds(modules) == ["ReLU", "Tanh", "SiLU"]
    assert kinds([modules[-1], modules[1]]) == ["SiLU", "Tanh"]
    part = modules[:2]
    assert type(part) is type(modules)
    assert kinds(part) == ["ReLU", "Tanh"]
    assert modules.append(nn.ELU()).extend([nn.Mish()]) is modules
    modules[0] = nn.CELU()
    modules.insert(1, nn.GELU())
    del modules[-1]
    assert kinds(modules) == ["CELU", "GELU", "Tanh", "SiLU", "ELU"]
    assert [name for name, _ in modules.named_children()] == ["0", "1", "2", "3", "4"]
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"there is no module {index}, it holds 5"):
            modules[index]


def test_one_module_may_stand_at_several_places() -> None:
    tanh = nn.Tanh()
    net = nn.Sequential(tanh, nn.ReLU(), tanh)
    assert len(net) == 3
    np.testing.assert_allclose(net(X).numpy(), np.tanh(np.maximum(np.tanh(X), 0)), rtol=1e-5, atol=1e-6)


def test_a_dictionary_holds_modules_by_name() -> None:
    modules = nn.ModuleDict({"a": nn.Linear(4, 3)})
    modules["b"] = nn.ReLU()
    modules.update({"a": nn.Linear(4, 2)})
    assert list(modules) == list(modules.keys()) == ["a", "b"]
    assert (len(modules), "a" in modules, "c" in modules) == (2, True, False)
    assert kinds(modules.values()) == ["Linear", "ReLU"]
    assert [name for name, _ in modules.items()] == ["a", "b"]
    assert modules.state_dict()["a.bias"].shape == (2,)
    del modules["b"]
    assert list(modules) == ["a"]
    with pytest.raises(errors.UnknownNameError, match="unknown module 'b'"):
        modules["b"]
    with pytest.raises(errors.ArgumentError, match="'keys' cannot name a Module"):
        modules["keys"] = nn.ReLU()


@pytest.mark.parametrize("build", [lambda: nn.Sequential(nn.ReLU(), len), lambda: nn.ModuleList([3]), lambda: nn.ModuleDict({"a": "b"})])
def test_only_modules_go_into_containers(build) -> None:
    with pytest.raises(errors.DTypeError, match="must be a Module or None, got"):
        build()


def test_a_residual_block_adds_its_input() -> None:
    block = nn.Residual(nn.Linear(4, 4), nn.Tanh())
    np.testing.assert_array_equal(block(X).numpy(), block.body(X).numpy() + X)
    assert list(block.state_dict()) == ["body.0.weight", "body.0.bias"]


def test_a_residual_block_of_zero_weights_passes_values_and_gradients() -> None:
    block = nn.Residual(nn.LayerNorm(4), nn.Linear(4, 4))
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = fastnn.tensor(X, requires_grad=True)
    y = block(x)
    np.testing.assert_array_equal(y.numpy(), X)
    y.backward(np.ones_like(X))
    np.testing.assert_array_equal(x.grad.numpy(), np.ones_like(X))


def test_a_projection_carries_the_input_to_another_shape() -> None:
    block = nn.Residual(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), shortcut=nn.Linear(4, 3, bias=False))
    np.testing.assert_array_equal(block(X).numpy(), block.body(X).numpy() + block.shortcut(X).numpy())
    assert [name for name, _ in block.named_parameters()][-1] == "shortcut.weight"


def test_the_activation_comes_after_the_sum() -> None:
    block = nn.Residual(nn.Linear(4, 4), activation=nn.ReLU())
    np.testing.assert_array_equal(block(X).numpy(), np.maximum(block.body(X).numpy() + X, 0))
    assert repr(block) == (
        "Residual(\n  (body): Sequential(\n    (0): Linear(in_features=4, out_features=4, bias=True)\n  )\n  (activation): ReLU()\n)"
    )


def test_gradients_add_up_over_body_and_shortcut() -> None:
    torch = pytest.importorskip("torch")
    block = nn.Residual(
        nn.LayerNorm(4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3), shortcut=nn.Linear(4, 3), activation=nn.Tanh()
    ).double()
    body = torch.nn.Sequential(torch.nn.LayerNorm(4), torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3)).double()
    shortcut = torch.nn.Linear(4, 3).double()
    block.body.load_state_dict(body.state_dict())
    block.shortcut.load_state_dict(shortcut.state_dict())
    x, tx = fastnn.tensor(X.astype(np.float64), requires_grad=True), torch.tensor(X.astype(np.float64), requires_grad=True)
    block(x).sum().backward()
    torch.tanh(body(tx) + shortcut(tx)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-9, atol=1e-12)
    for name, parameter in body.named_parameters():
        np.testing.assert_allclose(block.body.get_parameter(name).grad.numpy(), parameter.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shortcut", [None, nn.Linear(4, 1)], ids=["identity", "projection"])
def test_a_body_that_does_not_fit_its_shortcut_is_refused(shortcut) -> None:
    block = nn.Residual(nn.Linear(4, 3), shortcut=shortcut)
    with pytest.raises(errors.ShapeError, match=r"shape \(5, 4\) becomes \(5, 3\) in the body.*shortcut=nn.Linear\(4, 3\)"):
        block(X)


def test_a_residual_block_needs_a_body() -> None:
    with pytest.raises(errors.ArgumentError, match="at least one module for the body"):
        nn.Residual()
    with pytest.raises(errors.DTypeError, match=r"Residual\.shortcut must be a Module or None, got str"):
        nn.Residual(nn.ReLU(), shortcut="identity")
