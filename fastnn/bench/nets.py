"""The networks that are trained and run: each described once, and built from that in every library.

A description is a tuple of layers, each a kind and its sizes; parameters are named as in PyTorch's state_dict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from .. import models, nn, random
from . import torch_nets
from .case import AbsentError, Array

Layers = tuple[tuple[Any, ...], ...]
SEED = 0
LR = 1e-3
LAYER_NORM_EPS = 1e-5


@dataclass(frozen=True)
class Net:
    """A network and the batch that it is trained on.

    Parameters
    ----------
    name
        The row of the report.
    inputs, outputs
        The shape of one input; how many numbers come out.
    batch
        Examples in a training step.
    loss
        "mse" or "cross_entropy".
    ours, torch
        Build the model; the latter is given PyTorch.
    layers
        Its description, for libraries that are driven by it; None for convolutional networks.
    batches
        How many batches one measured call of `run_epoch` covers.
    rtol
        How far the losses of the first steps may be off, relatively: normalisation over small batches magnifies rounding.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: int
    batch: int
    loss: str
    ours: Callable[[], nn.Module]
    torch: Callable[[Any], Any]
    layers: Layers | None = None
    batches: int = 50
    rtol: float = 2e-4

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products in one forward pass of one example; 0 where they are not counted."""
        return 2.0 * sum(_weights(self.layers)) if self.layers else 0.0

    def state(self) -> dict[str, Array]:
        """The weights that everybody starts from."""
        random.manual_seed(SEED)
        return {name: np.array(value) for name, value in self.ours().state_dict().items()}

    def model(self) -> nn.Module:
        """Our model with these weights."""
        model = self.ours()
        model.load_state_dict(self.state())
        return model

    def torch_model(self, torch: Any) -> Any:
        """PyTorch's model with these weights; those of convolutional networks go over in their order."""
        model = self.torch(torch)
        theirs, given = model.state_dict(), {k: v for k, v in self.state().items() if not k.endswith("num_batches_tracked")}
        names = [name for name in theirs if not name.endswith("num_batches_tracked")]
        if [tuple(theirs[name].shape) for name in names] != [v.shape for v in given.values()]:
            raise AbsentError("its twin of this model has other parameters")
        model.load_state_dict({name: torch.from_numpy(v.copy()) for name, v in zip(names, given.values(), strict=True)}, strict=False)
        return model

    def data(self, count: int) -> tuple[Array, Array]:
        """`count` examples."""
        rng = np.random.default_rng(SEED)
        x = rng.standard_normal((count, *self.inputs)).astype(np.float32)
        if self.loss == "mse":
            return x, rng.standard_normal((count, self.outputs)).astype(np.float32)
        return x, rng.integers(0, self.outputs, count)


def _weights(layers: Layers) -> list[int]:
    found: list[int] = []
    for kind, *sizes in layers:
        if kind == "linear":
            found.append(sizes[0] * sizes[1])
        elif kind == "residual":
            found += _weights(tuple(sizes))
    return found


OURS: Mapping[str, Callable[..., nn.Module]] = {
    "linear": nn.Linear,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "layer_norm": nn.LayerNorm,
    "residual": lambda *body: nn.Residual(*_modules(body)),
}


def _modules(layers: Layers) -> list[nn.Module]:
    return [OURS[kind](*sizes) for kind, *sizes in layers]


def forward(xp: Any, parameters: Mapping[str, Any], x: Any, layers: Layers, prefix: str = "") -> Any:
    """The output of a described network, in the functions of NumPy or of `jax.numpy`."""
    for i, (kind, *sizes) in enumerate(layers):
        at = f"{prefix}{i}."
        if kind == "linear":
            x = x @ parameters[at + "weight"].T + parameters[at + "bias"]
        elif kind == "layer_norm":
            centred = x - x.mean(-1, keepdims=True)
            x = centred / xp.sqrt((centred**2).mean(-1, keepdims=True) + LAYER_NORM_EPS)
            x = x * parameters[at + "weight"] + parameters[at + "bias"]
        elif kind == "residual":
            x = x + forward(xp, parameters, x, tuple(sizes), at + "body.")
        else:
            x = xp.tanh(x) if kind == "tanh" else xp.maximum(x, 0)
    return x


def loss_of(xp: Any, output: Any, y: Any, loss: str) -> Any:
    """The mean loss, in the functions of NumPy or of `jax.numpy`."""
    if loss == "mse":
        return ((output - y) ** 2).mean()
    top = output.max(1, keepdims=True)
    shifted = output - top
    return (xp.log(xp.exp(shifted).sum(1)) - xp.take_along_axis(shifted, y[:, None], 1)[:, 0]).mean()


def mlp(sizes: tuple[int, ...], activation: str) -> Layers:
    """The description of a plain fully connected network."""
    layers: list[tuple[Any, ...]] = []
    for inputs, outputs in pairwise(sizes):
        layers += [("linear", inputs, outputs), (activation,)]
    return tuple(layers[:-1])


def _described(name: str, batch: int, loss: str, layers: Layers, batches: int = 50) -> Net:
    inputs, outputs = layers[0][1], layers[-1][2]
    return Net(
        name,
        (inputs,),
        outputs,
        batch,
        loss,
        lambda: nn.Sequential(*_modules(layers)),
        partial(torch_nets.described, layers),
        layers,
        batches,
    )


BLOCK = ("residual", ("layer_norm", 64), ("linear", 64, 64), ("relu",), ("linear", 64, 64))
DENSE = (
    _described("MLP 17-64-64-6 tanh", 64, "mse", mlp((17, 64, 64, 6), "tanh")),
    _described("MLP 30-128-128-2", 32, "cross_entropy", mlp((30, 128, 128, 2), "relu")),
    _described("MLP 784-256-128-10", 128, "cross_entropy", mlp((784, 256, 128, 10), "relu")),
    _described("MLP 1024-2048-2048-2048-1000", 256, "cross_entropy", mlp((1024, 2048, 2048, 2048, 1000), "relu"), batches=4),
    _described("20 residual blocks of width 64", 128, "cross_entropy", (("linear", 64, 64), *[BLOCK] * 20, ("linear", 64, 10))),
)
CONVOLUTIONAL = (
    Net("LeNet-5 28x28", (1, 28, 28), 10, 128, "cross_entropy", models.lenet5, torch_nets.lenet5, batches=10),
    Net("ResNet-20 32x32", (3, 32, 32), 10, 64, "cross_entropy", models.resnet20, torch_nets.resnet20, batches=2, rtol=2e-3),
    Net("ResNet-18 64x64", (3, 64, 64), 1000, 16, "cross_entropy", models.resnet18, torch_nets.resnet18, batches=2, rtol=2e-2),
)
LARGE_IMAGE = replace(CONVOLUTIONAL[-1], name="ResNet-18 224x224", inputs=(3, 224, 224))
TINY = _described("MLP 5-8-3", 4, "cross_entropy", mlp((5, 8, 3), "relu"), batches=3)
TINY_RESIDUAL = _described("a residual block of width 64", 4, "mse", (("linear", 9, 64), BLOCK, ("linear", 64, 3)), batches=2)
TINY_CONVOLUTIONAL = Net("ResNet-8 8x8", (3, 8, 8), 10, 4, "cross_entropy", partial(models.cifar_resnet, 8), torch_nets.resnet8, batches=2)


def nets(quick: bool) -> tuple[Net, ...]:
    """The networks of the report; three tiny ones to try everything out."""
    return (TINY, TINY_RESIDUAL, TINY_CONVOLUTIONAL) if quick else DENSE + CONVOLUTIONAL
