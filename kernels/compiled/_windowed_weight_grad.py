"""The gradient of a kernel of five columns whose windows lie inside the image: panels of the result's gradients times pixels in place.

A panel holds a register's worth of the result's channels, pixel by pixel.
"""

from .. import _host
from .._blocks import ceil_div, even_parts, transpose
from .._compiler import subroutine
from .._memory import address, stack_buffer
from .._pixels import spread_rows
from .._shares import share
from .._simd import width
from .._windows import COLUMNS, MOST_LINES, window_tile
from ._spread import VECTOR

PANEL_BYTES = min(_host.cache_bytes(2) // 4, 256 << 10)
SUM_BYTES = 64 << 10

panel_rows = stack_buffer(PANEL_BYTES)
sum_rows = stack_buffer(SUM_BYTES)


@subroutine
def has_windows_inside(lanes, outs, kernel, size, out_size, stride, pad, dilation):
    """Whether the kernel has COLUMNS columns, no window reaches beyond the image, and channels of the result fill registers."""
    fits = kernel[1] == COLUMNS and dilation[0] * dilation[1] == 1 and pad[0] + pad[1] == 0
    inside = (out_size[0] - 1) * stride[0] + kernel[0] <= size[0] and (out_size[1] - 1) * stride[1] + kernel[1] <= size[1]
    room = out_size[1] * VECTOR <= PANEL_BYTES and kernel[0] * kernel[1] * VECTOR <= SUM_BYTES
    return fits and inside and room and ceil_div(outs, lanes) * lanes <= outs + outs // 4


@subroutine
def windowed_weight_grad(team, dweight, dy, x, stride, groups):
    """dweight of a convolution for which `has_windows_inside` holds."""
    zero, item, lanes, parts = dweight.dtype.type(0), dweight.itemsize, width(dweight), team[1]
    O, IG, KH, KW = dweight.shape
    N, I, H, W = x.shape
    OH, OW = dy.shape[2:]
    OG, places = O // groups, KH * KW

    # The order of every sum follows from the blocks of pixels, so these must not depend on the number of workers.
    rows_most = even_parts(OH, PANEL_BYTES // (OW * VECTOR))
    images_most = even_parts(N, PANEL_BYTES // (OH * OW * VECTOR)) if rows_most == OH else 1
    panels, blocks_c = ceil_div(OG, lanes), ceil_div(IG, SUM_BYTES // (places * VECTOR))
    if groups * panels % parts != 0 and IG // parts >= 2:
        blocks_c = ceil_div(blocks_c, parts) * parts
    channels_most = even_parts(IG, ceil_div(IG, max(1, blocks_c)))
    blocks_c = ceil_div(IG, channels_most)

    panel, sums = panel_rows(), sum_rows()
    start, stop = share(team, groups * panels * blocks_c)
    for unit in range(start, stop):
        channel, o, group = unit % blocks_c * channels_most, unit // blocks_c % panels * lanes, unit // (blocks_c * panels)
        channels, outs, out_channel = min(channels_most, IG - channel), min(lanes, OG - o), group * OG + o
        spread_rows(sums, 0, 0, 1, 1, channels * places * lanes, sums, 0, 0, 0, 1, 0, 1, zero)  # zeros
        for image in range(0, N, images_most):
            images = min(images_most, N - image)
            for top in range(0, OH, rows_most):
                rows = min(rows_most, OH - top)
                for n in range(images):
                    dy_at = address(dy) + ((((image + n) * O + out_channel) * OH + top) * OW) * item
                    transpose(panel + n * rows * OW * VECTOR, VECTOR, dy_at, OH * OW * item, rows * OW, outs, zero)
                for c in range(channels):
                    x_at = address(x) + (((image * I + group * IG + channel + c) * H + top * stride[0]) * W) * item
                    for k in range(0, KH, MOST_LINES):
                        window_tile(sums + (c * places + k * KW) * VECTOR, x_at + k * W * item, W * item, stride[0] * W * item,
                                    stride[1] * item, I * H * W * item, panel, images, rows, OW, min(MOST_LINES, KH - k), zero)  # fmt: skip
        to, to_row = address(dweight) + (out_channel * IG + channel) * places * item, IG * places * item
        transpose(to, to_row, sums, VECTOR, outs, channels * places, zero)
