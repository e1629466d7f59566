"""Matrix products: which way one is computed, and which block of it by which worker.

A sum over K is never split among workers, and its order follows from N and K alone: results are bitwise the same for any number of
workers, and for any share of the rows.
"""

import numpy as np

from .. import _host
from .._blocks import transpose
from .._compiler import by_hand, inlined, subroutine
from .._grid import block_of_worker
from .._host import NV
from .._inner import COLUMNS, ROWS, inner_tile
from .._memory import address, matrix_at, peek, poke
from .._shares import share_columns
from .._simd import width
from .._tile import BEAT, LINE
from ..reference.matmul import EPILOGUES
from ._matrices import Matrix, finish_block, following, in_panels, placed, turned
from ._row_product import row_product
from ._tiled_product import A_BLOCK_BYTES, FEW_TILES, MR, PAGE, block_of_a, height, tiled_product
from .reductions import columns_total
from .softmax import total

# The epilogues that tiles apply to what is still in registers.
RELU, ADD, ADD_RELU, RELU_GRAD, TANH_GRAD = (EPILOGUES.index(name) for name in ("relu", "add", "add_relu", "relu_grad", "tanh_grad"))
FOLD = 4  # steps along K that take as long as the fold of their sums
CARRYING = BEAT * NV * _host.isa().vector_bytes // LINE * MR  # rows of C whose tiles transpose a whole panel of B by the way
COPY, TURN = 3, 5  # cycles for a register of a panel whose items lie crosswise, and for one of a transpose
BY_TILES, BY_ROW, BY_INNER, TURNED = range(4)  # the ways to compute a product


