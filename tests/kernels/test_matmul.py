"""Products of matrices of all shapes and layouts, around every edge of tiles, panels and blocks."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from fastnn.kernels import CONVOLUTION_EPILOGUES, EPILOGUES, KERNELS, _host, run
from fastnn.kernels._epilogue import known
from fastnn.kernels._registry import as_record
from fastnn.kernels.reference._finish import OF_TWO as OF_TWO_IMAGES
from fastnn.kernels.reference.matmul import OF_TWO

from fastnn import kernels
from fastnn.errors import ArgumentError, DTypeError, ShapeError

DTYPES = [np.float32, np.float64]
SIZES = [
    (0, 4, 3),
    (4, 0, 3),
    (4, 3, 0),
    (1, 1, 1),
    (1, 37, 5),
    (1, 300, 70),
    (33, 1, 19),
    (2, 3, 5),
    (5, 8, 7),
    (6, 16, 64),
    (7, 17, 9),
    (13, 31, 29),
    (64, 6, 64),
    (64, 64, 6),
    (14, 32, 1),
    (15, 33, 257),
    (61, 130, 300),
    (300, 140, 270),
    (9, 3, 600),
    (29, 30, 600),
]
LAYOUTS = ["rows", "columns", "every second", "reversed"]
UNUSUAL = ["rows backwards", "columns backwards", "signs differ", "one row", "one column", "one item", "part of a larger one", "misaligned"]


def without_sums(c):
    """No place for the sums of the rows of a product's left operand."""
    return np.empty((len(c), 0), c.dtype)


def gemm(c, *operands):
    run("gemm", c, without_sums(c), *operands)


def misaligned(x):
    """A copy of x no item of which lies at a multiple of its size."""
    memory = np.empty(x.nbytes + 1, np.uint8)
    y = memory[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def part_of_a_larger_one(x):
    whole = np.full((x.shape[0] + 2, x.shape[1] + 5), 7, x.dtype)
    whole[1:-1, 3:-2] = x
    return whole[1:-1, 3:-2]


PLACED = {
    "reversed": lambda x: x[::-1, ::-1],
    "rows backwards": lambda x: x[::-1],
    "columns backwards": lambda x: x[:, ::-1],
    "signs differ": lambda x: np.repeat(x, 2, axis=0)[::2, ::-1],
    "one row": lambda x: np.broadcast_to(x[:1], x.shape),
    "one column": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "one item": lambda x: np.broadcast_to(x[:1, :1], x.shape),
    "part of a larger one": part_of_a_larger_one,
    "misaligned": misaligned,
}


def laid_out(rng, rows, columns, layout, dtype):
    """A random matrix with the strides of `layout`."""
    if layout == "columns":
        return rng.normal(size=(columns, rows)).astype(dtype).T
    if layout == "every second":
        return rng.normal(size=(2 * rows, 2 * columns)).astype(dtype)[::2, ::2]
    if layout in PLACED:
        return PLACED[layout](rng.normal(size=(rows, columns)).astype(dtype))
    return rng.normal(size=(rows, columns)).astype(dtype)


def bound(dtype, depth):
    """How far rounding may take a sum of `depth` products of numbers around 1."""
    return 8 * np.finfo(dtype).eps * (1 + depth**0.5)


def assert_close(found, expected, dtype, depth):
    np.testing.assert_allclose(found, expected, rtol=bound(dtype, depth), atol=bound(dtype, depth) * 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_products_of_all_layouts(M, N, K, dtype):
    rng = np.random.default_rng(M + 10 * N + 100 * K)
    for left in LAYOUTS:
        for right in LAYOUTS:
            for turned in (False, True):
                a, b = laid_out(rng, M, K, left, dtype), laid_out(rng, K, N, right, dtype)
                c = np.full((N, M), np.nan, dtype).T if turned else np.full((M, N), np.nan, dtype)
                gemm(c[None], a[None], b[None], c[None], c[None], 0.5, 0.0, 0)
                assert_close(c, 0.5 * (a.astype(np.float64) @ b.astype(np.float64)), dtype, K)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_a_base_is_added_whatever_repeats_in_it(M, N, K, dtype):
    rng = np.random.default_rng(0)
    a, b = laid_out(rng, M, K, "rows", dtype), laid_out(rng, K, N, "columns", dtype)
    row, column, whole = (rng.normal(size=s).astype(dtype) for s in (N, (M, 1), (M, N)))
    for base in (row, column, whole, whole[::-1]):
        repeated = np.broadcast_to(base, (M, N))
        c = np.full((M, N), np.nan, dtype)
        gemm(c[None], a[None], b[None], repeated[None], c[None], 1.0, 2.0, 0)
        assert_close(c, a.astype(np.float64) @ b.astype(np.float64) + 2.0 * repeated, dtype, K)
    c = whole.copy()
    gemm(c[None], a[None], b[None], c[None], c[None], 1.0, 1.0, 0)
    assert_close(c, a.astype(np.float64) @ b.astype(np.float64) + whole, dtype, K)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "N", "K"), [(1, 37, 29), (6, 3, 40), (5, 70, 33), (37, 6, 64), (90, 150, 300), (70, 300, 520)])
