"""Models built from a few numbers: their layers, sizes, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import errors, models, nn
from fastnn.nn import functional as F


def count(model: nn.Module) -> int:
    return sum(parameter.size for parameter in model.parameters())


def kinds(model: nn.Sequential) -> list[str]:
    return [type(module).__name__ for module in model]


def test_an_mlp_is_a_sequence_of_its_hidden_layers() -> None:
    model = models.mlp(64, [32, 16], 10, activation="tanh", dropout=0.2, norm="batch_norm")
    assert kinds(model) == ["Linear", "BatchNorm1d", "Tanh", "Dropout"] * 2 + ["Linear"]
    assert model(np.ones((3, 64), np.float32)).shape == (3, 10)
    assert count(model) == (64 + 1 + 2) * 32 + (32 + 1 + 2) * 16 + (16 + 1) * 10
    assert model[3].p == 0.2


def test_an_mlp_leaves_out_what_is_not_asked_for() -> None:
    assert kinds(models.mlp(4, [3], 2)) == ["Linear", "ReLU", "Linear"]
    assert kinds(models.mlp(4, [], 2)) == ["Linear"]


def test_a_residual_mlp_has_blocks_of_one_width() -> None:
    model = models.residual_mlp(64, 32, 3, 10)
    assert kinds(model) == ["Linear", "Residual", "Residual", "Residual", "LayerNorm", "Linear"]
    assert kinds(model[1].body) == ["LayerNorm", "Linear", "ReLU", "Dropout", "Linear"]
    assert model(np.ones((3, 64), np.float32)).shape == (3, 10)
    block = 2 * 32 + 2 * (32 + 1) * 32
    assert count(model) == (64 + 1) * 32 + 3 * block + 2 * 32 + (32 + 1) * 10
    assert kinds(models.residual_mlp(4, 3, 1, 2, norm=None, dropout=0, activation=nn.SiLU)[1].body) == ["Linear", "SiLU", "Linear"]


def test_an_autoencoder_shows_its_hidden_code() -> None:
    model = models.autoencoder(20, [12, 6], 2, activation="sigmoid")
    x = np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32)
    code = model.encode(x)
    assert code.shape == (5, 2)
    np.testing.assert_array_equal(model.decode(code).numpy(), model(x).numpy())
    np.testing.assert_array_equal(model.embed("encoder", x).numpy(), code.numpy())
    assert [m.out_features for m in model.modules() if isinstance(m, nn.Linear)] == [12, 6, 2, 6, 12, 20]


@pytest.mark.parametrize("dtype", [None, "float64"])
@pytest.mark.parametrize("name", nn.activation.ACTIVATIONS)
def test_every_activation_can_be_named(name: str, dtype: str | None) -> None:
    model = models.mlp(3, [4], 2, activation=name, dtype=dtype)
    assert type(model[1]) is nn.activation.ACTIVATIONS[name]
    assert model(np.ones((2, 3), dtype or np.float32)).dtype == (dtype or "float32")


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm", "batch_norm", None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_come_in_both_dtypes(dtype: str, norm: str | None) -> None:
    model = models.residual_mlp(3, 4, 2, 2, norm=norm, dtype=dtype)
    assert {str(p.dtype) for p in model.parameters()} == {dtype}
    assert model(np.ones((2, 3), dtype)).dtype == dtype


def spirals(samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two spiral arms, which no linear model can tell apart: points (samples, 2) and labels."""
    label = rng.integers(0, 2, samples)
    angle = rng.uniform(0.5, 5, samples)
    radius = angle / 5
    points = np.stack([radius * np.cos(angle + np.pi * label), radius * np.sin(angle + np.pi * label)], axis=1)
    return points.astype(np.float32), label


def learn(model: nn.Module, x: np.ndarray, label: np.ndarray, steps: int, lr: float) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(x), label)
        model.zero_grad()
        loss.backward()
        with fastnn.no_grad():
            for parameter in model.parameters():
                parameter.data -= lr * parameter.grad.numpy()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_residual_mlp_learns_what_a_linear_model_cannot(backend: str) -> None:
    x, label = spirals(200, np.random.default_rng(0))
    with fastnn.kernels.use_backend(backend):
        fastnn.manual_seed(0)
        model = models.residual_mlp(2, 32, 2, 2, dropout=0.0)
        losses = learn(model, x, label, steps=150, lr=0.3)
        linear = learn(nn.Linear(2, 2), x, label, steps=150, lr=0.3)
        right = np.mean(model(x).numpy().argmax(1) == label)
    assert losses[0] == pytest.approx(np.log(2), rel=0.5)
    assert losses[-1] < 0.1
    assert right > 0.98
    assert linear[-1] > 0.4


def test_both_backends_learn_alike() -> None:
    x, label = spirals(100, np.random.default_rng(0))
    curves = []
    for backend in ("numba", "numpy"):
        with fastnn.kernels.use_backend(backend):
            fastnn.manual_seed(0)
            model = models.residual_mlp(2, 16, 2, 2, dtype="float64")
            curves.append(learn(model, x.astype(np.float64), label, steps=20, lr=0.1))
    np.testing.assert_allclose(*curves, rtol=1e-9)


def test_a_model_with_an_unknown_part_is_not_built() -> None:
    with pytest.raises(errors.UnknownNameError, match="unknown activation 'step'"):
        models.autoencoder(4, [3], 2, activation="step")
