"""The table of layers that tests run over: a new row is compared with PyTorch, and compiled.

A row builds a layer from `fastnn.nn` or, with the same names, from `torch.nn`, and says of what shapes its inputs are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastnn import nn


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
    "dilated conv1d": case(lambda n, k: n.Conv1d(4, 6, 3, dilation=2, padding=2, groups=2, **k), (2, 4, 7)),
    "conv1d with reflection": case(lambda n, k: n.Conv1d(3, 4, 3, padding=2, padding_mode="reflect", **k), (2, 3, 7)),
    "depthwise conv2d": case(lambda n, k: n.Conv2d(4, 4, 3, padding=1, groups=4, **k), (2, 4, 6, 5)),
    "depthwise conv2d, two to a channel": case(lambda n, k: n.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, **k), (2, 3, 7, 6)),
    "dilated conv2d": case(lambda n, k: n.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1), **k), (2, 3, 7, 6)),
    "conv2d with its edge": case(lambda n, k: n.Conv2d(2, 3, 3, padding=2, padding_mode="replicate", **k), (2, 2, 5, 4)),
    "dilated conv transpose 2d": case(lambda n, k: n.ConvTranspose2d(2, 3, 2, stride=2, output_padding=1, dilation=2, **k), (2, 2, 3, 4)),
    "dilated max pool 2d": case(lambda n, k: n.MaxPool2d(2, stride=1, padding=1, dilation=(1, 2)), (2, 3, 7, 6)),
    "avg pool 2d divided": case(lambda n, k: n.AvgPool2d(2, divisor_override=3), (2, 3, 6, 4)),
    "batch norm over all batches": case(lambda n, k: n.BatchNorm2d(3, momentum=None, **k), (4, 3, 2, 5)),
    "instance norm with all": case(lambda n, k: n.InstanceNorm2d(3, affine=True, track_running_stats=True, **k), (2, 3, 4, 5)),
    "linear upsample": case(lambda n, k: n.Upsample(scale_factor=1.7, mode="linear"), (2, 3, 5)),
    "bilinear upsample by a factor": case(lambda n, k: n.Upsample(scale_factor=(2, 1.2), mode="bilinear"), (2, 3, 4, 3)),
    "upsample, recomputed": case(lambda n, k: n.Upsample(scale_factor=1.7, recompute_scale_factor=True), (2, 3, 4, 5)),
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
