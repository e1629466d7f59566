"""Matrix products on the micro-kernel of `_tile`: blocking, packing, and the split among workers.

Blocks of A (MC x KC) that lie badly are copied so that a tile reads them in order, and stay in the level-2 cache; so do GROUP panels of B
(KC x NR each), of which one at a time is in the level-1 cache. A sum over K is never split among workers, and whether operands are
copied depends on the whole product only: results are bitwise the same for any number of workers.
"""

from .. import _host
from .._epilogue import finish
from .._gemv import DOTS_AT_ONCE, ROWS_AT_ONCE, add_rows, dots
from .._simd import width
from .._tile import NV, address, copy_row, peek, poke, stack_buffer, tile, tile_rows, transpose_block

MR = tile_rows()
KC_BYTES = 1280  # most bytes of one row of a packed block along K: a panel of B then fills two thirds of a 32 KiB level-1 cache
GROUP = 4  # panels of B that are copied together: a row of them is a few cache lines long, so that pages are visited less often
A_BLOCK_BYTES = min(_host.cache_bytes(2) // 2, 512 << 10)
B_PANEL_BYTES = KC_BYTES * NV * _host.isa().vector_bytes // 4
FEW_TILES = 4  # so few tiles using a panel of B do not repay a copy
IN_CACHE = 32 << 10  # bytes of B that need no copy
PAGE = 4096
ROW_BLOCK = 4096  # items of a single row of C that stay in the level-1 cache while K runs by

block_of_a = stack_buffer(A_BLOCK_BYTES)
panels_of_b = stack_buffer(B_PANEL_BYTES * 2 * GROUP)


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

    by_rows = M > N
    blocks = (M + MR - 1) // MR if by_rows else (N + NR - 1) // NR
    low, high = blocks * part // parts, blocks * (part + 1) // parts
    m_start, m_stop = (low * MR, min(high * MR, M)) if by_rows else (0, M)
    n_start, n_stop = (0, N) if by_rows else (low * NR, min(high * NR, N))

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
    MC = A_BLOCK_BYTES // KC_BYTES // MR * MR
    pack_b = not b_rows_contiguous or (M > FEW_TILES * MR and K * N * item > IN_CACHE)
    pack_a = N > GROUP * NR and M > MR and (a_col >= PAGE or (a_row % PAGE == 0 and M * K * item > A_BLOCK_BYTES))
    # Blocks of nearly equal depth, in whole vectors. They follow from K alone, so that rows come out the same in any company.
    steps = max((K * item + KC_BYTES - 1) // KC_BYTES, 1)
    KC = max((K + steps * W - 1) // (steps * W) * W, 1)
    NC = GROUP * NR if pack_b else max(N, 1)
    panel = KC * NR * item
    abuf, bbuf = block_of_a(), panels_of_b()
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
                    i = mm
                    while i < mm_stop:
                        left = mm_stop - i
                        rows = (left - 1) // ((left + MR - 1) // MR) + 1
                        source = a_at + i * a_row + kk * a_col
                        for k in range(depth):
                            for r in range(rows):
                                poke(abuf + ((i - mm) * depth + k * rows + r) * item, peek(source + r * a_row + k * a_col, alpha))
                        i += rows
                for jj in range(n_start, n_stop, NC):
                    jj_stop = min(jj + NC, n_stop)
                    if pack_b:
                        source = b_at + kk * b_row + jj * b_col
                        if b_rows_contiguous:
                            for k in range(depth):
                                for j in range(0, jj_stop - jj, NR):
                                    copy_row(
                                        bbuf + j // NR * panel + k * NR * item,
                                        source + k * b_row + j * item,
                                        min(NR, jj_stop - jj - j),
                                        alpha,
                                    )
                        else:
                            whole = depth // W * W if b_row == item else 0
                            for q in range(0, jj_stop - jj, W):
                                target = bbuf + q // NR * panel + q % NR * item
                                squares = whole if q + W <= jj_stop - jj else 0
                                for k in range(0, squares, W):
                                    transpose_block(target + k * NR * item, NR * item, source + q * b_col + k * item, b_col, alpha)
                                for r in range(min(W, jj_stop - jj - q)):
                                    for k in range(squares, depth):
                                        poke(target + (k * NR + r) * item, peek(source + (q + r) * b_col + k * b_row, alpha))
                    for j in range(jj, jj_stop, NR):
                        cols = min(NR, jj_stop - j)
                        b_now, b_row_now = b_at + kk * b_row + j * item, b_row
                        if pack_b:
                            b_now, b_row_now = bbuf + (j - jj) // NR * panel, NR * item
                        i = mm
                        while i < mm_stop:
                            left = mm_stop - i
                            rows = (left - 1) // ((left + MR - 1) // MR) + 1  # tiles of nearly equal height
                            a_now, a_row_now, a_col_now = a_at + i * a_row + kk * a_col, a_row, a_col
                            if pack_a:
                                a_now, a_row_now, a_col_now = abuf + (i - mm) * depth * item, item, rows * item
                            target = c_at + i * c_row + j * item
                            beneath = base_now + i * base_row_now + j * item
                            tile(a_now, a_row_now, a_col_now, b_now, b_row_now, target, c_row, beneath, base_row_now, depth, rows, cols,
                                 alpha, beta_now)  # fmt: skip
                            i += rows
                        if epilogue != 0 and kk + depth == K:
                            target = c_at + mm * c_row + j * item
                            finish(epilogue, target, c_row, extra_at + mm * extra_row + j * item, extra_row, mm_stop - mm, cols, alpha)
        c_at += c_step
        a_at += a_step
        b_at += b_step
        base_at += base_step
        extra_at += extra_step
