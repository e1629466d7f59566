"""Matrix products on the micro-kernel of `_tile`: blocking, packing, and the split among workers.

Blocks of A (MC x KC) that lie badly are copied into panels so that a tile reads them in order, and stay in the level-2 cache; so do a few
panels of B (KC x NR) at a time, copied or transposed by the tiles of those before, as far as they get. A sum over K is never split among
workers, and its order follows from K alone: results are bitwise the same for any number of workers, and for any share of the rows.
"""

import numpy as np

from .. import _host
from .._blocks import transpose
from .._calls import invoke
from .._compiler import by_hand, inlined, subroutine
from .._gemv import PANELS_AT_ONCE, add_rows, dots, panel_sums
from .._grid import block_of_worker
from .._host import NV, tile_rows
from .._inner import COLUMNS, ROWS, inner_tile
from .._memory import address, matrix_at, peek, poke, stack_buffer
from .._pack import pack_crosswise, pack_lengthwise
from .._shares import share_columns
from .._simd import width
from .._tile import BEAT, GROUP, LINE, copy_row, panels_across, tile_with
from ..reference.matmul import EPILOGUES
from . import activations, elementwise
from .reductions import columns_total
from .softmax import total

MR = tile_rows()
# The epilogues that tiles apply to what is still in registers.
RELU, ADD, ADD_RELU, RELU_GRAD, TANH_GRAD = (EPILOGUES.index(name) for name in ("relu", "add", "add_relu", "relu_grad", "tanh_grad"))
tile = tile_with(elementwise.add, activations.relu_grad, activations.tanh_grad)
DEPTH, A_BLOCK_BYTES, IN_CACHE, PANELS_IN_CACHE, ROW_BYTES = _host.blocking()
B_PANEL_BYTES = DEPTH * NV * _host.isa().vector_bytes
SLACK = 4096  # what the last panel of a block is overrun by
FEW_TILES = 4  # so few tiles using a panel do not repay a copy
PAGE = 4096
FEW_ROWS = MR // 2  # tiles that are no higher may take several panels side by side
ACROSS = tuple([panels_across(max(rows, 1)) for rows in range(FEW_ROWS + 1)])
FOLD = 4  # steps along K that take as long as the fold of their sums
LEVEL_2 = _host.cache_bytes(2)
CARRYING = BEAT * NV * _host.isa().vector_bytes // LINE * MR  # rows of C whose tiles transpose a whole panel of B by the way
COPY, TURN = 3, 5  # cycles for a register of a panel whose items lie crosswise, and for one of a transpose

words_of_block = stack_buffer(8 * 8)
block_of_a = stack_buffer(A_BLOCK_BYTES + SLACK)
panels_of_b = stack_buffer(_host.PANELS * B_PANEL_BYTES + SLACK)


