"""Instructions that are cut by rows, piece by piece, give bit for bit what they give at once.

Pieces have at least two examples: products and convolutions of single ones go ways of their own.
"""

import itertools

import numpy as np
import pytest
from fastnn.kernels import KERNELS, Instruction
from kernel_cases import Case

from fastnn.compile.slices import ROWS, by_examples, repeatable, slices

ELEMENTWISE = ["add", "relu_grad", "bce", "adam", "where"]
ROW_WISE = [*ROWS, *(name for name in ELEMENTWISE if name in KERNELS)]


def run(instruction):
    kernel = KERNELS[instruction.kernel]
    record = np.array(kernel.signature.encode(instruction.operands), np.int64)
    kernel.entry(kernel.signature.dtypes(instruction.operands))(record.ctypes.data, 0, 1)


def in_pieces(instruction, edges):
    """Run an instruction as a whole, then its pieces between these rows of its results, and compare."""
    found = slices(instruction, edges[-1])
    assert found is not None
    edges = [edge // found.grain * found.grain for edge in edges[:-1]] + edges[-1:]
    before = [y.copy() for y in instruction.outputs]
    run(instruction)
    whole = [y.copy() for y in instruction.outputs]
    for y, old in zip(instruction.outputs, before, strict=True):
        y[...] = old
    for start, stop in itertools.pairwise(edges):
        run(found.piece(start, stop))
    for y, wanted in zip(instruction.outputs, whole, strict=True):
        assert y.tobytes() == wanted.tobytes(), instruction.kernel


@pytest.mark.parametrize("name", ROW_WISE)
def test_pieces_give_what_the_whole_gives(name):
    kernel = KERNELS[name]
    done = 0
    for seed in range(2, 26):
        dtypes = kernel.signature.variants()[seed % 2]
        operands = Case(kernel, dtypes, seed, shape=(12, 5)).operands
        rows = len(operands[0])
        if rows > 3:
            in_pieces(Instruction(name, tuple(operands)), [0, rows // 2, rows])
            done += 1
    assert done > 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("M", "N", "K"), [(32, 128, 30), (64, 64, 64), (64, 6, 64), (37, 33, 700), (200, 40, 300), (160, 256, 784), (12, 700, 5)]
)
def test_products_in_pieces(M, N, K, dtype):
    rng = np.random.default_rng(M)
    a, weight = (rng.normal(size=shape).astype(dtype) for shape in ((M, K), (N, K)))
    for b in (weight.T, np.ascontiguousarray(weight.T)):
        for left in (a, np.asfortranarray(a)):
            c, sums, bias = np.zeros((M, N), dtype), np.zeros((1, M), dtype), rng.normal(size=N).astype(dtype)
            operands = (c[None], sums, left[None], b[None], np.broadcast_to(bias, (1, M, N)), c[None], 1.0, 1.0, 3)
            for edges in ([0, M // 2, M], [0, 2, 4, M], list(range(0, M - 2, 2)) + [M]):
                in_pieces(Instruction("gemm", operands), edges)


def test_rows_of_examples_lie_apart_or_the_instruction_is_no_work_by_examples():
    x, y = np.zeros((8, 4), np.float32), np.zeros((8, 4), np.float32)
    assert by_examples(Instruction("exp", (y, x)), 8).place(0) == (y.ctypes.data, 16, y.ctypes.data + y.nbytes)
    assert by_examples(Instruction("exp", (y, x)), 4).place(0) == (y.ctypes.data, 32, y.ctypes.data + y.nbytes)
    assert by_examples(Instruction("exp", (y, x)), 3) is None
    assert by_examples(Instruction("exp", (y, x.reshape(4, 8).T)), 8) is None
    row = np.zeros((1, 4), np.float32)
    assert by_examples(Instruction("add", (y, x, row)), 8).units == (1, 1, 0)
    assert by_examples(Instruction("add", (y, x, np.broadcast_to(row, (8, 4)))), 8) is not None


def test_sums_of_rows_are_cut_where_one_ends():
    rng = np.random.default_rng(0)
    dy, x = rng.normal(size=(2, 24, 5))
    dx, weight, mean, rstd = np.empty((24, 5)), rng.normal(size=5), x.mean(axis=1), 1 / x.std(axis=1)
    dweights, dbiases = np.empty((2, 3, 5))
    instruction = Instruction("layer_norm_grad", (dx, dweights, dbiases, dy, x, weight, mean, rstd, 8))
    in_pieces(instruction, [0, 8, 24])
    np.testing.assert_allclose(dbiases, dy.reshape(3, 8, 5).sum(axis=1))
    assert by_examples(instruction, 24).grain == 8  # an example is a row
    assert by_examples(instruction, 3).grain == 1  # or as many as one sum holds
    assert by_examples(instruction, 12).grain == 4
    assert by_examples(instruction, 24, parts=3) is not None
    assert by_examples(instruction, 24, parts=2) is None  # which would cut the second sum


def test_what_reads_its_own_results_is_not_done_twice():
    x, y, counter = np.zeros(4, np.float32), np.zeros(4, np.float32), np.zeros(2, np.int64)
    assert repeatable(Instruction("add", (y, x, x)))
    assert not repeatable(Instruction("add", (y, y, x)))
    assert not repeatable(Instruction("advance", (counter, 3)))
    assert not repeatable(Instruction("exponential_average", (y, x, 0.1, 1.0)))


def test_rows_that_an_order_picks_are_cut_with_their_order():
    source, order, cursor = np.arange(40.0).reshape(20, 2), np.random.default_rng(0).permutation(20), np.array([3, 0])
    target = np.zeros((8, 2))
    in_pieces(Instruction("take_rows", (target, source, order, cursor)), [0, 3, 8])
    np.testing.assert_array_equal(target, source[order[3:11]])
    back = np.zeros((20, 2))
    put = slices(Instruction("put_rows", (back, target, order, cursor)), 8)
    for start, stop in ((0, 5), (5, 8)):
        run(put.piece(start, stop))
    np.testing.assert_array_equal(back[order[3:11]], target)


def test_masks_are_cut_at_the_blocks_of_their_generator():
    x, y, state = np.ones(12 * 40, np.float32), np.empty(12 * 40, np.float32), np.array([7, 3], np.uint64)
    instruction = Instruction("dropout", (y, x, state, 2, 0, 0.5))
    in_pieces(instruction, [0, 1, 5, 12])
    assert 0 < np.count_nonzero(y) < y.size
    assert slices(Instruction("dropout", (y[:36], x[:36], state, 2, 0, 0.5)), 6) is None
