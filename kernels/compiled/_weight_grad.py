"""The gradient of a convolution's weight: for each tap and each channel of the result, a sum over the pixels of all images.

Either registers hold neighbouring channels of the result, whose gradients are transposed for that, and a tile many input channels at
one place in the kernel; or, where there are too few channels to fill registers, they hold neighbouring pixels and are summed up at last.
"""

import math

from .._blocks import ceil_div, even_parts, transpose
from .._compiler import subroutine
from .._dots import MOST_ROWS as DOT_ROWS
from .._dots import TAPS_AT_ONCE, dot_tile
from .._host import NV
from .._memory import address, poke, stack_buffer
from .._shares import share
from .._simd import width
from .._taps import MOST_ROWS, PAIR, tap_tile
from ._runs import TAPS, tap_table
from ._spread import PIXEL_BYTES, ROW, VECTOR, pixel_rows, spread

BLOCK = 1024  # pixels whose products are summed at a time
SUM_BYTES = 512 << 10
OFFSET = 8  # bytes of an entry of the table of taps

channel_rows = stack_buffer(BLOCK * ROW)
sum_rows = stack_buffer(SUM_BYTES)


@subroutine
def _clear(target, target_row, rows, count, item, zero):
    """Zeros in rows of `count` items."""
    for r in range(rows):
        for i in range(count):
            poke(target + r * target_row + i * item, zero)


@subroutine
def _row_of(k, rows, stride, dilation):
    """The row of working memory that a row of the kernel reads first, there being `rows` of each class."""
    return k * dilation % stride * rows + k * dilation // stride


