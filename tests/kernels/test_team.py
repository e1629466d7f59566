"""The thread team: same results for any number of threads, alive after fork, usable from many threads, quiet when idle."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from fastnn.kernels import Instruction, Program, _mailbox, _team, divided_in_turn
from fastnn.kernels._arrays import is_large
from fastnn.kernels._program import INTERPRET
from fastnn.kernels._registry import as_record
from fastnn.kernels.compiled import _waking

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
    [("3", "3"), (" 2 ", "2"), *[(wrong, "fastnn: FASTNN_NUM_THREADS must be a whole number") for wrong in ("²", "none", "0", "9" * 5000)]],
)
def test_the_environment_sets_the_number_and_is_looked_at_when_there_is_work(value, expected):
    code = "from fastnn import cli, kernels; assert cli.main(['info']) == 2 or print(kernels.get_num_threads()) is None"
    environment = {**os.environ, "FASTNN_NUM_THREADS": value}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120, env=environment)
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


INTERRUPTION = """
import sys

def interrupted(place, watched):
    def at_each(frame, event, argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counted[0] += 1
            if counted[0] == place:
                sys.settrace(None)
                raise KeyboardInterrupt
        return at_each

    counted = [0]
    return lambda frame, event, argument: at_each(frame, event, argument) if watched(frame.f_code) else None
"""

INTERRUPTED = """
import numpy as np
from fastnn import kernels
from fastnn.kernels import Instruction, Program, _program, _team, divided_in_turn
x = np.linspace(0, 1, 100_003, dtype=np.float32)
y = np.empty_like(x)
instructions = [Instruction("exp", (y, x))]
program = Program(instructions, divided_in_turn(instructions, [False]))
FILES = _team.__file__, _program.__file__

def watched(code):
    return code.co_filename in FILES

with kernels.threads(COUNT):
    program.run()
    expected = y.copy()
    place, stopped = 0, True
    while stopped:
        place, stopped = place + 1, False
        sys.settrace(interrupted(0, watched))
        program.run()  # from Python 3.12 on, opcodes are traced in code that an earlier call has asked for it, until an exception ends that
        y[:] = 0
        sys.settrace(interrupted(place, watched))
        try:
            program.run()
        except KeyboardInterrupt:
            stopped = True
        sys.settrace(None)
        assert np.array_equal(y, expected) or (stopped and not y.any()), "the work was left before it was done"
        y[:] = 0
        program.run()
        assert np.array_equal(y, expected)
    assert place > 50
print("done")
"""


@pytest.mark.parametrize("count", [2, 3])
def test_ctrl_c_at_any_point_of_a_run_leaves_no_work_half_done(count):
    code = INTERRUPTION + INTERRUPTED.replace("COUNT", str(count))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "done\n", done.stderr


INTERRUPTED_START = """
import threading
import numpy as np
from fastnn import kernels
from fastnn.kernels import Instruction, Program, _mailbox, _team, divided_in_turn
x = np.linspace(0, 1, 10_003, dtype=np.float32)
y = np.empty_like(x)
instructions = [Instruction("exp", (y, x))]
program = Program(instructions, divided_in_turn(instructions, [False]))
grow = _team.Team.grow.__code__
program.run()
expected = y.copy()

def watched(code):
    return code is grow

def workers():
    return sum(thread.is_alive() and thread.name.startswith("fastnn-") for thread in threading.enumerate())

kernels.set_num_threads(3)
place, before, stopped, idle = 0, workers(), True, _team.Team()
while stopped:
    place += 1
    sys.settrace(interrupted(0, watched))
    idle.grow(1)  # from Python 3.12 on, opcodes are traced in code that an earlier call has asked for it, until an exception ends that
    _team._team, stopped = None, False
    sys.settrace(interrupted(place, watched))
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
    assert team.size == 3 and np.count_nonzero(team.mailbox[_mailbox.BELL :: _mailbox.LINE][: team.size]) == 2
    assert place > 20 or stopped
    deadline = _team.time.monotonic() + 20
    while workers() != before + 2 and _team.time.monotonic() < deadline:  # one that was not needed ends
        _team.time.sleep(0.001)
    assert workers() == before + 2, (place, workers(), before)
    before = workers()
print("done")
"""


def test_ctrl_c_at_any_point_while_threads_are_started_leaves_a_team_that_works():
    code = INTERRUPTION + INTERRUPTED_START
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
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
    assert team.size == 3
    for found, expected in zip(outputs, results(1), strict=True):
        assert found.tobytes() == expected.tobytes()


def states(team, parts=2):
    """Whether each worker sleeps, as a part of the mailbox."""
    return team.mailbox[_mailbox.ASLEEP + _mailbox.LINE : _mailbox.ASLEEP + parts * _mailbox.LINE : _mailbox.LINE]


def asleep(team, parts=2):
    """Wait until the team's workers sleep."""
    since, deadline = time.monotonic(), time.monotonic() + 20
    while time.monotonic() - since < 0.02:
        if any(states(team, parts) != _mailbox.SLEEPING):
            since = time.monotonic()
        assert time.monotonic() < deadline, "a worker is still spinning"
        time.sleep(0.001)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs a system that shows what its threads do")
def test_an_idle_team_sleeps():
    results(2)
    asleep(_team.team(2))

    def seen():
        found = []
        for thread in threading.enumerate():
            if thread.name.startswith("fastnn-"):
                with open(f"/proc/self/task/{thread.native_id}/stat") as file:
                    found.append(file.read().rpartition(")")[2].split()[0])
        return found

    deadline = time.monotonic() + 20
    while set(seen()) != {"S"}:
        assert time.monotonic() < deadline, seen()
        time.sleep(0.001)


def test_work_finds_sleeping_and_waking_workers():
    ready, outputs = program()
    expected = results(1)
    with kernels.threads(2):
        for pause in (0, 0.0001, 0.001, 0.01, 0.05) * 3:
            time.sleep(pause)
            ready.run()
            assert outputs[0].tobytes() == expected[0].tobytes()


def test_work_in_pieces_finds_sleeping_and_waking_workers():
    x = np.random.default_rng(0).standard_normal(1 << 21).astype(np.float32)
    assert is_large("exp", (x, x)) == 1
    alone, shared = np.empty_like(x), np.empty_like(x)
    with kernels.threads(1):
        kernels.exp(alone, x)
    with kernels.threads(3):
        for pause in (0, 0.0001, 0.001, 0.01, 0.05) * 3:
            time.sleep(pause)
            shared[:] = 0
            kernels.exp(shared, x)
            assert np.array_equal(shared, alone)


NOBODY_COMES = """
import ctypes, threading
import numpy as np
from fastnn import kernels
from fastnn.kernels import KERNELS, _mailbox, _team
from fastnn.kernels._registry import as_record
x = np.linspace(0, 1, 100_003, dtype=np.float32)
y, expected = np.empty_like(x), np.empty_like(x)
kernel = KERNELS["exp"]
entry, record = kernel.entry("f4f4"), as_record(kernel.signature.encode((y, x)))
entry(as_record(kernel.signature.encode((expected, x))), 0, 1)
team = _team.team(2)
bell = _mailbox.BELL + _mailbox.LINE
deadline = _team.time.monotonic() + 20
assert team.run(_team._address(entry), ctypes.addressof(record), 2)
asleep = _mailbox.ASLEEP + _mailbox.LINE
while team.mailbox[asleep] != _mailbox.SLEEPING:
    assert _team.time.monotonic() < deadline, "the worker does not fall asleep"
heard, team.mailbox[bell] = team.mailbox[bell], _team._python().PyThread_allocate_lock()
_team._python().PyThread_acquire_lock(int(team.mailbox[bell]), 1)
for pieces in (1, 2, 5):
    y[:] = 0
    assert team.run(_team._address(entry), ctypes.addressof(record), 2, pieces)
    assert np.array_equal(y, expected)
team.mailbox[bell], team.mailbox[asleep] = heard, _mailbox.SLEEPING
y[:] = 0
assert team.run(_team._address(entry), ctypes.addressof(record), 2)  # who comes late finds this, and nothing left of the others
assert np.array_equal(y, expected)
print("done")
"""


def test_work_in_pieces_is_done_by_the_caller_if_nobody_comes():
    done = subprocess.run([sys.executable, "-c", NOBODY_COMES], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "done\n", done.stderr


FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)  # what compiled code calls


_called = []  # for as long as threads may be on their way to them


def replace(team, **functions):
    """Have a team of a test's own call these functions of Python instead of the system's."""
    for name, function in functions.items():
        _called.append(function)
        team.mailbox[getattr(_mailbox, name)] = _team._address(function)


def test_sleepers_are_woken_for_short_work_only_when_it_comes_again_and_again():
    team, now, woken = _team.Team(), [100 * 10**9], []
    team.grow(2)
    asleep(team)

    @FUNCTION
    def clock(which, place, _):
        (ctypes.c_int64 * 2).from_address(place)[:] = divmod(now[0], 10**9)

    @FUNCTION
    def ring(bell, *_):
        woken.append(bell)
        states(team)[:] = _mailbox.SLEEPING  # not a very good bell

    replace(team, CLOCK=clock, RING=ring)

    def works(count, seconds, pause):
        @FUNCTION
        def work(*_):
            now[0] += int(seconds)

        for _ in range(count):
            assert not team.run(_team._address(work), 0, 2, 4, _mailbox.IF_OFTEN)
            now[0] += int(pause)

    works(20, 1e4, 2 * _waking.OFTEN)
    assert not woken
    works(2, 0.4 * _waking.REPAID, _waking.OFTEN / 100)
    assert not woken
    now[0] += 10**9
    works(4, 0.4 * _waking.REPAID, _waking.OFTEN / 100)
    assert woken == [team.mailbox[_mailbox.BELL + _mailbox.LINE]]
    now[0] += 10**9
    works(2, 10 * _waking.OFTEN, 0)  # longer than was expected
    assert len(woken) == 2


def test_a_bell_is_rung_once_however_much_work_comes_before_it_is_heard():
    team, rung, heard = _team.Team(), [], threading.Semaphore(0)
    replace(team, RING=FUNCTION(lambda bell, *_: rung.append(bell)), WAIT=FUNCTION(lambda *_: heard.acquire()))
    team.grow(2)
    work = FUNCTION(lambda *_: None)
    for times in (1, 2):
        asleep(team)
        for _ in range(3):
            assert team.run(_team._address(work), 0, 2, 4)
            assert states(team) == [_mailbox.RUNG]
        assert rung == [team.mailbox[_mailbox.BELL + _mailbox.LINE]] * times
        heard.release()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_program_is_run_by_those_who_come(monkeypatch, count):
    ready, outputs = program()
    expected = results(1)
    team = _team.Team()
    monkeypatch.setattr(_team, "_team", team)
    nothing = FUNCTION(lambda *_: None)
    with kernels.threads(count):
        ready.run()
        ring = team.mailbox[_mailbox.RING]
        for _ in range(3):
            asleep(team, count)
            replace(team, RING=nothing)
            outputs[-1][:] = 0
            ready.run(3)
            assert all(states(team, count) == _mailbox.RUNG)
            states(team, count)[:] = _mailbox.SLEEPING  # they have not heard it
            for found, wanted in zip(outputs, expected, strict=True):
                assert found.tobytes() == wanted.tobytes()
            team.mailbox[_mailbox.RING] = ring
            ready.run()  # with those who come after all


def test_who_comes_late_finds_what_is_left_of_a_program():
    """A caller does all of a program's first half while nobody is there, and the others their shares of the second."""
    come, at = threading.Event(), []

    @FUNCTION
    def first(record, part, parts):
        at.append((threading.get_ident(), part))
        come.set()

    @FUNCTION
    def later(record, part, parts):
        at.append((threading.get_ident(), part))
        time.sleep(0.05)

    team = _team.Team()
    team.grow(3)
    asleep(team, 3)
    table = np.array([[_team._address(f), 0, part, 3] for f in (first, later) for part in range(3)], np.int64)
    starts, done = np.arange(7), np.zeros(4 * _mailbox.LINE, np.int64)
    call = as_record(INTERPRET.signature.encode((table, starts, done, 1, team.address)))
    entry = INTERPRET.entry("i8i8i8")
    for _ in range(3):
        asleep(team, 3)
        at.clear()
        assert team.run(_team._address(entry), ctypes.addressof(call), 3, _mailbox.OPEN)
        assert sorted(part for _, part in at) == [0, 0, 1, 1, 2, 2]
        assert len({thread for thread, _ in at}) > 1
        assert {part for _, part in at[:3]} == {0, 1, 2}, "what comes later was begun before all was done"


def test_programs_of_all_sizes_follow_each_other_at_once():
    made = [(count, *program(seed)) for seed, count in enumerate((2, 4, 3, 2, 5))]
    expected = {seed: results(1, seed) for seed in range(len(made))}
    for n in range(60):
        for seed, (count, ready, outputs) in enumerate(made):
            with kernels.threads(count):
                ready.run(1 + n % 3)
            for found, wanted in zip(outputs, expected[seed], strict=True):
                assert found.tobytes() == wanted.tobytes()


CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
two_cores = pytest.mark.skipif(len(CORES) < 2 or not _team.Team().mailbox[_mailbox.MOVE], reason="needs two cores that can be chosen")


@two_cores
def test_a_worker_is_woken_on_another_core_than_its_caller_s_and_may_go_anywhere_then(monkeypatch):
    ready, _ = program()
    team, moves, here = _team.Team(), [], [0]
    move = FUNCTION(int(team.mailbox[_mailbox.MOVE]))

    @FUNCTION
    def core(place, *_):
        ctypes.c_int32.from_address(place).value = here[0]

    @FUNCTION
    def noted(thread, size, place):
        words = (ctypes.c_uint64 * (size // 8)).from_address(place)
        moves.append((thread, {64 * i + bit for i, word in enumerate(words) for bit in range(64) if word >> bit & 1}))
        move(thread, size, place)

    monkeypatch.setattr(_team, "_team", team)
    replace(team, CORE=core, MOVE=noted)
    with kernels.threads(2):
        ready.run()
        thread = int(team.mailbox[_mailbox.THREAD + _mailbox.LINE])
        for here[0] in [*sorted(CORES)[:2], min(CORES)]:
            asleep(team)
            moves.clear()
            ready.run()
            asleep(team)
            assert moves == [(thread, CORES - {here[0]}), (0, CORES)]
            assert os.sched_getaffinity(thread) == CORES


@two_cores
def test_a_system_that_lets_nobody_choose_cores_is_no_obstacle(monkeypatch):
    x = np.random.default_rng(0).standard_normal(1 << 21).astype(np.float32)
    y, expected = np.empty_like(x), np.empty_like(x)
    team = _team.Team()
    monkeypatch.setattr(_team, "_team", team)
    refuse = FUNCTION(lambda *_: None)
    with kernels.threads(1):
        kernels.exp(expected, x)
    with kernels.threads(2):
        kernels.exp(y, x)
        for functions in ({"MOVE": refuse}, {"LOOK": refuse}):
            asleep(team)
            replace(team, **functions)
            y[:] = 0
            kernels.exp(y, x)
            assert np.array_equal(y, expected)
