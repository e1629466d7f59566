"""Each pass, with the program before and after it."""

import numpy as np

from fastnn.compile.memory import extent, overlap, root
from fastnn.compile.passes import forward_copies, plan_memory, remove_dead_code, reuse_in_place, schedule
from fastnn.compile.passes.memory_plan import assign_offsets, lifetimes
from fastnn.compile.passes.schedule import barriers
from fastnn.compile.recording import Recording


def array(*shape):
    return np.zeros(shape, np.float32)


def kernels(recording):
    return [i.kernel for i in recording.instructions]


def test_dead_code_goes_and_what_it_alone_needed():
    x, a, b, c, out = (array(4) for _ in range(5))
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", a, x)
    r.append("log", b, a)
    r.append("sin", c, x)
    r.append("cos", out, c)
    remove_dead_code(r)
    assert kernels(r) == ["sin", "cos"]


def test_writes_to_state_are_never_dead():
    x, state = array(4), array(4)
    r = Recording(inputs=[x], state=[state])
    r.append("exponential_average", state, x, 0.1, 1.0)
    remove_dead_code(r)
    assert kernels(r) == ["exponential_average"]


def test_a_result_that_is_only_copied_is_computed_in_place():
    x, gradient, flat = array(2, 3), array(2, 3), array(10)
    home = flat[2:8].reshape(2, 3)
    r = Recording(inputs=[x], state=[flat])
    r.append("exp", gradient, x)
    r.append("copy", home, gradient)
    forward_copies(r)
    assert kernels(r) == ["exp"]
    assert extent(r.instructions[0].operands[0]) == extent(home)


def test_a_copy_stays_where_the_result_is_needed_again_or_the_target_is_in_use():
    x, a, b, flat = array(4), array(4), array(4), array(4)
    r = Recording(inputs=[x], outputs=[b], state=[flat])
    r.append("exp", a, x)
    r.append("copy", flat, a)
    r.append("log", b, a)
    forward_copies(r)
    assert kernels(r) == ["exp", "copy", "log"]
    r = Recording(inputs=[x], outputs=[b], state=[flat])
    r.append("exp", a, x)
    r.append("add", b, flat, x)
    r.append("copy", flat, a)
    forward_copies(r)
    assert kernels(r) == ["exp", "add", "copy"]


def test_elementwise_results_take_the_memory_of_operands_that_die():
    x, a, b, out = (array(8) for _ in range(4))
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", a, x)
    r.append("log", b, a)
    r.append("add", out, b, x)
    reuse_in_place(r)
    (first, second, third) = r.instructions
    assert root(first.operands[0]) is root(second.operands[0])
    assert not overlap(second.operands[0], x)
    assert extent(third.operands[0]) == extent(second.operands[0])


def test_an_operand_that_broadcasts_is_not_written_over():
    x, row, out = array(3, 8), array(1, 8), array(3, 8)
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", row, x[:1])
    r.append("add", out, x, row)
    reuse_in_place(r)
    assert not overlap(r.instructions[1].operands[0], r.instructions[1].operands[2])


def chain(length, size=100):
    x = array(size)
    r = Recording(inputs=[x])
    values = [x]
    for _ in range(length):
        values.append(array(size))
        r.append("exp", values[-1], values[-2])
    r.outputs = [values[-1]]
    return r


def test_no_two_live_buffers_overlap_and_a_long_chain_needs_few():
    rng = np.random.default_rng(0)
    x = array(64)
    r = Recording(inputs=[x])
    values = [x]
    for _ in range(60):
        a, b = (values[rng.integers(max(0, len(values) - 6), len(values))] for _ in range(2))
        size = int(rng.integers(1, 64))
        values.append(array(size))
        r.append("add", values[-1], a[:1], b[:1])
    r.outputs = [values[-1]]
    placements = lifetimes(r)
    needed = assign_offsets(placements)
    for p in placements:
        for q in placements:
            if p is not q and p.clashes(q):
                assert p.offset + p.bytes <= q.offset or q.offset + q.bytes <= p.offset
    assert needed < sum(p.bytes for p in placements)
    arena = plan_memory(chain(50))
    assert arena.nbytes == 3 * 448


def test_everything_lies_in_the_arena_afterwards():
    r = chain(5)
    arena = plan_memory(r)
    low, high = extent(arena)
    for instruction in r.instructions:
        for a in instruction.operands:
            assert low <= extent(a)[0]
            assert extent(a)[1] <= high


def test_threads_meet_only_between_instructions_that_depend_on_each_other():
    x, a, b, c, d = (array(8) for _ in range(5))
    r = Recording(inputs=[x])
    r.append("exp", a, x)
    r.append("sin", b, x)
    r.append("add", c, a, b)
    r.append("cos", d, x)
    r.append("exp", a, x)
    shared = [False] * 5
    assert barriers(r.instructions, shared) == [True, False, True, False, True]
    assert barriers(r.instructions, [True] * 5) == [True, False, False, False, False]
    assert barriers(r.instructions, [True, True, False, False, True]) == [True, False, True, False, True]


def test_small_programs_are_run_by_one_thread_and_large_ones_are_shared():
    assert all(schedule(chain(5, 10)).alone)
    assert not any(schedule(chain(5, 1 << 20)).alone)
