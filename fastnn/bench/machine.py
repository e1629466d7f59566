"""The machine: what it is, and what it can do at best, measured in the same run as everything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..compile.limits import dependent_steps, large_copy, products_in_registers
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


def cache_bytes() -> int:
    """The size of the outermost cache: what fits into it is not a matter of memory."""
    return int(_host.cache_bytes(3))


def measure(threads: int, effort: Effort) -> Limits:
    """The best of several measurements of each limit with that many threads."""
    products = {dtype: products_in_registers(dtype, threads) for dtype in ("float32", "float64")}
    steps, cycles = dependent_steps()
    copied, copied_bytes = copies(threads)
    calls = {dtype: call for dtype, (call, _) in products.items()} | copied | {"steps": steps}
    best = {name: min(times) for name, times in in_turns(calls, effort).items()}
    return Limits(
        peak={dtype: flops / best[dtype] for dtype, (_, flops) in products.items()},
        bandwidth=copied_bytes / min(best[name] for name in copied),
        clock=cycles / best["steps"],
    )


def copies(threads: int) -> tuple[dict[str, Callable[[], object]], float]:
    """Ways to copy what no cache holds, by name, and the bytes that each reads and writes: ours, and NumPy's on one thread."""
    copy, copied = large_copy()
    calls: dict[str, Callable[[], object]] = {"copy": copy}
    if threads == 1:
        calls["copy by NumPy"] = partial(np.copyto, *copy.args[1:])
    return calls, copied
