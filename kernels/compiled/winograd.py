"""Winograd's convolutions: a product of channels for each of 16 places in a tile, between transforms that stay in the caches.

The tiles of all images are one long row, of which workers share out registers of neighbours. As many as fill a row of the micro-kernel of
`_places` are transformed at a time, multiplied by the weights of some channels of the result, and transformed back at once.

For the gradient of the weight, both images are transformed with neighbouring channels side by side, some tiles of some panels at a time.
"""

import math

from .._blocks import ceil_div, even_parts, transpose
from .._compiler import by_hand, subroutine
from .._host import NV
from .._memory import address, poke, stack_buffer
from .._pixels import spread_rows
from .._places import PLACES, place_tile
from .._shares import share
from .._simd import width
from .._taps import MOST_ROWS
from .._winograd import (
    CENTRE,
    TAPS,
    channels_of_gradients,
    channels_of_pixels,
    pixels_of_tiles,
    taps_of_tiles,
    tiles_of_pixels,
    tiles_of_weights,
)
from ..reference._finish import EPILOGUES
from ._spread import PIXEL_BYTES, ROW, VECTOR

RELU, ADD, ADD_RELU = (EPILOGUES.index(name) for name in ("relu", "add", "add_relu"))
WEIGHTS = 64  # kernels that are transformed at a time
GAP = VECTOR  # bytes between places of a tile, or else all of them would lie in the same few lines of a cache
MOST_CHANNELS = PIXEL_BYTES // (PLACES * ROW)  # that are transformed at a time

# The gradient of the weight: tiles at a time, and panels of channels of either image whose products are summed up meanwhile.
TILES, PANELS = 64, 2
LEAST_CHANNELS = 4  # of the image that are one worker's: fewer leave most of a tile of sums empty
PLANE = TILES * ROW + GAP  # of a panel

