"""Statistics, reports as JSON and as tables, and the command line of `fastnn bench`."""

import io
import json

import pytest
from rich.console import Console

from fastnn.bench import report
from fastnn.bench.run import row
from fastnn.bench.timing import Effort, in_turns, loops_for, spread
from fastnn.cli import main
from fastnn.errors import ArgumentError

LIMITS = {"peak": {"float32": 100e9, "float64": 50e9}, "bandwidth": 20e9, "clock": 2e9}


def made(ours, peer, date="2026-01-01", **extra):
    rows = [
        row("products", "small", {"fastnn": [ours] * 3, "NumPy": [peer] * 3}, {"JAX": "not installed"}, {"flops": 1e6, "dtype": "float32"}),
        row("products", "checked", {"fastnn": [ours]}, {"NumPy": "wrong result: 1 instead of 2"}, {}),
    ]
    machine = {"cpu": "some CPU", "cores": 2, "instruction set": "avx2", "threads": 1, **extra}
    return {"machine": machine, "versions": {}, "date": date, "quick": False, "notes": [], "limits": LIMITS, "rows": rows}


def text(parts):
    console = Console(width=200, record=True, file=io.StringIO())
    for part in parts:
        console.print(part)
    return console.export_text()


def test_spread_is_median_and_interquartile_range():
    assert spread([5, 1, 2, 4, 3]) == (3, 2)
    assert spread([7.0]) == (7.0, 0.0)


def test_contestants_take_turns():
    calls = []
    times = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, Effort(1e-9, 3, 60))
    turns = [who for who, before in zip(calls, [None, *calls], strict=False) if who != before]
    assert turns[-6:] == ["a", "b"] * 3
    assert [len(t) for t in times.values()] == [3, 3]


def test_long_cases_have_fewer_rounds():
    assert len(in_turns({"a": int}, Effort(1e-9, 50, 0.0))["a"]) == 2


def test_short_calls_are_repeated_until_they_fill_the_span():
    assert loops_for(int, 1e-3) > 100
    assert loops_for(int, 0.0) == 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(2.0, "2.00 s"), (0.0123, "12.3 ms"), (123e-6, "123 us"), (4.5e-9, "4.50 ns"), (1e-10, "0.10 ns")]
)
def test_durations_have_three_digits_and_a_unit(seconds, shown):
    assert report.duration(seconds) == shown


@pytest.mark.parametrize(
    ("work", "shown"),
    [
        ({"flops": 1e6, "dtype": "float32"}, "10.0 GFLOP/s 10 %"),
        ({"flops": 1e6, "dtype": "float64"}, "10.0 GFLOP/s 20 %"),
        ({"flops": 1e6, "dtype": "float64", "peak": 25e9}, "10.0 GFLOP/s 40 %"),
        ({"bytes": 1e6, "elements": 10}, "10.0 GB/s 50 %"),
        ({"bytes": 1e6, "bandwidth": 25e9}, "10.0 GB/s 40 %"),
        ({"elements": 1000}, "200.00 cycles"),
        ({}, ""),
    ],
)
def test_rates_are_shares_of_what_the_machine_can_do(work, shown):
    assert report.rate({"work": work}, 1e-4, LIMITS) == shown


def test_the_speedup_is_our_best_over_the_best_peer():
    times = {"fastnn": [2.0], "fastnn step": [1.0], "NumPy": [6.0], "JAX": [3.0]}
    assert row("g", "n", times, {}, {})["speedup"] == 3.0
    assert row("g", "n", {"fastnn": [2.0]}, {}, {})["speedup"] is None


def test_a_table_shows_times_ratio_and_who_is_missing():
    shown = text(report.tables(made(1e-4, 2e-4)))
    for part in (
        "some CPU",
        "100 us",
        "200 us",
        "2.00x",
        "10.0 GFLOP/s 10 %",
        "wrong",
        "JAX: not installed",
        "NumPy: wrong result: 1 instead of 2",
    ):
        assert part in shown


def test_what_one_thread_takes_stands_beside_what_all_take():
    times = {"fastnn": [1.0], "fastnn, one thread": [1.9], "NumPy": [3.0]}
    found = row("g", "n", times, {}, {})
    assert (found["gain"], found["speedup"]) == (1.9, 3.0)
    assert row("g", "n", {"fastnn, one thread": [0.5], "fastnn": [1.0], "NumPy": [3.0]}, {}, {})["speedup"] == 3.0  # no contestant
    shown = text(report.tables({**made(1e-4, 2e-4), "rows": [found]}))
    assert "one thread / ours" in shown
    assert "1.90x" in shown