@subroutine
def weight_grad(team, dweight, dy, x, stride, pad, dilation, groups):
    """dweight of a convolution whose groups have several input channels, or that has one group."""
    zero, lowest = dweight.dtype.type(0), dweight.dtype.type(-math.inf)
    item = dweight.itemsize
    O, IG, KH, KW = dweight.shape
    N, I, H, W = x.shape
    OH, OW = dy.shape[2:]
    OG = O // groups
    lanes = width(dweight)
    NR = NV * lanes
    parts = team[1]
    by_pixels = OG <= lanes  # noqa: SIM300  # registers hold pixels

    # The order of every sum follows from the blocks of pixels, so these must not depend on the number of workers.
    cols_most = even_parts(OW, BLOCK)
    rows_most = even_parts(OH, BLOCK // cols_most)
    area_most = rows_most * cols_most
    kws_most, khs_most = min(KW, TAPS), min(KH, TAPS // max(1, min(KW, TAPS)))
    line = cols_most * item
    while khs_most > 1 and (rows_most * stride[0] + khs_most * dilation[0]) * line > PIXEL_BYTES // 2:
        khs_most = khs_most // 2
    copy = (rows_most * stride[0] + (khs_most - 1) * dilation[0]) * line + ROW
    images_most = even_parts(N, min(BLOCK // area_most, PIXEL_BYTES // copy)) if area_most == OH * OW else 1
    kws_most = max(1, min(kws_most, PIXEL_BYTES // (copy * images_most)))
    outs_most = OG if by_pixels else min(OG, 4 * NR)
    sum_rows_most = SUM_BYTES // ROW // max(1, ceil_div(outs_most, NR) * khs_most * kws_most)
    channels_most = min(PIXEL_BYTES // (images_most * kws_most * copy), sum_rows_most)
    blocks_c = ceil_div(IG, max(1, channels_most))
    if groups % parts != 0 and IG // parts >= 4:
        blocks_c = ceil_div(blocks_c, parts) * parts
    elif groups % parts != 0:
        outs_most = ceil_div(OG, parts) if by_pixels else ceil_div(ceil_div(OG, NR), parts) * NR
    channels_most = max(1, ceil_div(IG, blocks_c))
    blocks_c, blocks_o = ceil_div(IG, channels_most), ceil_div(OG, max(1, outs_most))
    blocks_h, blocks_w = ceil_div(KH, max(1, khs_most)), ceil_div(KW, kws_most)

    pixels, panel, sums, taps = pixel_rows(), channel_rows(), sum_rows(), tap_table()
    start, stop = share(team, groups * blocks_o * blocks_c * blocks_h * blocks_w)
    for unit in range(start, stop):
        kw, kh = unit % blocks_w * kws_most, unit // blocks_w % blocks_h * khs_most
        turn = unit // (blocks_w * blocks_h)
        channel, o, group = turn % blocks_c * channels_most, turn // blocks_c % blocks_o * outs_most, turn // (blocks_c * blocks_o)
        khs, kws, channels, outs = min(khs_most, KH - kh), min(kws_most, KW - kw), min(channels_most, IG - channel), min(outs_most, OG - o)
        places, whole = khs * kws, khs == KH and kws == KW
        # Taps that lie side by side in the weight form a run; there is one for each channel and row of the kernel, or one for all.
        merged = not by_pixels and 2 * channels <= MOST_ROWS  # columns of the kernel make tiles higher that would be too low
        run, runs = (channels * places, 1) if whole and not merged else (kws, channels * khs)
        entries = ceil_div(run, TAPS_AT_ONCE) * TAPS_AT_ONCE
        out_channel = group * OG + o
        result = address(dweight) + ((out_channel * IG + channel) * KH * KW + kh * KW + kw) * item
        result_row, channel_step, line_step = IG * KH * KW * item, KH * KW * item, KW * item
        for u in range(runs if by_pixels else 0):
            _clear(result + u // khs * channel_step + u % khs * line_step, result_row, outs, run, item, zero)
        if not by_pixels:
            _clear(sums, ROW, ceil_div(outs, NR) * channels * places, NR, item, zero)
        classes = min(stride[0], (khs - 1) * dilation[0] + 1)
        for image in range(0, N, images_most):
            images = min(images_most, N - image)
            for top in range(0, OH, rows_most):
                rows = min(rows_most, OH - top)
                rows_all = rows + (khs - 1) * dilation[0] // stride[0]
                for left in range(0, OW, cols_most):
                    cols = min(cols_most, OW - left)
                    area, pitch = rows * cols, cols * item
                    copy = ceil_div(classes * rows_all * pitch, ROW) * ROW
                    plane = kws * copy
                    x_at = address(x) + (image * I + group * IG + channel) * H * W * item
                    spread(pixels, (plane, copy, channels * plane, pitch), x_at, item, H, W, I, images, channels,
                           top * stride[0] + kh * dilation[0] - pad[0], rows_all, left, cols, kw, kws, stride, classes,
                           (stride[1], pad[1], dilation[1]), False, zero)  # fmt: skip
                    dy_at = address(dy) + (((image * O + out_channel) * OH + top) * OW + left) * item
                    dy_row, dy_image = OH * OW * item, O * OH * OW * item
                    if by_pixels:
                        for u in range(runs):
                            for t in range(entries):
                                tap = u * run + min(t, run - 1)
                                row = _row_of(tap % places // kws, rows_all, stride[0], dilation[0])
                                poke(sums + (u * entries + t) * OFFSET, tap // places * plane + tap % kws * copy + row * pitch)
                        r = 0
                        while r < outs:
                            height = (outs - r - 1) // ceil_div(outs - r, DOT_ROWS) + 1
                            for u in range(runs):
                                to = result + r * result_row + u // khs * channel_step + u % khs * line_step
                                for t in range(0, run, TAPS_AT_ONCE):
                                    dot_tile(to + t * item, result_row, dy_at + r * dy_row, dy_row, dy_image, pixels, channels * plane,
                                             sums + (u * entries + t) * OFFSET, run - t, images, area, height, zero)  # fmt: skip
                            r += height
                        continue
                    depth = area if images > 1 else 1
                    for t in range(depth):
                        poke(taps + t * PAIR, item if images == 1 or t < area - 1 else channels * plane - (area - 1) * item)
                        poke(taps + t * PAIR + 8, ROW)
                    for p in range(0, outs, NR):
                        wide = min(NR, outs - p)
                        for n in range(images):
                            transpose(panel + n * area * ROW, ROW, dy_at + n * dy_image + p * dy_row, dy_row, area, wide, zero)
                        tall, between, to_row = (channels * kws, copy, ROW) if merged else (channels, plane, places * ROW)
                        for place in range(khs if merged else places):
                            row = _row_of(place if merged else place // kws, rows_all, stride[0], dilation[0])
                            from_at = pixels + (0 * copy if merged else place % kws * copy) + row * pitch
                            to = sums + (p // NR * channels * places + (place * tall if merged else place)) * ROW
                            c = 0
                            while c < tall:
                                height = (tall - c - 1) // ceil_div(tall - c, MOST_ROWS) + 1
                                tap_tile(to + c * to_row, to_row, VECTOR, from_at + c * between, between, panel, VECTOR, taps, depth,
                                         images * area, 0, 0, height, wide, lowest)  # fmt: skip
                                c += height
        for p in range(0, 0 if by_pixels else outs, NR):
            for u in range(runs):
                c, k = (u % channels, u // channels) if merged else (u // khs, u % khs)
                to = result + p * result_row + c * channel_step + k * line_step
                transpose(to, result_row, sums + (p // NR * channels * places + u * run) * ROW, ROW, min(NR, outs - p), run, zero)
