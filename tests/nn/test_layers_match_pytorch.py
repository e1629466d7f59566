"""Every layer and loss computes what PyTorch's does: output, gradient of the input, gradients of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim

torch = pytest.importorskip("torch")

TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "float64": {"rtol": 1e-9, "atol": 1e-11}}


ROUNDED_CONSTANTS = {"default Hardsigmoid"}  # PyTorch keeps the 1/6 of its derivative in float32


class Case(NamedTuple):
    build: Callable[[Any, Any], Any]  # (fastnn.nn or torch.nn, keyword arguments with the dtype) -> a layer
    shapes: tuple[tuple[int, ...], ...]


def case(build: Callable[[Any, Any], Any], *shapes: tuple[int, ...]) -> Case:
    return Case(build, shapes)


LAYERS = {
    "linear": case(lambda n, k: n.Linear(5, 3, **k), (4, 5)),
    "linear without bias": case(lambda n, k: n.Linear(5, 3, bias=False, **k), (4, 5)),
    "linear on a vector": case(lambda n, k: n.Linear(5, 3, **k), (5,)),
    "linear on three dimensions": case(lambda n, k: n.Linear(5, 3, **k), (2, 4, 5)),
    "bilinear": case(lambda n, k: n.Bilinear(5, 3, 2, **k), (4, 5), (4, 3)),
    "bilinear without bias": case(lambda n, k: n.Bilinear(5, 3, 2, bias=False, **k), (4, 5), (4, 3)),
    "layer norm": case(lambda n, k: n.LayerNorm(7, **k), (4, 7)),
    "layer norm over two dimensions": case(lambda n, k: n.LayerNorm((3, 7), eps=1e-3, **k), (4, 3, 7)),
    "layer norm without bias": case(lambda n, k: n.LayerNorm(7, bias=False, **k), (2, 3, 7)),
    "layer norm without weight": case(lambda n, k: n.LayerNorm([7], elementwise_affine=False, **k), (4, 7)),
    "rms norm": case(lambda n, k: n.RMSNorm(7, **k), (4, 7)),
    "rms norm with eps": case(lambda n, k: n.RMSNorm((3, 7), eps=1e-3, **k), (4, 3, 7)),
    "rms norm without weight": case(lambda n, k: n.RMSNorm(7, elementwise_affine=False, **k), (4, 7)),
    "batch norm": case(lambda n, k: n.BatchNorm1d(5, **k), (6, 5)),
    "batch norm of sequences": case(lambda n, k: n.BatchNorm1d(5, eps=1e-3, momentum=0.3, **k), (3, 5, 4)),
    "batch norm without weight": case(lambda n, k: n.BatchNorm1d(5, affine=False, **k), (6, 5)),
    "batch norm without statistics": case(lambda n, k: n.BatchNorm1d(5, track_running_stats=False, **k), (6, 5)),
    "batch norm in evaluation": case(lambda n, k: n.BatchNorm1d(5, **k).eval(), (6, 5)),
    "batch norm without statistics in evaluation": case(lambda n, k: n.BatchNorm1d(5, track_running_stats=False, **k).eval(), (6, 5)),
    "dropout in evaluation": case(lambda n, k: n.Dropout(0.5).eval(), (6, 5)),
    "dropout of nothing": case(lambda n, k: n.Dropout(0.0), (6, 5)),
    "dropout of all": case(lambda n, k: n.Dropout(1.0), (6, 5)),
    "flatten": case(lambda n, k: n.Flatten(), (3, 4, 5)),
    "flatten the first two": case(lambda n, k: n.Flatten(0, 1), (3, 4, 5)),
    "identity": case(lambda n, k: n.Identity(5, unused=1), (3, 4)),
    "leaky relu": case(lambda n, k: n.LeakyReLU(0.2), (4, 5)),
    "elu": case(lambda n, k: n.ELU(alpha=0.7), (4, 5)),
    "celu": case(lambda n, k: n.CELU(alpha=0.5), (4, 5)),
    "tanh gelu": case(lambda n, k: n.GELU(approximate="tanh"), (4, 5)),
    "softplus": case(lambda n, k: n.Softplus(beta=2.0, threshold=1.0), (4, 5)),
    "hardtanh": case(lambda n, k: n.Hardtanh(-0.3, 0.6), (4, 5)),
    "softmax": case(lambda n, k: n.Softmax(dim=1), (4, 5)),
    "softmax of columns": case(lambda n, k: n.Softmax(dim=0), (4, 5)),
    "log softmax": case(lambda n, k: n.LogSoftmax(dim=-1), (2, 4, 5)),
    "prelu per feature": case(lambda n, k: n.PReLU(5, init=0.1, **k), (4, 5)),
    "prelu of sequences": case(lambda n, k: n.PReLU(5, **k), (2, 5, 3)),
    "conv1d": case(lambda n, k: n.Conv1d(3, 4, 3, stride=2, padding=1, **k), (2, 3, 7)),
    "conv2d": case(lambda n, k: n.Conv2d(3, 4, 3, **k), (2, 3, 6, 5)),
    "conv2d without bias": case(lambda n, k: n.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, bias=False, **k), (2, 4, 6, 5)),
    "conv2d of one image": case(lambda n, k: n.Conv2d(3, 4, 3, padding="same", dilation=2, **k), (3, 6, 5)),
    "conv2d with reflection": case(lambda n, k: n.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect", **k), (2, 2, 5, 4)),
    "conv2d in a circle": case(lambda n, k: n.Conv2d(2, 3, 3, padding="same", padding_mode="circular", **k), (2, 2, 5, 4)),
    "conv transpose 1d": case(lambda n, k: n.ConvTranspose1d(3, 2, 3, stride=2, **k), (2, 3, 4)),
    "conv transpose 2d": case(lambda n, k: n.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, **k), (2, 4, 3, 4)),
    "max pool 1d": case(lambda n, k: n.MaxPool1d(2), (2, 3, 7)),
    "max pool 2d": case(lambda n, k: n.MaxPool2d(3, 2, 1), (2, 3, 7, 6)),
    "max pool 2d, last windows": case(lambda n, k: n.MaxPool2d((2, 3), ceil_mode=True), (2, 3, 7, 7)),
    "avg pool 1d": case(lambda n, k: n.AvgPool1d(3, 2, 1), (2, 3, 7)),
    "avg pool 2d": case(lambda n, k: n.AvgPool2d(2), (2, 3, 6, 4)),
    "avg pool 2d, edges": case(lambda n, k: n.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 3, 6, 5)),
    "adaptive avg pool 1d": case(lambda n, k: n.AdaptiveAvgPool1d(3), (2, 3, 7)),
    "adaptive avg pool 2d": case(lambda n, k: n.AdaptiveAvgPool2d((1, 1)), (2, 3, 5, 4)),
    "adaptive max pool 1d": case(lambda n, k: n.AdaptiveMaxPool1d(2), (2, 3, 7)),
    "adaptive max pool 2d": case(lambda n, k: n.AdaptiveMaxPool2d((None, 3)), (2, 3, 5, 4)),
    "batch norm of images": case(lambda n, k: n.BatchNorm2d(3, **k), (4, 3, 2, 5)),
    "batch norm of images in evaluation": case(lambda n, k: n.BatchNorm2d(3, **k).eval(), (4, 3, 2, 5)),
    "group norm": case(lambda n, k: n.GroupNorm(2, 6, **k), (2, 6, 3, 2)),
    "group norm without weight": case(lambda n, k: n.GroupNorm(3, 6, eps=1e-3, affine=False, **k), (2, 6, 4)),
    "instance norm": case(lambda n, k: n.InstanceNorm2d(3, **k), (2, 3, 4, 5)),
    "instance norm with weight": case(lambda n, k: n.InstanceNorm2d(3, affine=True, eps=1e-3, **k), (3, 4, 5)),
    "instance norm with statistics": case(lambda n, k: n.InstanceNorm2d(3, track_running_stats=True, **k), (2, 3, 4, 5)),
    "instance norm with statistics in evaluation": case(lambda n, k: n.InstanceNorm1d(3, track_running_stats=True, **k).eval(), (2, 3, 5)),
    "dropout of images in evaluation": case(lambda n, k: n.Dropout2d(0.5).eval(), (2, 3, 4, 5)),
    "dropout of all channels": case(lambda n, k: n.Dropout1d(1.0), (2, 3, 4)),
    "upsample": case(lambda n, k: n.Upsample(scale_factor=2), (2, 3, 4, 5)),
    "bilinear upsample": case(lambda n, k: n.Upsample((7, 6), mode="bilinear", align_corners=True), (2, 3, 4, 5)),
    "unflatten": case(lambda n, k: n.Unflatten(1, (2, -1)), (3, 6, 2)),
    "sequence": case(lambda n, k: n.Sequential(n.Linear(5, 8, **k), n.BatchNorm1d(8, **k), n.ReLU(), n.Linear(8, 3, **k)), (6, 5)),
}
LAYERS |= {
    f"default {kind.__name__}": case(lambda n, k, name=kind.__name__: getattr(n, name)(), (4, 5))
    for kind in nn.activation.ACTIVATIONS.values()
}


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


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (4, 3, 2, 5)])
@pytest.mark.parametrize("way", ["eager", "compiled", "compiled, numpy"])
def test_running_statistics_follow_those_of_pytorch(shape: tuple[int, ...], dtype: str, momentum: float | None, way: str) -> None:
    kind = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    ours, theirs = both(lambda n, k: getattr(n, kind)(3, momentum=momentum, **k), dtype)
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
    assert ours.num_batches_tracked.item() == 4


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
