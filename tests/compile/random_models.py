"""Models drawn at random from layers of all kinds and sizes, with data for them."""

from __future__ import annotations

import random

import numpy as np

import fastnn
from fastnn import nn
from fastnn.nn import functional as F

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Mish, nn.Hardswish, nn.PReLU, nn.ReLU6)
NORMS = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d)
LEAST_NORMED = 4  # the norm of fewer numbers is next to nothing but signs: rounding errors become results
JOINS = (  # of two branches and what both came from
    lambda a, b, x: a * F.sigmoid(b),
    lambda a, b, x: (a + b).tanh() + x,
    lambda a, b, x: F.softmax(a, -1) * x,
    lambda a, b, x: a * a * 0.1 + b,
    lambda a, b, x: F.concatenate([a[:, :1], F.maximum(a, b)[:, 1:]], 1) - x,
)


class Fork(nn.Module):
    """Two linear branches, joined; perhaps they share their weights."""

    def __init__(self, draw, width):
        self.first = nn.Linear(width, width)
        self.second = self.first if draw.random() < 0.2 else nn.Linear(width, width)
        self.join = draw.choice(JOINS)

    def forward(self, x):
        return self.join(self.first(x), self.second(F.relu(x)), x)


def dense(draw, width, widths, depth=0):
    """A layer, or several, of `width` features, and how many features come out."""
    kind = draw.choice(["linear", "linear", "activation", "norm", "residual", "fork"])
    if kind == "linear":
        out = draw.choice(widths)
        return nn.Linear(width, out, bias=draw.random() < 0.8), out
    if kind == "norm" and width >= LEAST_NORMED:
        return draw.choice(NORMS)(width), width
    if kind == "residual" and depth < 2:
        body, out = [], width
        for _ in range(draw.randint(1, 3)):
            layer, out = dense(draw, out, widths, depth + 1)
            body.append(layer)
        if out != width:
            body.append(nn.Linear(out, width))
        return nn.Residual(*body, shortcut=nn.Linear(width, width, bias=False) if draw.random() < 0.3 else None), width
    if kind == "fork":
        return Fork(draw, width), width
    return draw.choice(ACTIVATIONS)(), width


def convolution(draw, C, H, W):
    """A convolution that (C, H, W) allows, with any stride, padding, dilation and groups, and the shape that it makes."""
    groups = C if draw.random() < 0.2 else 1
    out = C * draw.choice([1, 2]) if groups > 1 else draw.choice([1, 3, 4, 8, 16, 17])
    kernel, stride, dilation = draw.choice([1, 2, 3, 3, 5]), draw.choice([1, 1, 2]), draw.choice([1, 1, 2])
    padding = draw.choice([0, 1, 2, kernel // 2])
    H, W = ((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for n in (H, W))
    if min(H, W) < 2:
        return nn.Conv2d(C, C, 1), (C, None, None)
    bias = draw.random() < 0.7
    return nn.Conv2d(C, out, kernel, stride, padding, dilation, groups, bias=bias), (out, H, W)


def images(draw, C, H, W):
    """A layer, or several, of images of this shape, and the shape that comes out."""
    kind = draw.choice(["convolution", "convolution", "norm", "activation", "pooling", "residual", "upsampling"])
    if kind == "convolution":
        layer, (out, h, w) = convolution(draw, C, H, W)
        return layer, (out, h or H, w or W)
    if kind == "norm":
        return draw.choice([nn.BatchNorm2d(C), nn.GroupNorm(1, C), nn.InstanceNorm2d(C)]), (C, H, W)
    if kind == "pooling" and min(H, W) >= 4:
        kernel, stride = draw.choice([2, 3]), draw.choice([1, 2])
        return draw.choice([nn.MaxPool2d, nn.AvgPool2d])(kernel, stride), (C, (H - kernel) // stride + 1, (W - kernel) // stride + 1)
    if kind == "residual":
        body = [nn.Conv2d(C, C, 3, padding=1, bias=False), nn.BatchNorm2d(C), nn.ReLU(), nn.Conv2d(C, C, 3, padding=1)]
        return nn.Residual(*body, *[nn.BatchNorm2d(C)] * draw.randint(0, 1)), (C, H, W)
    if kind == "upsampling" and H * W < 150:
        return nn.Upsample(scale_factor=2, mode=draw.choice(["nearest", "bilinear"])), (C, 2 * H, 2 * W)
    return draw.choice(ACTIVATIONS)(), (C, H, W)


def drawn(seed, large):
    """A model, a loss, a batch size, and two whole batches and a part of a third for them, all from one seed."""
    draw = random.Random(seed)
    fastnn.manual_seed(seed)
    widths = [7, 64, 100, 257, 300, 700] if large else [1, 2, 3, 5, 8, 13, 16, 17, 31, 33, 48, 65]
    batch = draw.choice([9, 32, 100, 200] if large else [2, 3, 5, 8, 16, 33, 64])
    layers = []
    if draw.random() < 0.5:
        batch = min(batch, 33 if large else 9)
        shape = draw.choice([(1, 14, 14), (3, 16, 28), (16, 14, 16)] if large else [(1, 5, 5), (2, 8, 11), (3, 9, 5)])
        C, H, W = shape
        for _ in range(draw.randint(1, 5)):
            layer, (C, H, W) = images(draw, C, H, W)
            layers.append(layer)
        layers.append(nn.Flatten())
        width = C * H * W
    else:
        width = draw.choice(widths)
        shape = (width,)
    for _ in range(draw.randint(1, 5)):
        layer, width = dense(draw, width, widths)
        layers.append(layer)
    classes = draw.choice([2, 3, 10, 17])
    rng = np.random.default_rng(seed)
    rows = 2 * batch + max(2, batch // 2)
    loss = draw.choice(["cross_entropy", "mse", "huber"])
    target = rng.integers(0, classes, rows) if loss == "cross_entropy" else rng.standard_normal((rows, classes))
    return nn.Sequential(*layers, nn.Linear(width, classes)), loss, batch, rng.standard_normal((rows, *shape)), target
