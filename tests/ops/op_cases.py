"""The table of operations that the tests in this folder run over: a new row is tested by being entered.

A row is a function of a namespace `F` and of float arrays. The namespace is `fastnn.nn.functional` or, with the same names, PyTorch, so
that one row checks gradients, backends and parity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn.nn import functional

Array = np.ndarray[Any, Any]
Maker = Callable[[np.random.Generator], Array]


class Case(NamedTuple):
    """One row: the function, what makes each of its inputs, and what it is not checked for."""

    function: Callable[..., Any]
    inputs: tuple[Maker, ...]
    in_torch: bool = True
    twice: bool = True


class Fastnn:
    """The library's functions, and constants as its users write them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(functional, name)

    def ints(self, values: Any) -> Any:
        return np.asarray(values, np.int64)

    def floats(self, values: Any, like: Any) -> Any:
        return np.asarray(values, like.dtype)

    def reduce(self, name: str, x: Any, axis: Any, keepdims: bool) -> Any:
        return getattr(functional, name)(x, axis, keepdims)


def case(function: Callable[..., Any], *inputs: Maker, in_torch: bool = True, twice: bool = True) -> Case:
    return Case(function, inputs, in_torch, twice)


def normal(*shape: int) -> Maker:
    return lambda rng: rng.normal(size=shape)


def positive(*shape: int) -> Maker:
    return lambda rng: rng.uniform(0.3, 2.0, shape)


def unit(*shape: int) -> Maker:
    return lambda rng: rng.uniform(0.05, 0.95, shape)


def distributions(*shape: int) -> Maker:
    """Positive numbers that add up to 1 along dimension 1."""

    def make(rng: np.random.Generator) -> Array:
        x = rng.uniform(0.1, 1.0, shape)
        return x / x.sum(1, keepdims=True)

    return make


def around(*kinks: float) -> Callable[..., Maker]:
    """Numbers on all sides of `kinks`, but none nearer than 0.05, so that differences do not straddle one."""

    def shaped(*shape: int) -> Maker:
        def make(rng: np.random.Generator) -> Array:
            x = rng.uniform(min(kinks) - 1.5, max(kinks) + 1.5, shape)
            for k in kinks:
                x = np.where(np.abs(x - k) < 0.05, k + 0.05 + np.abs(x - k), x)
            return x

        return make

    return shaped


def distinct(*shape: int) -> Maker:
    """Numbers that all differ by 0.1 or more."""
    return lambda rng: rng.permutation(np.prod(shape)).reshape(shape) * 0.1 - 1.0


def transposed(make: Maker) -> Maker:
    """The same numbers in memory of the opposite order."""
    return lambda rng: make(rng).T


off0 = around(0.0)
LABELS = [2, 0, 1, 2, 1]
SOME_IGNORED = [2, -100, 1, 0, -100]
PLANE_LABELS = [[2, 0], [-100, 1]]

