"""The thread team: same results for any number of threads, alive after fork, usable from many threads, quiet when idle."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from fastnn.kernels import Instruction, Program, _team, divided_in_turn

from fastnn import kernels
from fastnn.errors import ArgumentError

N = 100_003


def program(seed=0):
    """Instructions that depend on each other, all shared among threads; returns it with its last result."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N).astype(np.float32)
    a, b, c = np.empty_like(x), np.empty_like(x), np.empty((1, 200, 300), np.float32)
    left, right = x[:60_000].reshape(1, 200, 300), x[: 300 * 300].reshape(1, 300, 300)
    total = np.empty((1, 1), np.float32)
    instructions = [
        Instruction("sin", (a, x)),
        Instruction("multiply", (b, a, x)),
        Instruction("exp", (a, b)),
        Instruction("gemm", (c, np.empty((1, 0), np.float32), left, right, c, c, 1.0, 0.0, 0)),
        Instruction("reduce_sum", (total, a.reshape(1, N, 1))),
    ]
    return Program(instructions, divided_in_turn(instructions, [False] * 5)), (a, b, c, total)


def results(count, seed=0):
    ready, outputs = program(seed)
    with kernels.threads(count):
        ready.run(3)
    return [o.copy() for o in outputs]


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_results_are_bitwise_those_of_one_thread(count):
    for found, expected in zip(results(count), results(1), strict=True):
        assert found.tobytes() == expected.tobytes()


def test_the_number_of_threads_is_that_of_the_innermost_context_then_of_the_process():
    before = kernels.get_num_threads()
    with kernels.threads(3):
        with kernels.threads(1):
            assert kernels.get_num_threads() == 1
        assert kernels.get_num_threads() == 3
        seen = []
        other = threading.Thread(target=lambda: seen.append(kernels.get_num_threads()))
        other.start()
        other.join()
        assert seen == [before]
    assert kernels.get_num_threads() == before


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", 256])
def test_counts_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ArgumentError, match="from 1 to 255"), kernels.threads(wrong):
        pass
    with pytest.raises(ArgumentError, match="from 1 to 255"):
        kernels.set_num_threads(wrong)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("3", "3"), (" 2 ", "2"), ("²", "FASTNN_NUM_THREADS must be a whole number"), ("none", "FASTNN_NUM_THREADS must be a whole number")],
)
def test_the_environment_sets_the_number(value, expected):
    code = "from fastnn import kernels; print(kernels.get_num_threads())"
    environment = {**os.environ, "FASTNN_NUM_THREADS": value}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert expected in done.stdout + done.stderr


def test_many_threads_may_use_it_at_once():
    expected = {seed: results(1, seed) for seed in range(4)}
    wrong = []

    def work(seed):
        for _ in range(10):
            if any(a.tobytes() != b.tobytes() for a, b in zip(results(2, seed), expected[seed], strict=True)):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in expected]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong


FORK = """
import os, sys
import numpy as np
from fastnn import kernels
from fastnn.kernels import Instruction, Program, divided_in_turn
x = np.linspace(0, 1, 100_003, dtype=np.float32)
y = np.empty_like(x)
instructions = [Instruction("exp", (y, x))]
program = Program(instructions, divided_in_turn(instructions, [False]))
with kernels.threads(2):
    program.run()
    expected = y.copy()
    child = os.fork()
    y[:] = 0
    program.run()
    same = np.array_equal(y, expected)
    if child == 0:
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    sys.exit(0 if same and status == 0 else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_parent_and_child_go_on_after_a_fork():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


FORK_WHILE_COMPILING = """
import os, signal, threading
import numpy as np
from fastnn import kernels
from fastnn.kernels import _codegen
begun, compile = threading.Event(), _codegen.object_code

def slowly(*arguments, **options):
    begun.set()
    threading.Event().wait(0.5)
    return compile(*arguments, **options)