def test_products_of_operands_that_lie_anyhow(M, N, K, dtype):
    """Strides of either sign and of none, and items at odd addresses, in each operand and in the result."""
    rng = np.random.default_rng(M)
    layouts = [*LAYOUTS, *UNUSUAL]
    operands = {side: [laid_out(rng, *size, layout, dtype) for layout in layouts] for side, size in (("a", (M, K)), ("b", (K, N)))}
    right = [(b, b.astype(np.float64)) for b in operands["b"]]
    for i, a in enumerate(operands["a"]):
        wide, base = a.astype(np.float64), laid_out(rng, M, N, layouts[i], dtype)
        for j, (b, wide_b) in enumerate(right):
            place = ("rows", "columns", "rows backwards", "part of a larger one", "misaligned")[(i + j) % 5]
            c, sums = laid_out(rng, M, N, place, dtype), np.full((1, M), np.nan, dtype)
            run("gemm", c[None], sums, a[None], b[None], base[None], c[None], 0.5, 2.0, 0)
            assert_close(c, 0.5 * (wide @ wide_b) + 2.0 * base, dtype, K)
            assert_close(sums[0], wide.sum(axis=1), dtype, K)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("M", range(1, 9))
def test_few_rows_times_a_large_matrix(M, dtype):
    rng = np.random.default_rng(M)
    N, K = 715, 1103
    for left in ("rows", "columns"):
        for right in ("rows", "columns", "part of a larger one"):
            a, b = laid_out(rng, M, K, left, dtype), laid_out(rng, K, N, right, dtype)
            for turned in (False, True):
                c = np.full((N, M), np.nan, dtype).T if turned else np.full((M, N), np.nan, dtype)
                gemm(c[None], a[None], b[None], c[None], c[None], 1.0, 0.0, 0)
                assert_close(c, a.astype(np.float64) @ b.astype(np.float64), dtype, K)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_rows_of_the_left_operand_are_summed_on_the_way(M, N, K, dtype):
    rng = np.random.default_rng(N)
    for layout in LAYOUTS:
        a, b = laid_out(rng, M, K, layout, dtype), laid_out(rng, K, N, "rows", dtype)
        c, sums, alone = np.full((1, M, N), np.nan, dtype), np.full((1, M), np.nan, dtype), np.full((1, M), np.nan, dtype)
        run("gemm", c, sums, a[None], b[None], c, c, 0.5, 0.0, 1)
        np.testing.assert_allclose(sums[0], a.sum(axis=1, dtype=np.float64), rtol=bound(dtype, 0), atol=bound(dtype, K))
        if layout in ("rows", "columns") and M > 1 and K > 1:  # what a reduction of that layout gives, to the bit
            shape = (M, K, 1) if layout == "rows" else (1, K, M)
            run("reduce_sum", alone.reshape(shape[0], shape[2]), (a if layout == "rows" else a.T).reshape(shape))
            assert sums.tobytes() == alone.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_batches_take_bases_epilogues_and_any_number_of_workers(dtype):
    rng = np.random.default_rng(10)
    B, M, N, K = 5, 61, 70, 50
    a, b, base, extra = (rng.normal(size=(B, *size)).astype(dtype) for size in ((M, K), (K, N), (M, N), (M, N)))
    for name in ("add_relu", "gelu", "tanh_grad"):
        for left, right in ((a, b), (a[:1].repeat(B, 0), np.broadcast_to(b[0], b.shape)), (np.broadcast_to(a[0], a.shape), b)):
            found, rest = [], (left, right, base, extra, 0.5, 0.75, EPILOGUES.index(name))
            for threads in (1, 2, 3):
                c, sums = np.full((B, M, N), np.nan, dtype), np.full((B, M), np.nan, dtype)
                kernel, operands = KERNELS["gemm"], (c, sums, *rest)
                record = as_record(kernel.signature.encode(operands))
                for part in range(threads):
                    kernel.entry(kernel.signature.dtypes(operands))(record, part, threads)
                found.append(c.tobytes() + sums.tobytes())
            assert all(f == found[0] for f in found)
            wanted, wanted_sums = np.empty_like(c), np.empty_like(sums)
            KERNELS["gemm"].twin(wanted, wanted_sums, *rest)
            rtol, atol = (1e-4, 4e-5) if dtype == np.float32 else (1e-10, 1e-12)
            np.testing.assert_allclose(c, wanted, rtol=rtol, atol=atol)
            np.testing.assert_allclose(sums, wanted_sums, rtol=rtol, atol=atol)