ELEMENTWISE = {
    "add": case(lambda F, a, b: a + b, normal(2, 3), normal(2, 3)),
    "add, broadcast": case(lambda F, a, b: a + b, normal(4, 1, 3), normal(2, 1)),
    "add a number": case(lambda F, a: 2.5 + a + 1, normal(3)),
    "subtract, broadcast": case(lambda F, a, b: a - b, normal(3), normal(2, 3)),
    "subtract from a number": case(lambda F, a: 2.5 - a, normal(3)),
    "multiply, broadcast": case(lambda F, a, b: a * b, normal(2, 3), normal(1, 3)),
    "multiply by a scalar tensor": case(lambda F, a, b: a * b, normal(2, 3), normal()),
    "multiply with itself": case(lambda F, a: a * a * a, normal(4)),
    "multiply views": case(lambda F, a, b: a.T * b, normal(2, 3), transposed(normal(2, 3))),
    "divide": case(lambda F, a, b: a / b, normal(2, 3), off0(2, 1)),
    "divide a number": case(lambda F, a: 3.0 / a, off0(4)),
    "negative": case(lambda F, a: -a, normal(2, 3)),
    "power": case(lambda F, a, b: a**b, positive(2, 3), normal(3)),
    "square": case(lambda F, a: a**2, normal(3)),
    "cube": case(lambda F, a: a**3, normal(3)),
    "inverse square root": case(lambda F, a: a**-0.5, positive(3)),
    "power of a number": case(lambda F, a: 2.0**a, normal(3)),
    "exp": case(lambda F, a: F.exp(a), normal(2, 3)),
    "log": case(lambda F, a: F.log(a), positive(2, 3)),
    "sin": case(lambda F, a: F.sin(a), normal(2, 3)),
    "cos": case(lambda F, a: F.cos(a), normal(2, 3)),
    "sqrt": case(lambda F, a: F.sqrt(a), positive(2, 3)),
    "abs": case(lambda F, a: abs(a), off0(2, 3)),
    "erf": case(lambda F, a: F.erf(a), normal(2, 3)),
    "maximum": case(lambda F, a, b: F.maximum(a, b), distinct(2, 3), lambda rng: rng.uniform(-0.04, 0.04, 3)),
    "minimum": case(lambda F, a, b: F.minimum(a, b), distinct(2, 3), lambda rng: rng.uniform(-0.04, 0.04, 3)),
    "clip": case(lambda F, a: F.clip(a, -1.0, 0.5), around(-1.0, 0.5)(8)),
    "clip below only": case(lambda F, a: F.clip(a, -1.0), around(-1.0)(8)),
    "where": case(lambda F, a, b: F.where(a > 0.0, a * b, b), off0(2, 3), normal(3)),
    "fan-out": case(lambda F, a: F.sin(a) * a + F.exp(a) / (a * a + 1.0), normal(4)),
}

SHAPES = {
    "reshape": case(lambda F, a: F.reshape(a, (3, -1)), normal(2, 6)),
    "reshape a transpose": case(lambda F, a: F.reshape(a.T, (4, 3)), normal(2, 6)),
    "transpose": case(lambda F, a: F.transpose(a, 0, -1), normal(2, 3, 2)),
    "permute": case(lambda F, a: F.permute(a, (2, 0, 1)), normal(2, 3, 4)),
    "T": case(lambda F, a: a.T, normal(2, 3)),
    "flatten a scalar": case(lambda F, a: F.flatten(a * a), normal()),
    "contiguous": case(lambda F, a: a.T.contiguous() * a.T, normal(2, 3)),
    "flatten": case(lambda F, a: F.flatten(a, 1), normal(2, 3, 2)),
    "squeeze": case(lambda F, a: F.squeeze(a, 1), normal(2, 1, 3)),
    "squeeze all": case(lambda F, a: F.squeeze(a), normal(1, 3, 1)),
    "unsqueeze": case(lambda F, a: F.unsqueeze(a, -1), normal(2, 3)),
    "broadcast_to": case(lambda F, a: F.broadcast_to(a, (4, 2, 3)), normal(2, 1)),
    "concatenate": case(lambda F, a, b: F.concatenate([a, b, a], axis=1), normal(2, 3), normal(2, 1)),
    "stack": case(lambda F, a, b: F.stack([a, b], dim=1), normal(2, 3), normal(2, 3)),
    "split": case(lambda F, a: F.split(a, 2, 1)[1] * F.split(a, [2, 2, 1], 1)[0], normal(2, 5)),
    "chunk": case(lambda F, a: F.chunk(a, 3)[0] * F.chunk(a, 3)[1], normal(5, 2)),
    "pad": case(lambda F, a: F.pad(a, (1, 2, 0, 1), value=0.5), normal(2, 3)),
    "slice": case(lambda F, a: a[1:, ::2], normal(3, 5)),
    "integer index": case(lambda F, a: a[-1] * a[0, 2], normal(3, 5)),
    "new axis and ellipsis": case(lambda F, a: a[None, ..., 1], normal(3, 5)),
    "reversed twice": case(lambda F, a: a[1:] * a[:-1], normal(4)),
    "rows by an array": case(lambda F, a: a[F.ints([0, 2, 2, -1])], normal(3, 2)),
    "items by an array": case(lambda F, a: a[F.ints([[0, 2], [2, 1]])], normal(3)),
    "iteration": case(lambda F, a: sum(row * (i + 1) for i, row in enumerate(a)), normal(3, 2)),
}

