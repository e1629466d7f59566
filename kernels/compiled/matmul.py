"""Matrix products on the micro-kernel of `_tile`: blocking, packing, and the split among workers."""

from .. import _host
from .._epilogue import finish
from .._simd import width
from .._tile import NV, address, copy_row, peek, poke, stack_buffer, tile, tile_rows, transpose_block

MR = tile_rows()
KC_BYTES = 1024  # bytes of one row of a packed block along K: the panel of B then fills half of a 32 KiB level-1 cache
A_BLOCK_BYTES = min(_host.cache_bytes(2) // 2, 512 << 10)
B_PANEL_BYTES = KC_BYTES * NV * _host.isa().vector_bytes // 4
PACK_B_TILES = 6  # so many tiles must use a panel of B before copying it pays
PAGE = 4096

block_of_a = stack_buffer(A_BLOCK_BYTES + 64)
panel_of_b = stack_buffer(B_PANEL_BYTES * 2)


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

    KC = KC_BYTES // item
    MC = A_BLOCK_BYTES // KC_BYTES // MR * MR
    b_rows_contiguous = b_col == item or N == 1
    pack_b = not b_rows_contiguous or (M > PACK_B_TILES * MR and K * N * item > 32768)
    pack_a = N > 4 * NR and M > MR and ((a_col != item and a_col >= PAGE) or (a_row % PAGE == 0 and M * K * item > A_BLOCK_BYTES))
    if not pack_a and not pack_b:
        KC = K
    abuf, bbuf = block_of_a(), panel_of_b()
    for _ in range(batch):
        for kk in range(0, max(K, 1), max(KC, 1)):
            depth = min(KC, K - kk)
            base_now, base_row_now, beta_now = base_at, base_row, beta
            if kk > 0:
                base_now, base_row_now, beta_now = c_at, c_row, one
            for mm in range(m_start, m_stop, MC):
                mm_stop = min(mm + MC, m_stop)
                if pack_a:
                    for i in range(mm, mm_stop, MR):
                        rows = min(MR, mm_stop - i)
                        target = abuf + (i - mm) * depth * item
                        source = a_at + i * a_row + kk * a_col
                        for k in range(depth):
                            for r in range(rows):
                                poke(target + (k * rows + r) * item, peek(source + r * a_row + k * a_col, alpha))
                j = n_start
                while j < n_stop:
                    cols = min(NR, n_stop - j)
                    b_now, b_row_now = b_at + kk * b_row + j * b_col, b_row
                    if pack_b:
                        if b_rows_contiguous:
                            for k in range(depth):
                                copy_row(bbuf + k * NR * item, b_now + k * b_row, cols, alpha)
                        else:
                            whole = 0
                            if b_row == item:
                                whole = depth // W * W
                                for q in range(0, cols // W * W, W):
                                    for k in range(0, whole, W):
                                        transpose_block(bbuf + (k * NR + q) * item, NR * item, b_now + q * b_col + k * item, b_col, alpha)
                            for q in range(NR):
                                first = whole if q < cols // W * W else 0
                                for k in range(first, depth):
                                    poke(bbuf + (k * NR + q) * item, peek(b_now + q * b_col + k * b_row, alpha) if q < cols else zero)
                        b_now, b_row_now = bbuf, NR * item
                    if cols < NR and cols > W and not pack_b:
                        cols = W
                    q = 0
                    while q < cols:
                        count = cols if cols == NR else min(W, cols - q)
                        i = mm
                        while i < mm_stop:
                            rows = min(MR, mm_stop - i)
                            if pack_a:
                                a_now, a_row_now, a_col_now = abuf + (i - mm) * depth * item, item, rows * item
                            else:
                                a_now, a_row_now, a_col_now = a_at + i * a_row + kk * a_col, a_row, a_col
                            here = i * c_row + (j + q) * item
                            beneath = base_now + i * base_row_now + (j + q) * item
                            tile(a_now, a_row_now, a_col_now, b_now + q * item, b_row_now, c_at + here, c_row, beneath, base_row_now,
                                 depth, rows, count, alpha, beta_now)  # fmt: skip
                            i += rows
                        q += count
                    if epilogue != 0 and kk + depth == K:
                        here = mm * c_row + j * item
                        finish(epilogue, c_at + here, c_row, extra_at + mm * extra_row + j * item, extra_row, mm_stop - mm, cols, alpha)
                    j += cols
        c_at += c_step
        a_at += a_step
        b_at += b_step
        base_at += base_step
        extra_at += extra_step
