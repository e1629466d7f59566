"""Winograd's convolutions: a product of channels for each of 16 places in a tile, between transforms that stay in the caches.

The tiles of all images are one long row, of which workers share out registers of neighbours. As many as fill a row of the micro-kernel of
`_places` are transformed at a time, multiplied by the weights of some channels of the result, and transformed back at once.
"""

import math

from .._blocks import ceil_div, even_parts, transpose
from .._compiler import by_hand, subroutine
from .._host import NV
from .._memory import address, poke, stack_buffer
from .._places import PLACES, place_tile
from .._shares import share
from .._simd import width
from .._taps import MOST_ROWS
from .._winograd import CENTRE, pixels_of_tiles, tiles_of_pixels, tiles_of_weights
from ..reference._finish import EPILOGUES
from ._spread import PIXEL_BYTES, ROW, VECTOR

RELU, ADD, ADD_RELU = (EPILOGUES.index(name) for name in ("relu", "add", "add_relu"))
WEIGHTS = 64  # kernels that are transformed at a time
TAPS = 9
GAP = VECTOR  # bytes between places of a tile, or else all of them would lie in the same few lines of a cache
MOST_CHANNELS = PIXEL_BYTES // (PLACES * ROW)  # that are transformed at a time

pixel_tiles = stack_buffer(PIXEL_BYTES + PLACES * GAP)
products = stack_buffer(PLACES * MOST_ROWS * ROW)
first_sums = stack_buffer(PLACES * MOST_ROWS * 8)
weight_rows = stack_buffer(TAPS * WEIGHTS * 8)


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
                place_tile(sums, ROW, MOST_ROWS * ROW, address(u) + (r * I + channel) * item, I * item, O * I * item, pixels, plane,
                           starts if channel == 0 else 0 * starts, channels, height, count, zero)  # fmt: skip
            shift = r * OH * OW * item
            _transform_back(address(y) + shift, out_size, O * OH * OW * item, first, count, height, grid, sums,
                            extra_at + shift if extra_at != 0 else 0 * extra_at, item, floor)  # fmt: skip
            r += height
