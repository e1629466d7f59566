"""Convolutional models: published parameter counts, the outputs of PyTorch, shapes of the variants."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import errors, models, nn, optim

COUNTS = {
    "lenet5": 61_706,  # LeCun et al. 1998 give about 60,000
    "resnet20": 269_722,  # He et al. 2016, table 6: 0.27 M
    "resnet32": 464_154,  # 0.46 M
    "resnet44": 658_586,  # 0.66 M
    "resnet56": 853_018,  # 0.85 M
    "resnet110": 1_727_962,  # 1.7 M
    "resnet18": 11_689_512,  # torchvision's documentation, as are the next two
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
}


def count(model: nn.Module) -> int:
    return sum(parameter.size for parameter in model.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_models_have_their_published_number_of_parameters(name: str) -> None:
    assert count(getattr(models, name)()) == COUNTS[name]


# What projection shortcuts there are, from how many channels to how many.
PROJECTIONS = {
    **dict.fromkeys(("resnet18", "resnet34"), ((64, 128), (128, 256), (256, 512))),
    "resnet50": ((64, 256), (256, 512), (512, 1024), (1024, 2048)),
}


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "lenet5"])
def test_plain_and_preactivated_nets_of_all_depths_have_the_parameters_that_they_should(name: str) -> None:
    """Without shortcuts their weights are gone; before activations they have no norm of their own, and all other norms add up the same."""
    build, between = getattr(models, name), PROJECTIONS.get(name, ())
    norms, weights = sum(2 * out for _, out in between), sum(channels * out for channels, out in between)
    assert count(build(shortcut=None)) == COUNTS[name] - weights - norms
    assert count(build(preactivation=True)) == COUNTS[name] - norms
    assert count(build(preactivation=True, shortcut=None)) == COUNTS[name] - weights - norms


def twin(name: str) -> Any:
    """The net of torchvision's names, in PyTorch."""
    torch = pytest.importorskip("torch")
    t = torch.nn
    bottleneck = name == "resnet50"
    small = name == "resnet20"

    class Block(t.Module):
        def __init__(self, channels: int, width: int, stride: int) -> None:
            super().__init__()
            out = 4 * width if bottleneck else width
            sizes = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
            if not bottleneck:
                sizes = [(channels, width, 3, stride), (width, width, 3, 1)]
            for i, (a, b, kernel, step) in enumerate(sizes, 1):
                setattr(self, f"conv{i}", t.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
                setattr(self, f"bn{i}", t.BatchNorm2d(b))
            self.count = len(sizes)
            self.more = out - channels
            self.stride = stride
            self.downsample = None
            if not small and (stride > 1 or channels != out):
                self.downsample = t.Sequential(t.Conv2d(channels, out, 1, stride, bias=False), t.BatchNorm2d(out))

        def forward(self, x: Any) -> Any:
            y = x
            for i in range(1, self.count + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = torch.relu(y) if i < self.count else y
            if self.downsample is not None:
                x = self.downsample(x)
            elif self.more:
                x = t.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
            return torch.relu(y + x)

    def stage(channels: int, width: int, depth: int, stride: int) -> Any:
        out = 4 * width if bottleneck else width
        return t.Sequential(*(Block(out if j else channels, width, 1 if j else stride) for j in range(depth)))

    widths = (16, 32, 64) if small else (64, 128, 256, 512)
    depths = {"resnet18": (2, 2, 2, 2), "resnet20": (3, 3, 3), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}[name]
    parts: Any = OrderedDict()
    parts["conv1"] = t.Conv2d(3, widths[0], 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
    parts["bn1"], parts["relu"] = t.BatchNorm2d(widths[0]), t.ReLU()
    if not small:
        parts["maxpool"] = t.MaxPool2d(3, 2, 1)
    channels = widths[0]
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        parts[f"layer{i + 1}"] = stage(channels, width, depth, 2 if i else 1)
        channels = 4 * width if bottleneck else width
    parts["avgpool"], parts["flatten"] = t.AdaptiveAvgPool2d(1), t.Flatten()
    parts["fc"] = t.Linear(channels, 10 if small else 1000)
    return t.Sequential(parts)


@pytest.mark.parametrize(
    ("name", "size", "training"),
    [
        ("resnet20", 32, True),
        ("resnet20", 32, False),
        ("resnet18", 64, True),
        ("resnet18", 64, False),
        ("resnet34", 64, False),
        ("resnet50", 64, False),
    ],
)
def test_a_state_dict_of_pytorch_loads_by_name_and_gives_its_outputs(name: str, size: int, training: bool) -> None:
    """As old files are, which do not count batches; in evaluation through the eager model and the compiled one, whose norms are folded."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = twin(name).train(training)
    rng = np.random.default_rng(0)
    for key, value in theirs.state_dict().items():
        if key.endswith("running_mean"):
            value += torch.from_numpy(rng.normal(0, 0.1, value.shape).astype(np.float32))
        if key.endswith("running_var"):
            value *= torch.from_numpy(rng.uniform(0.5, 2, value.shape).astype(np.float32))
    state = {key: value for key, value in theirs.state_dict().items() if not key.endswith("num_batches_tracked")}
    ours = getattr(models, name)().train(training)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.load_state_dict(state) == ([], [])
    x = rng.normal(size=(2, 3, size, size)).astype(np.float32)
    with torch.no_grad(), fastnn.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(ours(x).numpy(), expected, rtol=1e-4, atol=1e-4)
        if not training:
            np.testing.assert_allclose(fastnn.compile_inference(ours)(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_a_step_of_resnet18_changes_it_as_pytorch_does(kind: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    settings = {"lr": 1e-2, "weight_decay": 1e-3, **({"momentum": 0.9, "nesterov": True} if kind == "SGD" else {})}
    theirs = twin("resnet18").double().train()
    ours = models.resnet18(dtype="float64")
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 3, 48, 48)), rng.integers(0, 1000, 3)
    expected = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y))
    expected.backward()
    getattr(torch.optim, kind)(theirs.parameters(), **settings).step()
    step = fastnn.compile_training(ours, "cross_entropy", getattr(optim, kind)(ours.parameters(), **settings))
    assert step(x, y) == pytest.approx(expected.item(), rel=1e-10)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name], value.numpy(), rtol=1e-7, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("preactivation", [False, True])
@pytest.mark.parametrize("shortcut", ["subsample", "projection", None])
def test_every_variant_of_a_resnet_trains(shortcut: str | None, preactivation: bool) -> None:
    fastnn.manual_seed(0)
    model = models.cifar_resnet(8, in_channels=1, shortcut=shortcut, preactivation=preactivation, dtype="float64")
    scores = model(np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    assert scores.shape == (2, 10)
    (scores * scores).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.abs(parameter.grad.numpy()).max() > 0, name


def test_shortcuts_without_parameters_and_plain_nets_have_the_same_weights() -> None:
    shapes = [[(n, p.shape) for n, p in models.resnet20(shortcut=s).named_parameters()] for s in ("subsample", None)]
    assert shapes[0] == shapes[1]
    assert count(models.resnet20(shortcut="projection")) == COUNTS["resnet20"] + 16 * 32 + 32 * 64 + 2 * (32 + 64)


def test_a_preactivated_identity_block_passes_its_input_on_untouched() -> None:
    model = models.cifar_resnet(8, preactivation=True)
    block = model.layer1[0]
    block.conv2.weight.data[...] = 0
    x = np.random.default_rng(0).normal(size=(2, 16, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(block(fastnn.tensor(x)).numpy(), x)


def test_lenet_comes_as_the_original_and_in_its_modern_form() -> None:
    x = np.zeros((3, 1, 28, 28), np.float32)
    for settings, kinds in (({}, (nn.ReLU, nn.MaxPool2d)), ({"activation": "tanh", "pooling": "avg"}, (nn.Tanh, nn.AvgPool2d))):
        model = models.lenet5(**settings)
        assert (type(model[1]), type(model[2])) == kinds
        assert model(x).shape == (3, 10)


def test_a_convolutional_autoencoder_gives_back_the_shape_of_its_input() -> None:
    model = models.conv_autoencoder((3, 16, 24), (4, 8), 5, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 24))
    assert model.encode(x).shape == (2, 5)
    assert model(x).shape == x.shape
    assert count(model) == (3 * 9 + 1) * 4 + (4 * 9 + 1) * 8 + (8 * 24 + 1) * 5 + 6 * 8 * 24 + (8 * 9 * 4 + 4) + (4 * 9 * 3 + 3)


WRONG = {
    "depth": (lambda: models.cifar_resnet(21), errors.ArgumentError, "6 n [+] 2 .* got 21"),
    "shortcut": (lambda: models.resnet20(shortcut="pad"), errors.UnknownNameError, "shortcut 'pad'.*projection"),
    "pooling": (lambda: models.lenet5(pooling="mean"), errors.UnknownNameError, "pooling 'mean'"),
    "size": (lambda: models.conv_autoencoder((1, 30, 28)), errors.ArgumentError, "multiples of 4 .* got 30 and 28"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_model_is_not_built_from_nonsense(name: str) -> None:
    build, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        build()