_codegen.object_code = slowly
x = np.ones(8, np.float32)
y = np.empty_like(x)
thread = threading.Thread(target=kernels.exp, args=(y, x))
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that waits for a lock
    kernels.tanh(y, x)
    kernels.exp(y, x)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_while_a_kernel_is_compiled_goes_on(tmp_path):
    environment = {**os.environ, "FASTNN_CACHE_DIR": str(tmp_path)}
    code = [sys.executable, "-W", "ignore", "-c", FORK_WHILE_COMPILING]
    done = subprocess.run(code, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_larger_team_is_the_smaller_one_with_more_threads():
    code = """
import threading
import numpy as np
from fastnn import kernels
x = np.ones(1 << 20, np.float32)
y, z = np.empty_like(x), np.empty_like(x)
threading.stack_size(256 << 10)  # of others
kernels.exp(z, x)
for count in (2, 3, 5, 9, 4):
    with kernels.threads(count):
        kernels.exp(y, x)
    assert (y == z).all()
assert threading.active_count() == 9, threading.active_count()
assert threading.stack_size() == 256 << 10
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


INTERRUPTED = """
import numpy as np
from fastnn import kernels
from fastnn.kernels import Instruction, Program, _team, divided_in_turn
x = np.linspace(0, 1, 100_003, dtype=np.float32)
y = np.empty_like(x)
instructions = [Instruction("exp", (y, x))]
program = Program(instructions, divided_in_turn(instructions, [False]))
core = _team._core

def interrupted():
    _team._core = core
    raise KeyboardInterrupt

with kernels.threads(COUNT):
    program.run()
    expected = y.copy()
    for awake in range(1, COUNT):
        mailbox = _team.team(COUNT).mailbox
        while not mailbox[_team.ASLEEP + _team.LINE :: _team.LINE].all():
            pass
        with kernels.threads(awake):
            program.run()  # these find the work that is posted next before anybody is woken
        _team._core = interrupted
        y[:] = 0
        try:
            program.run()
        except KeyboardInterrupt:
            assert np.array_equal(y, expected), "the work was left before it was done"
        else:
            raise AssertionError("there was no interrupt")
        y[:] = 0
        program.run()
        assert np.array_equal(y, expected)
print("done")
"""


@pytest.mark.parametrize("count", [2, 3])
def test_ctrl_c_while_workers_are_woken_is_raised_when_their_work_is_done(count):
    code = INTERRUPTED.replace("COUNT", str(count))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "done\n", done.stderr


INTERRUPTED_START = """
import sys, threading
import numpy as np
from fastnn import kernels
from fastnn.kernels import Instruction, Program, _team, divided_in_turn
x = np.linspace(0, 1, 10_003, dtype=np.float32)
y = np.empty_like(x)
instructions = [Instruction("exp", (y, x))]
program = Program(instructions, divided_in_turn(instructions, [False]))
grow, threads = _team.Team.grow.__code__, _team.Team._serve.__code__
program.run()
expected = y.copy()

def interrupted(place):
    def at_each(frame, event, argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counted[0] += 1
            if counted[0] == place:
                sys.settrace(None)
                raise KeyboardInterrupt
        return at_each

    counted = [0]
    return lambda frame, event, argument: at_each(frame, event, argument) if frame.f_code is grow else None

def workers():
    return sum(thread.is_alive() and thread.name.startswith("fastnn-") for thread in threading.enumerate())

kernels.set_num_threads(3)
place, before, stopped = 0, workers(), True
while stopped:
    place += 1
    _team._team, stopped = None, False
    sys.settrace(interrupted(place))
    try:
        program.run()
    except KeyboardInterrupt:
        stopped = True
    sys.settrace(None)
    for _ in range(2):
        y[:] = 0
        program.run()
        assert np.array_equal(y, expected)
    team = _team.team(3)
    assert team.size == len(team.bells) == 3
    assert place > 20 or stopped
    deadline = _team.time.monotonic() + 20
    while workers() != before + 2 and _team.time.monotonic() < deadline:  # one that was not needed ends
        _team.time.sleep(0.001)
    assert workers() == before + 2, (place, workers(), before)
    before = workers()
print("done")
"""


def test_ctrl_c_at_any_point_while_threads_are_started_leaves_a_team_that_works():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_START], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "done\n", done.stderr


def test_a_thread_that_cannot_be_started_leaves_a_team_that_works(monkeypatch):
    ready, outputs = program()
    team, start = _team.Team(), threading.Thread.start
    failures = iter([None, RuntimeError("can't start new thread"), None])

    def sometimes(thread):
        if failure := next(failures):
            raise failure
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", sometimes)
    monkeypatch.setattr(_team, "_team", team)
    with kernels.threads(3):
        with pytest.raises(RuntimeError, match="can't start"):
            ready.run()
        assert team.size == 2
        ready.run()
    assert team.size == len(team.bells) == 3
    for found, expected in zip(outputs, results(1), strict=True):
        assert found.tobytes() == expected.tobytes()


def test_an_idle_team_sleeps():
    results(2)
    deadline = time.monotonic() + 20
    mailbox = _team.team(2).mailbox
    while mailbox[_team.ASLEEP + _team.LINE] == 0:
        assert time.monotonic() < deadline, "the second worker is still spinning"
        time.sleep(0.01)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.1


def test_work_finds_sleeping_and_waking_workers():
    ready, outputs = program()
    expected = results(1)
    with kernels.threads(2):
        for pause in (0, 0.0001, 0.001, 0.01, 0.05) * 3:
            time.sleep(pause)
            ready.run()
            assert outputs[0].tobytes() == expected[0].tobytes()


@pytest.mark.skipif(_team._core() < 0 or len(os.sched_getaffinity(0)) < 2, reason="needs two cores and a system that tells them apart")
def test_a_worker_that_is_woken_on_its_caller_s_core_leaves_it():
    allowed = os.sched_getaffinity(0)
    found = []

    def work():
        core = _team._core()
        os.sched_setaffinity(0, {core})
        os.sched_setaffinity(0, allowed)
        _team._leave(core)
        found.append((core, _team._core(), os.sched_getaffinity(0)))

    for _ in range(20):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert all(after == allowed for _, _, after in found)
    assert sum(core != now for core, now, _ in found) > 10
