"""The command `fastnn bench`: its arguments and what they do. Importing this costs nothing; running it imports the rest."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ..errors import ArgumentError, unknown_name

TOPICS = ("kernels", "train", "infer", "startup")
COMPARE = "compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `fastnn bench` its arguments."""
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{', '.join(TOPICS)} (default: all of them); or {COMPARE} A.json B.json")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of every library (default: all cores)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="try the cases out: small sizes, times that mean nothing")
    parser.add_argument("--only", metavar="PATTERN", help="only cases whose group and name contain this regular expression")


def run(args: argparse.Namespace) -> int:
    """Run `fastnn bench`. Raises ArgumentError or UnknownNameError if the arguments make no sense."""
    if args.what[:1] == [COMPARE]:
        return _compare(args.what[1:])
    for topic in args.what:
        if topic not in TOPICS:
            raise unknown_name("benchmark", topic, (*TOPICS, COMPARE))
    from rich.console import Console

    from ..kernels import get_num_threads, threads
    from . import report
    from .case import Setting
    from .run import run as measure

    count = get_num_threads() if args.threads is None else args.threads
    with threads(count):  # which raises if there is no such number
        pass
    _check_pattern(args.only)
    if args.json is not None:
        with args.json.open("a"):  # raises now, not when all has been measured, if nothing can be written there
            pass
    topics = list(dict.fromkeys(args.what)) or list(TOPICS)
    status = Console(stderr=True)
    with status.status("") as line:
        found = measure(topics, Setting(count, args.quick), args.only, line.update)
    if not found["rows"]:
        raise ArgumentError(f"--only: no case of {', '.join(topics)} contains {args.only!r}")
    report.show(report.tables(found))
    if args.json is not None:
        report.save(found, args.json)
    return 0


def _check_pattern(only: str | None) -> None:
    try:
        re.compile(only or "")
    except re.error as error:
        raise ArgumentError(f"--only must be a regular expression, got {only!r}: {error}") from None


def _compare(files: list[str]) -> int:
    from . import report

    if len(files) != 2:
        raise ArgumentError(f"bench {COMPARE} takes two files that `fastnn bench --json` wrote, got {len(files)}")
    report.show(report.compared(*(report.load(Path(file)) for file in files)))
    return 0
