"""Reports for people: tables of one run, and two runs side by side."""

from __future__ import annotations

import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..errors import ArgumentError
from .case import ALONE, OURS

Report = dict[str, Any]
NOTHING = "-"
SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """Seconds with three digits and a unit: "12.3 us"."""
    scale, unit = next((s for s in SCALES if seconds >= s[0]), SCALES[-1])
    value = seconds / scale
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def rate(row: Report, seconds: float, limits: Report) -> str:
    """What a time means: GFLOP/s, GB/s or cycles per element, with the share of what the machine can do, or could just then.

    What fits into a cache has no share of the bandwidth of memory.
    """
    work = row["work"]
    if work.get("flops"):
        speed = work["flops"] / seconds
        peak = work.get("peak") or limits["peak"][work["dtype"]]
        return f"{speed / 1e9:.1f} GFLOP/s {100 * speed / peak:.0f} %"
    if work.get("bytes"):
        speed = work["bytes"] / seconds
        bandwidth = work.get("bandwidth") or limits["bandwidth"]
        share = f" {100 * speed / bandwidth:.0f} %" if work["bytes"] > limits.get("cache", 0) else ""
        return f"{speed / 1e9:.1f} GB/s{share}"
    if work.get("elements"):
        return f"{seconds * limits['clock'] / work['elements']:.2f} cycles"
    return ""


def _cell(row: Report, who: str) -> Text:
    figure = row["figures"].get(who)
    if figure is None:
        return Text("wrong", "bold red") if row["absent"].get(who, "").startswith("wrong") else Text(NOTHING, "dim")
    text = Text(duration(figure["median"]))
    text.append(f" ±{50 * figure['iqr'] / figure['median']:.0f}%", "dim")
    if "peak_mb" in figure:
        text.append(f" {figure['peak_mb']:.0f} MB")
    return text


def _ratio(value: float | None) -> Text:
    return Text("") if value is None else Text(f"{value:.2f}x", "green" if value >= 1 else "red")


def tables(report: Report) -> list[RenderableType]:
    """One table for each group of rows: who took how long, our rate, and how many times faster we are than the best peer."""
    machine, limits = report["machine"], report["limits"]
    head = Text(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['instruction set']}; {machine['threads']} threads on all sides; "
        f"peak {limits['peak']['float32'] / 1e9:.0f} GFLOP/s float32, {limits['peak']['float64'] / 1e9:.0f} float64; "
        f"copy {limits['bandwidth'] / 1e9:.1f} GB/s; clock {limits['clock'] / 1e9:.2f} GHz"
    )
    parts: list[RenderableType] = [head, Text(", ".join(f"{k} {v}" for k, v in report["versions"].items()), "dim")]
    for group, members in groupby(report["rows"], key=lambda row: row["group"]):
        rows = list(members)
        names = list(dict.fromkeys(who for row in rows for who in (*row["figures"], *row["absent"])))
        seen = [who for who in names if any(_cell(row, who).plain != NOTHING for row in rows)]
        seen.sort(key=lambda who: (not who.startswith(OURS), names.index(who)))
        table = Table(title=group, title_justify="left")
        table.add_column("")
        gains = [_ratio(row.get("gain")) for row in rows]
        several = ["one thread / ours"] if any(gain.plain for gain in gains) else []
        for who in (*seen, "rate and share", *several, "best peer / ours"):
            table.add_column(who, justify="right", no_wrap=True)
        for row, gain in zip(rows, gains, strict=True):
            ours = [f["median"] for who, f in row["figures"].items() if who.startswith(OURS) and who != ALONE]
            means = rate(row, min(ours), limits) if ours else ""
            table.add_row(row["name"], *(_cell(row, who) for who in seen), means, *[gain] * len(several), _ratio(row["speedup"]))
        ratios = [row["speedup"] for row in rows if row["speedup"]]
        if len(ratios) > 2:
            table.add_section()
            table.add_row("geometric mean", *[""] * (len(seen) + 1 + len(several)), _ratio(math.prod(ratios) ** (1 / len(ratios))))
        parts.append(table)
        reasons = dict.fromkeys(f"{who}: {why}" for row in rows for who, why in row["absent"].items())
        parts += [Text(f"  {reason}", "dim") for reason in reasons]
    parts += [Text(note, "yellow") for note in report["notes"]]
    if report["quick"]:
        parts.append(Text("A quick run tries the cases out; its times mean nothing.", "yellow"))
    return parts


