"""Running cases: build, check, time in turns, and keep the figures as plain data."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from ..compile.limits import products_in_registers
from ..kernels import threads as team_of
from . import machine, peers
from .case import ALONE, OURS, AbsentError, Case, Contestant, Setting, misfit
from .timing import FULL, QUICK, Effort, in_turns, spread

Row = dict[str, Any]
Tell = Callable[[str], None]

PEAK = "peak"  # what no contestant is called


def effort_of(setting: Setting) -> Effort:
    """How long to measure in this setting."""
    return QUICK if setting.quick else FULL


def build(case: Case, setting: Setting) -> tuple[dict[str, Contestant], dict[str, str]]:
    """The contestants whose result is right, and why the others do not take part."""
    ready: dict[str, Contestant] = {}
    absent: dict[str, str] = {}
    reference = case.reference()
    for name, make in case.contestants.items():
        try:
            contestant = make()
            peers.limit(setting.threads)
            wrong = misfit(contestant.result(), reference, case.rtol, case.atol)
        except (AbsentError, ImportError) as reason:
            if isinstance(reason, ImportError) and name.startswith(OURS):
                raise
            absent[name] = str(reason)
            continue
        if wrong:
            absent[name] = f"wrong result: {wrong}"
        else:
            ready[name] = contestant
    return ready, absent


def measure(case: Case, setting: Setting, effort: Effort, alone: bool = False) -> Row:
    """The figures of one case: times per unit of work in seconds; with `alone`, also of ours on one thread.

    What the machine can do at best takes its turns like the contestants, for as long: a core's clock depends on how long it has
    worked, and with whom, and the bandwidth of a shared machine's memory on what its neighbours do.
    """
    ready, absent = build(case, setting)
    if alone and OURS in ready:
        ready[ALONE] = ready[OURS]
    calls = {name: c.call for name, c in ready.items()}
    limits: dict[str, Any] = {}
    flops = copied = 0.0
    if case.flops:
        limits[PEAK], flops = products_in_registers(case.dtype, setting.threads)
    if case.bytes > machine.cache_bytes():
        copies, copied = machine.copies(setting.threads)
        limits |= copies
    times = in_turns(calls | limits, effort, lambda name: team_of(1 if name == ALONE else setting.threads))
    best = {name: spread(times.pop(name)).median for name in limits}
    peak = flops / best.pop(PEAK) if flops else 0.0
    bandwidth = copied / min(best.values()) if copied else 0.0
    times = {name: [t / ready[name].units for t in values] for name, values in times.items()}
    work = {"flops": case.flops, "bytes": case.bytes, "elements": case.elements, "dtype": case.dtype, "peak": peak, "bandwidth": bandwidth}
    return row(case.group, case.name, times, absent, work)


def row(group: str, name: str, times: dict[str, list[float]], absent: dict[str, str], work: Row) -> Row:
    """One row of a report."""
    figures: dict[str, Row] = {who: {"median": spread(t).median, "iqr": spread(t).iqr, "times": t} for who, t in times.items()}
    gain = figures[ALONE]["median"] / figures[OURS]["median"] if ALONE in figures else None
    return {"group": group, "name": name, "work": work, "figures": figures, "absent": absent, "speedup": speedup(figures), "gain": gain}


def speedup(figures: dict[str, Row]) -> float | None:
    """How many times faster our best contestant is than the best peer, by medians."""
    ours = [f["median"] for who, f in figures.items() if who.startswith(OURS) and who != ALONE]
    others = [f["median"] for who, f in figures.items() if not who.startswith(OURS)]
    return min(others) / min(ours) if ours and others else None


def matching(cases: Iterator[Case], only: str | None) -> Iterator[Case]:
    """The cases whose group and name contain the regular expression `only`."""
    return (case for case in cases if only is None or re.search(only, f"{case.group} {case.name}"))


def run(topics: list[str], setting: Setting, only: str | None = None, tell: Tell = lambda text: None) -> dict[str, Any]:
    """Measure the cases of some topics and return a report: machine, versions, limits, rows."""
    from . import startup
    from .cases import cases

    effort = effort_of(setting)
    peers.limit(setting.threads)
    with team_of(setting.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of other libraries, about being called in short runs
        tell("peak and bandwidth")
        before = machine.measure(setting.threads, effort)
        rows = []
        for topic in topics:
            for case in matching(cases(topic, setting), only):
                tell(f"{case.group}: {case.name}")
                rows.append(measure(case, setting, effort, alone=topic == "kernels" and setting.threads > 1))
            if topic == "startup":
                rows += startup.rows(setting, only, tell)
        after = machine.measure(setting.threads, effort)
    return {
        "machine": machine.describe(setting.threads),
        "versions": peers.versions(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": setting.quick,
        "notes": peers.unlimited(),
        "limits": {
            "peak": {dtype: max(before.peak[dtype], after.peak[dtype]) for dtype in before.peak},
            "bandwidth": max(before.bandwidth, after.bandwidth),
            "clock": max(before.clock, after.clock),
            "cache": machine.cache_bytes(),
        },
        "rows": rows,
    }