@subroutine
def pack(panel, panel_row, source, along, across, count, depth, ahead, like):
    """A panel of `count` rows of A, or columns of B: panel[k, j] = source[k, j], whose steps in bytes are `along` and `across`."""
    item = like.itemsize
    W = width(like)
    for j in range((count - 1) // W * W, -1, -W):  # what is stored beyond a row comes before what belongs there
        lanes = min(W, count - j)
        target, start = panel + j * item, source + j * across
        if along == item:
            pack_crosswise(target, panel_row, start, across, lanes, depth, ahead, like.dtype.type(0))
        elif across == item:
            pack_lengthwise(target, panel_row, start, along, lanes, depth, like.dtype.type(0))
        else:
            for k in range(depth):
                for lane in range(lanes):
                    poke(target + k * panel_row + lane * item, peek(start + k * along + lane * across, like.dtype.type(0)))


@subroutine
def row_product(c, base, a, a_col, b, b_row, b_col, item, K, N, alpha, beta):
    """c_j = alpha sum_k a_k b_kj + beta base_j for a single row; the rows of b lie in one piece each, or its columns and the row a do."""
    if b_col == item:
        for jj in range(0, N, ROW_BYTES // item):
            cols = min(ROW_BYTES // item, N - jj)
            for j in range(jj, jj + cols):
                poke(c + j * item, beta * peek(base + j * item, alpha) if beta != 0 else beta)
            add_rows(c + jj * item, cols, b + jj * item, b_row, a, a_col, K, alpha)
    else:
        dots(c, base, b, b_col, a, K, N, alpha, beta)


@subroutine
def row_of_panels(c, c_panel, base, base_panel, a, a_col, b, b_panel, K, panels, alpha, beta):
    """The same where b is packed into panels."""
    p = 0
    while p < panels:
        count = PANELS_AT_ONCE if p + PANELS_AT_ONCE <= panels else 1
        panel_sums(c + p * c_panel, c_panel, base + p * base_panel, base_panel, b + p * b_panel, b_panel, a, a_col, K, count, alpha, beta)
        p += count


@subroutine
def finished(epilogue, c, c_row, extra, extra_row, rows, cols):
    """A block of C to which its epilogue has been applied: a call of the code whose address is the second of the words at `epilogue`."""
    words, word = words_of_block(), np.int64(0)
    for place, value in enumerate((c, c_row, extra, extra_row, rows, cols, peek(epilogue + 16, word), peek(epilogue + 24, word))):
        poke(words + 8 * place, value)
    invoke(peek(epilogue + 8, word), words, 0, 1)


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


@inlined
def height(left, most):
    """How many of `left` rows of C the next tile takes: `most`, but of the last two tiles either as many."""
    return most if left >= 2 * most else left if left <= most else (left + 3) // 4 * 2


@subroutine
def inner_products(c, c_row, base, base_row, extra, extra_row, a, a_row, b, b_col, rows, cols, K, alpha, beta, least, epilogue, item):
    """Some rows of C where the rows of A and the columns of B lie in one piece each."""
    i, number = 0, peek(epilogue, item)
    while i < rows:
        count = height(rows - i, ROWS)
        place, beneath = c + i * c_row, base + i * base_row
        for j in range(0, cols, COLUMNS):
            few = min(COLUMNS, cols - j)
            inner_tile(place + j * item, c_row, beneath + j * item, base_row, a + i * a_row, a_row, b + j * b_col, b_col,
                       count, few, K, alpha, beta, least)  # fmt: skip
        if number != 0 and number != RELU:
            finished(epilogue, place, c_row, extra + i * extra_row, extra_row, count, cols)
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


@by_hand
def gemm(team, c, sums, a, b, base, extra, alpha, beta, epilogue):
    part, parts = team
    number = peek(epilogue, np.int64(0))
    batch, M, N = c.shape
    K = a.shape[2]
    item = c.itemsize
    one = c.dtype.type(1)
    W = width(c)
    NR = NV * W
    c_step, c_row, c_col = c.strides
    a_step, a_row, a_col = a.strides
    b_step, b_row, b_col = b.strides
    base_step, base_row, base_col = base.strides
    extra_step, extra_row, extra_col = extra.strides
    c_at, a_at, b_at, base_at, extra_at = address(c), address(a), address(b), address(base), address(extra)
    turned = (N == 1 and M > 1 and c_row == item) or (c_col != item and N > 1)
    if turned:
        # rows of C are not contiguous, or it is a column that is: work on its transpose, c' = b' a'
        M, N = N, M
        c_row, c_col = c_col, c_row
        base_row, base_col = base_col, base_row
        extra_row, extra_col = extra_col, extra_row
        a_at, a_step, a_row, a_col, b_at, b_step, b_row, b_col = b_at, b_step, b_col, b_row, a_at, a_step, a_col, a_row

    # A batch that shares its left operand, each right one a panel, is one product whose right operand has been packed before.
    packed = batch > 1 and a_step == 0 and N == NR and c_col == item and b_col == item and b_row == NR * item
    packed = packed and (beta == 0 or base_col == item)
    c_panel, b_panel, base_panel, extra_panel = NR * item, NR * b_col, NR * item, NR * item
    if packed:
        c_panel, b_panel, base_panel, extra_panel = c_step, b_step, base_step, extra_step
        N, batch = N * batch, 1

    inner = M > 1 and not turned and not packed and a_col == item and b_row == item and inner_pays(N, K, W)
    # The transpose of C may be faster to compute: where B lies crosswise and C has few rows, or where its last vectors are nearly empty.
    flipped = batch == 1 and M > 1 and N > 1 and not (turned or packed or inner) and (beta == 0 or base_col == item)
    flipped = flipped and M <= FEW_TILES * NR and M * N * item <= A_BLOCK_BYTES and b_col % PAGE != 0
    flipped = flipped and transpose_pays(M, N, K, W, a_row != item, b_col != item, beta != 0)
    abuf, buffers = block_of_a(), panels_of_b()
    out_at, out_row = c_at, c_row
    if flipped:
        M, N = N, M
        a_at, a_row, a_col, b_at, b_row, b_col = b_at, b_col, b_row, a_at, a_col, a_row
        c_at, c_row, b_panel = abuf, (N + W - 1) // W * W * item, NR * b_col

    m_start, m_stop, n_start, n_stop = 0, M, 0, N
    if parts > 1:
        m_start, m_stop, n_start, n_stop = block_of_worker(part, parts, M, N, NR, W)
    rows_here, cols_here = m_stop - m_start, n_stop - n_start

    if flipped and beta != 0:
        beneath = base_at + n_start * base_row + m_start * item
        transpose(c_at + m_start * c_row + n_start * item, c_row, beneath, base_row, m_stop - m_start, n_stop - n_start, alpha)
        base_at, base_row = c_at, c_row
    elif beta != 0 and base_col != item and N > 1:
        # the base repeats along rows or lies crosswise: bring it into C first
        for matrix in range(batch):
            for i in range(m_start, m_stop):
                for j in range(n_start, n_stop):
                    source = base_at + matrix * base_step + i * base_row + j * base_col
                    poke(c_at + matrix * c_step + i * c_row + j * item, peek(source, alpha))
        base_at, base_step, base_row = c_at, c_step, c_row

    b_rows_contiguous = b_col == item or N == 1
    vector = M == 1 and (b_rows_contiguous or (b_row == item and a_col == item))
    pack_b = not b_rows_contiguous or (rows_here > FEW_TILES * MR and K * cols_here * item > (PANELS_IN_CACHE if packed else IN_CACHE))
    pack_a = cols_here > FEW_TILES * NR and rows_here > MR and (a_col >= PAGE or a_row % PAGE == 0 or rows_here * K * item > A_BLOCK_BYTES)
    KC = max(K, 1)  # it follows from K alone, so that rows come out the same in any company
    if K > DEPTH:  # steps of nearly equal depth, in whole vectors
        steps = (K + DEPTH - 1) // DEPTH
        KC = (K + steps * W - 1) // (steps * W) * W
    MC = max(rows_here + MR - 1, MR) // MR * MR
    tiles, most_tiles = MC // MR, A_BLOCK_BYTES // (MR * KC * item)
    if pack_a and tiles > most_tiles:  # blocks of nearly equal height, in whole tiles
        blocks = (tiles + most_tiles - 1) // most_tiles
        MC = (rows_here + blocks * MR - 1) // (blocks * MR) * MR
    panel = KC * NR * item
    across = NR  # columns of a tile
    if b_rows_contiguous and not pack_b and not packed and rows_here <= FEW_ROWS:
        across *= ACROSS[rows_here]
    NC = max(GROUP * NR, across)
    ahead = W * b_col if cols_here * K * item > LEVEL_2 else 0
    crosswise = b_row == item and not b_rows_contiguous  # whether tiles carry columns
    bbuf = buffers
    for _ in range(batch):
        if vector:
            first = n_start // NR
            place, beneath, source = c_at + first * c_panel, base_at + first * base_panel, b_at + first * b_panel
            if packed:
                row_of_panels(place, c_panel, beneath, base_panel, a_at, a_col, source, b_panel, K, n_stop // NR - first, alpha, beta)
            else:
                b_step_now = item if b_rows_contiguous else b_col
                row_product(place, beneath, a_at, a_col, source, b_row, b_step_now, item, K, n_stop - n_start, alpha, beta)
            cols = NR if packed else N
            for j in range(n_start, n_stop if number != 0 else n_start, cols):
                place, beside = c_at + j // NR * c_panel, extra_at + j // NR * extra_panel
                finished(epilogue, place, c_row, beside, extra_row, 1, min(cols, n_stop - j))
        if inner:
            place, beneath, beside = c_at + n_start * item, base_at + n_start * item, extra_at + n_start * item
            inner_products(place + m_start * c_row, c_row, beneath + m_start * base_row, base_row, beside + m_start * extra_row, extra_row,
                           a_at + m_start * a_row, a_row, b_at + n_start * b_col, b_col, m_stop - m_start, n_stop - n_start, K,
                           alpha, beta, c.dtype.type(0 if number == RELU else -np.inf), epilogue, item)  # fmt: skip
        carried = 0
        for kk in range(0, 0 if vector or inner else max(K, 1), KC):
            depth = min(KC, K - kk)
            last = kk + depth == K
            finish = finish_of(number) if last and N % NR == 0 and not flipped else 0
            least = c.dtype.type(0 if last and (number == RELU or (number == ADD_RELU and finish != 0)) else -np.inf)
            base_now, base_row_now, base_panel_now, beta_now = base_at, base_row, base_panel, beta
            if kk > 0:
                base_now, base_row_now, base_panel_now, beta_now = c_at, c_row, c_panel, one
            for mm in range(m_start, m_stop, MC):
                mm_stop = min(mm + MC, m_stop)
                if pack_a:
                    i, at = mm, abuf
                    while i < mm_stop:
                        rows = height(mm_stop - i, MR)
                        pack(at, MR * item, a_at + i * a_row + kk * a_col, a_col, a_row, rows, depth, MR * a_row, c)
                        at += depth * MR * item
                        i += rows
                for jj in range(n_start, n_stop, NC):
                    jj_stop = min(jj + NC, n_stop)
                    source, spare = b_at + kk * b_row + jj // NR * b_panel, 0
                    # the panels that come next: of this block, or the first ones again
                    next_jj, next_kk = jj + NC, kk
                    if jj_stop == n_stop:
                        next_jj, next_kk = n_start, kk if mm_stop < m_stop else kk + KC
                    following = b_at + next_kk * b_row + next_jj // NR * b_panel
                    if pack_b and b_rows_contiguous:
                        for k in range(carried, depth):
                            for j in range(0, jj_stop - jj, NR):
                                target, cols = bbuf + j // NR * panel + k * NR * item, min(NR, jj_stop - jj - j)
                                copy_row(target, source + k * b_row + j // NR * b_panel, cols, one)
                        carried = 0
                        if next_jj + NC <= n_stop and next_kk < K:
                            spare = buffers + (GROUP * panel if bbuf == buffers else 0)
                    j = jj
                    while j < jj_stop:
                        cols = across if j + across <= jj_stop else min(NR, jj_stop - j)
                        b_now, b_row_now = b_at + kk * b_row + j // NR * b_panel, b_row
                        coming, coming_depth = following, min(KC, K - next_kk)
                        if pack_b and b_rows_contiguous:
                            b_now, b_row_now = bbuf + (j - jj) // NR * panel, NR * item
                        elif pack_b:
                            rest = bbuf + carried * NR * item
                            pack(rest, NR * item, b_now + carried * b_row, b_row, b_col, cols, depth - carried, ahead, c)
                            next_j = n_start
                            if j + NR < n_stop:
                                next_j, coming, coming_depth = j + NR, b_now + b_panel, depth
                            carried, spare = 0, 0
                            if crosswise and next_j + NR <= n_stop and coming_depth > 0:
                                spare = buffers + (panel if bbuf == buffers else 0)
                            b_now, b_row_now = bbuf, NR * item
                        i, at = mm, abuf
                        while i < mm_stop:
                            rows = height(mm_stop - i, MR)
                            a_now, a_row_now, a_col_now = a_at + i * a_row + kk * a_col, a_row, a_col
                            if pack_a:
                                a_now, a_row_now, a_col_now = at, item, MR * item
                            place = c_at + i * c_row + j // NR * c_panel
                            beneath = base_now + i * base_row_now + j // NR * base_panel_now
                            beside = extra_at + i * extra_row + j // NR * extra_panel
                            portion = depth // BEAT // NR * (LINE // item) if crosswise else depth // BEAT
                            carries = spare != 0 and rows == MR and cols == NR and carried + portion <= coming_depth
                            tile(a_now, a_row_now, a_col_now, b_now, b_row_now, place, c_row, beneath, base_row_now, beside, extra_row,
                                 depth, rows, cols, alpha, beta_now, least, finish,
                                 coming + carried * b_row, b_row, b_col if crosswise else b_panel,
                                 spare + carried * NR * item if carries else 0, 0 if crosswise else panel)  # fmt: skip
                            if carries:
                                carried += portion
                            at += depth * MR * item
                            i += rows
                        if spare != 0 and (crosswise or j + NR >= jj_stop):
                            bbuf = spare
                        if last and number != 0 and number != RELU and finish == 0 and not flipped:
                            place, beside = c_at + mm * c_row + j // NR * c_panel, extra_at + mm * extra_row + j // NR * extra_panel
                            finished(epilogue, place, c_row, beside, extra_row, mm_stop - mm, cols)
                        j += cols
        if flipped:
            place, beside = out_at + n_start * out_row + m_start * item, extra_at + n_start * extra_row + m_start * item
            rows, cols = n_stop - n_start, m_stop - m_start
            transpose(place, out_row, c_at + m_start * c_row + n_start * item, c_row, rows, cols, alpha)
            if number != 0 and number != RELU:
                finished(epilogue, place, out_row, beside, extra_row, rows, cols)
        c_at += c_step
        a_at += a_step
        b_at += b_step
        base_at += base_step
        extra_at += extra_step
    low, high = share_columns(team, sums.shape[1])
    for matrix in range(len(sums) if high > low else 0):  # what has been multiplied is in cache
        row_sums(sums[matrix], low, high, address(a) + matrix * a.strides[0], a.strides[1], a.strides[2], K)
