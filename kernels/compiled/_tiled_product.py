"""Products by tiles: blocks of A and panels of B are brought to where tiles find them, and tiles go over them.

Blocks of A (MC x KC) that lie badly are copied into panels so that a tile reads them in order, and stay in the level-2 cache; so do a few
panels of B (KC x NR) at a time, copied or transposed by the tiles of those before, as far as they get.
"""

from typing import NamedTuple

import numpy as np

from .. import _host
from .._compiler import inlined, subroutine
from .._host import NV, tile_rows
from .._memory import peek, poke, stack_buffer
from .._pack import pack_crosswise, pack_lengthwise
from .._simd import width
from .._tile import BEAT, GROUP, LINE, copy_row, panels_across, tile_with
from . import activations, elementwise
from ._matrices import Matrix, finish_block, part

MR = tile_rows()
tile = tile_with(elementwise.add, activations.relu_grad, activations.tanh_grad)
DEPTH, A_BLOCK_BYTES, IN_CACHE, PANELS_IN_CACHE, _ = _host.blocking()
B_PANEL_BYTES = DEPTH * NV * _host.isa().vector_bytes
SLACK = 4096  # what the last panel of a block is overrun by
FEW_TILES = 4  # so few tiles using a panel do not repay a copy
PAGE = 4096
FEW_ROWS = MR // 2  # tiles that are no higher may take several panels side by side
ACROSS = tuple([panels_across(max(rows, 1)) for rows in range(FEW_ROWS + 1)])
STEPS = 32  # along K of a block of A whose columns lie in one piece each: their lines stay in cache until all tiles have had their part
LEVEL_2 = _host.cache_bytes(2)

block_of_a = stack_buffer(A_BLOCK_BYTES + SLACK)
panels_of_b = stack_buffer(_host.PANELS * B_PANEL_BYTES + SLACK)


class Coming(NamedTuple):
    """Panels of B that come next, and where they go; tiles copy `portion` of their `depth` steps at a time.

    Panels lie `apart`, or, if they are to be transposed, their columns do; copies lie `target_apart`, which is 0 then.
    """

    at: int
    row: int
    apart: int
    target: int
    target_apart: int
    depth: int
    portion: int


@inlined
def height(left, most):
    """How many of `left` rows of C the next tile takes: `most`, but of the last two tiles either as many."""
    return most if left >= 2 * most else left if left <= most else (left + 3) // 4 * 2


