"""A single row of a product: a vector times a matrix that lies row by row, column by column, or in panels."""

from .. import _host
from .._compiler import subroutine
from .._gemv import PANELS_AT_ONCE, add_rows, dots, panel_sums
from .._host import NV
from .._memory import peek, poke
from .._simd import width
from ._matrices import finish_block, part

ROW_BYTES = _host.blocking().row


@subroutine
def times_rows(c, base, a, a_col, b, b_row, item, K, N, alpha, beta):
    """c_j = alpha sum_k a_k b_kj + beta base_j; the rows of b lie in one piece each."""
    for jj in range(0, N, ROW_BYTES // item):
        cols = min(ROW_BYTES // item, N - jj)
        for j in range(jj, jj + cols):
            poke(c + j * item, beta * peek(base + j * item, alpha) if beta != 0 else beta)
        add_rows(c + jj * item, cols, b + jj * item, b_row, a, a_col, K, alpha)


@subroutine
def times_panels(c, base, a, b, K, panels, alpha, beta):
    """The same where b is packed into panels."""
    p = 0
    while p < panels:
        count = PANELS_AT_ONCE if p + PANELS_AT_ONCE <= panels else 1
        panel_sums(c.at + p * c.panel, c.panel, base.at + p * base.panel, base.panel, b.at + p * b.panel, b.panel, a.at, a.col, K, count,
                   alpha, beta)  # fmt: skip
        p += count


@subroutine
def row_product(c, base, extra, a, b, start, stop, K, alpha, beta, rest, packed, like):
    """c = f(alpha a b + beta base, extra) for a single row, from column `start` to `stop`, which are edges of panels; f is an epilogue."""
    item = like.itemsize
    NR = NV * width(like)
    target, beneath, beside = part(c, 0, start, NR), part(base, 0, start, NR), part(extra, 0, start, NR)
    right = part(b, 0, start, NR)
    cols = stop - start
    if packed:
        times_panels(target, beneath, a, right, K, cols // NR, alpha, beta)
    elif b.col == item:
        times_rows(target.at, beneath.at, a.at, a.col, right.at, b.row, item, K, cols, alpha, beta)
    else:
        dots(target.at, beneath.at, right.at, b.col, a.at, K, cols, alpha, beta)
    piece = NR if packed else max(cols, 1)
    for j in range(0, cols if rest != 0 else 0, piece):
        finish_block(rest, target.at + j // NR * c.panel, c.row, beside.at + j // NR * extra.panel, extra.row, 1, min(piece, cols - j))
