"""Kernels as functions on plain arrays: checked, spread over threads, and recognised when they are called again."""

import inspect
import math
import sys
import threading
import warnings

import numpy as np
import pytest
from fastnn.kernels import _builtin, _replay, _team
from fastnn.kernels._arrays import is_large

from fastnn import kernels
from fastnn.errors import ArgumentError, DTypeError, FastnnError, ShapeError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def right(out, a, b):
    return np.allclose(out, a.astype(np.float64) @ b, rtol=0, atol=1e-4 if out.dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("form", ["nn", "nt", "tn", "tt"])
def test_products_are_right_on_every_call(rng, dtype, backend, form):
    with kernels.use_backend(backend):
        for _ in range(3):  # the second and third are recognised
            a, b = rng.standard_normal((7, 11)).astype(dtype), rng.standard_normal((11, 5)).astype(dtype)
            a = np.ascontiguousarray(a.T).T if form[0] == "t" else a
            b = np.ascontiguousarray(b.T).T if form[1] == "t" else b
            out = np.full((7, 5), np.nan, dtype)
            kernels.matmul(out, a, b)
            assert right(out, a, b)


def test_more_patterns_in_turns_than_are_remembered(rng):
    sizes = range(1, 3 * _replay.PLANS)
    operands = [(np.empty((n, 3), np.float32), *(rng.standard_normal(s).astype(np.float32) for s in ((n, n), (n, 3)))) for n in sizes]
    for _ in range(3):
        for out, a, b in operands:
            out[:] = np.nan
            kernels.matmul(out, a, b)
            assert right(out, a, b)


def test_of_more_patterns_than_are_remembered_most_stay_known_and_few_are_learned(monkeypatch):
    learned, known, plan = [], 0, _replay._plan
    monkeypatch.setattr(_replay, "_plan", lambda *call: (learned.append(1), plan(*call))[1])
    replay = _replay.Replay()
    operands = [(np.empty(n), np.full(n, 4.0)) for n in range(1, _replay.PLANS + 5)]
    rounds = 32
    for _ in range(rounds):
        for y, x in operands:
            if replay((y, x)):
                known += 1
                assert (y == 2).all()
                y[:] = 0
            else:
                replay.learn((y, x), kernels.KERNELS["sqrt"], large=False)
    calls = rounds * len(operands)
    assert known > calls / 2
    assert len(learned) <= _replay.PLANS + (calls - known) / _replay.SELDOM


def test_the_same_array_twice_is_no_pattern_for_two_arrays(rng):
    a, b = rng.standard_normal((2, 4, 4)).astype(np.float32)
    out = np.empty((4, 4), np.float32)
    for left, right_side in ((a, a), (a, b), (b, a), (b, b)):
        kernels.matmul(out, left, right_side)
        assert right(out, left, right_side)


def test_an_array_reshaped_in_place_is_looked_at_again(rng):
    a, b, out = rng.standard_normal((2, 6)), rng.standard_normal((6, 2)), np.empty((2, 2))
    kernels.matmul(out, a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer versions of NumPy
        a.shape = (3, 4)
    with pytest.raises(FastnnError, match=r"a \(M, K\)"):
        kernels.matmul(out, a, b)


def readonly(a):
    a = a.copy()
    a.flags.writeable = False
    return a


A, B, OUT = np.ones((4, 3), np.float32), np.ones((3, 5), np.float32), np.zeros((4, 5), np.float32)
SQUARE = np.ones((4, 4), np.float32)


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        ((OUT.tolist(), A, B), "out must be a plain numpy array, got list"),
        ((OUT, A.astype(np.float64), B), "a has float64, out has float32"),
        ((OUT.astype(int), A.astype(int), B.astype(int)), "must be float32, or all float64"),
        ((OUT, A[0], B), r"a must have two dimensions, got shape \(3,\)"),
        ((OUT[:3], A, B), r"got \(3, 5\), \(4, 3\) and \(3, 5\)"),
        ((readonly(OUT), A, B), "out must be writeable"),
        ((SQUARE, SQUARE, SQUARE), "must not share memory"),
    ],
)
def test_what_does_not_fit_is_named_even_after_a_call_that_did(operands, message):
    kernels.matmul(OUT, A, B)
    kernels.matmul(np.empty_like(SQUARE), SQUARE, SQUARE.copy())
    before = OUT.copy()
    with pytest.raises(FastnnError, match=message):
        kernels.matmul(*operands)
    assert np.array_equal(OUT, before)


