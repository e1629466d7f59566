"""Kernels that work row by row: softmax, layer normalisation, cross entropy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ... import kernels
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


class Work(NamedTuple):
    """A piece of row work: ours as kernel calls that fill one array, the right result, PyTorch's and JAX's way, arrays read and written."""

    ours: Callable[[Data, Array], Callable[[], None]]
    reference: Callable[[Data], Array]
    torch: Callable[[Any, Any], Callable[[], Any]]
    jax: Callable[[Any, Any], Any]
    passes: int


def _layer_norm(d: Data, y: Array) -> Callable[[], None]:
    mean, rstd = np.empty_like(d.mean), np.empty_like(d.rstd)
    return lambda: kernels.layer_norm(y, mean, rstd, d.x, d.weight, d.bias, EPS)


def _layer_norm_grad(d: Data, dx: Array) -> Callable[[], None]:
    N, D = dx.shape
    rows = rows_of_a_sum(N)
    sums = [np.empty((-(-N // rows), D), np.float32) for _ in range(2)]
    totals = [np.empty((1, D), np.float32) for _ in range(2)]
    added = [x[None] for x in sums]

    def call() -> None:
        kernels.layer_norm_grad(dx, *sums, d.dy, d.x, d.weight, d.mean, d.rstd, rows)
        for total, terms in zip(totals, added, strict=True):
            kernels.reduce_sum(total, terms)

    return call


def _layer_norm_grad_reference(d: Data) -> Array:
    xhat, g = _normalised(d.x), d.dy * d.weight
    rstd = 1 / np.sqrt(d.x.var(1, keepdims=True) + EPS)
    result: Array = rstd * (g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True))
    return result


def _cross_entropy(d: Data, dx: Array) -> Callable[[], None]:
    N, C = d.x.shape
    loss, lse, ones = np.empty(N, np.float32), np.empty(N, np.float32), np.ones(C, np.float32)
    share = np.full(N, 1 / N, np.float32)

    def call() -> None:
        kernels.cross_entropy(loss, lse, d.x, d.labels, ones, 0.0, NO_TARGET)
        kernels.cross_entropy_grad(dx, share, d.x, lse, d.labels, ones, 0.0, NO_TARGET)

    return call


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
    return lambda: grads(d.dy, d.x, d.x.shape[1:], mean, rstd, d.weight, d.bias, [True, True, True])[0]


def _torch_cross_entropy(torch: Any, d: Any) -> Callable[[], Any]:
    x = d.x.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy
    return lambda: torch.autograd.grad(loss(x, d.labels), x)[0]


def _jax_layer_norm(jax: Any, x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(1, keepdims=True) + EPS) * weight + bias


def _jax_cross_entropy(jax: Any, x: Any, labels: Any) -> Any:
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(x), labels[:, None], 1).mean()


def _jax_layer_norm_grad(jax: Any, d: Any) -> Any:
    def total(x: Any, weight: Any, bias: Any) -> Any:
        return (_jax_layer_norm(jax, x, weight, bias) * d.dy).sum()

    return jax.grad(total, (0, 1, 2))(d.x, d.weight, d.bias)


WORK = {
    "softmax": Work(
        lambda d, y: lambda: kernels.softmax(y, d.x),
        lambda d: _softmax(d.x),
        lambda torch, d: lambda: torch.softmax(d.x, 1),
        lambda jax, d: jax.nn.softmax(d.x),
        passes=2,
    ),
    "layer_norm": Work(
        _layer_norm,
        lambda d: _normalised(d.x) * d.weight + d.bias,
        lambda torch, d: lambda: torch.nn.functional.layer_norm(d.x, d.x.shape[1:], d.weight, d.bias, EPS),
        lambda jax, d: _jax_layer_norm(jax, d.x, d.weight, d.bias),
        passes=2,
    ),
    "layer_norm backward": Work(_layer_norm_grad, _layer_norm_grad_reference, _torch_layer_norm_grad, _jax_layer_norm_grad, passes=3),
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


def _case(name: str, work: Work, data: Callable[[], Data], shape: tuple[int, int], setting: Setting) -> Case:
    def ours() -> Contestant:
        out = np.empty(shape, np.float32)
        call = work.ours(data(), out)
        return Contestant(call, lambda: (call(), out)[1])

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        call = work.torch(torch, Data(*map(torch.from_numpy, data())))
        return Contestant(call, lambda: call().numpy())

    def jax() -> Contestant:
        jax = peers.jax(setting.threads)
        compute = jax.jit(lambda *d: work.jax(jax, Data(*d)))
        given = [jax.numpy.asarray(a) for a in data()]

        def result() -> Array:
            found = compute(*given)
            return np.asarray(found[0] if isinstance(found, tuple) else found)

        return Contestant(lambda: jax.block_until_ready(compute(*given)), result)

    return Case(
        group="row kernels, float32",
        name=name,
        contestants={"fastnn": ours, "PyTorch": torch, "JAX": jax},
        reference=lambda: work.reference(Data(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in data()))),
        rtol=1e-4,
        atol=1e-5,
        bytes=4.0 * work.passes * shape[0] * shape[1],
    )