def compared(old: Report, new: Report) -> list[RenderableType]:
    """Two reports side by side: our medians, the speed-up of the second over the first, and both speed-ups over the best peer."""
    known = {(row["group"], row["name"]): row for row in old["rows"]}
    table = Table(title=f"{old['date']} and {new['date']}", title_justify="left")
    table.add_column("")
    for column in ("first", "second", "first / second", "best peer / first", "best peer / second"):
        table.add_column(column, justify="right", no_wrap=True)
    missing = set(known)
    for row in new["rows"]:
        before = known.get((row["group"], row["name"]))
        missing.discard((row["group"], row["name"]))
        for who, figure in row["figures"].items():
            earlier = before["figures"].get(who) if before else None
            if who.startswith(OURS):
                table.add_row(
                    f"{row['group']} {row['name']}" + who.removeprefix(OURS),
                    duration(earlier["median"]) if earlier else "-",
                    duration(figure["median"]),
                    _ratio(earlier["median"] / figure["median"] if earlier else None),
                    _ratio(before["speedup"] if before and who != ALONE else None),
                    _ratio(row["speedup"] if who != ALONE else None),
                )
    for group, name in sorted(missing):
        table.add_row(f"{group} {name}", duration_of(known[group, name]), "-", "", _ratio(known[group, name]["speedup"]), "")
    parts: list[RenderableType] = [table]
    for one, other in ((old["machine"], new["machine"]), (old["versions"], new["versions"])):
        for fact in {**one, **other}:
            if one.get(fact) != other.get(fact):
                parts.append(Text(f"{fact}: {one.get(fact, 'absent')} and {other.get(fact, 'absent')}", "yellow"))
    if old["quick"] or new["quick"]:
        parts.append(Text("A quick run tries the cases out; its times mean nothing.", "yellow"))
    return parts


def duration_of(row: Report) -> str:
    """Our best median in a row, or "-"."""
    ours = [f["median"] for who, f in row["figures"].items() if who.startswith(OURS) and who != ALONE]
    return duration(min(ours)) if ours else "-"


def show(parts: list[RenderableType], console: Console | None = None) -> None:
    """Print parts of a report one after the other; in a file lines are as long as they need to be."""
    console = console or Console()
    if not console.is_terminal:
        console.width = 240
    for part in parts:
        console.print(part)


def save(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    path.write_text(json.dumps(report, indent=1) + "\n")


def load(path: Path) -> Report:
    """Read a report. Raises ArgumentError if the file is none, OSError if it cannot be read."""
    try:
        report = json.loads(path.read_text())
    except ValueError as error:
        raise ArgumentError(f"{path} is no report of `fastnn bench --json`: {error}") from None
    if not _has(report, "machine", "versions", "limits", "rows", "date", "quick"):
        raise ArgumentError(f"{path} is no report of `fastnn bench --json`: it has no machine, versions, limits, rows, date and quick")
    if not isinstance(report["rows"], list) or not all(_has(row, "group", "name", "figures", "speedup") for row in report["rows"]):
        raise ArgumentError(f"{path} is no report of `fastnn bench --json`: a row has no group, name, figures and speedup")
    found: Report = report
    return found


def _has(thing: Any, *fields: str) -> bool:
    return isinstance(thing, dict) and thing.keys() >= set(fields)
