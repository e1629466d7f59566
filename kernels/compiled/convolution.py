"""Convolutions and their gradients, as matrix products between channels of the result and taps, on the micro-kernel of `_taps`.

A block of pixels (rows of an image, a part of a row, or several small images) is spread out in working memory first, so that the pixels
that a tap multiplies lie side by side, whatever the size of image and kernel, stride and padding. A register holds as many of them as it
can, and results come out in the order in which images are stored. In the input gradient, the pixels of one phase of the stride are such
a block.
"""

import math

from .. import _host
from .._blocks import ceil_div, even_parts
from .._compiler import by_hand, subroutine
from .._dots import MOST_ROWS as DOT_ROWS
from .._dots import TAPS_AT_ONCE, dot_tile
from .._host import NV
from .._memory import address, peek, poke, stack_buffer
from .._pixels import settle_rows
from .._shares import share
from .._simd import width
from .._taps import MOST_ROWS, PAIR, tap_tile
from ..reference._finish import EPILOGUES
from ._depthwise import depthwise, depthwise_weight_grad
from ._runs import TAPS, tap_table
from ._shifted_weight_grad import shifted_weight_grad, suits
from ._spread import PIXEL_BYTES, ROW, VECTOR, pixel_rows, shift_of, spread, spread_in_rows
from ._weight_grad import weight_grad
from ._windowed_weight_grad import has_windows_inside, windowed_weight_grad

