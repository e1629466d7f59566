"""Every layer and loss computes what PyTorch's does: output, gradient of the input, gradients of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layer_cases import LAYERS

import fastnn
from fastnn import nn, optim

torch = pytest.importorskip("torch")

TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "float64": {"rtol": 1e-9, "atol": 1e-11}}


ROUNDED_CONSTANTS = {"default Hardsigmoid"}  # PyTorch keeps the 1/6 of its derivative in float32


def both(build: Callable[[Any, Any], Any], dtype: str) -> tuple[Any, Any]:
    """Our layer with random parameters and PyTorch's with the same."""
    rng = np.random.default_rng(5)
    ours, theirs = build(nn, {"dtype": dtype}), build(torch.nn, {"dtype": getattr(torch, dtype)})
    if dtype == "float64":
        ours, theirs = ours.double(), theirs.double()
    for parameter in ours.parameters():
        parameter.data[...] = rng.normal(size=parameter.shape)
    theirs.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", LAYERS)
def test_output_and_gradients_are_those_of_pytorch(name: str, dtype: str) -> None:
    ours, theirs = both(LAYERS[name].build, dtype)
    tolerance = {"rtol": 1e-7, "atol": 1e-5} if name in ROUNDED_CONSTANTS else TOLERANCE[dtype]
    rng = np.random.default_rng(7)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in LAYERS[name].shapes]
    xs = [fastnn.tensor(a, requires_grad=True) for a in arrays]
    txs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, ty = ours(*xs), theirs(*txs)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.numpy(), ty.detach().numpy(), **tolerance)
    dy = rng.normal(size=y.shape).astype(dtype)
    y.backward(dy)
    ty.backward(torch.from_numpy(dy))
    for x, tx in zip(xs, txs, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), **tolerance)
    theirs_by_name = dict(theirs.named_parameters())
    assert list(theirs_by_name) == [n for n, _ in ours.named_parameters()]
    for n, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), theirs_by_name[n].grad.numpy(), err_msg=n, **tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_a_state_dict_of_pytorch_loads_here(name: str) -> None:
    theirs = LAYERS[name].build(torch.nn, {"dtype": torch.float32})
    ours = LAYERS[name].build(nn, {"dtype": "float32"})
    assert [(n, v.shape) for n, v in ours.state_dict().items()] == [(n, tuple(v.shape)) for n, v in theirs.state_dict().items()]
    keys = ours.load_state_dict(theirs.state_dict())
    assert keys == ([], [])
    for n, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[n], value.numpy())


@pytest.mark.parametrize("padding", [None, 2, -1])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_embedding_looks_up_and_trains_the_rows_that_pytorch_does(dtype: str, padding: int | None) -> None:
    ours, theirs = both(lambda n, k: n.Embedding(6, 4, padding_idx=padding, **k), dtype)
    assert ours.padding_idx == theirs.padding_idx
    index = np.array([[0, 2, 2], [5, 1, 2]])
    dy = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(dtype)
    y, ty = ours(index), theirs(torch.from_numpy(index))
    np.testing.assert_array_equal(y.numpy(), ty.detach().numpy())
    y.backward(dy)
    ty.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), **TOLERANCE[dtype])


def test_maxout_takes_the_largest_of_each_group() -> None:
    x = fastnn.tensor([[1.0, 4.0, -2.0, -3.0], [5.0, 5.5, 0.0, 7.0]], requires_grad=True)
    y = nn.Maxout(2)(x)
    assert y.numpy().tolist() == [[4.0, -2.0], [5.5, 7.0]]
    y.sum().backward()
    assert x.grad.numpy().tolist() == [[0, 1, 1, 0], [0, 1, 0, 1]]


X = np.random.default_rng(1).normal(size=(6, 4))
PROBABILITIES = 1 / (1 + np.exp(-X))
SIMPLEX = np.exp(X) / np.exp(X).sum(1, keepdims=True)
LABELS = np.array([0, 3, 1, 2, 2, 0])
WEIGHT = np.array([0.5, 2.0, 1.0, 0.25])
LOSSES: dict[str, tuple[Callable[[Any, Any, dict[str, str]], Any], Any, Any]] = {
    "MSELoss": (lambda n, a, k: n.MSELoss(**k), X, X[::-1]),
    "L1Loss": (lambda n, a, k: n.L1Loss(**k), X, X[::-1]),
    "HuberLoss": (lambda n, a, k: n.HuberLoss(delta=0.4, **k), X, X[::-1]),
    "SmoothL1Loss": (lambda n, a, k: n.SmoothL1Loss(beta=0.4, **k), X, X[::-1]),
    "CrossEntropyLoss": (lambda n, a, k: n.CrossEntropyLoss(**k), X, LABELS),
    "CrossEntropyLoss, all": (
        lambda n, a, k: n.CrossEntropyLoss(a(WEIGHT), ignore_index=2, label_smoothing=0.1, **k),
        X,
        LABELS,
    ),
    "NLLLoss": (lambda n, a, k: n.NLLLoss(a(WEIGHT), ignore_index=3, **k), np.log(SIMPLEX), LABELS),
    "BCELoss": (lambda n, a, k: n.BCELoss(a(WEIGHT), **k), PROBABILITIES, (X > 0).astype(float)),
    "BCEWithLogitsLoss": (
        lambda n, a, k: n.BCEWithLogitsLoss(a(WEIGHT), pos_weight=a(WEIGHT[::-1].copy()), **k),
        X,
        (X > 0.2).astype(float),
    ),
    "KLDivLoss": (lambda n, a, k: n.KLDivLoss(**k), np.log(SIMPLEX), SIMPLEX[::-1]),
    "KLDivLoss of logarithms": (lambda n, a, k: n.KLDivLoss(log_target=True, **k), np.log(SIMPLEX), np.log(SIMPLEX[::-1])),
}
REDUCED = [(name, reduction) for name in LOSSES for reduction in ("mean", "sum", "none")] + [("KLDivLoss", "batchmean")]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "reduction"), REDUCED)
def test_losses_and_their_gradients_are_those_of_pytorch(name: str, reduction: str, dtype: str) -> None:
    build, x, target = LOSSES[name]
    target = target.copy() if target.dtype == np.int64 else target.astype(dtype)
    ours = build(nn, lambda a: a.astype(dtype), {"reduction": reduction})
    theirs = build(torch.nn, lambda a: torch.from_numpy(a.astype(dtype)), {"reduction": reduction})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    a, ta = fastnn.tensor(x.astype(dtype), requires_grad=True), torch.tensor(x.astype(dtype), requires_grad=True)
    loss, tloss = ours(a, target), theirs(ta, torch.from_numpy(target))
    np.testing.assert_allclose(loss.numpy(), tloss.detach().numpy(), **TOLERANCE[dtype])
    dloss = np.full(loss.shape, 1.5, dtype)
    loss.backward(dloss)
    tloss.backward(torch.from_numpy(dloss))
    np.testing.assert_allclose(a.grad.numpy(), ta.grad.numpy(), **TOLERANCE[dtype])


