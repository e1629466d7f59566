"""The gradient of a small kernel that moves by one pixel at a time: pixels where they lie, times panels of the result's gradients.

A panel holds a register's worth of the result's channels, pixel by pixel, with zeros around the image.
"""

from .. import _host
from .._blocks import ceil_div, even_parts, transpose
from .._compiler import subroutine
from .._memory import address, poke, stack_buffer
from .._pixels import spread_rows
from .._shares import share
from .._shifts import MOST_CHANNELS, SHIFTS, shift_tile
from .._simd import width
from ._spread import VECTOR

OFFSET = 8  # bytes of an entry of the table of shifts
PANEL_BYTES = min(_host.cache_bytes(2) // 4, 256 << 10)
SUM_BYTES = 512 << 10
MOST_TAPS = 128
LEAST_CHANNELS = 6  # of the input, for which it pays to make a panel

panel_rows = stack_buffer(PANEL_BYTES)
dense_rows = stack_buffer(PANEL_BYTES)
sum_rows = stack_buffer(SUM_BYTES)
shift_table = stack_buffer(MOST_TAPS * OFFSET)


@subroutine
def suits(lanes, outs, ins, taps, size, out_size, reach, moves):
    """Whether panels are used often, and little in vain: in lanes without a channel, for taps that are none, at pixels without a window."""
    rows_at_once = PANEL_BYTES // ((size[1] + reach[1]) * VECTOR) - reach[0]
    few = moves == 1 and ins >= LEAST_CHANNELS and ceil_div(taps, SHIFTS) * SHIFTS <= min(taps + taps // 3, MOST_TAPS)
    full = ceil_div(outs, lanes) * lanes <= outs + outs // 4
    inside = size[0] * size[1] <= out_size[0] * out_size[1] * 5 // 4 and out_size[1] <= size[1] + reach[1]
    return few and full and inside and rows_at_once >= min(size[0], 4 * reach[0] + 1)


@subroutine
def shifted_weight_grad(team, dweight, dy, x, pad, dilation, groups):
    """dweight of a convolution of stride 1 for which `suits` holds."""
    zero, item, lanes, parts = dweight.dtype.type(0), dweight.itemsize, width(dweight), team[1]
    O, IG, KH, KW = dweight.shape
    N, I, H, W = x.shape
    OH, OW = dy.shape[2:]
    OG, places = O // groups, KH * KW
    taps = ceil_div(places, SHIFTS) * SHIFTS
    reach_h, reach_w = (KH - 1) * dilation[0], (KW - 1) * dilation[1]
    line = (W + reach_w) * VECTOR  # of a panel

    # The order of every sum follows from the blocks of pixels, so these must not depend on the number of workers.
    rows_most = even_parts(H, PANEL_BYTES // line - reach_h)
    images_most = even_parts(N, PANEL_BYTES // ((H + reach_h) * line)) if rows_most == H else 1
    panels, blocks_c = ceil_div(OG, lanes), ceil_div(IG, SUM_BYTES // (taps * VECTOR))
    if groups * panels % parts != 0 and IG // parts >= 4:
        blocks_c = ceil_div(blocks_c, parts) * parts
    channels_most = even_parts(IG, ceil_div(IG, max(1, blocks_c)))
    blocks_c = ceil_div(IG, channels_most)

    panel, dense, sums, shifts = panel_rows(), dense_rows(), sum_rows(), shift_table()
    for t in range(taps):
        k, l = min(t, places - 1) // KW, min(t, places - 1) % KW
        poke(shifts + t * OFFSET, (reach_h - k * dilation[0]) * line + (reach_w - l * dilation[1]) * VECTOR)
    start, stop = share(team, groups * panels * blocks_c)
    for unit in range(start, stop):
        channel, o, group = unit % blocks_c * channels_most, unit // blocks_c % panels * lanes, unit // (blocks_c * panels)
        channels, outs, out_channel = min(channels_most, IG - channel), min(lanes, OG - o), group * OG + o
        spread_rows(sums, 0, 0, 1, 1, channels * taps * lanes, sums, 0, 0, 0, 1, 0, 1, zero)  # zeros
        for image in range(0, N, images_most):
            images = min(images_most, N - image)
            for top in range(0, H, rows_most):
                rows = min(rows_most, H - top)
                rows_all, first = rows + reach_h, top + pad[0] - reach_h
                low, high = max(0, first), max(max(0, first), min(OH, first + rows_all))
                for n in range(images):
                    dy_at = address(dy) + ((((image + n) * O + out_channel) * OH + low) * OW) * item
                    transpose(dense, VECTOR, dy_at, OH * OW * item, (high - low) * OW, outs, zero)
                    spread_rows(panel + n * rows_all * line, 0, line, 1, rows_all, (W + reach_w) * lanes, dense, high - low, OW * lanes,
                                first - low, 1, (pad[1] - reach_w) * lanes, 1, zero)  # fmt: skip
                x_at = address(x) + (((image * I + group * IG + channel) * H + top) * W) * item
                for c in range(0, channels, MOST_CHANNELS):
                    for t in range(0, taps, SHIFTS):
                        shift_tile(sums + (c * taps + t) * VECTOR, taps * VECTOR, x_at + c * H * W * item, H * W * item, W * item,
                                   I * H * W * item, panel, line, rows_all * line, shifts + t * OFFSET, images, rows, W,
                                   min(MOST_CHANNELS, channels - c), zero)  # fmt: skip
        to, to_row = address(dweight) + (out_channel * IG + channel) * places * item, IG * places * item
        together = channels if taps == places else 1  # channels whose taps lie side by side
        for c in range(0, channels, together):
            transpose(to + c * places * item, to_row, sums + c * taps * VECTOR, VECTOR, outs, together * places, zero)