BLOCK = 1024  # pixels that are worked on at a time
FEW = 256  # so few pixels are not worth a block of their own
NEAR_BYTES = min(_host.cache_bytes(1) * 3 // 4, 36 << 10)  # of the pixels of a block, if they fit
SUM_BYTES = 256 << 10  # of results that are not yet in their places
RELU, ADD, ADD_RELU = (EPILOGUES.index(name) for name in ("relu", "add", "add_relu"))

sum_rows = stack_buffer(SUM_BYTES + ROW)
edge_rows = stack_buffer(MOST_ROWS * ROW)
zero_row = stack_buffer(MOST_ROWS * 8)
TABLE = 64  # bytes before columns of pixels


@subroutine
def _copies(kws, dilation, phases):
    """How many copies of the pixels some columns of the kernel read, at most: those of one phase follow pixels that neighbours read."""
    return min(kws, ceil_div((kws - 1) * dilation, phases) + 1)


@subroutine
def _list_taps(taps, kh, khs, KW, kw, kws, phase, lowest, rows, copy, pitch, moves, stride, pad, dilation, backwards, item):
    """The offsets, in the weight and in working memory, of the places in the kernel that belong to a phase; how many there are.

    copy: bytes from one copy of the pixels to the next, or 0 if all columns read the same rows, each behind a register of zeros.
    """
    depth = 0
    for k in range(kh, kh + khs):
        shift, own_h = shift_of(k, stride[0], pad[0], dilation[0], backwards)
        row = (shift - lowest) % moves * rows + (shift - lowest) // moves
        along, before = -copy, 0 * kw
        for l in range(kw, kw + kws):
            col, own_w = shift_of(l, stride[1], pad[1], dilation[1], backwards)
            along += copy if l == kw or col != before else 0 * copy
            before = col
            if own_h == phase[0] and own_w == phase[1]:
                poke(taps + depth * PAIR, (k * KW + l) * item)
                poke(taps + depth * PAIR + 8, (along if copy != 0 else VECTOR + col * item) + row * pitch)
                depth += 1
    return depth


@subroutine
def _chain(taps, depth, weight_plane, plane):
    """Turn the offsets of taps into moves, from each to the next and from the last to the first of the next channel."""
    first_weight, first_pixel = peek(taps, depth) + weight_plane, peek(taps + 8, depth) + plane
    for t in range(depth):
        at, last = taps + t * PAIR, t == depth - 1
        poke(at, (first_weight if last else peek(at + PAIR, depth)) - peek(at, depth))
        poke(at + 8, (first_pixel if last else peek(at + PAIR + 8, depth)) - peek(at + 8, depth))


@subroutine
def _edge_tile(c, c_row, weight, weight_row, pixels, taps, depth, steps, bias, extra, rows, cols, floor, lowest):
    """`tap_tile` where the last register is not filled; `lowest` is a floor that changes nothing."""
    edge = edge_rows()
    if bias == 0:
        settle_rows(edge, ROW, 1, c, c_row, 0, rows, cols, 0, lowest)
    tap_tile(edge, ROW, VECTOR, weight, weight_row, pixels, VECTOR, taps, depth, steps, bias, 0, rows, cols, lowest)
    settle_rows(c, c_row, 1, edge, ROW, 0, rows, cols, extra, floor)


@subroutine
def _copy_columns(columns, pixels, plane, taps, depth, channels, count, item, like):
    """What `count` pixels are multiplied with, each in a row of its own, in the order of the weight; before it, where rows begin."""
    for t in range(TAPS_AT_ONCE):
        poke(columns + t * 8, TABLE + min(t, count - 1) * channels * depth * item)
    at = columns + TABLE
    for t in range(count):
        for c in range(channels):
            for k in range(depth):
                poke(at, peek(pixels + t * item + c * plane + peek(taps + k * PAIR + 8, depth), like))
                at += item


@subroutine
def _last_pixels(c, c_row, weight, weight_row, columns, steps, bias, extra, rows, count, floor, item):
    """`tap_tile` for a few pixels that would leave most of a register empty: the registers hold taps instead."""
    for r in range(rows if bias != 0 else 0):
        for t in range(count):
            poke(c + r * c_row + t * item, peek(bias + r * item, floor))
    for r in range(0, rows, DOT_ROWS):
        height = min(DOT_ROWS, rows - r)
        dot_tile(c + r * c_row, c_row, weight + r * weight_row, weight_row, 0, columns, 0, columns, count, 1, steps, height, floor)
    settle_rows(c, c_row, 1, c, c_row, 0, rows, count, extra, floor)


@subroutine
def _convolve(team, out, source, weight, bias_at, extra_at, floor, stride, pad, dilation, groups, backwards):
    """out = max(floor, bias + the convolution of `source`, or `backwards` the transposed one, + extra); addresses of 0 stand for none."""
    zero, lowest = out.dtype.type(0), out.dtype.type(-math.inf)
    item = out.itemsize
    N, OC, OH, OW = out.shape
    IC, H, W = source.shape[1:]
    first_dim, second_dim, KH, KW = weight.shape
    OG, IG = OC // groups, IC // groups
    by_first, by_second = second_dim * KH * KW * item, KH * KW * item
    weight_row, weight_plane = (by_second, by_first) if backwards else (by_first, by_second)
    # Of both dimensions: neighbouring pixels of one phase lie `phases` apart, and what they read `moves` apart.
    phases, moves = (stride, (1, 1)) if backwards else ((1, 1), stride)
    if groups > 1 and second_dim == 1:
        depthwise(team, out, source, weight, bias_at, extra_at, floor, stride, pad, dilation, phases, moves, backwards)
        return

    lanes = width(out)
    NR = NV * lanes
    parts = team[1]
    grid_h, grid_w = ceil_div(OH, phases[0]), ceil_div(OW, phases[1])  # pixels of a phase
    most = min(BLOCK, max(FEW, ceil_div(N * grid_h * grid_w, parts)))
    cols_most = even_parts(grid_w, most)
    rows_most = even_parts(grid_h, most // cols_most)
    area = cols_most * rows_most
    unused = ceil_div(area, lanes) * lanes - area  # lanes of the last register
    kws_most, khs_most = min(KW, TAPS), min(KH, TAPS // max(1, min(KW, TAPS)))
    span = ceil_div(dilation[0], phases[0])  # rows from one place in the kernel to the next
    copies = _copies(kws_most, dilation[1], phases[1])

    # Where rows of pixels fill registers, all columns of the kernel read the same copy of them, a register of zeros between rows.
    first_col = shift_of(0 * KW, stride[1], pad[1], dilation[1], backwards)[0]
    last_col = shift_of(KW - 1, stride[1], pad[1], dilation[1], backwards)[0]
    alike = phases[0] * phases[1] * moves[0] * moves[1] == 1 and W == OW and OW % lanes == 0 and cols_most == OW and KW <= TAPS
    alike = alike and KW > 1 and max(abs(first_col), abs(last_col)) <= lanes
    gap = lanes if alike else 0 * lanes
    # Small images are worked on together: one behind the other if each fills registers, else row by row.
    entire = area == grid_h * grid_w
    stacked = entire and unused == 0 and area <= 2 * NR and not alike
    images_most = even_parts(N, most // area) if stacked or (entire and 8 * unused > area) else 1
    if stacked:
        image_bytes = copies * (rows_most * moves[0] + (KH - 1) * span) * cols_most * item
        images_most = even_parts(N, min(images_most, PIXEL_BYTES // max(1, IG * image_bytes)))
    direct = images_most == 1 or stacked  # results go where they belong
    direct = direct and phases[0] * phases[1] == 1 and (cols_most == OW or rows_most == 1)
    together = phases[1] if phases[1] <= 2 else 1  # phases whose results are put side by side
    if alike or (images_most == 1 and phases[0] * phases[1] > 1):  # a block may stay in the innermost cache, or for all phases
        line = IG * (OW + gap if alike else copies * cols_most) * item
        near = (NEAR_BYTES if alike else PIXEL_BYTES) // max(1, line) - (KH - 1) * span
        rows_most = even_parts(grid_h, min(rows_most, near if near >= 4 * (KH - 1) * span else rows_most))
        area = rows_most * cols_most
    sum_row = ceil_div(images_most * area, NR) * NR * item

    line = (images_most * cols_most + gap) * item
    while khs_most > 1 and (rows_most * moves[0] + khs_most * span) * line > PIXEL_BYTES // 2:
        khs_most = khs_most // 2
    copy = (rows_most * moves[0] + (khs_most - 1) * span) * line + ROW
    kws_most = kws_most if alike else max(1, min(kws_most, PIXEL_BYTES // copy))
    copies = 1 if alike else _copies(kws_most, dilation[1], phases[1])
    # A kernel of one place reads pixels where they are, if no register reads beyond them.
    in_place = direct and KH * KW == 1 and moves[0] * moves[1] == 1 and pad[0] + pad[1] == 0
    in_place = in_place and W == OW and H >= OH and rows_most * OW % lanes == 0 and OH * OW % lanes == 0 and cols_most == OW
    channels_most = IG if in_place else even_parts(IG, PIXEL_BYTES // (copies * copy))
    # Of a kernel in several parts, which depend on the number of workers, sums keep the order of channels, rows and columns.
    khs_most = khs_most if kws_most == KW else 1
    channels_most = channels_most if khs_most * kws_most == KH * KW else 1

    # The last pixels of a single small image, which is a block for any number of workers.
    few = area % lanes
    whole = direct and not in_place and not backwards and N == 1 and area == OH * OW and area <= FEW and khs_most == KH and kws_most == KW
    if not whole or few > TAPS_AT_ONCE or few * IG * KH * KW * item + TABLE > SUM_BYTES:
        few = 0

    blocks_w, blocks_h, blocks_n = ceil_div(grid_w, cols_most), ceil_div(grid_h, rows_most), ceil_div(N, images_most)
    blocks = blocks_n * blocks_h * blocks_w * groups
    outs_most = even_parts(OG, OG if blocks % parts == 0 or blocks > 4 * parts else OG // parts)
    if not direct:
        outs_most = even_parts(outs_most, SUM_BYTES // (together * sum_row))
    outs_parts, steps_w = ceil_div(OG, outs_most), phases[1] // together
    along = stride[1], pad[1], dilation[1]
    pixels, sums, zeros, taps = pixel_rows(), sum_rows(), zero_row(), tap_table()
    for i in range(MOST_ROWS):
        poke(zeros + i * item, zero)

    filled, pixels_at, zeros_at = -1, pixels, -1
    start, stop = share(team, blocks * phases[0] * steps_w * outs_parts)
    for unit in range(start, stop):
        turn, o = unit // outs_parts, unit % outs_parts * outs_most
        phase_h, phase_w = turn // steps_w % phases[0], turn % steps_w * together
        turn //= steps_w * phases[0]
        group, block = turn % groups, turn // groups
        left, top = block % blocks_w * cols_most, block // blocks_w % blocks_h * rows_most
        image = block // (blocks_w * blocks_h) * images_most
        images, rows, cols = min(images_most, N - image), min(rows_most, grid_h - top), min(cols_most, grid_w - left)
        outs, count, pitch = min(outs_most, OG - o), images * rows * cols, ((1 if stacked else images) * cols + gap) * item
        out_channel = group * OG + o
        out_shift = (((image * OC + out_channel) * OH + top * phases[0] + phase_h) * OW + left * phases[1] + phase_w) * item
        out_row, out_image = OH * OW * item, OC * OH * OW * item
        weights = address(weight) + group * (first_dim // groups) * by_first + o * weight_row
        for channel in range(0, IG, channels_most):
            channels = min(channels_most, IG - channel)
            source_at = address(source) + (image * IC + group * IG + channel) * H * W * item
            for kh in range(0, KH, khs_most):
                khs = min(khs_most, KH - kh)
                first_shift = shift_of(kh, stride[0], pad[0], dilation[0], backwards)[0]
                last_shift = shift_of(kh + khs - 1, stride[0], pad[0], dilation[0], backwards)[0]
                low, high = min(first_shift, last_shift), max(first_shift, last_shift)
                classes, rows_all = min(moves[0], high - low + 1), rows + (high - low) // moves[0]
                image_step = classes * rows_all * pitch if stacked else cols * item
                copy = ceil_div(image_step * images if stacked else classes * rows_all * pitch, ROW) * ROW
                for kw in range(0, KW, kws_most):
                    kws = min(kws_most, KW - kw)
                    plane = (1 if alike else _copies(kws, dilation[1], phases[1])) * copy
                    place = ((turn * IG + channel) * KH + kh) * KW + kw
                    if in_place:
                        pixels_at, plane, image_step = source_at + top * W * item, H * W * item, IC * H * W * item
                    elif filled != place:
                        filled = place
                        if alike:
                            zeros_at = spread_in_rows(pixels, plane, pitch, channels, rows_all, cols, source_at, H, top + low, item,
                                                      zeros_at, zero)  # fmt: skip
                        else:
                            spread(pixels, (plane, copy, image_step, pitch), source_at, item, H, W, IC, images, channels,
                                   top * moves[0] + low, rows_all, left, cols, kw, kws, moves, classes, along, backwards, zero)  # fmt: skip
                    begins = channel + kh + kw == 0
                    # How many pixels lie side by side, and what lies between them and the next ones, here and in the result.
                    piece = cols if alike else area if stacked else count
                    skip = gap * item if alike else image_step - area * item if stacked else 0 * count
                    out_skip = out_image - area * item if stacked and direct else 0 * count
                    ends = channel + channels == IG and kh + khs == KH and kw + kws == KW
                    for phase in range(together):
                        own = phase_h, phase_w + phase
                        depth = _list_taps(taps, kh, khs, KW, kw, kws, own, low, rows_all, 0 * copy if alike else copy, pitch, moves[0],
                                           stride, pad, dilation, backwards, item)  # fmt: skip
                        weights_at, from_at = weights + channel * weight_plane + peek(taps, depth), pixels_at + peek(taps + 8, depth)
                        if few > 0:
                            _copy_columns(sums, pixels_at + (count - few) * item, plane, taps, depth, channels, few, item, zero)
                        _chain(taps, depth, weight_plane, plane)
                        r = 0
                        while r < outs:
                            height = (outs - r - 1) // ceil_div(outs - r, MOST_ROWS) + 1  # tiles of nearly equal height
                            bias = 0 * r if not begins else bias_at + (out_channel + r) * item if bias_at != 0 else zeros
                            to, to_row = sums + (phase * outs_most + r) * sum_row, sum_row
                            beside, least = 0 * r, lowest
                            if direct:
                                to, to_row = address(out) + out_shift + r * out_row, out_row
                                if ends:
                                    beside, least = extra_at + out_shift + r * out_row if extra_at != 0 else 0 * r, floor
                            rows_at, tap_steps = weights_at + r * weight_row, depth * channels
                            for p in range(0, count - few, NR):
                                wide, before = min(NR, count - few - p), p // piece
                                between = (p + lanes) // piece - before
                                source_place, apart = from_at + p * item + before * skip, VECTOR + between * skip
                                at, to_apart = p * item + before * out_skip, VECTOR + between * out_skip
                                near = beside + at * (beside != 0)
                                if direct and wide % lanes != 0:
                                    _edge_tile(to + at, to_row, rows_at, weight_row, source_place, taps, depth, tap_steps, bias, near,
                                               height, wide, least, lowest)  # fmt: skip
                                else:
                                    tap_tile(to + at, to_row, to_apart, rows_at, weight_row, source_place, apart, taps, depth, tap_steps,
                                             bias, near, height, wide, least)  # fmt: skip
                            if few > 0:
                                at = (count - few) * item
                                near = beside + at * (beside != 0)
                                _last_pixels(to + at, to_row, rows_at, weight_row, sums, tap_steps, bias, near, height, few, least, item)
                            r += height
        for r in range(0 if direct else outs):
            for n in range(images):
                from_at = sums + r * sum_row + n * (rows if stacked else 1) * cols * item
                shift = out_shift + r * out_row + n * out_image
                beside = extra_at + shift if extra_at != 0 else 0 * r
                other = from_at + outs_most * sum_row if together > 1 else 0 * r
                down = min(rows, ceil_div(OH - phase_h, phases[0]) - top)
                across = min(cols * together, ceil_div(OW - left * phases[1] - phase_w, phases[1] // together))
                settle_rows(address(out) + shift, phases[0] * OW * item, phases[1] // together, from_at,
                            (1 if stacked else images) * cols * item, other, down, across, beside, floor)  # fmt: skip


@by_hand
def conv2d(team, y, x, weight, bias, extra, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, epilogue):
    stride, pad, dilation = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    beside = address(extra) if epilogue in (ADD, ADD_RELU) else 0 * epilogue
    least = y.dtype.type(0 if epilogue in (RELU, ADD_RELU) else -math.inf)
    _convolve(team, y, x, weight, address(bias), beside, least, stride, pad, dilation, groups, False)


@by_hand
def conv2d_input_grad(team, dx, dy, weight, extra, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, epilogue):
    stride, pad, dilation = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    beside = address(extra) if epilogue in (ADD, ADD_RELU) else 0 * epilogue
    least = dx.dtype.type(0 if epilogue in (RELU, ADD_RELU) else -math.inf)
    _convolve(team, dx, dy, weight, 0, beside, least, stride, pad, dilation, groups, True)


@by_hand
def conv2d_weight_grad(team, dweight, dy, x, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups):
    stride, pad, dilation = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    if groups > 1 and dweight.shape[1] == 1:
        depthwise_weight_grad(team, dweight, dy, x, stride, pad, dilation)
        return
    O, IG, KH, KW = dweight.shape
    reach = (KH - 1) * dilation_h, (KW - 1) * dilation_w
    if has_windows_inside(width(dweight), O // groups, (KH, KW), x.shape[2:], dy.shape[2:], stride, pad, dilation):
        windowed_weight_grad(team, dweight, dy, x, stride, groups)
    elif suits(width(dweight), O // groups, IG, KH * KW, x.shape[2:], dy.shape[2:], reach, stride_h * stride_w):
        shifted_weight_grad(team, dweight, dy, x, pad, dilation, groups)
    else:
        weight_grad(team, dweight, dy, x, stride, pad, dilation, groups)