def with_numbers(epilogue):
    """An epilogue with numbers that suit its formula."""
    numbers = (-0.5, 0.75) if EPILOGUES[epilogue].startswith("hardtanh") else (0.8, 1.5)
    return (epilogue, *numbers[: known(epilogue).numbers]) if known(epilogue).numbers else epilogue


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epilogue", range(1, len(EPILOGUES)), ids=EPILOGUES[1:])
def test_epilogues_are_applied_once_to_every_item(epilogue, dtype):
    rng = np.random.default_rng(epilogue)
    for M, N, K in ((1, 1, 1), (1, 37, 5), (7, 17, 9), (20, 40, 600), (33, 1, 8), (40, 70, 3)):
        a, b = (rng.normal(size=s).astype(dtype) / K**0.5 for s in ((M, K), (K, N)))
        extra = rng.normal(size=(M, N)).astype(dtype)
        for base in (extra, np.broadcast_to(extra[:, :1], extra.shape)):
            expected = np.full((M, N), np.nan, dtype)
            KERNELS["gemm"].twin(
                expected[None], without_sums(expected[None]), a[None], b[None], base[None], extra[None], 1.0, 0.5, with_numbers(epilogue)
            )
            for right in (b, np.asfortranarray(b)):
                c = np.full((M, N), np.nan, dtype)
                gemm(c[None], a[None], right[None], base[None], extra[None], 1.0, 0.5, with_numbers(epilogue))
                rtol, atol = (1e-4, 4e-6) if dtype == np.float32 else (1e-10, 1e-12)
                np.testing.assert_allclose(c, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epilogue", range(1, len(EPILOGUES)), ids=EPILOGUES[1:])
def test_an_epilogue_gives_the_bits_of_its_kernel_wherever_it_is_applied(epilogue, dtype):
    rng = np.random.default_rng(epilogue)
    numbers = np.atleast_1d(with_numbers(epilogue)).tolist()[1:]
    for M, N, K in ((9, 64, 600), (40, 64, 5), (40, 37, 5), (2, 64, 9)):  # in registers where rows fill them
        for right in LAYOUTS:
            a, b = rng.normal(size=(M, K)).astype(dtype), laid_out(rng, K, N, right, dtype)
            base, extra = (rng.normal(size=(M, N)).astype(dtype) for _ in range(2))
            for beta in (0.0, 0.5, 1.0):
                c, apart, expected = (np.full((M, N), np.nan, dtype) for _ in range(3))
                gemm(c[None], a[None], b[None], base[None], extra[None], 1.0, beta, with_numbers(epilogue))
                gemm(apart[None], a[None], b[None], base[None], extra[None], 1.0, beta, 0)
                run(EPILOGUES[epilogue], expected, apart, *([extra] if epilogue in OF_TWO else []), *numbers)
                assert c.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_batches_are_products_of_their_matrices(dtype):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 9, 20)).astype(dtype), rng.normal(size=(20, 33)).astype(dtype)
    for right in (np.broadcast_to(b, (5, 20, 33)), rng.normal(size=(5, 33, 20)).astype(dtype).swapaxes(1, 2)):
        c = np.full((5, 9, 33), np.nan, dtype)
        gemm(c, a, right, c, c, 1.0, 0.0, 0)
        assert_close(c, a.astype(np.float64) @ right.astype(np.float64), dtype, 20)


