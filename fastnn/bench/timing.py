"""Timing in turns: every contestant once in each round, so that whatever else the machine does meets all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from typing import NamedTuple

import numpy as np

SETTLE = 0.1  # seconds for the threads of the one before to stop spinning; those of OpenBLAS take some tens of milliseconds
LONGEST = 1 << 24


class Effort(NamedTuple):
    """How long to measure: seconds of one measurement, rounds, and seconds after which a case has no more rounds."""

    span: float
    rounds: int
    limit: float


FULL = Effort(span=0.03, rounds=9, limit=30.0)
QUICK = Effort(span=0.0005, rounds=2, limit=1.0)


class Spread(NamedTuple):
    """Median and interquartile range."""

    median: float
    iqr: float


def spread(times: Sequence[float]) -> Spread:
    """Median and interquartile range of some times."""
    low, middle, high = np.percentile(times, (25, 50, 75))
    return Spread(float(middle), float(high - low))


def seconds(call: Callable[[], object], loops: int) -> float:
    """The seconds that `loops` calls take together."""
    start = time.perf_counter()
    for _ in repeat(None, loops):
        call()
    return time.perf_counter() - start


def loops_for(call: Callable[[], object], span: float) -> int:
    """How many calls fill `span` seconds; finding out also warms up."""
    loops = 1
    while loops < LONGEST:
        taken = seconds(call, loops)
        if taken >= span / 2:
            return max(1, round(loops * span / taken))
        loops = min(10 * loops, max(2 * loops, int(loops * span / max(taken, 1e-9))))
    return loops


def in_turns(
    calls: Mapping[str, Callable[[], object]],
    effort: Effort,
    around: Callable[[str], AbstractContextManager[object]] = lambda name: nullcontext(),
) -> dict[str, list[float]]:
    """Seconds per call of each, one number for each round; `around` says in what context the calls of a name are made."""
    loops = {}
    for name, call in calls.items():
        with around(name):
            loops[name] = loops_for(call, effort.span)
    times: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    start = time.perf_counter()
    try:
        for done in range(effort.rounds):
            for name, call in calls.items():
                time.sleep(SETTLE)
                with around(name):
                    call()
                    times[name].append(seconds(call, loops[name]) / loops[name])
            if done and time.perf_counter() - start > effort.limit:
                break
    finally:
        if collecting:
            gc.enable()
    return times