pixel_tiles = stack_buffer(PIXEL_BYTES + PLACES * GAP)
products = stack_buffer(PLACES * MOST_ROWS * ROW)
first_sums = stack_buffer(PLACES * MOST_ROWS * 8)
weight_rows = stack_buffer(TAPS * WEIGHTS * 8)
dense_rows = stack_buffer(8 * (TILES + 1) * ROW)
pixel_panels = stack_buffer((PANELS + 1) * PLACES * PLANE)  # shares of workers may begin and end within a register
gradient_panels = stack_buffer(PANELS * PLACES * PLANE)
place_sums = stack_buffer(PLACES * PANELS * PANELS * ROW * ROW // 4)
tap_rows = stack_buffer(TAPS * ROW * ROW // 4)


@by_hand
def winograd_weight(team, u, weight):
    O, I = weight.shape[:2]
    item, kernel, row = u.itemsize, TAPS * u.itemsize, WEIGHTS * u.itemsize
    rows, zero = weight_rows(), u.dtype.type(0)
    start, stop = share(team, O)
    for o in range(start, stop):
        for c in range(0, I, WEIGHTS):
            count = min(WEIGHTS, I - c)
            transpose(rows, row, address(weight) + (o * I + c) * kernel, kernel, TAPS, count, zero)
            tiles_of_weights(address(u) + (o * I + c) * item, O * I * item, rows, row, count, zero)


@by_hand
def winograd_weight_back(team, u, weight):
    O, I = weight.shape[:2]
    item, kernel, row = u.itemsize, TAPS * u.itemsize, WEIGHTS * u.itemsize
    rows, zero = weight_rows(), u.dtype.type(0)
    start, stop = share(team, I)
    for c in range(start, stop):
        for o in range(0, O, WEIGHTS):
            count = min(WEIGHTS, O - o)
            transpose(rows, row, address(weight) + (o * I + c) * kernel, I * kernel, TAPS, count, zero)
            last = rows + (TAPS - 1) * row
            tiles_of_weights(address(u) + (c * O + o) * item, O * I * item, last, -row, count, zero)


@subroutine
def _transform(target, plane, first, count, channels, grid, source, size, images_apart, pad, item, like):
    """Pixels of some channels, transformed, for `count` tiles from the first one on; grid: rows and columns of tiles of an image."""
    TH, TW = grid
    H, W = size
    done = 0 * count
    while done < count:
        tile = first + done
        j = tile % TW
        together = min(TW - j, count - done)
        image = source + tile // (TH * TW) * images_apart
        top, left = tile // TW % TH * 2 - pad[0], j * 2 - pad[1]
        tiles_of_pixels(target + done * item, plane, ROW, channels, image, H * W * item, H, W, top, left, together, ROW // item - done,
                        like)  # fmt: skip
        done += together


@subroutine
def _transform_back(target, size, images_apart, first, count, outs, grid, sums, extra, item, floor):
    """The results of `count` tiles from the first one on, for some channels."""
    TH, TW = grid
    H, W = size
    done = 0 * count
    while done < count:
        tile = first + done
        j = tile % TW
        together = min(TW - j, count - done)
        shift = tile // (TH * TW) * images_apart
        beside = extra + shift if extra != 0 else 0 * extra
        pixels_of_tiles(target + shift, H * W * item, outs, H, W, tile // TW % TH * 2, j * 2, sums + done * item, MOST_ROWS * ROW, ROW,
                        together, beside, floor)  # fmt: skip
        done += together


@by_hand
def winograd_conv2d(team, y, x, u, bias, extra, pad_h, pad_w, epilogue):
    zero = y.dtype.type(0)
    extra_at = address(extra) if epilogue in (ADD, ADD_RELU) else 0 * epilogue
    floor = y.dtype.type(0 if epilogue in (RELU, ADD_RELU) else -math.inf)
    item, lanes = y.itemsize, width(y)
    N, O, OH, OW = y.shape
    I, H, W = x.shape[1:]
    grid, size, out_size, pad = (ceil_div(OH, 2), ceil_div(OW, 2)), (H, W), (OH, OW), (pad_h, pad_w)
    tiles = N * grid[0] * grid[1]
    NR = NV * lanes

    start, stop = share(team, ceil_div(tiles, lanes))
    start, stop = start * lanes, min(stop * lanes, tiles)
    channels_most = even_parts(I, MOST_CHANNELS)
    plane = channels_most * ROW + GAP
    pixels, sums, starts = pixel_tiles(), products(), first_sums()
    for i in range(PLACES * MOST_ROWS):
        poke(starts + i * item, zero)
    for first in range(start, stop, NR):
        count, filled = min(NR, stop - first), -1
        r = 0
        while r < O:
            height = (O - r - 1) // ceil_div(O - r, MOST_ROWS) + 1  # tiles of nearly equal height
            for i in range(height):
                poke(starts + (CENTRE * MOST_ROWS + i) * item, bias[r + i])
            for channel in range(0, I, channels_most):
                channels = min(channels_most, I - channel)
                if filled != channel:
                    filled = channel
                    source = address(x) + channel * H * W * item
                    _transform(pixels, plane, first, count, channels, grid, source, size, I * H * W * item, pad, item, zero)
                place_tile(sums, ROW, MOST_ROWS * ROW, address(u) + (r * I + channel) * item, I * item, O * I * item, item, pixels,
                           plane, starts if channel == 0 else 0 * starts, channels, height, count, zero)  # fmt: skip
            shift = r * OH * OW * item
            _transform_back(address(y) + shift, out_size, O * OH * OW * item, first, count, height, grid, sums,
                            extra_at + shift if extra_at != 0 else 0 * extra_at, item, floor)  # fmt: skip
            r += height


@subroutine
def _zeros(target, count, like):
    """`count` zeros in a row."""
    spread_rows(target, 0, 0, 1, 1, count, target, 0, 0, 0, 1, 0, 1, like)


@subroutine
def _dense(target, line, lines, pixels, source, size, top, left, channels, item, like):
    """Lines of pixels of some channels, which come to lie side by side; 0 outside the image."""
    H, W = size
    for k in range(lines):
        row, to = top + k, target + k * line
        low, high = min(max(0, -left), pixels), max(0, min(pixels, W - left))
        if row < 0 or row >= H or low >= high:
            low, high = pixels, pixels
        if low > 0:
            _zeros(to, low * ROW // item, like)
        if high > low:
            transpose(to + low * ROW, ROW, source + (row * W + left + low) * item, H * W * item, high - low, channels, like)
        if high < pixels:
            _zeros(to + high * ROW, (pixels - high) * ROW // item, like)


@by_hand
def winograd_conv2d_weight_grad(team, dweight, dy, x, pad_h, pad_w):
    zero, item, lanes, parts = dweight.dtype.type(0), dweight.itemsize, width(dweight), team[1]
    O, I = dweight.shape[:2]
    N, _, H, W = x.shape
    OH, OW = dy.shape[2:]
    size, out_size = (H, W), (OH, OW)
    TH, TW = ceil_div(OH, 2), ceil_div(OW, 2)
    NR = NV * lanes

    # The order of every sum follows from the blocks of tiles, so these must not depend on the number of workers.
    cols_most = even_parts(TW, TILES)
    rows_most = even_parts(TH, TILES // cols_most)
    images_most = TILES // (rows_most * cols_most) if rows_most == TH and cols_most == TW else 1
    shares = min(parts, I // LEAST_CHANNELS)
    outs_most = even_parts(ceil_div(O, NR), PANELS if shares == parts else 1) * NR
    blocks_o, blocks_c = ceil_div(O, outs_most), ceil_div(I, PANELS * NR)
    if shares > 1 and blocks_o * blocks_c % parts != 0:
        blocks_c = ceil_div(blocks_c, shares) * shares
    channels_most = even_parts(I, ceil_div(I, max(1, blocks_c)))
    blocks_c = ceil_div(I, channels_most)
    panel_sums = channels_most * ROW
    place = outs_most // NR * panel_sums

    dense, pixels, gradients, sums, taps = dense_rows(), pixel_panels(), gradient_panels(), place_sums(), tap_rows()
    start, stop = share(team, blocks_o * blocks_c)
    for unit in range(start, stop):
        channel, o = unit % blocks_c * channels_most, unit // blocks_c * outs_most
        channels, outs = min(channels_most, I - channel), min(outs_most, O - o)
        first = channel // lanes * lanes  # registers are filled even where several workers share them
        behind = min(ceil_div(channel + channels, lanes) * lanes, I)
        _zeros(sums, PLACES * place // item, zero)
        for image in range(0, N, images_most):
            images = min(images_most, N - image)
            for top in range(0, TH, rows_most):
                rows = min(rows_most, TH - top)
                for left in range(0, TW, cols_most):
                    cols = min(cols_most, TW - left)
                    line = (2 * cols + 2) * ROW
                    for n in range(images):
                        shift = n * rows * cols * ROW
                        for c in range(first, behind, NR):
                            wide, to = min(NR, behind - c), pixels + (c - first) // NR * PLACES * PLANE + shift
                            _dense(dense, line, 2 * rows + 2, 2 * cols + 2, address(x) + ((image + n) * I + c) * H * W * item, size,
                                   2 * top - pad_h, 2 * left - pad_w, wide, item, zero)  # fmt: skip
                            channels_of_pixels(to, PLANE, dense, line, rows, cols, ceil_div(wide, lanes), zero)
                        for c in range(0, outs, NR):
                            wide, to = min(NR, outs - c), gradients + c // NR * PLACES * PLANE + shift
                            _dense(dense, line, 2 * rows, 2 * cols, address(dy) + ((image + n) * O + o + c) * OH * OW * item, out_size,
                                   2 * top, 2 * left, wide, item, zero)  # fmt: skip
                            channels_of_gradients(to, PLANE, dense, line, rows, cols, ceil_div(wide, lanes), zero)
                    for p in range(0, outs, NR):
                        from_at, to = gradients + p // NR * PLACES * PLANE, sums + p // NR * panel_sums
                        c = channel
                        while c < channel + channels:
                            within = (c - first) % NR
                            left_over = min(channel + channels - c, NR - within)
                            height = (left_over - 1) // ceil_div(left_over, MOST_ROWS) + 1  # tiles of nearly equal height
                            at = pixels + (c - first) // NR * PLACES * PLANE + within * item
                            place_tile(to + (c - channel) * ROW, ROW, place, at, item, PLANE, ROW, from_at, PLANE, 0, images * rows * cols,
                                       height, min(NR, outs - p), zero)  # fmt: skip
                            c += height
        for p in range(0, outs, NR):
            wide = min(NR, outs - p)
            for c in range(0, channels, NR):
                few = min(NR, channels - c)
                taps_of_tiles(taps, sums + p // NR * panel_sums + c * ROW, place, few, ceil_div(wide, lanes), zero)
                to = address(dweight) + ((o + p) * I + channel + c) * TAPS * item
                transpose(to, I * TAPS * item, taps, ROW, wide, few * TAPS, zero)