@pytest.mark.parametrize(
    "view",
    [np.s_[::2, ::2], np.s_[:, ::-1], np.s_[::-1], np.s_[:, 1:2], np.s_[1:2, ::3], np.s_[:, :1], np.s_[::5, :1], np.s_[:0], np.s_[:, :4]],
    ids=str,
)
@pytest.mark.parametrize("turned", [False, True])
def test_results_go_into_any_view_and_nowhere_else(rng, view, turned):
    memory = np.full((9, 8), 7.0)
    out = (memory.T if turned else memory)[view]
    a, b = rng.standard_normal((out.shape[0], 3)), rng.standard_normal((3, out.shape[1]))
    wanted = np.full((9, 8), 7.0)
    (wanted.T if turned else wanted)[view] = a @ b
    for _ in range(2):
        kernels.matmul(out, a, b)
        assert np.allclose(memory, wanted, rtol=0, atol=1e-12)


def test_overlap_is_seen_when_the_pattern_is_known(rng):
    memory = rng.standard_normal((12, 4)).astype(np.float32)
    for _ in range(2):
        kernels.matmul(memory[:4], memory[4:8], memory[8:])
    before = memory.copy()
    with pytest.raises(FastnnError, match="share memory"):
        kernels.matmul(memory[2:6], memory[4:8], memory[8:])
    assert np.array_equal(memory, before)


def test_interleaved_memory_is_no_overlap(rng):
    memory = rng.standard_normal((3, 3, 2)).astype(np.float32)
    for _ in range(2):
        kernels.matmul(memory[:, :, 0], memory[:, :, 1], memory[:, :, 1])
        assert right(memory[:, :, 0], memory[:, :, 1], memory[:, :, 1])


X = np.arange(24, dtype=np.float32)
GRID = X.reshape(4, 6)
WINDOWS = np.lib.stride_tricks.sliding_window_view(X, 6, writeable=True)[:4]


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("exp", (X[1:], X[:-1]), "y and x must not share memory unless they are the same view"),
        ("exp", (X[::-1], X), "must not share memory"),
        ("exp", (GRID, GRID[0]), "must not share memory"),
        ("exp", (GRID[:, :4].T[:4], GRID[:, :4]), "must not share memory"),
        ("add", (X[:-1], X[:-1], X[1:]), "y and b must not share memory"),
        ("less", (X.view(np.bool_)[:6], X[:6], X[6:12]), "must not share memory"),
        ("sgd", (X[:4], X[5:9], X[:1], X[9:10], X[10:11]), "param and step_size must not share memory"),
        ("exp", (np.broadcast_to(X[:1], 5), X[:5]), "writeable"),
        ("exp", (np.lib.stride_tricks.as_strided(X, (5,), (0,), writeable=True), X[6:11]), "must not repeat memory"),
        ("exp", (WINDOWS, np.ones((4, 6), np.float32)), "must not repeat memory"),
    ],
)
def test_outputs_that_lie_across_operands_are_refused(name, operands, message):
    before = X.copy()
    for y, x in ((np.empty_like(X), X), (np.empty((4, 6), np.float32), GRID)):
        kernels.exp(y, x)  # patterns of the same layouts
    with pytest.raises(ShapeError, match=message):
        getattr(kernels, name)(*operands)
    assert np.array_equal(X, before)


def test_results_may_lie_where_an_operand_lies_or_between(rng):
    for x in (rng.standard_normal(9), rng.standard_normal((4, 6)).T, rng.standard_normal((3, 1, 5)), np.zeros((0, 3))):
        wanted = np.exp(np.exp(x))
        for _ in range(2):
            kernels.exp(x, x)
        np.testing.assert_allclose(x, wanted, rtol=1e-12)
    memory = rng.standard_normal((4, 6))
    left, right_side = memory[:, :3], memory[:, 3:]
    for _ in range(3):
        kernels.exp(left, right_side)
        np.testing.assert_allclose(left, np.exp(right_side), rtol=1e-12)


def test_overlap_of_elements_is_seen_when_the_pattern_is_known(rng):
    memory = rng.standard_normal(12).astype(np.float32)
    for _ in range(2):
        kernels.exp(memory[:4], memory[4:8])
        kernels.exp(memory[:4], memory[:4])
    before = memory.copy()
    with pytest.raises(ShapeError, match="share memory"):
        kernels.exp(memory[3:7], memory[4:8])
    assert np.array_equal(memory, before)