@inlined
def equal_parts(size, most, unit):
    """The length, in whole units, of the fewest nearly equal parts of `size` that are no longer than `most`."""
    count = max((size + most - 1) // most, 1)
    return max(size + count * unit - 1, unit) // (count * unit) * unit


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
def pack_block(target, a, rows, depth, like):
    """A block of A in panels, one for each tile, one behind the other."""
    item = like.itemsize
    panel_row = MR * item
    steps = STEPS if a.row == item else max(depth, 1)
    for k in range(0, depth, steps):
        few, i, panel = min(steps, depth - k), 0, target + k * panel_row
        while i < rows:
            count = height(rows - i, MR)
            pack(panel, panel_row, a.at + i * a.row + k * a.col, a.col, a.row, count, few, MR * a.row, like)
            panel += depth * panel_row
            i += count


@subroutine
def pack_group(target, panel, b, cols, start, depth, ahead, like):
    """Panels of B, from step `start` on."""
    item = like.itemsize
    NR = NV * width(like)
    if b.col == item:
        for k in range(start, depth):
            for j in range(0, cols, NR):
                source = b.at + k * b.row + j // NR * b.panel
                copy_row(target + j // NR * panel + k * NR * item, source, min(NR, cols - j), like.dtype.type(1))
    else:
        pack(target + start * NR * item, NR * item, b.at + start * b.row, b.row, b.col, cols, depth - start, ahead, like)


@inlined
def coming_panels(b, coming_depth, depth, panel, crosswise, target, like):
    """Panels for tiles of so many steps to copy, or to transpose, a line of each column in turn."""
    if crosswise:
        lines = depth // BEAT // (NV * width(like))
        return Coming(b.at, b.row, b.col, target, 0, coming_depth, lines * (LINE // like.itemsize))
    return Coming(b.at, b.row, b.panel, target, panel, coming_depth, depth // BEAT)


@subroutine
def tiles(c, base, extra, a, b, rows, cols, across, depth, alpha, beta, floor, finish, rest, coming, like):
    """c = max(f(alpha a b + beta base, extra), floor), tile by tile down one panel of b, or several `across`, after the other.

    f is the formula number `finish` of the tile, or else what the epilogue `rest` says. Panels of a have a tile's rows each; with a panel
    of 0 bytes, a lies row by row. Returns how many steps of the panels that are coming have been copied.
    """
    item = like.itemsize
    NR = NV * width(like)
    carried, j = 0, 0
    while j < cols:
        columns = across if j + across <= cols else min(NR, cols - j)
        right, target, beneath, beside = part(b, 0, j, NR), part(c, 0, j, NR), part(base, 0, j, NR), part(extra, 0, j, NR)
        i, left = 0, a.at
        while i < rows:
            count = height(rows - i, MR)
            carries = coming.target != 0 and count == MR and columns == NR and carried + coming.portion <= coming.depth
            tile(left, a.row, a.col, right.at, right.row, target.at + i * c.row, c.row, beneath.at + i * base.row, base.row,
                 beside.at + i * extra.row, extra.row, depth, count, columns, alpha, beta, floor, finish,
                 coming.at + carried * coming.row, coming.row, coming.apart,
                 coming.target + carried * NR * item if carries else 0, coming.target_apart)  # fmt: skip
            if carries:
                carried += coming.portion
            left += a.panel if a.panel != 0 else count * a.row
            i += count
        if rest != 0:
            finish_block(rest, target.at, c.row, beside.at, extra.row, rows, columns)
        j += columns
    return carried


@subroutine
def tiled_product(c, base, extra, a, b, block, K, alpha, beta, floor, finish, rest, packed, room, like):
    """c = max(f(alpha a b + beta base, extra), floor) for a block of rows and columns; b may have been packed into panels before.

    `room` is for a block of A.
    """
    m_start, m_stop, n_start, n_stop = block
    rows, cols = m_stop - m_start, n_stop - n_start
    item = like.itemsize
    W = width(like)
    NR = NV * W
    in_rows = b.col == item
    crosswise = b.row == item and not in_rows  # so that tiles can transpose it
    pack_b = not in_rows or (rows > FEW_TILES * MR and K * cols * item > (PANELS_IN_CACHE if packed else IN_CACHE))
    pack_a = cols > FEW_TILES * NR and rows > MR and (a.col >= PAGE or a.row % PAGE == 0 or rows * K * item > A_BLOCK_BYTES)
    across = NR * (ACROSS[rows] if rows <= FEW_ROWS and not (pack_b or packed) else 1)
    KC = equal_parts(K, DEPTH, W) if K > DEPTH else max(K, 1)  # it follows from K alone, so that rows come out the same in any company
    MC = equal_parts(rows, A_BLOCK_BYTES // (MR * KC * item) * MR if pack_a else max(rows, 1), MR)
    NC = max(cols, 1) if not pack_b else GROUP * NR if in_rows else NR
    panel = KC * NR * item
    ahead = W * b.col if cols * K * item > LEVEL_2 else 0
    buffers = panels_of_b()
    here, carried = buffers, 0
    for k in range(0, max(K, 1), KC):
        depth = min(KC, K - k)
        last = k + depth == K
        beneath, weight = base, beta
        if k > 0:
            beneath, weight = c, like.dtype.type(1)
        for m in range(m_start, m_stop, MC):
            count = min(MC, m_stop - m)
            left = Matrix(a.at + m * a.row + k * a.col, a.row, a.col, 0, 0)
            if pack_a:
                pack_block(room, left, count, depth, like)
                left = Matrix(room, item, MR * item, depth * MR * item, 0)
            for n in range(n_start, n_stop, NC):
                few, right, coming = min(NC, n_stop - n), part(b, k, n, NR), Coming(0, 0, 0, 0, 0, 0, 0)
                if pack_b:
                    pack_group(here, panel, right, few, carried, depth, ahead, like)
                    right = Matrix(here, NR * item, item, panel, 0)
                    # next come those of this block, or the first ones again
                    next_n, next_k = n + NC, k
                    if next_n >= n_stop:
                        next_n, next_k = n_start, k if m + count < m_stop else k + KC
                    if (in_rows or crosswise) and next_n + NC <= n_stop and next_k < K:
                        coming = coming_panels(part(b, next_k, next_n, NR), min(KC, K - next_k), depth, panel, crosswise,
                                               buffers + (NC // NR * panel if here == buffers else 0), like)  # fmt: skip
                carried = tiles(part(c, m, n, NR), part(beneath, m, n, NR), part(extra, m, n, NR), left, right, count, few, across, depth,
                                alpha, weight, floor if last else like.dtype.type(-np.inf), finish if last else 0, rest if last else 0,
                                coming, like)  # fmt: skip
                if coming.target != 0:
                    here = coming.target
