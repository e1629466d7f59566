"""Convolutions as matrix products of pixels and taps on the micro-kernel of `_gather`, images being read where they lie.

A block of pixels (whole images, rows of one, or a part of a row) is worked on for one tile of channels at a time. Within it, pixels
whose windows hang over the same edges of the image use the same taps: a rectangle of such pixels and taps is a
matrix product without padding and without holes, and so are, in the input gradient, the pixels of each phase of the stride.
Sums go into a buffer of rows (pixel or tap) by channels, which is transposed into the output at the end.
"""

from .._compiler import by_hand, subroutine
from .._gather import ceil_div, even_parts, fill_table, gather_tile, transpose
from .._host import isa
from .._simd import share, width
from .._tile import NV, address, copy_row, peek, stack_buffer, tile_rows
from ._depthwise import depthwise, depthwise_weight_grad
from ._runs import PAIR, PIXELS, RUN, TAPS, cut_into_runs, pixel_runs, tap_table

MR = tile_rows()
ROW = NV * isa().vector_bytes  # bytes of a row of a panel or of sums: the channels of a tile
BLOCK = 2048  # pixels of a block of several images, which has that many only to make its short runs longer
DEPTH = 256  # pixels of a block whose products are summed
CACHED = min(TAPS, (18 << 10) // ROW)  # rows of a panel that a level-1 cache keeps
TAP_ROWS = (128 << 10) // ROW  # taps whose sums are kept at a time

first_row = stack_buffer(ROW)
panel_rows = stack_buffer(max(4 * DEPTH, TAPS) * ROW)
pixel_rows = stack_buffer((BLOCK + 1) * ROW)
pixel_table = stack_buffer((BLOCK + MR) * PAIR)
tap_rows = stack_buffer((TAP_ROWS + 1) * ROW)
tap_rows_table = stack_buffer((TAP_ROWS + MR) * PAIR)


@subroutine
def _transpose(target, target_row, source, source_row, rows, cols, like):
    transpose(target, target_row, source, source_row, rows, cols, like)


@subroutine
def _convolve(team, out, source, weight, bias_at, stride, pad, dilation, groups, backwards):
    """out = bias + the convolution of `source`, or `backwards` the transposed convolution."""
    one = out.dtype.type(1)
    item = out.itemsize
    N, OC, OH, OW = out.shape
    IC, H, W = source.shape[1:]
    first_dim, second_dim, KH, KW = weight.shape
    OG, IG = OC // groups, IC // groups
    by_first, by_second = second_dim * KH * KW * item, KH * KW * item
    out_step, source_step = (by_second, by_first) if backwards else (by_first, by_second)
    # Of both dimensions: pixels of one phase lie `phases` apart and read `moves` apart, their taps lie `period` and read `reach` apart.
    phases, moves = (stride, (1, 1)) if backwards else ((1, 1), stride)
    period_h, period_w = 1, 1
    if backwards:
        while period_h * dilation[0] % stride[0] != 0:
            period_h += 1
        while period_w * dilation[1] % stride[1] != 0:
            period_w += 1
    period = (period_h, period_w)
    reach_h = -(period_h * dilation[0] // stride[0]) if backwards else dilation[0]
    reach_w = -(period_w * dilation[1] // stride[1]) if backwards else dilation[1]

    if groups > 1 and second_dim == 1:
        reach = (reach_h, reach_w)
        depthwise(team, out, source, weight, bias_at, stride, pad, dilation, phases, moves, period, reach, backwards)
        return

    NR = NV * width(out)
    tiles = ceil_div(OG, NR)
    parts = team[1]
    most = min(PIXELS, max(8 * MR, N * OH * OW * tiles * groups // parts))
    cols_most = even_parts(OW, most)
    rows_most = even_parts(OH, most // cols_most)
    area = cols_most * rows_most
    longer = min(2 * MR, BLOCK // area, N * groups * tiles // parts)
    images_most = even_parts(N, max(most // area, longer)) if area == OH * OW else 1
    blocks_w, blocks_h, blocks_n = ceil_div(OW, cols_most), ceil_div(OH, rows_most), ceil_div(N, images_most)
    kws_most = min(KW, TAPS)
    khs_most = min(KH, TAPS // max(1, kws_most))
    channels_most = even_parts(IG, CACHED // max(1, khs_most * kws_most))

    start_row, panel, sums, runs, table, taps = first_row(), panel_rows(), pixel_rows(), pixel_runs(), pixel_table(), tap_table()
    packed, cut = -1, -1
    start, stop = share(team, blocks_n * blocks_h * blocks_w * groups * tiles)
    for unit in range(start, stop):
        block, group, o = unit // (tiles * groups), unit // tiles % groups, unit % tiles * NR
        image = block // (blocks_w * blocks_h) * images_most
        top, left = block // blocks_w % blocks_h * rows_most, block % blocks_w * cols_most
        images, rows, cols = min(images_most, N - image), min(rows_most, OH - top), min(cols_most, OW - left)
        count = min(NR, OG - o)
        out_channel = group * OG + o
        copy_row(start_row, bias_at + out_channel * item, count if bias_at != 0 else 0, one)
        for pixel in range(images * rows * cols):
            copy_row(sums + pixel * ROW, start_row, NR, one)
        for channel in range(0, IG, channels_most):
            channels = min(channels_most, IG - channel)
            for kh in range(0, KH, khs_most):
                khs = min(khs_most, KH - kh)
                for kw in range(0, KW, kws_most):
                    kws = min(kws_most, KW - kw)
                    place = (((group * tiles * NR + o) * IG + channel) * KH + kh) * KW + kw
                    if packed != place:
                        packed = place
                        at = (
                            address(weight)
                            + group * (first_dim // groups) * by_first
                            + o * out_step
                            + channel * source_step
                            + (kh * KW + kw) * item
                        )
                        whole = khs == KH and kws == KW
                        run = channels * khs * kws if whole and not backwards else (khs * kws if whole else kws)
                        runs_of_channel = 1 if whole else khs
                        target = panel
                        for c in range(1 if whole and not backwards else channels):
                            for k in range(runs_of_channel):
                                _transpose(target, ROW, at + c * source_step + k * KW * item, out_step, run, count, one)
                                target += run * ROW
                    if cut != (block * KH + kh) * KW + kw:
                        cut = (block * KH + kh) * KW + kw
                        row_runs = cut_into_runs(
                            runs, top, top + rows, kh, kh + khs, H, stride[0], pad[0], dilation[0], period[0], phases[0], backwards
                        )
                        col_runs = cut_into_runs(
                            runs + PIXELS * RUN,
                            left,
                            left + cols,
                            kw,
                            kw + kws,
                            W,
                            stride[1],
                            pad[1],
                            dilation[1],
                            period[1],
                            phases[1],
                            backwards,
                        )
                    for u in range(row_runs):
                        at = runs + u * RUN
                        i, i_count, k, k_count = peek(at, u), peek(at + 8, u), peek(at + 16, u), peek(at + 24, u)
                        y = (i + pad[0] - k * dilation[0]) // stride[0] if backwards else i * stride[0] + k * dilation[0] - pad[0]
                        for v in range(col_runs):
                            at = runs + (PIXELS + v) * RUN
                            j, j_count, l, l_count = peek(at, v), peek(at + 8, v), peek(at + 16, v), peek(at + 24, v)
                            x = (j + pad[1] - l * dilation[1]) // stride[1] if backwards else j * stride[1] + l * dilation[1] - pad[1]
                            fill_table(taps, 0, ((k - kh) * kws + l - kw) * ROW, (1, k_count, l_count),
                                       (0, reach_h * W * item, reach_w * item), (0, period_h * kws * ROW, period_w * ROW))  # fmt: skip
                            at = address(source) + (((image * IC + group * IG + channel) * H + y) * W + x) * item
                            end = fill_table(table, at, sums + ((i - top) * cols + j - left) * ROW, (images, i_count, j_count),
                                             (IC * H * W * item, moves[0] * W * item, moves[1] * item),
                                             (rows * cols * ROW, phases[0] * cols * ROW, phases[1] * ROW))  # fmt: skip
                            fill_table(end, at, sums + BLOCK * ROW, (1, 1, MR), (0, 0, 0), (0, 0, 0))
                            for row in range(table, end, MR * PAIR):
                                gather_tile(row, taps, k_count * l_count, channels, H * W * item, panel, khs * kws * ROW, count, one)
        for n in range(images):
            at = address(out) + ((((image + n) * OC + out_channel) * OH + top) * OW + left) * item
            if cols == OW:
                _transpose(at, OH * OW * item, sums + n * rows * cols * ROW, ROW, count, rows * cols, one)
            else:
                for i in range(rows):
                    _transpose(at + i * OW * item, OH * OW * item, sums + (n * rows + i) * cols * ROW, ROW, count, cols, one)


@by_hand
def conv2d(team, y, x, weight, bias, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups):
    _convolve(team, y, x, weight, address(bias), (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), groups, False)


@by_hand
def conv2d_input_grad(team, dx, dy, weight, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups):
    _convolve(team, dx, dy, weight, 0, (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), groups, True)


@by_hand
def conv2d_weight_grad(team, dweight, dy, x, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups):
    if groups > 1 and dweight.shape[1] == 1:
        depthwise_weight_grad(team, dweight, dy, x, (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w))
        return
    parts = team[1]
    one = dweight.dtype.type(1)
    item = dweight.itemsize
    O, IG, KH, KW = dweight.shape
    N, I, H, W = x.shape
    OH, OW = dy.shape[2:]
    OG = O // groups
    NR = NV * width(dweight)
    tiles = ceil_div(OG, NR)

    # The order of every sum follows from the blocks of pixels, so these must not depend on the number of workers.
    most = DEPTH if OG * 2 > NR else 4 * DEPTH  # a panel of one register is as good in a level-2 cache
    cols_most = even_parts(OW, min(most, PIXELS))
    rows_most = even_parts(OH, min(most // cols_most, PIXELS))
    images_most = even_parts(N, most // (cols_most * rows_most)) if cols_most * rows_most == OH * OW else 1
    kws_most = min(KW, TAPS)
    khs_most = min(KH, TAPS // max(1, kws_most))
    channels_most = even_parts(IG, min(TAP_ROWS // max(1, khs_most * kws_most), IG * groups * tiles // parts))
    blocks_c, blocks_h, blocks_w = ceil_div(IG, channels_most), ceil_div(KH, khs_most), ceil_div(KW, kws_most)

    zeros, panel, sums, runs, table, steps = first_row(), panel_rows(), tap_rows(), pixel_runs(), tap_rows_table(), pixel_table()
    copy_row(zeros, zeros, 0, one)
    start, stop = share(team, groups * tiles * blocks_c * blocks_h * blocks_w)
    for unit in range(start, stop):
        group, o = unit // (tiles * blocks_c * blocks_h * blocks_w), unit // (blocks_c * blocks_h * blocks_w) % tiles * NR
        channel = unit // (blocks_h * blocks_w) % blocks_c * channels_most
        kh, kw = unit // blocks_w % blocks_h * khs_most, unit % blocks_w * kws_most
        count, channels = min(NR, OG - o), min(channels_most, IG - channel)
        khs, kws = min(khs_most, KH - kh), min(kws_most, KW - kw)
        out_channel = group * OG + o
        for row in range(channels * khs * kws):
            copy_row(sums + row * ROW, zeros, NR, one)
        for image in range(0, N, images_most):
            images = min(images_most, N - image)
            for top in range(0, OH, rows_most):
                rows = min(rows_most, OH - top)
                row_runs = cut_into_runs(runs, top, top + rows, kh, kh + khs, H, stride_h, pad_h, dilation_h, 1, 1, False)
                for left in range(0, OW, cols_most):
                    cols = min(cols_most, OW - left)
                    col_runs = cut_into_runs(
                        runs + PIXELS * RUN, left, left + cols, kw, kw + kws, W, stride_w, pad_w, dilation_w, 1, 1, False
                    )
                    for n in range(images):
                        at = address(dy) + ((((image + n) * O + out_channel) * OH + top) * OW + left) * item
                        for i in range(1 if cols == OW else rows):
                            run = rows * cols if cols == OW else cols
                            _transpose(panel + (n * rows + i) * cols * ROW, ROW, at + i * OW * item, OH * OW * item, run, count, one)
                    for u in range(row_runs):
                        at = runs + u * RUN
                        i, i_count, k, k_count = peek(at, u), peek(at + 8, u), peek(at + 16, u), peek(at + 24, u)
                        for v in range(col_runs):
                            at = runs + (PIXELS + v) * RUN
                            j, j_count, l, l_count = peek(at, v), peek(at + 8, v), peek(at + 16, v), peek(at + 24, v)
                            fill_table(steps, 0, ((i - top) * cols + j - left) * ROW, (1, i_count, j_count),
                                       (0, stride_h * W * item, stride_w * item), (0, cols * ROW, ROW))  # fmt: skip
                            y, x_first = i * stride_h + k * dilation_h - pad_h, j * stride_w + l * dilation_w - pad_w
                            at = address(x) + (((image * I + group * IG + channel) * H + y) * W + x_first) * item
                            end = fill_table(table, at, sums + ((k - kh) * kws + l - kw) * ROW, (channels, k_count, l_count),
                                             (H * W * item, dilation_h * W * item, dilation_w * item),
                                             (khs * kws * ROW, kws * ROW, ROW))  # fmt: skip
                            fill_table(end, at, sums + TAP_ROWS * ROW, (1, 1, MR), (0, 0, 0), (0, 0, 0))
                            for row in range(table, end, MR * PAIR):
                                gather_tile(row, steps, i_count * j_count, images, I * H * W * item, panel, rows * cols * ROW, count, one)
        whole = khs == KH and kws == KW
        run = channels * khs * kws if whole else kws
        for r in range(1 if whole else channels * khs):
            at = address(dweight) + (((out_channel * IG + channel + r // khs * (not whole)) * KH + kh + r % khs) * KW + kw) * item
            _transpose(at, IG * KH * KW * item, sums + r * run * ROW, ROW, count, run, one)
