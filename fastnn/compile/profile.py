"""Where the time of a program goes, instruction by instruction, against what this machine can do at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ..kernels import Program, Turn, get_num_threads, threads
from ..tensor import Array
from .cost import Cost, cost
from .limits import large_copy, products_in_registers
from .memory import root
from .passes.schedule import divide
from .plan import Plan

ROUNDS = 7
MICROSECONDS_PER_ROUND = 300.0  # each instruction is repeated until a round takes this long
MEASUREMENTS, PAUSE, CALLS = 5, 0.01, 6  # of a peak; seconds between them; how many calls each is the shortest of
_peaks: dict[tuple[str, int], tuple[float, float]] = {}  # by dtype and number of threads: the largest so far


@dataclass
class Line:
    """One instruction: its kernel, its median time in seconds, and what it has to do."""

    kernel: str
    seconds: float
    cost: Cost


class Profile:
    """Times of all instructions of a program; printed, a table."""

    def __init__(self, lines: list[Line], flops: float, bandwidth: float) -> None:
        self.lines = lines
        self.peak_flops = flops
        self.peak_bandwidth = bandwidth

    @property
    def seconds(self) -> float:
        """The sum of all times."""
        return sum(line.seconds for line in self.lines)

    def __str__(self) -> str:
        rows = [f"{'':>3} {'kernel':<26} {'us':>9} {'share':>6} {'GFLOP/s':>9} {'GB/s':>8} {'of peak':>8}"]
        for n, line in enumerate(self.lines):
            flops, moved = line.cost.flops / line.seconds, line.cost.bytes / line.seconds
            best = max(flops / self.peak_flops, moved / self.peak_bandwidth)
            rate = f"{flops / 1e9:.1f}" if line.cost.flops else ""
            place = f"{n:>3} {line.kernel:<26} {line.seconds * 1e6:>9.2f} {line.seconds / self.seconds:>6.1%}"
            rows.append(f"{place} {rate:>9} {moved / 1e9:>8.1f} {best:>8.1%}")
        peaks = f"peak {self.peak_flops / 1e9:.1f} GFLOP/s in products, {self.peak_bandwidth / 1e9:.1f} GB/s copying 64 MiB"
        return "\n".join([*rows, f"{self.seconds * 1e6:.1f} us in all; {peaks} (from cache, more can be read than copied)"])


def profile(plan: Plan) -> Profile:
    """Time every instruction of a plan alone, again and again on the same values; all memory is afterwards as it was."""
    saved = [(a, a.copy()) for a in _written(plan)]
    lines = []
    try:
        for instruction in plan.program.instructions:
            single = Program([instruction], lambda parts, i=instruction: _without_waits(divide([i], plan.examples, parts).workers))
            lines.append(Line(instruction.kernel, _median_seconds(single.run), cost(instruction)))
            for a, values in saved:
                np.copyto(a, values)
    finally:
        for a, values in saved:
            np.copyto(a, values)
    flops, bandwidth = machine_peaks(str(plan.inputs[0].dtype) if plan.inputs[0].dtype.kind == "f" else "float32", get_num_threads())
    return Profile(lines, flops, bandwidth)


def _without_waits(workers: Sequence[Sequence[Turn]]) -> list[list[Turn]]:
    return [[turn for turn in turns if turn is not None] for turns in workers]


def _written(plan: Plan) -> list[Array]:
    """The memory outside the arena that the program writes."""
    arena = root(plan.arena)
    found = {id(root(a)): root(a) for i in plan.program.instructions for a in i.outputs if root(a) is not arena}
    return list(found.values())


def _median_seconds(call: Callable[[int], None]) -> float:
    call(1)
    start = time.perf_counter()
    call(1)
    repeat = max(1, int(MICROSECONDS_PER_ROUND * 1e-6 / max(time.perf_counter() - start, 1e-7)))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call(repeat)
        times.append((time.perf_counter() - start) / repeat)
    return median(times)


def machine_peaks(dtype: str, count: int) -> tuple[float, float]:
    """Floating-point operations a second of fused multiply-adds on registers, and bytes a second of copying, on `count` threads.

    The largest of several measurements with pauses between them, and of all earlier ones: whatever else goes on makes them smaller.
    """
    with threads(count):
        product, flops = products_in_registers(dtype, count)
        copy, copied = large_copy()
        best = _peaks.get((dtype, count), (0.0, 0.0))
        for _ in range(MEASUREMENTS):
            best = max(best[0], flops / _least_seconds(product)), max(best[1], copied / _least_seconds(copy))
            time.sleep(PAUSE)
    _peaks[dtype, count] = best
    return best


def _least_seconds(call: Callable[[], None]) -> float:
    call()
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