REDUCTIONS = {
    f"{name}, {shape} over {axis}{', kept' if keepdims else ''}": case(
        lambda F, a, name=name, axis=axis, keepdims=keepdims: F.reduce(name, a, axis, keepdims), distinct(*shape)
    )
    for name in ("sum", "mean", "max", "min", "var")
    for shape, axis, keepdims in [
        ((2, 3), None, False),
        ((2, 3), 0, False),
        ((2, 3), -1, True),
        ((2, 3, 4), (0, 2), False),
        ((2, 3, 4), (0, 2), True),
        ((2, 3, 4), (1, 2), False),
        ((2, 3, 2, 2), (0, 1, 3), False),
    ]
} | {
    "sum of a transpose": case(lambda F, a: F.sum(a.T, 0), normal(3, 2)),
    "mean of a scalar": case(lambda F, a: F.mean(a * a), normal()),
    "var, uncorrected": case(lambda F, a: F.var(a, 0, correction=0), normal(3, 2)),
}

PRODUCTS = {
    f"matmul {a} @ {b}": case(lambda F, x, y: x @ y, normal(*a), normal(*b))
    for a, b in [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((2, 3), (3, 4)),
        ((2, 2, 3), (3, 4)),
        ((2, 2, 3), (2, 3, 4)),
        ((2, 3), (2, 3, 4)),
        ((3,), (2, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((2, 2, 2, 3), (3,)),
    ]
} | {
    "matmul of transposes": case(lambda F, x, y: x.T @ y.T, normal(3, 2), normal(4, 3)),
    "matmul of permuted batches": case(
        lambda F, x, y: F.transpose(x, 1, 2) @ F.permute(y, (0, 2, 3, 1)), normal(2, 3, 2, 2), normal(2, 3, 2, 2)
    ),
    "linear": case(lambda F, x, w, b: F.linear(x, w, b), normal(5, 3), normal(2, 3), normal(2)),
    "linear without bias": case(lambda F, x, w: F.linear(x, w), normal(5, 3), normal(2, 3)),
    "linear on more dimensions": case(lambda F, x, w, b: F.linear(x, w, b), normal(2, 2, 3), normal(2, 3), normal(2)),
    "linear on a vector": case(lambda F, x, w, b: F.linear(x, w, b), normal(3), normal(2, 3), normal(2)),
    "linear on views": case(lambda F, x, w, b: F.linear(x.T, w.T, b[::2]), normal(3, 4), normal(3, 2), normal(4)),
    "bilinear": case(lambda F, a, b, w, c: F.bilinear(a, b, w, c), normal(4, 2), normal(4, 3), normal(2, 2, 3), normal(2)),
    "bilinear on more dimensions": case(lambda F, a, b, w: F.bilinear(a, b, w), normal(2, 2, 2), normal(2, 2, 3), normal(2, 2, 3)),
    "two layers": case(lambda F, x, w, b, v: F.linear(F.tanh(F.linear(x, w, b)), v), normal(4, 3), normal(5, 3), normal(5), normal(2, 5)),
}

ACTIVATIONS = {
    "sigmoid": case(lambda F, x: F.sigmoid(x), normal(2, 3)),
    "tanh": case(lambda F, x: F.tanh(x), normal(2, 3)),
    "relu": case(lambda F, x: F.relu(x), off0(8)),
    "leaky_relu": case(lambda F, x: F.leaky_relu(x), off0(8)),
    "leaky_relu, slope": case(lambda F, x: F.leaky_relu(x, 0.3), off0(8)),
    "elu": case(lambda F, x: F.elu(x), off0(8)),
    "elu, alpha": case(lambda F, x: F.elu(x, 0.7), off0(8)),
    "selu": case(lambda F, x: F.selu(x), off0(8)),
    "celu": case(lambda F, x: F.celu(x), off0(8)),
    "celu, alpha": case(lambda F, x: F.celu(x, 0.7), off0(8)),
    "gelu": case(lambda F, x: F.gelu(x), normal(8)),
    "gelu, tanh": case(lambda F, x: F.gelu(x, approximate="tanh"), normal(8)),
    "silu": case(lambda F, x: F.silu(x), normal(8)),
    "mish": case(lambda F, x: F.mish(x), normal(8)),
    "softplus": case(lambda F, x: F.softplus(x), normal(8)),
    "softplus, beta and threshold": case(lambda F, x: F.softplus(x, 2.0, 1.0), around(0.5)(8)),
    "logsigmoid": case(lambda F, x: F.logsigmoid(x), normal(8)),
    "softsign": case(lambda F, x: F.softsign(x), off0(8)),
    "hardtanh": case(lambda F, x: F.hardtanh(x), around(-1.0, 1.0)(8)),
    "hardtanh, bounds": case(lambda F, x: F.hardtanh(x, -0.5, 2.0), around(-0.5, 2.0)(8)),
    "relu6": case(lambda F, x: F.relu6(x), around(0.0, 6.0)(12)),
    "hardsigmoid": case(lambda F, x: F.hardsigmoid(x), around(-3.0, 3.0)(12)),
    "hardswish": case(lambda F, x: F.hardswish(x), around(-3.0, 3.0)(12)),
    "prelu, one weight": case(lambda F, x, w: F.prelu(x, w), off0(3, 4), positive(1)),
    "prelu, weight per feature": case(lambda F, x, w: F.prelu(x, w), off0(2, 3, 2), positive(3)),
    "prelu on a vector": case(lambda F, x, w: F.prelu(x, w), off0(5), positive(1)),
    "maxout": case(lambda F, x: F.maxout(x, 3), distinct(2, 6), in_torch=False),
    "maxout, first dimension": case(lambda F, x: F.maxout(x, 2, dim=0), distinct(4, 3), in_torch=False),
    "softmax": case(lambda F, x: F.softmax(x, dim=-1), normal(2, 4)),
    "softmax, first dimension": case(lambda F, x: F.softmax(x, dim=0), normal(4, 2, 2)),
    "log_softmax": case(lambda F, x: F.log_softmax(x, dim=1), normal(2, 4)),
    "log_softmax, middle dimension": case(lambda F, x: F.log_softmax(x, dim=1), normal(2, 4, 2)),
}

NORMALISATIONS = {
    "layer_norm": case(lambda F, x, w, b: F.layer_norm(x, (4,), w, b), normal(3, 4), positive(4), normal(4)),
    "layer_norm, plain": case(lambda F, x: F.layer_norm(x, (4,)), normal(3, 4)),
    "layer_norm, weight only": case(lambda F, x, w: F.layer_norm(x, (4,), w, eps=1e-2), normal(3, 4), positive(4)),
    "layer_norm, two dimensions": case(lambda F, x, w, b: F.layer_norm(x, (2, 3), w, b), normal(2, 2, 3), positive(2, 3), normal(2, 3)),
    "layer_norm of a transpose": case(lambda F, x: F.layer_norm(x.T, (3,)), normal(3, 4)),
    "rms_norm": case(lambda F, x, w: F.rms_norm(x, (4,), w, 1e-5), normal(3, 4), positive(4)),
    "rms_norm, plain": case(lambda F, x: F.rms_norm(x, (2, 2)), normal(3, 2, 2)),
    **{
        f"batch_norm {shape}, {'training' if training else 'evaluation'}": case(
            lambda F, x, w, b, training=training: F.batch_norm(
                x, F.floats([0.1, -0.2, 0.3], x), F.floats([1.0, 0.5, 2.0], x), w, b, training=training, eps=1e-3
            ),
            normal(*shape),
            positive(3),
            normal(3),
        )
        for shape in ((4, 3), (2, 3, 4), (2, 3, 2, 2))
        for training in (True, False)
    },
    "batch_norm, plain": case(lambda F, x: F.batch_norm(x, None, None, training=True), normal(4, 3)),
}

LOSSES = {
    f"{name}, {reduction}": case(lambda F, x, t, f=function, r=reduction: f(F, x, t, reduction=r), *inputs)
    for reduction in ("mean", "sum", "none")
    for name, function, inputs in [
        ("mse_loss", lambda F, x, t, **k: F.mse_loss(x, t, **k), (normal(3, 4), normal(3, 4))),
        ("l1_loss", lambda F, x, t, **k: F.l1_loss(x, t, **k), (distinct(2, 3), lambda rng: rng.uniform(-0.04, 0.04, (2, 3)))),
        ("huber_loss", lambda F, x, t, **k: F.huber_loss(x, t, delta=0.7, **k), (around(-0.7, 0.7)(9), lambda rng: np.zeros(9))),
        ("smooth_l1_loss", lambda F, x, t, **k: F.smooth_l1_loss(x, t, beta=0.5, **k), (around(-0.5, 0.5)(9), lambda rng: np.zeros(9))),
        ("smooth_l1_loss, beta 0", lambda F, x, t, **k: F.smooth_l1_loss(x, t, beta=0.0, **k), (off0(5), lambda rng: np.zeros(5))),
        ("binary_cross_entropy", lambda F, x, t, **k: F.binary_cross_entropy(x, t, **k), (unit(2, 3), unit(2, 3))),
        (
            "binary_cross_entropy_with_logits",
            lambda F, x, t, **k: F.binary_cross_entropy_with_logits(x, t, **k),
            (normal(2, 3), unit(2, 3)),
        ),
        (
            "binary_cross_entropy_with_logits, weighted",
            lambda F, x, t, **k: F.binary_cross_entropy_with_logits(
                x, t, weight=F.floats([[0.5], [2.0]], x), pos_weight=F.floats([1.0, 3.0, 0.2], x), **k
            ),
            (normal(2, 3), unit(2, 3)),
        ),
        ("kl_div", lambda F, x, t, **k: F.kl_div(x, t, **k), (normal(2, 3), unit(2, 3))),
        ("kl_div, log_target", lambda F, x, t, **k: F.kl_div(x, t, log_target=True, **k), (normal(2, 3), normal(2, 3))),
        (
            "cross_entropy of probabilities",
            lambda F, x, t, **k: F.cross_entropy(x, t, weight=F.floats([1.0, 2.0, 0.5], x), label_smoothing=0.1, **k),
            (normal(4, 3), distributions(4, 3)),
        ),
        (
            "cross_entropy of planes of probabilities",
            lambda F, x, t, **k: F.cross_entropy(x, t, **k),
            (normal(2, 3, 2), distributions(2, 3, 2)),
        ),
    ]
} | {
    "binary_cross_entropy, weighted": case(
        lambda F, x, t: F.binary_cross_entropy(x, t, weight=F.floats([0.5, 2.0, 1.0], x)), unit(2, 3), unit(2, 3)
    ),
    "kl_div, batchmean": case(lambda F, x, t: F.kl_div(x, t, reduction="batchmean"), normal(2, 3), unit(2, 3)),
    # Its targets are signs, which differences cannot be taken by: their gradient has a test of its own.
    "hinge_loss": case(lambda F, x: F.hinge_loss(x, F.floats([1, -1, -1, 1, 1, -1], x), margin=0.8), normal(6), in_torch=False),
}

CLASSIFICATION = {
    f"{name}, {reduction}": case(lambda F, x, f=function, r=reduction: f(F, x, reduction=r), normal(*shape))
    for reduction in ("mean", "sum", "none")
    for name, function, shape in [
        ("cross_entropy", lambda F, x, **k: F.cross_entropy(x, F.ints(LABELS), **k), (5, 3)),
        ("cross_entropy, ignored", lambda F, x, **k: F.cross_entropy(x, F.ints(SOME_IGNORED), **k), (5, 3)),
        ("cross_entropy, own ignore_index", lambda F, x, **k: F.cross_entropy(x, F.ints(LABELS), ignore_index=1, **k), (5, 3)),
        ("cross_entropy, smoothed", lambda F, x, **k: F.cross_entropy(x, F.ints(SOME_IGNORED), label_smoothing=0.2, **k), (5, 3)),
        (
            "cross_entropy, weighted and smoothed",
            lambda F, x, **k: F.cross_entropy(x, F.ints(SOME_IGNORED), weight=F.floats([1.0, 2.0, 0.5], x), label_smoothing=0.2, **k),
            (5, 3),
        ),
        ("cross_entropy, one sample", lambda F, x, **k: F.cross_entropy(x, F.ints(1), **k), (3,)),
        (
            "cross_entropy, planes",
            lambda F, x, **k: F.cross_entropy(x, F.ints(PLANE_LABELS), weight=F.floats([1.0, 2.0, 0.5], x), **k),
            (2, 3, 2),
        ),
        ("nll_loss", lambda F, x, **k: F.nll_loss(x, F.ints(SOME_IGNORED), **k), (5, 3)),
        ("nll_loss, weighted", lambda F, x, **k: F.nll_loss(x, F.ints(LABELS), weight=F.floats([1.0, 2.0, 0.5], x), **k), (5, 3)),
        ("nll_loss, planes", lambda F, x, **k: F.nll_loss(x, F.ints(PLANE_LABELS), **k), (2, 3, 2)),
    ]
} | {
    f"cross_entropy, sample_weight, {reduction}": case(
        lambda F, x, s, r=reduction: F.cross_entropy(x, F.ints(SOME_IGNORED), sample_weight=s, reduction=r),
        normal(5, 3),
        positive(5),
        in_torch=False,
    )
    for reduction in ("mean", "sum", "none")
}

LOOKUPS = {
    "embedding": case(lambda F, w: F.embedding(F.ints([[0, 2], [2, 1]]), w), normal(4, 3)),
    "embedding, padding": case(lambda F, w: F.embedding(F.ints([0, 2, 2, 1]), w, padding_idx=2) * 2.0, normal(4, 3), twice=False),
}

CONVOLUTIONS = {
    f"{function} {settings}": case(
        lambda F, x, w, b, f=function, k=settings: getattr(F, f)(x, w, b, **k), normal(*shape), normal(*weight), normal(outputs)
    )
    for function, shape, weight, outputs, settings in [
        ("conv2d", (2, 3, 5, 4), (4, 3, 3, 2), 4, {}),
        ("conv2d", (1, 2, 4, 4), (3, 2, 1, 1), 3, {}),
        ("conv2d", (2, 2, 6, 5), (2, 2, 3, 3), 2, {"stride": 2, "padding": 1}),
        ("conv2d", (2, 2, 6, 5), (2, 2, 3, 2), 2, {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1)}),
        ("conv2d", (2, 2, 4, 5), (2, 2, 2, 3), 2, {"padding": "same", "dilation": (1, 2)}),
        ("conv2d", (1, 2, 4, 4), (2, 2, 3, 3), 2, {"padding": "valid"}),
        ("conv2d", (2, 4, 4, 4), (6, 2, 3, 3), 6, {"groups": 2, "padding": 1}),
        ("conv2d", (2, 3, 4, 4), (6, 1, 3, 3), 6, {"groups": 3, "stride": 2}),
        ("conv2d", (3, 4, 4), (2, 3, 3, 3), 2, {"padding": 1}),
        ("conv1d", (2, 3, 6), (4, 3, 3), 4, {"stride": 2, "padding": 1}),
        ("conv1d", (4, 6), (2, 2, 2), 2, {"groups": 2, "dilation": 2, "padding": "same"}),
        ("conv_transpose2d", (2, 3, 3, 2), (3, 2, 3, 2), 2, {}),
        ("conv_transpose2d", (2, 2, 3, 2), (2, 3, 3, 3), 3, {"stride": 2, "padding": 1, "output_padding": 1}),
        ("conv_transpose2d", (1, 4, 2, 3), (4, 2, 2, 3), 4, {"groups": 2, "stride": (2, 1), "dilation": (1, 2), "padding": (0, 1)}),
        ("conv_transpose2d", (2, 2, 3), (2, 2, 2, 2), 2, {"stride": 2}),
        ("conv_transpose2d", (2, 2, 2, 3), (2, 3, 1, 1), 3, {"padding": 1}),
        ("conv_transpose1d", (2, 2, 4), (2, 3, 3), 3, {"stride": 2, "output_padding": 1}),
    ]
} | {"conv2d without bias, of a transpose": case(lambda F, x, w: F.conv2d(F.transpose(x, 1, 2), w), normal(2, 4, 3, 5), normal(2, 3, 2, 2))}

POOLINGS = {
    f"{function} {shape} {settings}": case(lambda F, x, f=function, k=settings: getattr(F, f)(x, **k), distinct(*shape))
    for function, shape, settings in [
        ("max_pool2d", (2, 2, 4, 4), {"kernel_size": 2}),
        ("max_pool2d", (1, 2, 6, 5), {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}),
        ("max_pool2d", (1, 1, 5, 5), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ("max_pool2d", (1, 1, 6, 6), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
        ("max_pool2d", (2, 7, 6), {"kernel_size": 2, "stride": 1, "dilation": (3, 2), "padding": 1}),
        ("max_pool1d", (2, 2, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("avg_pool2d", (2, 2, 4, 4), {"kernel_size": 2}),
        ("avg_pool2d", (1, 2, 5, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        (
            "avg_pool2d",
            (1, 2, 5, 6),
            {"kernel_size": (2, 3), "padding": 1, "ceil_mode": True, "count_include_pad": False},
        ),
        ("avg_pool2d", (2, 5, 6), {"kernel_size": 2, "stride": 1, "divisor_override": 3}),
        ("avg_pool1d", (2, 2, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
        ("adaptive_avg_pool2d", (2, 2, 5, 7), {"output_size": (3, 2)}),
        ("adaptive_avg_pool2d", (2, 2, 3, 4), {"output_size": 1}),
        ("adaptive_avg_pool2d", (2, 3, 4), {"output_size": (None, 5)}),
        ("adaptive_avg_pool1d", (2, 2, 7), {"output_size": 3}),
        ("adaptive_max_pool2d", (2, 2, 5, 7), {"output_size": (3, 4)}),
        ("adaptive_max_pool1d", (2, 2, 7), {"output_size": 2}),
    ]
}

IMAGES = {
    f"{function} {shape} {settings}": case(lambda F, x, f=function, k=settings: getattr(F, f)(x, **k), normal(*shape))
    for function, shape, settings in [
        ("interpolate", (1, 2, 3, 4), {"scale_factor": 2}),
        ("interpolate", (1, 2, 5, 4), {"size": (3, 7)}),
        ("interpolate", (1, 2, 5), {"scale_factor": 1.7}),
        ("interpolate", (1, 2, 5), {"scale_factor": 1.7, "mode": "linear"}),
        ("interpolate", (2, 1, 3, 4), {"scale_factor": (2, 1.5), "mode": "bilinear"}),
        ("interpolate", (2, 1, 3, 4), {"size": (5, 2), "mode": "bilinear", "align_corners": True}),
        ("interpolate", (1, 1, 4, 1), {"size": (1, 3), "mode": "bilinear", "align_corners": True}),
        ("pad", (1, 2, 3, 4), {"pad": (1, 2, 2, 0), "mode": "reflect"}),
        ("pad", (1, 2, 3, 2), {"pad": (3, 0, 1, 2), "mode": "replicate"}),
        ("pad", (1, 2, 3, 4), {"pad": (4, 1, 0, 2), "mode": "circular"}),
        ("pad", (2, 3, 4), {"pad": (-1, 2, 1, -2), "value": None}),
        ("pad", (2, 4), {"pad": (-4, 3), "value": 0.5}),
        ("pad", (1, 2, 4, 4), {"pad": (-1, 2, 3, -2), "mode": "reflect"}),
        ("pad", (1, 2, 4), {"pad": (-2, -1), "mode": "reflect", "value": None}),
        ("pad", (1, 2, 4, 3), {"pad": (-1, 3, -2, -1), "mode": "replicate"}),
        ("pad", (1, 2, 4, 4), {"pad": (-1, 3, 2, -1), "mode": "circular"}),
        ("interpolate", (2, 1, 3), {"scale_factor": 1.3, "mode": "linear"}),
        *[("interpolate", (1, 2, 3, 4), {"scale_factor": (1.3, 1.7), "mode": mode}) for mode in ("nearest", "bilinear")],
        ("interpolate", (1, 2, 3, 4), {"scale_factor": (1.7, 1.2), "mode": "bilinear", "align_corners": True}),
        ("interpolate", (1, 2, 5), {"scale_factor": 1.7, "mode": "linear", "recompute_scale_factor": True, "antialias": False}),
        ("interpolate", (1, 2, 3, 4), {"scale_factor": 1.7, "recompute_scale_factor": True}),
    ]
} | {
    # PyTorch's own gradient does not belong to its values here, which have a test of their own.
    f"interpolate {shape} by {scale}": case(lambda F, x, s=scale: F.interpolate(x, scale_factor=s), normal(*shape), in_torch=False)
    for shape, scale in (((2, 1, 3), 1.3), ((1, 1, 3, 2, 2), (1.3, 2.4, 1.4)))
}

GROUP_NORMALISATIONS = {
    **{
        f"group_norm {shape}, {groups} groups": case(
            lambda F, x, w, b, g=groups: F.group_norm(x, g, w, b, eps=1e-3), normal(*shape), positive(shape[1]), normal(shape[1])
        )
        for shape, groups in (((3, 4), 2), ((2, 4, 3), 4), ((2, 6, 2, 2), 3), ((2, 2, 2, 3), 1))
    },
    "group_norm, plain": case(lambda F, x: F.group_norm(x, 2), normal(2, 4, 3)),
    "instance_norm": case(lambda F, x, w, b: F.instance_norm(x, None, None, w, b), normal(2, 3, 2, 3), positive(3), normal(3)),
    "instance_norm, plain": case(lambda F, x: F.instance_norm(x, eps=1e-3), normal(2, 3, 4)),
    "instance_norm, statistics given": case(
        lambda F, x, w, b: F.instance_norm(x, F.floats([0.1, -0.2], x), F.floats([0.5, 2.0], x), w, b, use_input_stats=False),
        normal(2, 2, 3),
        positive(2),
        normal(2),
    ),
}

CONVOLUTIONAL = CONVOLUTIONS | POOLINGS | IMAGES | GROUP_NORMALISATIONS
CASES = ELEMENTWISE | SHAPES | REDUCTIONS | PRODUCTS | ACTIVATIONS | NORMALISATIONS | LOSSES | CLASSIFICATION | LOOKUPS | CONVOLUTIONAL
