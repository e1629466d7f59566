"""Matrix products on the micro-kernel of `_tile`: blocking, packing, and the split among workers.

Blocks of A (MC x KC) that lie badly are copied into panels so that a tile reads them in order, and stay in the level-2 cache; so does one
panel of B (KC x NR) at a time, copied by the first tile that reads it, or before where it lies crosswise. A sum over K is never split
among workers, and its order follows from K alone: results are bitwise the same for any number of workers, and for any share of the rows.
"""

from .. import _host
from .._compiler import subroutine
from .._epilogue import finish
from .._gemv import DOTS_AT_ONCE, ROWS_AT_ONCE, add_rows, dots
from .._pack import pack_crosswise, pack_lengthwise
from .._simd import inlined, width
from .._tile import GROUP, NV, address, copy_row, peek, poke, stack_buffer, tile, tile_rows

MR = tile_rows()
KC_BYTES = 2048  # most bytes of one row of a block along K: the longer, the less often C is read and written again
A_BLOCK_BYTES = min(_host.cache_bytes(2) * 5 // 8, 640 << 10)  # the rest of the level-2 cache is for a panel of B and tiles of C
B_PANEL_BYTES = KC_BYTES * NV * _host.isa().vector_bytes // 4
SLACK = 4096  # what the last panel of a block is overrun by
FEW_TILES = 4  # so few tiles using a panel do not repay a copy
IN_CACHE = 32 << 10  # bytes of B that need no copy
PAGE = 4096
ROW_BLOCK = 4096  # items of a single row of C that stay in the level-1 cache while K runs by

block_of_a = stack_buffer(A_BLOCK_BYTES + SLACK)
panels_of_b = stack_buffer(2 * GROUP * B_PANEL_BYTES + SLACK)


@subroutine
def pack(panel, panel_row, source, along, across, count, depth, ahead, like):
    """A panel of `count` rows of A, or columns of B: panel[k, j] = source[k, j], whose steps in bytes are `along` and `across`."""
    item = like.itemsize
    W = width(like)
    for j in range(0, count, W):
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


@inlined
def height(left):
    """How many of `left` rows of C the next tile takes: MR, but of the last two tiles either as many."""
    return MR if left >= 2 * MR else left if left <= MR else (left + 3) // 4 * 2


def gemm(team, c, a, b, base, extra, alpha, beta, epilogue):
    part, parts = team
    batch, M, N = c.shape
    K = a.shape[2]
    item = c.itemsize
    zero, one = c.dtype.type(0), c.dtype.type(1)
    W = width(c)
    NR = NV * W
    c_step, c_row, c_col = c.strides
    a_step, a_row, a_col = a.strides
    b_step, b_row, b_col = b.strides
    base_step, base_row, base_col = base.strides
    extra_step, extra_row, extra_col = extra.strides
    c_at, a_at, b_at, base_at, extra_at = address(c), address(a), address(b), address(base), address(extra)
    if (N == 1 and M > 1) or (c_col != item and N > 1):
        # rows of C are not contiguous, or it is a column: work on its transpose, c' = b' a'
        M, N = N, M
        c_row, c_col = c_col, c_row
        base_row, base_col = base_col, base_row
        extra_row, extra_col = extra_col, extra_row
        a_at, a_step, a_row, a_col, b_at, b_step, b_row, b_col = b_at, b_step, b_col, b_row, a_at, a_step, a_col, a_row

    m_start, m_stop, n_start, n_stop = 0, M, 0, N
    if parts > 1 and M > N:
        m_start, m_stop = M * part // parts, M * (part + 1) // parts
    elif parts > 1:
        panels = (N + NR - 1) // NR
        n_start, n_stop = panels * part // parts * NR, min(panels * (part + 1) // parts * NR, N)

    if beta != 0 and base_col != item and N > 1:
        # the base repeats along rows or lies crosswise: bring it into C first
        for matrix in range(batch):
            for i in range(m_start, m_stop):
                for j in range(n_start, n_stop):
                    source = base_at + matrix * base_step + i * base_row + j * base_col
                    poke(c_at + matrix * c_step + i * c_row + j * item, peek(source, alpha))
        base_at, base_step, base_row = c_at, c_step, c_row

    b_rows_contiguous = b_col == item or N == 1
    vector = M == 1 and (b_rows_contiguous or (b_row == item and a_col == item))
    pack_b = not b_rows_contiguous or (M > FEW_TILES * MR and K * N * item > IN_CACHE)
    pack_a = N > FEW_TILES * NR and M > MR and (a_col >= PAGE or a_row % PAGE == 0 or M * K * item > A_BLOCK_BYTES)
    KC = max(K, 1)  # it follows from K alone, so that rows come out the same in any company
    if K * item > KC_BYTES:  # steps of nearly equal depth, in whole vectors
        steps = (K * item + KC_BYTES - 1) // KC_BYTES
        KC = (K + steps * W - 1) // (steps * W) * W
    PR = (MR + W - 1) // W * W  # items of a row of a panel of A
    MC = (M + MR - 1) // MR * MR
    if pack_a and MC // MR * PR * KC * item > A_BLOCK_BYTES:  # blocks of nearly equal height, in whole tiles
        blocks = (MC // MR * PR * KC * item + A_BLOCK_BYTES - 1) // A_BLOCK_BYTES
        MC = (M + blocks * MR - 1) // (blocks * MR) * MR
    panel = KC * NR * item
    abuf, buffers = block_of_a(), panels_of_b()
    bbuf = buffers
    for _ in range(batch):
        if vector:
            for jj in range(n_start, n_stop, ROW_BLOCK):
                jj_stop = min(jj + ROW_BLOCK, n_stop)
                if b_rows_contiguous:
                    for j in range(jj, jj_stop):
                        poke(c_at + j * item, zero if beta == 0 else beta * peek(base_at + j * item, alpha))
                    k = 0
                    while k < K:
                        count = ROWS_AT_ONCE if k + ROWS_AT_ONCE <= K else 1
                        add_rows(c_at + jj * item, jj_stop - jj, b_at + k * b_row + jj * item, b_row, a_at + k * a_col, a_col, count, alpha)
                        k += count
                else:
                    j = jj
                    while j < jj_stop:
                        count = DOTS_AT_ONCE if j + DOTS_AT_ONCE <= jj_stop else 1
                        dots(c_at + j * item, base_at + j * item, b_at + j * b_col, b_col, a_at, K, count, alpha, beta)
                        j += count
            if epilogue != 0:
                finish(epilogue, c_at + n_start * item, c_row, extra_at + n_start * item, extra_row, M, n_stop - n_start, alpha)
        for kk in range(0, 0 if vector else max(K, 1), KC):
            depth = min(KC, K - kk)
            base_now, base_row_now, beta_now = base_at, base_row, beta
            if kk > 0:
                base_now, base_row_now, beta_now = c_at, c_row, one
            for mm in range(m_start, m_stop, MC):
                mm_stop = min(mm + MC, m_stop)
                if pack_a:
                    i, at = mm, abuf
                    while i < mm_stop:
                        rows = height(mm_stop - i)
                        pack(at, PR * item, a_at + i * a_row + kk * a_col, a_col, a_row, rows, depth, MR * a_row, c)
                        at += depth * PR * item
                        i += rows
                carried = 0
                for jj in range(n_start, n_stop, GROUP * NR):
                    jj_stop = min(jj + GROUP * NR, n_stop)
                    source, spare = b_at + kk * b_row + jj * b_col, 0
                    if pack_b and b_rows_contiguous:
                        for k in range(carried, depth):
                            for j in range(0, jj_stop - jj, NR):
                                target, cols = bbuf + j // NR * panel + k * NR * item, min(NR, jj_stop - jj - j)
                                copy_row(target, source + k * b_row + j * item, cols, one)
                        carried = 0
                        if jj + 2 * GROUP * NR <= n_stop:
                            spare = buffers + (GROUP * panel if bbuf == buffers else 0)
                    elif pack_b:
                        for j in range(0, jj_stop - jj, NR):
                            target, cols = bbuf + j // NR * panel, min(NR, jj_stop - jj - j)
                            pack(target, NR * item, source + j * b_col, b_row, b_col, cols, depth, W * b_col, c)
                    for j in range(jj, jj_stop, NR):
                        cols = min(NR, jj_stop - j)
                        b_now, b_row_now = b_at + kk * b_row + j * b_col, b_row
                        if pack_b:
                            b_now, b_row_now = bbuf + (j - jj) // NR * panel, NR * item
                        i, at = mm, abuf
                        while i < mm_stop:
                            rows = height(mm_stop - i)
                            a_now, a_row_now, a_col_now = a_at + i * a_row + kk * a_col, a_row, a_col
                            if pack_a:
                                a_now, a_row_now, a_col_now = at, item, PR * item
                            place = c_at + i * c_row + j * item
                            beneath = base_now + i * base_row_now + j * item
                            portion = depth // (GROUP * NV)
                            carries = spare != 0 and rows == MR and carried + portion <= depth
                            tile(a_now, a_row_now, a_col_now, b_now, b_row_now, place, c_row, beneath, base_row_now, depth, rows, cols,
                                 alpha, beta_now, source + GROUP * NR * item + carried * b_row, b_row,
                                 spare + carried * NR * item if carries else 0, panel)  # fmt: skip
                            if carries:
                                carried += portion
                            at += depth * PR * item
                            i += rows
                        if epilogue != 0 and kk + depth == K:
                            place = c_at + mm * c_row + j * item
                            finish(epilogue, place, c_row, extra_at + mm * extra_row + j * item, extra_row, mm_stop - mm, cols, alpha)
                    if spare != 0:
                        bbuf = spare
        c_at += c_step
        a_at += a_step
        b_at += b_step
        base_at += base_step
        extra_at += extra_step
