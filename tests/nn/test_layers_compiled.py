"""Every layer does in a compiled step, and in compiled inference, what it does in eager code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_cases import LAYERS, case

import fastnn
from fastnn import models, nn, optim
from fastnn.models._residual_blocks import Bottleneck

NETS = {
    "convolutional autoencoder": case(lambda n, k: models.conv_autoencoder((2, 8, 8), (3, 4), 5, **k), (3, 2, 8, 8)),
    "bottlenecks": case(lambda n, k: models.ResNet(Bottleneck, (1, 1), (2, 3), 4, in_channels=2, small_images=True, **k), (3, 2, 6, 6)),
}
CASES = LAYERS | NETS
TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "float64": {"rtol": 1e-9, "atol": 1e-11}}


class Scaled(nn.Module):
    """A layer behind trained factors, so that the gradients of its inputs are in what is trained."""

    def __init__(self, layer: nn.Module, shapes: tuple[tuple[int, ...], ...], dtype: str) -> None:
        self.layer = layer
        for i, shape in enumerate(shapes):
            self.register_parameter(f"factor{i}", nn.Parameter(np.ones(shape, dtype)))

    def forward(self, *xs: Any) -> Any:
        return self.layer(*(x * getattr(self, f"factor{i}") for i, x in enumerate(xs)))


def weighted_sum(output: Any, target: Any) -> Any:
    return (output * target).sum()


def build(name: str, dtype: str) -> tuple[nn.Module, optim.Optimizer]:
    fastnn.manual_seed(1)
    layer = CASES[name].build(nn, {"dtype": dtype})
    model = Scaled(layer.double() if dtype == "float64" else layer, CASES[name].shapes, dtype)
    return model, optim.SGD(model.parameters(), lr=0.05, momentum=0.5)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_a_compiled_layer_equals_the_eager_one(name: str, dtype: str, backend: str) -> None:
    rng = np.random.default_rng(7)
    xs = tuple(rng.normal(size=shape).astype(dtype) for shape in CASES[name].shapes)
    with fastnn.use_backend(backend):
        model, opt = build(name, dtype)
        with fastnn.no_grad():
            target = rng.normal(size=build(name, dtype)[0](*xs).shape).astype(dtype)
        expected = []
        for _ in range(2):
            loss = weighted_sum(model(*xs), target)
            opt.zero_grad()
            loss.backward()
            opt.step()
            expected.append(loss.item())
        twin, opt = build(name, dtype)
        step = fastnn.compile_training(twin, weighted_sum, opt)
        np.testing.assert_allclose([step(xs, target) for _ in range(2)], expected, **TOLERANCE[dtype])
        for key, value in model.state_dict().items():
            np.testing.assert_allclose(twin.state_dict()[key], value, err_msg=key, **TOLERANCE[dtype])
        infer = fastnn.compile_inference(twin)
        with fastnn.no_grad():
            np.testing.assert_allclose(infer(*xs), model.eval()(*xs).numpy(), **TOLERANCE[dtype])