@pytest.mark.parametrize(("M", "N", "K"), [(1, 700, 90), (90, 40, 300), (40, 300, 700), (301, 17, 64), (512, 512, 300)])
def test_results_are_bitwise_the_same_for_any_number_of_workers(M, N, K):
    rng = np.random.default_rng(2)
    for left in ("rows", "columns"):
        for right in ("rows", "columns"):
            a, b = laid_out(rng, M, K, left, np.float32), laid_out(rng, K, N, right, np.float32)
            found = []
            for parts in (1, 2, 3, 5, 7, 16, 23, 64):
                c = np.full((1, M, N), np.nan, np.float32)
                sums = np.full((1, M), np.nan, np.float32)
                operands = (c, sums, a[None], b[None], c, c, 1.0, 0.0, 1)
                kernel = KERNELS["gemm"]

                record = as_record(kernel.signature.encode(operands))
                for part in reversed(range(parts)):
                    kernel.entry(kernel.signature.dtypes(operands))(record, part, parts)
                found.append(c.tobytes() + sums.tobytes())
            assert all(f == found[0] for f in found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "N", "K"), [(9, 1, 70), (37, 6, 64), (90, 40, 300), (131, 17, 784), (64, 200, 1100), (300, 140, 2100)])
def test_a_share_of_the_rows_has_bitwise_the_same_results(M, N, K, dtype):
    rng = np.random.default_rng(5)
    for left in ("rows", "columns"):
        for right in LAYOUTS:
            a, b, base = laid_out(rng, M, K, left, dtype), laid_out(rng, K, N, right, dtype), rng.normal(size=(1, 1, N)).astype(dtype)
            whole = np.full((1, M, N), np.nan, dtype)
            gemm(whole, a[None], b[None], np.broadcast_to(base, whole.shape), whole, 0.7, 0.3, 1)
            for heights in ((2, 3, M - 5), (M // 2, M - M // 2), (M - 2, 2)):
                shares = np.full((1, M, N), np.nan, dtype)
                start = 0
                for height in heights:
                    rows = slice(start, start + height)
                    c = shares[:, rows]
                    gemm(c, a[None, rows], b[None], np.broadcast_to(base, c.shape), c, 0.7, 0.3, 1)
                    start += height
                assert shares.tobytes() == whole.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("N", "K"), [(3, 4), (7, 16), (37, 300), (64, 320)])
def test_a_row_times_a_matrix_is_bitwise_the_same_wherever_they_begin(N, K, dtype):
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(1, K)).astype(dtype), rng.normal(size=(K, N)).astype(dtype)
    for turned in (False, True):
        found = []
        for start in range(17):
            room = np.empty(17 + b.size, dtype)[start : start + b.size]
            right = room.reshape(N, K).T if turned else room.reshape(K, N)
            right[:] = b
            c = np.full((1, N), np.nan, dtype)
            gemm(c[None], a[None], right[None], c[None], c[None], 1.0, 0.0, 0)
            assert_close(c, a.astype(np.float64) @ b.astype(np.float64), dtype, K)
            found.append(c.tobytes())
        assert len(set(found)) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "K"), [(1, 5), (1, 700), (2, 9), (61, 300), (150, 1100)])
