"""All convolutions of ResNet-20 and ResNet-18: forward and both gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ... import kernels
from ...compile.memory import root
from ...compile.recording import recording
from ...tensor import Tensor, no_grad
from .. import nets, peers
from ..case import Array, Case, Contestant, Setting
from ..nets import Net


class Shape(NamedTuple):
    """A convolution: batch, input and output channels, size of the image, of the kernel, stride and padding."""

    N: int
    I: int
    O: int
    H: int
    K: int
    stride: int
    pad: int

    @property
    def out(self) -> int:
        """The size of the result."""
        return (self.H + 2 * self.pad - self.K) // self.stride + 1

    def __str__(self) -> str:
        return f"{self.N}x{self.I}x{self.H}x{self.H} to {self.O}, {self.K}x{self.K} stride {self.stride}"


# Our kernel, which of PyTorch's two gradients it is (None for the forward pass), and its arrays: the first is the result.
KINDS = {
    "": ("conv2d", None, ("y", "x", "weight", "bias", "extra y")),
    ", input gradient": ("conv2d_input_grad", 0, ("dx", "dy", "weight", "extra dx")),
    ", weight gradient": ("conv2d_weight_grad", 1, ("dweight", "dy", "x")),
}


def networks(quick: bool) -> tuple[tuple[Net, int], ...]:
    """The networks whose convolutions are measured, each with its batch."""
    if quick:
        return ((nets.TINY_CONVOLUTIONAL, 2),)
    _, resnet20, resnet18 = nets.CONVOLUTIONAL
    return (resnet20, resnet20.batch), (resnet18, resnet18.batch), (nets.LARGE_IMAGE, 1)


def convolutions(net: Net, batch: int) -> dict[Shape, bool]:
    """The convolutions of a network in their order, each once, and whether its input needs a gradient, as images themselves do not."""
    x = np.empty((batch, *net.inputs), np.float32)
    with recording() as found, no_grad():
        net.ours()(Tensor(x))
    shapes: dict[Shape, bool] = {}
    for kernel, operands in found.instructions:
        if kernel == "conv2d":
            _, given, weight, _, _, stride, _, pad, *_ = operands
            N, I, H, _ = given.shape
            shape = Shape(N, I, len(weight), H, weight.shape[2], stride, pad)
            shapes[shape] = shapes.get(shape, False) or root(given) is not x
    return shapes


def cases(setting: Setting) -> Iterator[Case]:
    """Every convolution of the networks, and those of its gradients that training needs."""
    shapes: dict[Shape, bool] = {}
    for net, batch in networks(setting.quick):
        shapes |= convolutions(net, batch)
    for shape, inner in shapes.items():
        data = cache(partial(_data, shape))
        for suffix, (kernel, which, names) in KINDS.items():
            if inner or which != 0:
                yield _case(f"{shape}{suffix}", shape, kernel, which, names, data, setting)


def _data(shape: Shape) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    N, I, O, H, K, *_ = shape
    sizes = {"x": (N, I, H, H), "weight": (O, I, K, K), "bias": (O,), "dy": (N, O, shape.out, shape.out)}
    arrays = {name: rng.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
    arrays |= {"extra y": arrays["dy"], "extra dx": arrays["x"]}  # which are not read
    empty = {"y": arrays["dy"], "dx": arrays["x"], "dweight": arrays["weight"]}
    return arrays | {name: np.empty_like(like) for name, like in empty.items()}


def _case(
    name: str, shape: Shape, kernel: str, which: int | None, names: tuple[str, ...], data: Callable[[], dict[str, Array]], setting: Setting
) -> Case:
    steps = (shape.stride, shape.stride, shape.pad, shape.pad, 1, 1, 1, *([] if which == 1 else [0]))

    def ours() -> Contestant:
        arrays = [data()[n] for n in names]
        call = partial(getattr(kernels, kernel), *arrays, *steps)
        return Contestant(call, lambda: (call(), arrays[0].copy())[1])

    def torch(channels_last: bool = False) -> Contestant:
        torch = peers.torch(setting.threads)
        given = {n: torch.from_numpy(a) for n, a in data().items()}
        if channels_last:
            given = {n: a.to(memory_format=torch.channels_last) if a.ndim == 4 else a for n, a in given.items()}
        call: Callable[[], Any]
        if which is None:
            call = partial(torch.conv2d, given["x"], given["weight"], given["bias"], shape.stride, shape.pad)
            return Contestant(call, lambda: call().numpy())
        wanted = [which == 0, which == 1, False]
        pair, pads, ones = [shape.stride] * 2, [shape.pad] * 2, [1, 1]
        backward = torch.ops.aten.convolution_backward
        call = partial(backward, given["dy"], given["x"], given["weight"], None, pair, pads, ones, False, [0, 0], 1, wanted)
        return Contestant(call, lambda: call()[which].numpy())

    def reference() -> Array:
        arrays = [data()[n].astype(np.float64) for n in names]
        kernels.KERNELS[kernel].twin(*arrays, *steps)
        return arrays[0]

    return Case(
        group="convolution, float32",
        name=name,
        contestants={"fastnn": ours, "PyTorch": torch, "PyTorch channels last": partial(torch, channels_last=True)},
        reference=reference,
        rtol=1e-3,
        atol=1e-5 * (shape.N * shape.out**2 if which == 1 else shape.K**2 * max(shape.I, shape.O)) ** 0.5,
        flops=2.0 * shape.N * shape.O * shape.I * shape.out**2 * shape.K**2,
    )
