"""The cases of `fastnn bench` under pytest-benchmark: `pytest benchmarks/`, with -k to choose and --benchmark-* to compare.

Each contestant's result is checked before it is timed. `--threads N` and `--quick` are those of `fastnn bench`.
"""

import pytest
from fastnn.kernels import get_num_threads, threads

from fastnn.bench.case import Case, Setting
from fastnn.bench.cases import SOURCES, cases
from fastnn.bench.run import build

pytest.importorskip("pytest_benchmark")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of the peers


def pytest_generate_tests(metafunc):
    options = metafunc.config.option
    setting = Setting(options.threads or get_num_threads(), options.quick)
    found = [(setting, case, who) for topic in SOURCES for case in cases(topic, setting) for who in case.contestants]
    metafunc.parametrize(("setting", "case", "who"), found, ids=[f"{case.group}: {case.name}: {who}" for _, case, who in found])


def test_case(benchmark, setting, case, who):
    benchmark.group = f"{case.group}: {case.name}"
    with threads(setting.threads):
        ready, absent = build(Case(**{**vars(case), "contestants": {who: case.contestants[who]}}), setting)
        if who in absent:
            reason = absent[who]
            pytest.fail(reason) if reason.startswith("wrong") else pytest.skip(reason)
        benchmark.extra_info["units"] = ready[who].units
        benchmark(ready[who].call)