def test_panels_that_share_their_left_side_are_one_product(M, K, dtype):
    rng = np.random.default_rng(6)
    P, width = 7, _host.panel_columns(np.dtype(dtype).itemsize)
    N = P * width
    for left in LAYOUTS:
        a, b = laid_out(rng, M, K, left, dtype), rng.normal(size=(K, N)).astype(dtype)
        row, extra = rng.normal(size=N).astype(dtype), rng.normal(size=(M, N)).astype(dtype)

        def panels(x):
            return x.reshape(len(x), P, width).swapaxes(0, 1)

        right = np.ascontiguousarray(panels(b))
        for base, beta in ((np.broadcast_to(row, (M, N)), 0.5), (extra, 2.0), (extra, 0.0)):
            found = []
            for parts in (1, 3):
                c = np.full((M, N), np.nan, dtype)
                shared = np.broadcast_to(a, (P, M, K))
                operands = (
                    panels(c),
                    without_sums(shared),
                    shared,
                    right,
                    panels(base),
                    panels(extra),
                    0.5,
                    beta,
                    EPILOGUES.index("add_relu"),
                )
                kernel = KERNELS["gemm"]
                record = as_record(kernel.signature.encode(operands))
                for part in range(parts):
                    kernel.entry(kernel.signature.dtypes(operands))(record, part, parts)
                found.append(c.tobytes())
            assert found[0] == found[1]
            expected = np.maximum(0.5 * (a.astype(np.float64) @ b.astype(np.float64)) + beta * base + extra, 0)
            assert_close(c, expected, dtype, K)
            whole = np.full((1, M, N), np.nan, dtype)
            gemm(whole, a[None], b[None], base[None], extra[None], 0.5, beta, EPILOGUES.index("add_relu"))
            if M > 1:
                assert whole.tobytes() == c.tobytes()