def test_numbers_count_as_part_of_a_pattern(rng):
    x, out = rng.standard_normal(9), np.empty(9)
    for low, high in ((-1.0, 1.0), (-0.5, 0.5), (-1.0, 1.0), (float("-0.25"), 0.25)):
        kernels.clip(out, x, low, high)
        assert np.array_equal(out, np.clip(x, low, high))


def test_every_kernel_is_a_function_with_the_documentation_of_its_twin():
    for name, kernel in kernels.KERNELS.items():
        function = getattr(kernels, name)
        assert function.__name__ == name
        assert function.__doc__ == kernel.twin.__doc__
    with pytest.raises(AttributeError, match="no attribute 'expp'"):
        _ = kernels.expp
    with pytest.raises(FastnnError, match="does not broadcast"):
        kernels.exp(np.empty(3), np.empty(4))


def test_kernels_are_listed_and_show_what_they_take():
    assert set(kernels.KERNELS) | {"matmul", "threads"} <= set(dir(kernels))
    shown = inspect.signature(kernels.gemm)
    assert list(shown.parameters) == list(kernels.KERNELS["gemm"].signature.parameters)
    assert all(p.kind is p.POSITIONAL_ONLY for p in shown.parameters.values())
    assert str(shown).startswith("(c: float[B, M, N], sums: float[B, S], a: float[B, M, K], ")
    assert str(inspect.signature(kernels.clip)) == "(y: float[...], x: float[...], low: float, high: float, /)"


PLAIN = np.ones((1, 4, 4), np.float32)
PRODUCT = (PLAIN.copy(), np.empty((1, 0), np.float32), PLAIN, PLAIN, PLAIN, PLAIN)
SIZES = np.arange(4) % 2


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    ("name", "operands", "error", "message"),
    [
        ("gemm", (*PRODUCT, 1.0, 0.0, ()), DTypeError, r"epilogue must be a whole number or a tuple of numbers, got \(\)"),
        ("gemm", (*PRODUCT, 1.0, 0.0, (1.5,)), DTypeError, r"gemm\(\): epilogue\[0\] must be a whole number, got 1.5"),
        ("gemm", (*PRODUCT, 1.0, 0.0, ("relu",)), DTypeError, r"gemm\(\): epilogue\[0\] must be a whole number, got 'relu'"),
        ("gemm", (*PRODUCT, 1.0, 0.0, (13, None)), DTypeError, r"gemm\(\): epilogue\[1\] must be a number, got None"),
        ("gemm", (*PRODUCT, 1.0, 0.0, (13, 2**2000)), ArgumentError, r"gemm\(\): epilogue\[1\] must fit into a float64"),
        ("gemm", (*PRODUCT, 1.0, 0.0, 2**64), ArgumentError, r"gemm\(\): epilogue must fit into an int64"),
        ("gemm", (*PRODUCT, -(2**2000), 0.0, 0), ArgumentError, r"gemm\(\): alpha must fit into a float64"),
        ("gemm", (*PRODUCT, None, 0.0, 0), DTypeError, r"gemm\(\): alpha must be a number, got None"),
        ("nll", (np.zeros(4), np.zeros((4, 4)), SIZES, np.ones(4), 2**64), ArgumentError, "ignore_index must fit into an int64"),
        ("nll", (np.zeros(4), np.zeros((4, 4)), SIZES, np.ones(4), -(2**63) - 1), ArgumentError, "ignore_index must fit into an int64"),
        ("exp", (np.zeros((2,) * 7), np.zeros((2,) * 7).T), ShapeError, r"exp\(\): arrays of shape \(2, .* more than 6 nested loops"),
        ("exp", (np.zeros(3), np.ma.masked_array(np.zeros(3), mask=True)), DTypeError, r"exp\(\): x must be .*, got MaskedArray"),
        ("exp", (np.ma.masked_array(np.zeros(3)), np.zeros(3)), DTypeError, r"exp\(\): y must be .*, got MaskedArray"),
        ("exp", (np.zeros((3, 3)), np.zeros((3, 3)).view(np.matrix)), DTypeError, r"exp\(\): x must be .*, got matrix"),
        ("matmul", (np.zeros((4, 4)), np.ma.zeros((4, 4)), np.zeros((4, 4))), DTypeError, r"matmul\(\): a must be .*, got MaskedArray"),
    ],
)
def test_operands_that_a_record_cannot_hold_are_refused(name, operands, error, message, backend):
    with kernels.use_backend(backend), pytest.raises(error, match=message):
        getattr(kernels, name)(*operands)


