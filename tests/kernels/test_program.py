"""Programs: how many workers they are given, and that small ones are given what is faster."""

import numpy as np
import pytest
from fastnn.kernels import Instruction, Program, _program, divided_in_turn

import fastnn
from fastnn import kernels


@pytest.fixture
def shared(monkeypatch):
    """Runs of a program: a list of the numbers of workers, as they happen; what one or several take, set by the test."""
    seconds = {1: 1.0, 2: 1.0}
    runs, now = [], [0.0]

    def run_alone(self, repeat):
        runs.append(1)
        now[0] += seconds[1] * repeat

    def run_shared(self, repeat, parts):
        runs.append(parts)
        now[0] += seconds[2] * repeat
        return True

    monkeypatch.setattr(Program, "_run_alone", run_alone)
    monkeypatch.setattr(Program, "_run_shared", run_shared)
    monkeypatch.setattr(_program.time, "perf_counter", lambda: now[0])
    return runs, seconds


def program(cycles):
    x, y = np.zeros(8, np.float32), np.zeros(8, np.float32)
    instructions = [Instruction("exp", (y, x))]
    return Program(instructions, divided_in_turn(instructions, [False]), cycles)


@pytest.mark.parametrize("faster", [1, 2])
def test_a_small_program_is_run_by_as_many_as_are_faster(shared, faster):
    runs, seconds = shared
    seconds[faster] = 0.5
    ready = program(1e6)
    with kernels.threads(2):
        for _ in range(60):
            ready.run(2)
    assert runs[:6] == [2, 1] * 3
    assert set(runs[6:]) == {faster}


def test_what_is_faster_is_found_out_again_after_a_while(shared):
    runs, seconds = shared
    ready = program(1e6)
    seconds[2] = 0.5
    with kernels.threads(2):
        for _ in range(50):
            ready.run()
        seconds[2] = 2.0
        for _ in range(2000):
            ready.run()
    assert runs[49] == 2
    assert runs[-200:].count(1) > 150


def test_large_programs_are_shared_and_tiny_ones_are_not(shared):
    runs, _ = shared
    with kernels.threads(2):
        program(1e9).run()
        program(1e3).run()
        program(1e3).run(1000)
    with kernels.threads(1):
        program(1e9).run()
    assert runs == [2, 1, 2, 1]


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_denormal_numbers_count_as_zero_in_programs_and_nowhere_else(dtype, parts):
    tiny = np.finfo(dtype).smallest_normal
    x = np.full(6000, tiny, dtype)
    x[1::3] *= 0.25
    quarters, doubled = np.empty_like(x), np.empty_like(x)
    instructions = [Instruction("multiply", (quarters, x, np.asarray(0.25, dtype))), Instruction("add", (doubled, x, x))]
    ready = Program(instructions, divided_in_turn(instructions, [False, False]))
    with kernels.threads(parts):
        ready.run()
        assert not quarters.any()  # results
        assert not doubled[1::3].any()  # operands
        assert np.array_equal(doubled[::3], 2 * x[::3])
        for name, out, operands in (("multiply", quarters, (x, np.asarray(0.25, dtype))), ("add", doubled, (x, x))):
            kernels.run(name, out, *operands)
    assert np.array_equal(quarters, np.where(np.arange(6000) % 3 == 1, tiny / 16, tiny / 4))
    assert np.array_equal(doubled[1::3], np.full(2000, tiny / 2, dtype))
    assert x[1] * dtype(0.5) == tiny / 8 > 0  # NumPy in this thread


def test_a_step_of_adam_leaves_no_denormal_average_of_gradients_that_have_come_to_an_end():
    parameter = fastnn.nn.Parameter(np.ones(5000, np.float32))
    optimizer = fastnn.optim.Adam([parameter])
    parameter.grad = fastnn.tensor(np.full(5000, 1e-37, np.float32))
    optimizer.step()
    parameter.grad = fastnn.tensor(np.zeros(5000, np.float32))
    for _ in range(100):
        optimizer.step()
    [average] = [state["exp_avg"] for state in optimizer.state_dict()["state"].values()]
    assert not np.asarray(average).any()
