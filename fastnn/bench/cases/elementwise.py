"""Elementary functions on an array in the innermost cache, and on one that no cache holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from ... import kernels
from .. import peers
from ..case import Array, Case, Contestant, Setting

SMALL = 4096
LARGE = 16 << 20  # float32: 64 MiB
QUICK_LARGE = 1 << 16

FUNCTIONS: dict[str, Callable[[Array], Array]] = {  # in float64, for the right result
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
}
NUMPY = {"exp": np.exp, "tanh": np.tanh}  # what NumPy has as one function
STRIDE_CHECKED = 251  # of a large array every so many elements are checked


def cases(setting: Setting) -> Iterator[Case]:
    """Each function at both sizes."""
    for size in (SMALL, QUICK_LARGE if setting.quick else LARGE):
        for name in FUNCTIONS:
            yield _case(name, size, setting)


def _case(name: str, size: int, setting: Setting) -> Case:
    step = 1 if size == SMALL else STRIDE_CHECKED

    @cache
    def x() -> Array:
        return np.random.default_rng(0).uniform(-8, 8, size).astype(np.float32)

    def contestant(call: Callable[[], Any], out: Array) -> Contestant:
        return Contestant(call, lambda: (call(), out[::step].copy())[1])

    def ours() -> Contestant:
        out = np.empty_like(x())
        return contestant(partial(getattr(kernels, name), out, x()), out)

    def numpy() -> Contestant:
        out = np.empty_like(x())
        return contestant(partial(NUMPY[name], x(), out=out), out)

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        out = np.empty_like(x())
        function = torch.nn.functional.gelu if name == "gelu" else getattr(torch, name)
        return contestant(partial(function, torch.from_numpy(x()), out=torch.from_numpy(out)), out)

    def jax() -> Contestant:
        jax = peers.jax(setting.threads)
        nn: Sequence[Any] = (jax.nn, jax.numpy)
        plain = next(getattr(home, name) for home in nn if hasattr(home, name))
        function = jax.jit(partial(plain, approximate=False) if name == "gelu" else plain)
        given = jax.numpy.asarray(x())
        return Contestant(lambda: function(given).block_until_ready(), lambda: np.asarray(function(given))[::step])

    small = size == SMALL
    return Case(
        group="elementary functions, float32",
        name=f"{name} on {size:,} elements" if size <= QUICK_LARGE else f"{name} on {4 * size >> 20} MiB",
        contestants={"fastnn": ours, **({"NumPy": numpy} if name in NUMPY else {}), "PyTorch": torch, "JAX": jax},
        reference=lambda: FUNCTIONS[name](x()[::step].astype(np.float64)),
        rtol=1e-5,
        atol=1e-6,
        elements=size,
        bytes=0.0 if small else 8.0 * size,
    )