def test_hinge_loss_counts_what_is_inside_the_margin() -> None:
    x = fastnn.tensor([0.5, 2.0, -0.25], requires_grad=True)
    loss = nn.HingeLoss(margin=1.0, reduction="sum")(x, [1.0, 1.0, -1.0])
    assert loss.item() == pytest.approx(0.5 + 0.0 + 0.75)
    loss.backward()
    assert x.grad.numpy().tolist() == [-1.0, 0.0, 1.0]


TRACKING = {
    "BatchNorm1d": (5, 3),
    "BatchNorm1d of sequences": (4, 3, 6),
    "BatchNorm2d": (4, 3, 2, 5),
    "InstanceNorm1d": (4, 3, 6),
    "InstanceNorm2d": (4, 3, 2, 5),
}


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", TRACKING)
@pytest.mark.parametrize("way", ["eager", "compiled", "compiled, numpy"])
def test_running_statistics_follow_those_of_pytorch(name: str, dtype: str, momentum: float | None, way: str) -> None:
    kind, shape = name.partition(" ")[0], TRACKING[name]
    ours, theirs = both(lambda n, k: getattr(n, kind)(3, momentum=momentum, affine=True, track_running_stats=True, **k), dtype)
    step = fastnn.compile_training(ours, "mse", optim.SGD(ours.parameters(), lr=0.0)) if way != "eager" else None
    rng = np.random.default_rng(2)
    with fastnn.use_backend("numpy" if "numpy" in way else "numba"):
        for _ in range(4):
            x = (3 * rng.normal(size=shape) + 1).astype(dtype)
            if step is None:
                y = ours(x).numpy()
            else:
                step(x, np.zeros_like(x))
                y = step.output
            np.testing.assert_allclose(y, theirs(torch.from_numpy(x)).detach().numpy(), **TOLERANCE[dtype])
        for name, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[name], value.numpy(), err_msg=name, **TOLERANCE[dtype])
        ours.eval(), theirs.eval()
        np.testing.assert_allclose(ours(x).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), **TOLERANCE[dtype])
    assert ours.num_batches_tracked.item() == (4 if kind.startswith("Batch") else 0)


REPRS = [
    *(LAYERS[name].build for name in LAYERS if "norm" not in name and "sequence" not in name),
    lambda n, k: n.Embedding(3, 4),
    lambda n, k: n.Embedding(3, 4, padding_idx=1),
    lambda n, k: n.Sequential(n.Linear(2, 3), n.Sequential(n.ReLU(), n.Dropout(0.2)), n.Linear(3, 1)),
    lambda n, k: n.Sequential(),
    lambda n, k: n.ModuleList([n.Linear(2, 3), n.Sequential(n.ReLU())]),
    lambda n, k: n.ModuleDict({"first": n.Linear(2, 3), "second": n.Tanh()}),
    lambda n, k: n.CrossEntropyLoss(),
]


@pytest.mark.parametrize("build", REPRS)
def test_repr_reads_as_in_pytorch(build: Callable[[Any, Any], Any]) -> None:
    assert repr(build(nn, {})) == repr(build(torch.nn, {})).replace(", inplace=False", "").replace("inplace=False", "")


def test_initial_values_have_the_distribution_of_pytorch() -> None:
    """The largest values and the standard deviations, over many parameters, agree."""
    fastnn.manual_seed(0)
    torch.manual_seed(0)
    for build in (
        lambda n: n.Linear(200, 300),
        lambda n: n.Bilinear(40, 30, 500),
        lambda n: n.Embedding(300, 200),
        lambda n: n.LayerNorm(9),
        lambda n: n.BatchNorm1d(9),
        lambda n: n.PReLU(4),
        lambda n: n.Conv2d(6, 400, 3),
        lambda n: n.Conv1d(8, 400, 5, groups=4),
        lambda n: n.ConvTranspose2d(6, 400, 3, groups=2),
        lambda n: n.BatchNorm2d(3),
        lambda n: n.GroupNorm(3, 6),
    ):
        ours, theirs = build(nn).state_dict(), build(torch.nn).state_dict()
        for name, value in theirs.items():
            assert ours[name].std() == pytest.approx(value.numpy().std(), rel=0.15), name
            assert np.abs(ours[name]).mean() == pytest.approx(np.abs(value.numpy()).mean(), rel=0.15), name
    bound = 200**-0.5
    linear = nn.Linear(200, 300)
    for values in (linear.weight.numpy(), linear.bias.numpy()):
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.97 * bound
