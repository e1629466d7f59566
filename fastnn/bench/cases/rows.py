"""Kernels that work on the rows of matrices, and down their columns: softmax, normalisation, cross entropy, sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ... import kernels
from ...ops._operands import nothing
from ...ops.normalisation import rows_of_a_sum
from .. import peers
from ..case import Array, Case, Contestant, Setting

SHAPES = ((128, 1000), (8192, 64))
QUICK_SHAPES = ((8, 37), (64, 16))
EPS = 1e-5
NO_TARGET = -100


class Data(NamedTuple):
    """What the rows are made of: inputs, gradients, labels, weight and bias, and statistics of the rows."""

    x: Array
    dy: Array
    labels: Array
    weight: Array
    bias: Array
    mean: Array
    rstd: Array


Ours = tuple[Callable[[], None], Sequence[Array]]  # kernel calls, and the arrays that they fill


class Work(NamedTuple):
    """A piece of row work: ours, the right results, PyTorch's and JAX's way, and how often as much as x is read and written."""

    ours: Callable[[Data], Ours]
    reference: Callable[[Data], Array | tuple[Array, ...]]
    torch: Callable[[Any, Any], Callable[[], Any]]
    jax: Callable[[Any, Any], Any]
    passes: int


def _of_x(name: str) -> Callable[[Data], Ours]:
    """A kernel that takes x and fills as much."""

    def ours(d: Data) -> Ours:
        y = np.empty_like(d.x)
        return partial(getattr(kernels, name), y, d.x), [y]

    return ours


def _sum(outer: int, inner: int) -> Callable[[Data], Ours]:
    """The sums of x seen as (outer, -1, inner), where 0 stands for N or D."""

    def ours(d: Data) -> Ours:
        N, D = d.x.shape
        x = d.x.reshape(outer or N, -1, inner or D)
        y = np.empty((x.shape[0], x.shape[2]), np.float32)
        return partial(kernels.reduce_sum, y, x), [y]

    return ours


def _layer_norm(d: Data) -> Ours:
    y, mean, rstd = np.empty_like(d.x), np.empty_like(d.mean), np.empty_like(d.rstd)
    return partial(kernels.layer_norm, y, mean, rstd, d.x, d.weight, d.bias, EPS), [y]


def _rms_norm(d: Data) -> Ours:
    y, rstd = np.empty_like(d.x), np.empty_like(d.rstd)
    return partial(kernels.rms_norm, y, rstd, d.x, d.weight, EPS), [y]


def _batch_norm(d: Data) -> Ours:
    N, C = d.x.shape
    y, planes, mean, var = np.empty((N, C, 1), np.float32), d.x[..., None], np.empty(C, np.float32), np.empty(C, np.float32)

    def call() -> None:
        kernels.reduce_var(var[None], mean[None], d.x[None], 0.0)
        kernels.batch_norm(y, planes, mean, var, d.weight, d.bias, nothing(planes), EPS, 0)

    return call, [y]


def _layer_norm_grad(d: Data) -> Ours:
    N, D = d.x.shape
    dx, rows = np.empty_like(d.x), rows_of_a_sum(N)
    sums = [np.empty((-(-N // rows), D), np.float32) for _ in range(2)]
    totals = [np.empty((1, D), np.float32) for _ in range(2)]
    added = [x[None] for x in sums]

    def call() -> None:
        kernels.layer_norm_grad(dx, *sums, d.dy, d.x, d.weight, d.mean, d.rstd, rows)
        for total, terms in zip(totals, added, strict=True):
            kernels.reduce_sum(total, terms)

    return call, [dx, *totals]


def _layer_norm_grad_reference(d: Data) -> tuple[Array, ...]:
    xhat, g = _normalised(d.x), d.dy * d.weight
    rstd = 1 / np.sqrt(d.x.var(1, keepdims=True) + EPS)
    return rstd * (g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True)), (d.dy * xhat).sum(0), d.dy.sum(0)


def _cross_entropy(d: Data) -> Ours:
    N, C = d.x.shape
    dx = np.empty_like(d.x)
    loss, lse, ones = np.empty(N, np.float32), np.empty(N, np.float32), np.ones(C, np.float32)
    share = np.full(N, 1 / N, np.float32)

    def call() -> None:
        kernels.cross_entropy(loss, lse, d.x, d.labels, ones, 0.0, NO_TARGET)
        kernels.cross_entropy_grad(dx, share, d.x, lse, d.labels, ones, 0.0, NO_TARGET)

    return call, [dx]


def _cross_entropy_reference(d: Data) -> Array:
    p = _softmax(d.x)
    p[np.arange(len(p)), d.labels] -= 1
    return p / len(p)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    result: Array = e / e.sum(1, keepdims=True)
    return result


def _normalised(x: Array) -> Array:
    result: Array = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + EPS)
    return result


def _torch_layer_norm_grad(torch: Any, d: Any) -> Callable[[], Any]:
    grads = torch.ops.aten.native_layer_norm_backward
    mean, rstd = d.mean[:, None], d.rstd[:, None]
    return lambda: grads(d.dy, d.x, d.x.shape[1:], mean, rstd, d.weight, d.bias, [True, True, True])


def _torch_cross_entropy(torch: Any, d: Any) -> Callable[[], Any]:
    x = d.x.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy
    return lambda: torch.autograd.grad(loss(x, d.labels), x)[0]


def _jax_normalised(jax: Any, x: Any, axis: int) -> Any:
    centred = x - x.mean(axis, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(axis, keepdims=True) + EPS)


def _jax_cross_entropy(jax: Any, x: Any, labels: Any) -> Any:
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(x), labels[:, None], 1).mean()


def _jax_layer_norm_grad(jax: Any, d: Any) -> Any:
    def total(x: Any, weight: Any, bias: Any) -> Any:
        return ((_jax_normalised(jax, x, 1) * weight + bias) * d.dy).sum()

    return jax.grad(total, (0, 1, 2))(d.x, d.weight, d.bias)


WORK = {
    "softmax": Work(
        _of_x("softmax"),
        lambda d: _softmax(d.x),
        lambda torch, d: lambda: torch.softmax(d.x, 1),
        lambda jax, d: jax.nn.softmax(d.x),
        passes=2,
    ),
    "log_softmax": Work(
        _of_x("log_softmax"),
        lambda d: np.log(_softmax(d.x)),
        lambda torch, d: lambda: torch.log_softmax(d.x, 1),
        lambda jax, d: jax.nn.log_softmax(d.x),
        passes=2,
    ),
    "layer_norm": Work(
        _layer_norm,
        lambda d: _normalised(d.x) * d.weight + d.bias,
        lambda torch, d: lambda: torch.nn.functional.layer_norm(d.x, d.x.shape[1:], d.weight, d.bias, EPS),
        lambda jax, d: _jax_normalised(jax, d.x, 1) * d.weight + d.bias,
        passes=2,
    ),
    "layer_norm backward": Work(_layer_norm_grad, _layer_norm_grad_reference, _torch_layer_norm_grad, _jax_layer_norm_grad, passes=3),
    "rms_norm": Work(
        _rms_norm,
        lambda d: d.x / np.sqrt((d.x**2).mean(1, keepdims=True) + EPS) * d.weight,
        lambda torch, d: lambda: torch.nn.functional.rms_norm(d.x, d.x.shape[1:], d.weight, EPS),
        lambda jax, d: d.x * jax.lax.rsqrt((d.x**2).mean(1, keepdims=True) + EPS) * d.weight,
        passes=2,
    ),
    "batch_norm": Work(
        _batch_norm,
        lambda d: _normalised(d.x.T).T * d.weight + d.bias,
        lambda torch, d: lambda: torch.nn.functional.batch_norm(d.x, None, None, d.weight, d.bias, True, eps=EPS),
        lambda jax, d: _jax_normalised(jax, d.x, 0) * d.weight + d.bias,
        passes=2,
    ),
    "sum of each row": Work(
        _sum(0, 1),
        lambda d: d.x.sum(1),
        lambda torch, d: lambda: d.x.sum(1),
        lambda jax, d: d.x.sum(1),
        passes=1,
    ),
    "sum of each column": Work(
        _sum(1, 0),
        lambda d: d.x.sum(0),
        lambda torch, d: lambda: d.x.sum(0),
        lambda jax, d: d.x.sum(0),
        passes=1,
    ),
    "cross entropy and gradient": Work(
        _cross_entropy,
        _cross_entropy_reference,
        _torch_cross_entropy,
        lambda jax, d: jax.grad(lambda x: _jax_cross_entropy(jax, x, d.labels))(d.x),
        passes=2,
    ),
}


def _data(N: int, D: int) -> Data:
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((N, D)).astype(np.float32) for _ in range(2))
    weight, bias = (rng.standard_normal(D).astype(np.float32) for _ in range(2))
    return Data(x, dy, rng.integers(0, D, N), weight, bias, x.mean(1), 1 / np.sqrt(x.var(1) + np.float32(EPS)))


def cases(setting: Setting) -> Iterator[Case]:
    """Each piece of work at both shapes."""
    for N, D in QUICK_SHAPES if setting.quick else SHAPES:
        data = cache(partial(_data, N, D))
        for name, work in WORK.items():
            yield _case(f"{name} {N}x{D}", work, data, (N, D), setting)


def _joined(results: Any, size: int) -> Array:
    """Results side by side as compared; sums as means, so that what is right does not depend on how much they add up."""
    arrays = [np.asarray(r) for r in (results if isinstance(results, (tuple, list)) else [results])]
    return np.concatenate([r.ravel() * np.float32(r.size / size) for r in arrays])


def _case(name: str, work: Work, data: Callable[[], Data], shape: tuple[int, int], setting: Setting) -> Case:
    size = shape[0] * shape[1]

    def ours() -> Contestant:
        call, filled = work.ours(data())
        return Contestant(call, lambda: (call(), _joined(filled, size))[1])

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        call = work.torch(torch, Data(*map(torch.from_numpy, data())))
        return Contestant(call, lambda: _joined(call(), size))

    def jax() -> Contestant:
        jax = peers.jax(setting.threads)
        compute = jax.jit(lambda *d: work.jax(jax, Data(*d)))
        given = [jax.numpy.asarray(a) for a in data()]
        return Contestant(lambda: jax.block_until_ready(compute(*given)), lambda: _joined(compute(*given), size))

    return Case(
        group="row kernels, float32",
        name=name,
        contestants={"fastnn": ours, "PyTorch": torch, "JAX": jax},
        reference=lambda: _joined(work.reference(Data(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in data()))), size),
        rtol=1e-4,
        atol=1e-5,
        bytes=4.0 * work.passes * size,
    )