def test_a_group_of_rows_ends_with_its_geometric_mean():
    rows = [row("g", str(n), {"fastnn": [1.0], "NumPy": [ratio]}, {}, {}) for n, ratio in enumerate((1.0, 2.0, 4.0))]
    shown = text(report.tables({**made(1e-4, 2e-4), "rows": rows}))
    assert "geometric mean" in shown
    assert shown.count("2.00x") == 2


def test_what_fits_into_a_cache_has_no_share_of_memory():
    work = {"bytes": 1e6}
    assert report.rate({"work": work}, 1e-5, {**LIMITS, "cache": 2 << 20}) == "100.0 GB/s"
    assert report.rate({"work": work}, 1e-5, {**LIMITS, "cache": 1 << 19}).startswith("100.0 GB/s ")


def test_reports_survive_json(tmp_path):
    report.save(made(1e-4, 2e-4), tmp_path / "a.json")
    assert report.load(tmp_path / "a.json") == made(1e-4, 2e-4)


HEAD = {"machine": {}, "versions": {}, "limits": {}, "date": "", "quick": False}
STRANGE_ROWS = [{**HEAD, "rows": 5}, {**HEAD, "rows": [{"group": "g"}]}]


@pytest.mark.parametrize("content", ["no json", "[]", json.dumps({"rows": []}), *map(json.dumps, STRANGE_ROWS)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ArgumentError, match="no report"):
        report.load(tmp_path / "a.json")


def test_two_reports_side_by_side(tmp_path, capsys):
    report.save(made(1e-4, 2e-4), tmp_path / "a.json")
    new = made(5e-5, 2e-4, date="2026-02-01", cpu="another CPU")
    new["rows"] = new["rows"][:1]
    report.save(new, tmp_path / "b.json")
    assert main(["bench", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    small, gone = (next(line for line in shown.splitlines() if name in line) for name in ("products small", "products checked"))
    assert [cell.strip() for cell in small.split("│")[2:-1]] == ["100 us", "50.0 us", "2.00x", "2.00x", "4.00x"]
    assert [cell.strip() for cell in gone.split("│")[2:4]] == ["100 us", "-"]
    assert "cpu: some CPU and another CPU" in shown
    assert "quick" not in shown


def test_what_makes_two_reports_hard_to_compare_is_said():
    shown = text(report.compared(made(1e-4, 2e-4), {**made(1e-4, 2e-4), "versions": {"numpy": "9.9"}, "quick": True}))
    assert "numpy: absent and 9.9" in shown
    assert "quick run" in shown


def test_one_thread_is_not_compared_with_peers_that_have_several():
    times = {"fastnn": [1.0], "fastnn, one thread": [1.9], "NumPy": [3.0]}
    reports = [{**made(1e-4, 2e-4), "rows": [row("g", "n", times, {}, {})]} for _ in range(2)]
    shown = text(report.compared(*reports)).splitlines()
    several, alone = ([c.strip() for c in next(x for x in shown if f"g n{who}" in x).split("│")[2:-1]] for who in (" ", ", one thread"))
    assert several == ["1.00 s", "1.00 s", "1.00x", "3.00x", "3.00x"]
    assert alone == ["1.90 s", "1.90 s", "1.00x", "", ""]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kernel"], "did you mean 'kernels'"),
        (["compare", "a.json"], "takes two files"),
        (["--threads", "0"], "from 1 to 255"),
        (["--only", "["], "--only must be a regular expression, got '['"),
        (["--json", "/no/such/folder/a.json"], "No such file or directory"),
        (["--json", "."], "Is a directory"),
    ],
)
def test_nonsense_on_the_command_line_is_refused_before_anything_is_measured(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr("fastnn.bench.run.run", lambda *_: pytest.fail("this takes long"))
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_pattern_that_fits_no_case_is_refused(capsys):
    assert main(["bench", "kernels", "--quick", "--only", "no such case"]) == 2
    assert "no case of kernels contains 'no such case'" in capsys.readouterr().err


def test_tables_are_shown_even_if_the_file_cannot_be_written_any_more(capsys, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastnn.bench.run.run", lambda *_: made(1e-4, 2e-4))
    monkeypatch.setattr(report, "save", full)
    assert main(["bench", "kernels", "--json", str(tmp_path / "a.json")]) == 2
    shown = capsys.readouterr()
    assert "100 us" in shown.out
    assert "No space left" in shown.err
