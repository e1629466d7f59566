"""The machine: what it is, and what it can do at best, measured in the same run as everything else."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import kernels
from ..config import info
from ..kernels import _host
from .timing import Effort, in_turns

COPIED = 64 << 20  # bytes: far more than any cache holds
DEPTH = 1 << 14


class Limits(NamedTuple):
    """Peak arithmetic in FLOP/s per dtype, copy bandwidth in bytes read and written per second, clock in cycles per second."""

    peak: dict[str, float]
    bandwidth: float
    clock: float


def describe(threads: int) -> dict[str, Any]:
    """What a reader of figures must know of the machine."""
    facts = info()
    return {name: facts[name] for name in ("cpu", "instruction set", "vector width", "python")} | {
        "cores": _host.cores(),
        "threads": threads,
    }


def _product_in_registers(dtype: str, threads: int) -> tuple[Any, float]:
    """A matrix product whose operands stay in registers and the innermost cache, and its floating-point operations.

    Each row of b is the same row, and all of a is the same number, so nothing but multiplications and additions takes time.
    """
    M = {16: 6, 32: 14}[_host.isa().registers]  # with two vectors across it fills the register file
    N = 2 * _host.lanes(np.dtype(dtype).itemsize) * threads
    a = np.broadcast_to(np.array(0.5, dtype), (M, DEPTH))
    b = np.broadcast_to(np.full(N, 0.5, dtype), (DEPTH, N))
    return partial(kernels.matmul, np.empty((M, N), dtype), a, b), 2.0 * M * N * DEPTH


def measure(threads: int, effort: Effort) -> Limits:
    """The best of several measurements of each limit with that many threads."""
    products = {dtype: _product_in_registers(dtype, threads) for dtype in ("float32", "float64")}
    alone, alone_flops = _product_in_registers("float32", 1)
    source = np.ones(COPIED // 4, np.float32)
    target = np.zeros_like(source)
    calls = {dtype: call for dtype, (call, _) in products.items()}
    calls |= {"alone": alone, "kernel": partial(kernels.copy, target, source)}
    if threads == 1:
        calls["numpy"] = partial(np.copyto, target, source)
    best = {name: min(times) for name, times in in_turns(calls, effort).items()}
    fused = _host.isa().name in ("avx2", "avx512")
    flops_per_cycle = (4 if fused else 2) * _host.lanes(4)  # two units, each a multiplication and, where they are fused, an addition
    return Limits(
        peak={dtype: flops / best[dtype] for dtype, (_, flops) in products.items()},
        bandwidth=2 * COPIED / min(best.get("numpy", np.inf), best["kernel"]),
        clock=alone_flops / best["alone"] / flops_per_cycle,
    )
