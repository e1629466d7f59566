"""Matrix products on plain arrays, square ones and those of small and large dense layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from ... import kernels
from .. import peers
from ..case import Array, Case, Contestant, Setting

SQUARES = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
LAYERS = (  # M, N, K
    (32, 256, 784),
    (128, 512, 784),
    (784, 256, 128),
    (256, 2048, 2048),
    (1, 256, 256),
    (1, 2048, 2048),
    (64, 6, 64),
)
FORMS = ("nn", "nt", "tn")  # which operand is the transpose of an array that lies row by row
QUICK_LARGEST = 70_000  # M N K


def cases(setting: Setting) -> Iterator[Case]:
    """All shapes in both precisions."""
    for dtype in ("float32", "float64"):
        shapes = [(n, n, n, "nn") for n in SQUARES] + [(*shape, form) for shape in LAYERS for form in FORMS]
        for M, N, K, form in shapes:
            if not setting.quick or M * N * K < QUICK_LARGEST:
                yield _case(M, N, K, form, dtype, setting)


def _case(M: int, N: int, K: int, form: str, dtype: str, setting: Setting) -> Case:
    @cache
    def operands() -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        a = rng.standard_normal((K, M) if form[0] == "t" else (M, K)).astype(dtype)
        b = rng.standard_normal((N, K) if form[1] == "t" else (K, N)).astype(dtype)
        return (a.T if form[0] == "t" else a), (b.T if form[1] == "t" else b)

    def ours() -> Contestant:
        out = np.full((M, N), np.nan, dtype)
        call = partial(kernels.matmul, out, *operands())
        return Contestant(call, lambda: (call(), out)[1])

    def numpy() -> Contestant:
        out = np.empty((M, N), dtype)
        return Contestant(partial(np.matmul, *operands(), out=out), lambda: np.matmul(*operands(), out=out))

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        a, b = map(torch.from_numpy, operands())
        out = torch.empty((M, N), dtype=a.dtype)
        return Contestant(partial(torch.mm, a, b, out=out), lambda: torch.mm(a, b, out=out).numpy())

    def jax() -> Contestant:
        jax = peers.jax(setting.threads)
        if dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        a, b = map(jax.numpy.asarray, operands())
        product = jax.jit(lambda a, b: a @ b)
        return Contestant(lambda: product(a, b).block_until_ready(), lambda: np.asarray(product(a, b)))

    def reference() -> Array:
        a, b = operands()
        product: Array = a.astype(np.float64) @ b.astype(np.float64)
        return product

    return Case(
        group=f"matrix product, {dtype}",
        name=f"{M}x{N}x{K} {form}",
        contestants={"fastnn": ours, "NumPy": numpy, "PyTorch": torch, "JAX": jax},
        reference=reference,
        rtol=1e-4 if dtype == "float32" else 1e-12,
        atol=1e-5 * K**0.5 if dtype == "float32" else 1e-13 * K**0.5,
        flops=2.0 * M * N * K,
        dtype=dtype,
    )
