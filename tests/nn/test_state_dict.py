"""Loading saved values: into the arrays that are there, all or nothing, with messages that say what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import errors, nn


@pytest.fixture
def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def saved(net: nn.Module) -> dict[str, np.ndarray]:
    return {name: np.full(value.shape, i + 1, value.dtype) for i, (name, value) in enumerate(net.state_dict().items())}


@pytest.mark.parametrize(
    "convert", [np.asarray, fastnn.tensor, np.ndarray.tolist, lambda a: a.astype(np.float64), lambda a: a.copy(order="F")]
)
def test_values_are_written_into_the_arrays_that_are_there(net: nn.Sequential, convert) -> None:
    flat = np.zeros(6, np.float32)
    net[0].weight.data = flat.reshape(3, 2)
    before = net.state_dict()
    assert net.load_state_dict({name: convert(value) for name, value in saved(net).items()}) == ([], [])
    assert flat.tolist() == [1] * 6
    for name, value in net.state_dict().items():
        assert value is before[name]
    assert net[1].num_batches_tracked.item() == 7
    assert net[1].num_batches_tracked.dtype == np.int64


def test_tensors_of_pytorch_load_even_if_they_require_gradients(net: nn.Sequential) -> None:
    torch = pytest.importorskip("torch")
    state = {name: torch.nn.Parameter(torch.from_numpy(value), requires_grad=value.dtype != np.int64) for name, value in saved(net).items()}
    net.load_state_dict(state)
    assert net[0].bias.numpy().tolist() == [2, 2, 2]


def test_a_state_loads_into_the_other_dtype(net: nn.Sequential) -> None:
    twin = nn.Sequential(nn.Linear(2, 3, dtype="float64"), nn.BatchNorm1d(3, dtype="float64"))
    twin.load_state_dict(net.state_dict())
    assert twin[0].weight.dtype == np.float64
    np.testing.assert_array_equal(twin[0].weight.numpy(), net[0].weight.numpy())


@pytest.mark.parametrize("strict", [True, False])
def test_a_state_from_before_batches_were_counted_loads(net: nn.Sequential, strict: bool) -> None:
    net(np.ones((2, 2), np.float32))
    state = {name: value for name, value in saved(net).items() if not name.endswith("num_batches_tracked")}
    assert net.load_state_dict(state, strict) == ([], [])
    assert net[1].running_var.numpy().tolist() == [6] * 3
    assert net[1].num_batches_tracked.item() == 1


BROKEN = {
    "missing": ({"0.bias": None, "1.weight": None}, ["missing: 0.bias, 1.weight"]),
    "unexpected": ({"2.weight": np.ones(1), "x": np.ones(1)}, ["unexpected: 2.weight, x"]),
    "shape": ({"0.weight": np.ones((2, 3))}, [r"0.weight: has shape \(2, 3\), the module's is \(3, 2\)"]),
    "text": ({"0.bias": np.array(["a", "b", "c"])}, ["0.bias: has dtype <U1, which holds no real numbers"]),
    "complex": ({"0.bias": np.ones(3, complex)}, ["0.bias: has dtype complex128"]),
    "ragged": ({"0.bias": [[1], [2, 3]]}, ["0.bias: NumPy cannot read this list"]),
    "everything": (
        {"0.weight": None, "y": 1, "0.bias": np.ones(4), "1.bias": np.ones(())},
        ["missing: 0.weight\n", "unexpected: y\n", r"0.bias: has shape \(4,\)", r"1.bias: has shape \(\)"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_state_that_does_not_fit_is_refused_as_a_whole(net: nn.Sequential, name: str) -> None:
    changes, messages = BROKEN[name]
    state = {k: v for k, v in {**saved(net), **changes}.items() if v is not None}
    before = {k: v.copy() for k, v in net.state_dict().items()}
    for message in messages:
        with pytest.raises(errors.StateError, match=message):
            net.load_state_dict(state)
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(v, before[k])


def test_without_strict_the_names_that_differ_are_returned(net: nn.Sequential) -> None:
    keys = net.load_state_dict({"0.bias": np.ones(3), "other": np.ones(1)}, strict=False)
    assert keys.unexpected_keys == ["other"]
    assert keys.missing_keys[0] == "0.weight"
    assert "0.bias" not in keys.missing_keys
    assert net[0].bias.numpy().tolist() == [1, 1, 1]
    with pytest.raises(errors.StateError, match=r"0.bias: has shape"):
        net.load_state_dict({"0.bias": np.ones(2)}, strict=False)


def test_something_else_than_a_mapping_is_refused(net: nn.Sequential) -> None:
    with pytest.raises(errors.DTypeError, match="must map names to arrays, got list"):
        net.load_state_dict([1, 2])
