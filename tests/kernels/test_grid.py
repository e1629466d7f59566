"""Blocks of a matrix product's result: every item has one worker, and blocks are alike and read little."""

import numpy as np
import pytest
from fastnn.kernels._grid import block_of_worker

NR = 32
SHAPES = [(1, 1), (1, 700), (700, 1), (2, 33), (13, 31), (31, 13), (96, 90), (257, 65), (64, 1000), (1003, 100)]


def blocks(parts, M, N, reading=16):
    return [block_of_worker(part, parts, M, N, NR, reading) for part in range(parts)]


@pytest.mark.parametrize(("M", "N"), SHAPES)
def test_every_item_has_exactly_one_worker(M, N):
    for parts in range(1, 65):
        workers = np.zeros((M, N), int)
        for top, bottom, left, right in blocks(parts, M, N):
            assert left % NR == 0 or left == N
            workers[top:bottom, left:right] += 1
        assert (workers == 1).all(), parts


@pytest.mark.parametrize("n", [768, 1024, 2048])
def test_any_number_of_workers_gets_blocks_of_nearly_equal_size_that_read_little(n):
    for parts in range(1, 65):
        sizes = [(bottom - top, right - left) for top, bottom, left, right in blocks(parts, n, n)]
        assert max(rows * columns for rows, columns in sizes) <= 1.35 * n * n / parts, parts
        assert max(rows + columns for rows, columns in sizes) <= 1.6 * 2 * n / parts**0.5, parts  # of a square: 2 n / sqrt(parts)


def test_two_workers_share_the_longer_side():
    assert blocks(2, 512, 512) == [(0, 512, 0, 256), (0, 512, 256, 512)]
    assert blocks(2, 784, 256) == [(0, 392, 0, 256), (392, 784, 0, 256)]
    assert blocks(2, 128, 512) == [(0, 128, 0, 256), (0, 128, 256, 512)]
    assert blocks(2, 90, 96) == [(0, 45, 0, 96), (45, 90, 0, 96)]  # of three panels, one would have two


def test_a_single_row_is_shared_by_its_columns():
    assert [(left, right) for _, _, left, right in blocks(4, 1, 256)] == [(0, 64), (64, 128), (128, 192), (192, 256)]