def test_numbers_at_the_ends_of_what_a_record_holds_are_taken():
    loss, x, weight = np.zeros(4), -np.ones((4, 4)), np.ones(4)
    for ignored in (2**63 - 1, -(2**63)):
        kernels.nll(loss, x, SIZES, weight, ignored)
        assert (loss == 1).all()
        kernels.nll(loss, x, np.full(4, ignored), weight, ignored)
        assert not loss.any()
    y = np.zeros(3)
    for low, high in ((-math.inf, math.inf), (-(10**308), 10**308), (np.float32(-1), np.int64(1))):
        kernels.clip(y, np.full(3, 0.5), low, high)
        assert (y == 0.5).all()
    kernels.exp(y, np.zeros(3).view(np.memmap))
    assert (y == 1).all()


def test_large_work_gives_the_same_bits_on_any_number_of_threads(rng):
    a, b = rng.standard_normal((2, 310, 310)).astype(np.float32)
    x = rng.standard_normal(1 << 18).astype(np.float32)
    found = []
    for count in (1, 2, 3):
        with kernels.threads(count):
            for _ in range(2):
                out, y = np.full_like(a, np.nan), np.full_like(x, np.nan)
                kernels.matmul(out, a, b)
                kernels.exp(y, x)
                found.append((out.tobytes(), y.tobytes()))
    assert len(set(found)) == 1
    assert right(out, a, b)


def test_several_python_threads_at_once(rng):
    wrong = []

    def work(seed):
        mine = np.random.default_rng(seed)
        for _ in range(200):
            n = int(mine.integers(1, 9))
            a, b, out = mine.standard_normal((n, n)), mine.standard_normal((n, n)), np.empty((n, n))
            kernels.matmul(out, a, b)
            if not right(out, a, b):
                wrong.append(n)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_without_readable_headers_everything_is_checked_anew(rng, monkeypatch):
    monkeypatch.setattr(_replay, "readable", lambda: False)
    a, b, out = rng.standard_normal((2, 6)), rng.standard_normal((6, 2)), np.empty((2, 2))
    replay = _replay.Replay()
    replay.learn((out, a), kernels.KERNELS["exp"], large=False)
    assert not replay((out, a))
    kernels.matmul(out, a, b)
    assert right(out, a, b)


def learned(large):
    x, y = np.array([1.0, 4.0]), np.zeros(2)
    replay = _replay.Replay()
    assert not replay.short(y, x)
    replay.learn((y, x), kernels.KERNELS["sqrt"], large)
    return replay, x, y


@pytest.mark.skipif(not _builtin.possible(), reason="this interpreter has no lock")
def test_short_work_that_is_recognised_needs_no_python():
    replay, x, y = learned(large=False)
    before = sys.getrefcount(True), sys.getrefcount(False)
    for _ in range(1000):
        y[:] = 0
        assert replay.short(y, x) is True
        assert replay.short(y, x[:1]) is False
    assert y.tolist() == [1, 2]
    assert all(abs(sys.getrefcount(answer) - n) < 100 for answer, n in zip((True, False), before, strict=True))


def test_calls_with_more_or_fewer_operands_are_not_recognised():
    replay, x, y = learned(large=False)
    for operands in ((), (y,), (y, x, x)):
        assert not replay.short(*operands)
        assert not replay(operands)
    assert y.tolist() == [0, 0]
    kernels.sqrt(y, x)
    with pytest.raises(FastnnError):
        kernels.sqrt(y)


def test_large_work_is_left_to_the_team():
    replay, x, y = learned(large=True)
    assert replay.short(y, x) is False
    assert y.tolist() == [0, 0]
    assert replay((y, x))
    assert y.tolist() == [1, 2]


@pytest.mark.skipif(not _builtin.possible(), reason="this interpreter has no lock")
def test_brief_work_is_shared_without_python_once_its_threads_are_known():
    def in_another_thread(work):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()

    def foreign():
        y[:] = 0
        found.append(replay.short(y, x))  # on that thread alone: how many it may have, nobody knows
        found.append(y.tolist())

    replay, x, y = learned(large=_replay.BRIEF)
    found = []
    with kernels.threads(2):
        assert replay.short(y, x) is False
        assert y.tolist() == [0, 0]
        assert replay((y, x))  # which may have started the threads
        assert replay((y, x))
        y[:] = 0
        assert replay.short(y, x) is True
        assert y.tolist() == [1, 2]
        in_another_thread(foreign)
        with kernels.threads(1):
            assert replay.short(y, x) is False
        assert replay.short(y, x) is False
    assert replay.short(y, x) is False
    assert found == [True, [1, 2]]