def crowded(dtype):
    """M and K for which blocks of A would hold one tile more than there is room for, if their number were rounded down."""
    item, block, rows = np.dtype(dtype).itemsize, _host.blocking().block, _host.tile_rows()
    for K in range(_host.blocking().depth, 0, -1):
        tile = rows * K * item
        fitting, room = divmod(block, tile)
        if tile // 5 < room < tile // 3:
            return ((tile // room + 1) * fitting + 1) * rows, K
    raise AssertionError("no depth leaves that much room")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_of_many_tiles_stay_within_their_room(threads, dtype):
    M, K = crowded(dtype)
    N = 6 * _host.panel_columns(np.dtype(dtype).itemsize)
    rng = np.random.default_rng(8)
    b = laid_out(rng, K, N, "rows", dtype)
    for layout in ("rows", "columns"):
        a, c = laid_out(rng, threads * M, K, layout, dtype), np.full((threads * M, N), np.nan, dtype)
        with kernels.threads(threads):
            gemm(c[None], a[None], b[None], c[None], c[None], 1.0, 0.0, 0)
        assert_close(c, a.astype(np.float64) @ b.astype(np.float64), dtype, K)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [*range(1, 20), 31, 33, 61, 129, 257, 523, 1100])
def test_many_rows_and_columns_of_any_depth(K, dtype):
    item = np.dtype(dtype).itemsize
    M = 20 * _host.tile_rows()
    N = max(_host.blocking().near // (K * item), 300) + 7 * _host.panel_columns(item) + 1  # more than is left where it lies
    rng = np.random.default_rng(K)
    for left, right in product(("rows", "columns"), repeat=2):
        a, b, c = laid_out(rng, M, K, left, dtype), laid_out(rng, K, N, right, dtype), np.full((M, N), np.nan, dtype)
        kernels.matmul(c, a, b)
        assert_close(c, a.astype(np.float64) @ b.astype(np.float64), dtype, K)


OTHER_CACHES = """
import numpy as np
from fastnn import kernels
from fastnn.kernels import _host

sizes = {sizes}
_host.cache_bytes = lambda level: sizes[level - 1]
rng = np.random.default_rng(0)
for M, N, K in ((1, 300, 700), (90, 7, 300), (61, 260, 1100), (200, 140, 90)):
    for left, right in ((0, 0), (0, 1), (1, 0)):
        a, b = (rng.normal(size=s[::-1] if turned else s).astype("f4") for s, turned in (((M, K), left), ((K, N), right)))
        a, b, c = a.T if left else a, b.T if right else b, np.empty((M, N), "f4")
        kernels.matmul(c, a, b)
        np.testing.assert_allclose(c, a.astype("f8") @ b.astype("f8"), rtol=1e-4, atol=1e-4)
print(*_host.blocking()[:2])
"""


@pytest.mark.parametrize("sizes", [(4 << 10, 4 << 10, 16 << 10), (1 << 20, 64 << 20, 1 << 30)])
def test_products_are_right_on_caches_of_any_size(sizes):
    done = subprocess.run([sys.executable, "-c", OTHER_CACHES.format(sizes=sizes)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    depth, block = map(int, done.stdout.split())
    present = _host.blocking()
    if sizes[0] < _host.cache_bytes(1):
        assert depth < present.depth
        assert block == max(sizes[1] * 5 // 8, 8 * depth * _host.isa().registers // 2)  # a tile, even if it is larger than the cache
    else:
        assert (depth, block) >= (present.depth, present.block)


def test_nothing_outside_the_result_is_written():
    rng = np.random.default_rng(3)
    for M, N in ((5, 7), (6, 16), (13, 33), (1, 9)):
        wide = np.full((M + 2, N + 40), 7.0, np.float32)
        c = wide[1:-1, 20 : 20 + N]
        a, b = rng.normal(size=(M, 11)).astype(np.float32), rng.normal(size=(11, N)).astype(np.float32)
        gemm(c[None], a[None], b[None], c[None], c[None], 1.0, 0.0, 0)
        assert_close(c, a.astype(np.float64) @ b, np.float32, 11)
        c[:] = 7.0
        assert (wide == 7.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("left", "right"), [("rows", "rows"), ("columns", "rows"), ("rows", "columns")])
def test_nothing_outside_the_result_of_a_large_product_is_written(left, right, threads, dtype):
    rng = np.random.default_rng(11)
    M, N, K = 1003, 1009, 611
    a, b = laid_out(rng, M, K, left, dtype), laid_out(rng, K, N, right, dtype)
    wide = np.full((M + 2, N + 70), 7.0, dtype)
    c = wide[1:-1, 35 : 35 + N]
    with kernels.threads(threads):
        kernels.matmul(c, a, b)
    rows = rng.integers(0, M, 40)
    assert_close(c[rows], a[rows].astype(np.float64) @ b.astype(np.float64), dtype, K)
    c[:] = 7.0
    assert (wide == 7.0).all()


SMALL_PRODUCTS = """
import threading
import numpy as np
from fastnn import kernels

for n, started in ((16, False), (72, False), (600, True)):
    x, out = np.ones((n, n), "{dtype}"), np.empty((n, n), "{dtype}")
    with kernels.threads(2):
        for _ in range(3):
            kernels.matmul(out, x, x)
    assert (out == n).all()
    assert any(thread.name.startswith("fastnn") for thread in threading.enumerate()) == started, n
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_products_start_no_other_thread(dtype):
    done = subprocess.run([sys.executable, "-c", SMALL_PRODUCTS.format(dtype=dtype)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_infinities_and_nan_go_where_arithmetic_takes_them():
    a, b = np.array([[np.inf, 1.0], [1.0, 2.0]], np.float32), np.array([[0.0, 1.0], [1.0, np.nan]], np.float32)
    out = np.empty((2, 2), np.float32)
    kernels.matmul(out, a, b)
    np.testing.assert_array_equal(out, [[np.nan, np.nan], [2.0, np.nan]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_public_product_takes_outputs_of_any_layout(dtype):
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(9, 5)).astype(dtype), rng.normal(size=(5, 12)).astype(dtype)
    for layout in LAYOUTS:
        out = laid_out(rng, 9, 12, layout, dtype)
        kernels.matmul(out, a, b)
        assert_close(out, a @ b, dtype, 5)


def test_the_public_product_refuses_what_does_not_fit():
    x = np.zeros((3, 3), np.float32)
    out = np.zeros((3, 3), np.float32)
    with pytest.raises(ShapeError, match=r"out must have shape"):
        kernels.matmul(out, x, x[:2])
    with pytest.raises(DTypeError, match="float64"):
        kernels.matmul(out, x, x.astype(np.float64))
    with pytest.raises(DTypeError, match="list"):
        kernels.matmul(out, x, [[1.0]])
    with pytest.raises(ShapeError, match="share memory"):
        kernels.matmul(x, x, out)
    out.flags.writeable = False
    with pytest.raises(ShapeError, match="writeable"):
        kernels.matmul(out, x, x)
    assert not out.any()


def test_results_without_contiguous_rows_or_columns_are_refused():
    a, b = np.ones((1, 3, 4), np.float32), np.ones((1, 4, 5), np.float32)
    wide = np.zeros((1, 6, 10), np.float32)
    c = wide[:, ::2, ::2]
    with pytest.raises(ShapeError, match="contiguous"):
        kernels.gemm(c, without_sums(c), a, b, c, c, 1.0, 0.0, 0)
    assert not wide.any()
    turned = np.zeros((1, 5, 3), np.float32).swapaxes(1, 2)
    kernels.gemm(turned, without_sums(turned), a, b, turned, turned, 1.0, 0.0, 0)
    assert (turned == 4).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "N"), [(37, 1), (1, 37), (2, 1), (1, 2)])
def test_a_single_row_or_column_may_lie_anywhere(M, N, dtype):
    rng = np.random.default_rng(1)
    for K in (3, 19, 300):
        for left in LAYOUTS:
            for right in LAYOUTS:
                a, b = laid_out(rng, M, K, left, dtype), laid_out(rng, K, N, right, dtype)
                extra, wide = (rng.normal(size=(M, 3, N, 2)).astype(dtype) for _ in range(2))
                c, beside = wide[:, 1, :, 0], extra[:, 1, :, 0]
                untouched = np.ones(wide.shape, bool)
                untouched[:, 1, :, 0] = False
                before = wide.copy()
                expected = np.maximum(0.5 * (a.astype(np.float64) @ b.astype(np.float64)) + 0.25 * c + beside, 0)
                run("gemm", c[None], without_sums(c[None]), a[None], b[None], c[None], beside[None], 0.5, 0.25, EPILOGUES.index("add_relu"))
                assert_close(c, expected, dtype, K)
                np.testing.assert_array_equal(wide[untouched], before[untouched])


def test_operands_that_a_product_would_misread_are_refused():
    rng = np.random.default_rng(9)
    a, b, c = (rng.normal(size=s).astype(np.float32) for s in ((1, 4, 4), (1, 4, 4), (1, 4, 4)))
    row, column = (np.broadcast_to(rng.normal(size=s).astype(np.float32), c.shape) for s in (4, (4, 1)))
    add, none = EPILOGUES.index("add"), without_sums(c)
    kernels.gemm(c, none, a, b, c, c.copy(), 1.0, 0.0, add)
    before = a.copy(), c.copy()
    for operands, error, message in (
        ((c, none, a, b, c, c.swapaxes(1, 2).copy().swapaxes(1, 2), 1.0, 0.0, add), ShapeError, "extra must lie as c does"),
        ((c, none, a, b, c, column, 1.0, 0.0, add), ShapeError, "extra must lie as c does"),
        ((c.swapaxes(1, 2), none, a, b, b, row, 1.0, 0.0, add), ShapeError, "extra must lie as c does"),
        ((c, none, a, b, c, b, 1.0, 0.0, len(EPILOGUES)), ArgumentError, "epilogue must be"),
        ((c, none, a, b, c, b, 1.0, 0.0, -1), ArgumentError, "epilogue must be"),
        ((c, none, a, b, c, b, 1.0, 0.0, "relu"), DTypeError, "epilogue must be a whole number or a tuple of numbers"),
        ((c, none, a, b, c, b, 1.0, 0.0, EPILOGUES.index("elu")), ArgumentError, "elu takes 1 numbers, got 0"),
        ((c, none, a, b, c, b, 1.0, 0.0, (1, 0.5)), ArgumentError, "relu takes 0 numbers, got 1"),
        ((a, none, a, b, b, b, 1.0, 0.0, 0), ShapeError, "c and a must not share memory"),
        ((b, none, a, b, a, a, 1.0, 0.0, 0), ShapeError, "c and b must not share memory"),
        ((c, none, a, b, c[:, ::-1], b, 1.0, 1.0, 0), ShapeError, "c and base must not share memory unless"),
        ((c, none, a, b, b, c.swapaxes(1, 2), 1.0, 1.0, 0), ShapeError, "c and extra must not share memory unless"),
    ):
        with pytest.raises(error, match=message):
            kernels.gemm(*operands)
        assert np.array_equal(a, before[0])
        assert np.array_equal(c, before[1])
    with pytest.raises(ShapeError, match="must not repeat memory"):
        kernels.matmul(np.lib.stride_tricks.as_strided(c[0], (4, 4), (0, 4), writeable=True), a[0], b[0])
    kernels.gemm(c, none, a, b, c, row, 1.0, 0.0, add)
    assert_close(c, a.astype(np.float64) @ b + row, np.float32, 4)
    kernels.gemm(c.swapaxes(1, 2), none, a, b, b, column, 1.0, 0.0, add)
    assert_close(c.swapaxes(1, 2), a.astype(np.float64) @ b + column, np.float32, 4)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_an_epilogue_reads_has_memory_of_its_own(dtype, backend):
    rng = np.random.default_rng(3)
    a, b, memory = (rng.normal(size=s).astype(dtype) for s in ((1, 8, 600), (1, 600, 37), (1, 9, 37)))
    c, below, elsewhere = memory[:, :8], memory[:, 1:], memory.copy()[:, :8]
    before = memory.copy()
    with kernels.use_backend(backend):
        for number in range(len(EPILOGUES)):
            epilogue = with_numbers(number) if number else 0
            if number not in OF_TWO:
                kernels.gemm(elsewhere, without_sums(c), a, b, elsewhere, elsewhere, 1.0, 0.0, epilogue)
                continue
            for _ in range(2):  # so that the pattern is known
                kernels.gemm(elsewhere, without_sums(c), a, b, c, below, 1.0, 0.0, epilogue)
            for extra in (c, below):
                with pytest.raises(ShapeError, match="c and extra must not share memory"):
                    kernels.gemm(c, without_sums(c), a, b, c, extra, 1.0, 0.0, epilogue)
    np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize(("names", "of_two"), [(EPILOGUES, OF_TWO), (CONVOLUTION_EPILOGUES, OF_TWO_IMAGES)])
def test_the_epilogues_that_read_an_array_are_those_whose_formula_takes_two(names, of_two):
    assert [number for number, name in enumerate(names) if name and len(KERNELS[name].signature.arrays) == 3] == list(of_two)