@subroutine
def row_sums(sums, low, high, a, a_row, a_col, K):
    """sums_i = sum_k a_ik for low <= i < high, in the order in which a reduction of that layout adds them up."""
    item = sums.itemsize
    if a_row == item and a_col % item == 0:
        columns_total(sums, low, high, matrix_at(a, K, a_col // item, sums))
    else:
        for i in range(low, high):
            if a_col == item:
                sums[i] = total(matrix_at(a + i * a_row, 1, K, sums)[0])
            else:
                sum = 0.0
                for k in range(K):
                    sum += peek(a + i * a_row + k * a_col, sums.dtype.type(0))
                sums[i] = sum


@inlined
def finish_of(number):
    """Which of its formulas, counted from 1, a tile applies for an epilogue; 0 for none."""
    return 1 if number in (ADD, ADD_RELU) else 2 if number == RELU_GRAD else 3 if number == TANH_GRAD else 0


@subroutine
def inner_products(c, base, extra, a, b, block, K, alpha, beta, floor, rest, like):
    """c = max(f(alpha a b + beta base, extra), floor) for a block where the rows of a and the columns of b lie in one piece each."""
    m_start, m_stop, n_start, n_stop = block
    item = like.itemsize
    i = m_start
    while i < m_stop:
        count = height(m_stop - i, ROWS)
        target, beneath = c.at + i * c.row, base.at + i * base.row
        for j in range(n_start, n_stop, COLUMNS):
            inner_tile(target + j * item, c.row, beneath + j * item, base.row, a.at + i * a.row, a.row, b.at + j * b.col, b.col,
                       count, min(COLUMNS, n_stop - j), K, alpha, beta, floor)  # fmt: skip
        if rest != 0:
            beside = extra.at + i * extra.row + n_start * item
            finish_block(rest, target + n_start * item, c.row, beside, extra.row, count, n_stop - n_start)
        i += count


@inlined
def inner_pays(N, K, W):
    """Whether inner products of K terms, so few a row that most lanes of a tile would be empty, take less time than the tile."""
    steps = (K + W - 1) // W
    return N <= W and (N + COLUMNS - 1) // COLUMNS * COLUMNS * (steps + FOLD) <= K


@inlined
def transpose_pays(M, N, K, W, a_crosswise, b_crosswise, added):
    """Whether C' = B' A' takes less time than C = A B, transposes of operands, base and result included; in cycles."""
    whole, turned = K * M * ((N + W - 1) // W) // 2, K * N * ((M + W - 1) // W) // 2
    rest = (M % W) * N + (N % W) * M
    moved = (1 + added) * (TURN * M * N // W + 2 * rest)
    copied = COPY * K * N // W * max(CARRYING - M, 0) // CARRYING
    return turned + a_crosswise * COPY * K * M // W + moved < whole + b_crosswise * copied


@inlined
def way_of(batch, M, N, K, a, b, base, beta, packed, sideways, item, W):
    """The way in which a product takes least time. Those of several rows and the same N and K add up in one order, whatever M is."""
    if M == 1:
        return BY_ROW if b.col == item or (b.row == item and a.col == item) else BY_TILES
    if packed or sideways:
        return BY_TILES
    if a.col == item and b.row == item and inner_pays(N, K, W):
        return BY_INNER
    # The transpose of C may be faster to compute: where B lies crosswise and C has few rows, or where its last vectors are nearly empty.
    small = N > 1 and M <= FEW_TILES * NV * W and M * N * item <= A_BLOCK_BYTES
    possible = batch == 1 and small and (beta == 0 or base.col == item) and b.col % PAGE != 0
    return TURNED if possible and transpose_pays(M, N, K, W, a.row != item, b.col != item, beta != 0) else BY_TILES


@subroutine
def turned_product(c, base, extra, a, b, block, M, K, alpha, beta, floor, rest, room, like):
    """c = max(f(alpha a b + beta base, extra), floor) by way of c' = b' a', which has M columns; `block` says rows and columns of c'."""
    m_start, m_stop, n_start, n_stop = block
    rows, cols = m_stop - m_start, n_stop - n_start
    item = like.itemsize
    W = width(like)
    NR = NV * W
    product = Matrix(room, (M + W - 1) // W * W * item, item, NR * item, 0)
    place = product.at + m_start * product.row + n_start * item
    if beta != 0:
        transpose(place, product.row, base.at + n_start * base.row + m_start * item, base.row, rows, cols, alpha)
    tiled_product(product, product, product, turned(b, NR), turned(a, NR), block, K, alpha, beta, floor, 0, 0, False, room, like)
    target = c.at + n_start * c.row + m_start * item
    transpose(target, c.row, place, product.row, cols, rows, alpha)
    if rest != 0:
        finish_block(rest, target, c.row, extra.at + n_start * extra.row + m_start * item, extra.row, cols, rows)


@subroutine
def copy_base(c, base, block, item, like):
    """Bring a base that repeats along rows, or lies crosswise, into a block of C."""
    m_start, m_stop, n_start, n_stop = block
    for i in range(m_start, m_stop):
        for j in range(n_start, n_stop):
            poke(c.at + i * c.row + j * item, peek(base.at + i * base.row + j * base.col, like))


@by_hand
def gemm(team, c, sums, a, b, base, extra, alpha, beta, epilogue):
    batch, M, N = c.shape
    K, W, item = a.shape[2], width(c), c.itemsize
    NR = NV * W
    to, left, right, beneath, beside = placed(c, NR), placed(a, NR), placed(b, NR), placed(base, NR), placed(extra, NR)
    sideways = (N == 1 and M > 1 and to.row == item) or (to.col != item and N > 1)
    if sideways:
        # rows of C are not contiguous, or it is a column that is: work on its transpose, c' = b' a'
        M, N = N, M
        left, right = turned(right, NR), turned(left, NR)
        to, beneath, beside = turned(to, NR), turned(beneath, NR), turned(beside, NR)

    # A batch that shares its left operand, each right one a panel, is one product whose right operand has been packed before.
    packed = batch > 1 and left.step == 0 and N == NR and to.col == item and right.col == item and right.row == NR * item
    packed = packed and (beta == 0 or beneath.col == item)
    if packed:
        to, right, beneath, beside = in_panels(to), in_panels(right), in_panels(beneath), in_panels(beside)
        N, batch = N * batch, 1
    if N == 1:  # a column lies in rows of one item
        right = Matrix(right.at, right.row, item, right.panel, right.step)

    way = way_of(batch, M, N, K, left, right, beneath, beta, packed, sideways, item, W)
    block = block_of_worker(team[0], team[1], N if way == TURNED else M, M if way == TURNED else N, NR, W)
    number, least, zero = peek(epilogue, np.int64(0)), c.dtype.type(-np.inf), c.dtype.type(0)
    finish = finish_of(number) if way == BY_TILES and N % NR == 0 else 0
    floor = zero if (number == RELU and way != BY_ROW) or (number == ADD_RELU and finish != 0) else least
    rest = epilogue if number != 0 and finish == 0 and floor != zero else 0
    spread = way != TURNED and beta != 0 and beneath.col != item and N > 1
    room = block_of_a()
    for _ in range(batch):
        under = beneath
        if spread:
            copy_base(to, beneath, block, item, alpha)
            under = to
        if way == BY_TILES:
            tiled_product(to, under, beside, left, right, block, K, alpha, beta, floor, finish, rest, packed, room, c)
        elif way == BY_ROW:
            row_product(to, under, beside, left, right, block[2], block[3], K, alpha, beta, rest, packed, c)
        elif way == BY_INNER:
            inner_products(to, under, beside, left, right, block, K, alpha, beta, floor, rest, c)
        else:
            turned_product(to, under, beside, left, right, block, M, K, alpha, beta, floor, rest, room, c)
        to, left, right, beneath, beside = following(to), following(left), following(right), following(beneath), following(beside)
    low, high = share_columns(team, sums.shape[1])
    for matrix in range(len(sums) if high > low else 0):  # what has been multiplied is in cache
        row_sums(sums[matrix], low, high, address(a) + matrix * a.strides[0], a.strides[1], a.strides[2], K)