def test_brief_work_is_spread_over_as_many_threads_as_are_asked_for():
    replay, x, y = learned(large=_replay.BRIEF)
    for count in (2, 1, 3, 2):
        with kernels.threads(count):
            for _ in range(3):
                y[:] = 0
                assert replay.short(y, x) or replay((y, x))
                assert y.tolist() == [1, 2]
            assert list(_team.here)[:2] == [threading.get_ident(), count]
    assert _team.here[_team.OWNER] == 0


def test_a_call_that_comes_before_another_one_is_launched_leaves_it_alone(monkeypatch):
    replay, x, y = learned(large=True)
    other, u, v = learned(large=True)
    launch, nested = _replay.launch, [lambda: other((v, u))]  # as a signal handler calls it, or a finaliser

    def interrupted(*arguments):
        while nested:
            assert nested.pop()()
        launch(*arguments)

    monkeypatch.setattr(_replay, "launch", interrupted)
    monkeypatch.setattr(_replay, "mailbox_for", lambda threads: 0)  # as before the first large work
    with kernels.threads(2):
        assert replay((y, x))
    assert y.tolist() == v.tolist() == [1, 2]


@pytest.mark.parametrize("fits", [True, False])
def test_what_a_call_comes_to_is_not_what_a_later_one_comes_to(fits):
    replay, x, y = learned(large=False)
    other, u, v = learned(large=False)
    recognise = replay._known.replay

    def interrupted(*arguments):
        recognise(*arguments)
        assert other((v, u[:1] if fits else u)) is not fits

    replay._known = replay._known._replace(replay=interrupted)
    assert replay((y, x if fits else x[:1])) is fits
    assert y.tolist() == ([1, 2] if fits else [0, 0])


def product(M, K, N, dtype=np.float32):
    """The operands of `gemm` for a product of these sizes."""
    c, a, b = np.empty((1, M, N), dtype), np.empty((1, M, K), dtype), np.empty((1, K, N), dtype)
    return c, np.empty((1, 0), dtype), a, b, c, c, 1.0, 0.0, 0


def test_products_are_shared_for_their_operations_or_for_their_bytes():
    assert is_large("gemm", product(100, 100, 100)) == is_large("gemm", product(1, 200, 200)) == 0
    assert is_large("gemm", product(128, 128, 128)) == is_large("gemm", product(1, 300, 300)) == _replay.BRIEF
    assert is_large("gemm", product(256, 256, 256)) == is_large("gemm", product(1, 1000, 1000)) == _replay.IF_AWAKE
    assert is_large("gemm", product(512, 512, 512)) == is_large("gemm", product(1, 2100, 2100)) == 1
    assert is_large("gemm", product(150, 150, 150)) == _replay.BRIEF
    assert is_large("gemm", product(150, 150, 150, np.float64)) == _replay.IF_AWAKE


def test_headers_are_readable_on_this_machine():
    assert _replay.readable()


def test_structured_work_of_middling_size_is_shared_by_workers_who_are_awake():
    x = np.random.default_rng(0).standard_normal((128, 500)).astype(np.float32)
    assert is_large("softmax", (x, x)) == _replay.IF_AWAKE
    assert is_large("exp", (x, x)) == _replay.BRIEF
    assert is_large("exp", (x[:50], x[:50])) == is_large("softmax", (x[:50], x[:50])) == 0
    assert is_large("exp", (np.tile(x, (4, 1)),) * 2) == _replay.IF_AWAKE
    assert is_large("exp", (np.tile(x, (40, 1)),) * 2) == is_large("softmax", (np.tile(x, (40, 1)),) * 2) == 1
    assert is_large("conv2d", (np.tile(x, (4, 1)),) * 2) == 1
    alone, shared = np.empty_like(x), np.empty_like(x)
    with kernels.threads(1):
        kernels.softmax(alone, x)
    for _ in range(20):
        shared[:] = 0
        with kernels.threads(2):
            kernels.softmax(shared, x)
        np.testing.assert_array_equal(shared, alone)
