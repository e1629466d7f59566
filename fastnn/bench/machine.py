"""The machine: what it is, and what it can do at best, measured in the same run as everything else."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..compile.limits import large_copy, products_in_registers
from ..config import info
from ..kernels import _host
from .timing import Effort, in_turns


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


def measure(threads: int, effort: Effort) -> Limits:
    """The best of several measurements of each limit with that many threads."""
    products = {dtype: products_in_registers(dtype, threads) for dtype in ("float32", "float64")}
    alone, alone_flops = products_in_registers("float32", 1)
    copy, copied = large_copy()
    calls = {dtype: call for dtype, (call, _) in products.items()}
    calls |= {"alone": alone, "kernel": copy}
    if threads == 1:
        calls["numpy"] = partial(np.copyto, *copy.args[1:])
    best = {name: min(times) for name, times in in_turns(calls, effort).items()}
    fused = _host.isa().name in ("avx2", "avx512")
    flops_per_cycle = (4 if fused else 2) * _host.lanes(4)  # two units, each a multiplication and, where they are fused, an addition
    return Limits(
        peak={dtype: flops / best[dtype] for dtype, (_, flops) in products.items()},
        bandwidth=copied / min(best.get("numpy", np.inf), best["kernel"]),
        clock=alone_flops / best["alone"] / flops_per_cycle,
    )
