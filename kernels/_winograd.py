"""The transforms of Winograd's convolutions: four results of a 3x3 kernel from 4x4 pixels, by 16 products in the place of 36.

F(2x2, 3x3) of Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1: Y = A' [(G g G') * (B' d B)] A, where

    B' = | 1  0 -1  0 |    G = | 1    0   0  |    A' = | 1  1  1  0 |
         | 0  1  1  0 |        | 1/2  1/2 1/2|         | 0  1 -1 -1 |
         | 0 -1  1  0 |        | 1/2 -1/2 1/2|
         | 0  1  0 -1 |        | 0    0   1  |

Neighbouring tiles of a row of the image lie in the lanes of a register. Products in place 5, of the second row and column, are part of
all four results with a factor of 1: sums that begin there from a bias carry it into each.

The gradient of the kernel, of F(3x3, 2x2), comes from the same 4x4 pixels and the 2x2 gradients g of the results, both in registers
of neighbouring channels: Y = A' [sum over tiles of (G g G') * (B' d B)] A with

    G = | 1  0 |    A' = | 1  1/2  1/2  0 |
        | 1  1 |         | 0  1/2 -1/2  0 |
        | 1 -1 |         | 0  1/2  1/2 -1 |
        | 0  1 |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._compiler import subroutine
from ._host import NV
from ._pixels import within
from ._simd import I64, LLVM_ITEMS, Mover, V, lanes_below, prefetch, shuffle, splat, where

SIDE = 4  # rows and columns of a tile of pixels
TAPS = 9
CENTRE = 5  # the place whose products are part of every result


def _inward(d: list[V]) -> list[V]:
    """B' d."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _outward(m: list[V]) -> list[V]:
    """A' m."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _kernel(g: list[V]) -> list[V]:
    """G g."""
    outer, middle = (g[0] + g[2]) * 0.5, g[1] * 0.5
    return [g[0], outer + middle, outer - middle, g[2]]


def _gradients(g: list[V]) -> list[V]:
    """G g of a kernel's gradient."""
    return [g[0], g[0] + g[1], g[0] - g[1], g[1]]


def _taps(m: list[V]) -> list[V]:
    """A' m of a kernel's gradient."""
    sum, difference = (m[1] + m[2]) * 0.5, (m[1] - m[2]) * 0.5
    return [m[0] + sum, difference, sum - m[3]]


def _both(transform: Callable[[list[V]], list[V]], square: list[list[V]]) -> list[list[V]]:
    """A transform of the rows of a square, then of its columns."""
    rows = [transform(row) for row in square]
    columns = [transform(list(column)) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


@intrinsic
def _tiles_of_pixels(typingctx: Any, target: Any, plane: Any, row: Any, channels: Any, source: Any, source_plane: Any, height: Any,
                     width: Any, top: Any, left: Any, count: Any, room: Any, like: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[like]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, plane, row, channels, source, source_plane, height, width, top, left, count, room, _ = values
        mover = Mover(b, item)
        lanes, bytes = mover.lanes, I64(mover.bytes)
        starts = [0, lanes, 2, 2 + lanes]  # of the registers of pixels whose even and odd lanes are the columns of tiles
        zeros = cgutils.alloca_once_value(b, ir.Constant(ir.ArrayType(item, starts[-1] + lanes), None))
        nowhere = b.ptrtoint(zeros, I64)
        places, steps = [], []
        for a in range(SIDE):
            here = b.add(top, I64(a))
            inside = b.icmp_unsigned("<", here, height)
            places.append((inside, b.add(source, b.mul(b.mul(here, width), bytes))))
            steps.append(b.select(inside, source_plane, I64(0)))

        def line_of(at: ir.Value, masks: list[ir.Value]) -> list[V]:
            """A row of the tiles: for each of their columns, neighbouring tiles."""
            near, far, next_near, next_far = (
                V(b, mover.load(b.add(at, I64(start * mover.bytes)), mask)) for start, mask in zip(starts, masks, strict=True)
            )
            evens, odds = list(range(0, 2 * lanes, 2)), list(range(1, 2 * lanes, 2))
            return [shuffle(*pair, order) for pair in ((near, far), (next_near, next_far)) for order in (evens, odds)]

        def chunk(j: ir.Value, existing: ir.Value | None) -> None:
            col = b.add(left, b.mul(I64(2), j))
            masks = [within(b, b.add(col, I64(start)), I64(1), width, lanes) for start in starts]
            lines = [b.select(inside, b.add(line, b.mul(col, bytes)), nowhere) for inside, line in places]
            to = b.add(target, b.mul(j, bytes))
            with cgutils.for_range(b, channels, intp=I64) as channel:
                pixels = [line_of(b.add(at, b.mul(channel.index, step)), masks) for at, step in zip(lines, steps, strict=True)]
                place = b.add(to, b.mul(channel.index, row))
                for at, step in list(zip(lines, steps, strict=True))[2:]:  # what the row of tiles below reads besides
                    prefetch(b, mover.at(b.add(at, b.add(b.mul(channel.index, step), b.mul(b.mul(I64(2), width), bytes))), item))
                for n, value in enumerate(x for line in _both(_inward, pixels) for x in line):
                    mover.store(value.value, b.add(place, b.mul(I64(n), plane)), existing)

        # Stores with a mask are slow: the last one has none where what it writes too much comes before what belongs there.
        whole = b.mul(b.sdiv(b.add(count, I64(lanes - 1)), I64(lanes)), I64(lanes))
        whole = b.select(b.icmp_signed("<=", whole, room), whole, b.mul(b.sdiv(count, I64(lanes)), I64(lanes)))
        with cgutils.for_range_slice(b, I64(0), whole, I64(lanes), I64) as (j, _):
            chunk(j, None)
        with b.if_then(b.icmp_signed("<", whole, count)):
            chunk(whole, lanes_below(b, b.sub(count, whole), lanes))
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 12, like), emit


@intrinsic
def _pixels_of_tiles(typingctx: Any, target: Any, target_plane: Any, outs: Any, height: Any, width: Any, top: Any, left: Any, source: Any,
                     plane: Any, row: Any, count: Any, extra: Any, floor: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[floor]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_plane, outs, height, width, top, left, source, plane, row, count, extra, floor = values
        mover = Mover(b, item)
        lanes, bytes = mover.lanes, I64(mover.bytes)
        low = V(b, splat(b, floor, lanes))
        first = b.mul(b.add(b.mul(top, width), left), bytes)
        second = b.icmp_signed("<", b.add(top, I64(1)), height)
        left_over, pixels = b.sub(width, left), b.mul(I64(2), count)
        existing = b.select(b.icmp_signed("<", left_over, pixels), left_over, pixels)
        beside = b.icmp_signed("!=", extra, I64(0))

        def put(value: V, place: ir.Value, mask: ir.Value | None) -> None:
            before = b.block
            with b.if_then(beside):
                more = b.fadd(value.value, mover.load(b.add(extra, place), mask))
                after = b.block
            total = b.phi(value.type)
            total.add_incoming(value.value, before)
            total.add_incoming(more, after)
            mover.store(where(low > V(b, total), low, V(b, total)).value, b.add(target, place), mask)

        def line(results: list[V], place: ir.Value, here: ir.Value) -> None:
            """A row of `here` results, whose even and odd columns these are."""
            for part in range(2):
                order = [(part * lanes + k) // 2 + k % 2 * lanes for k in range(lanes)]
                value, at = shuffle(*results, order), b.add(place, I64(part * lanes * mover.bytes))
                rest = b.sub(here, I64(part * lanes))
                with b.if_else(b.icmp_signed(">=", rest, I64(lanes))) as (full, cut):
                    with full:
                        put(value, at, None)
                    with cut, b.if_then(b.icmp_signed(">", rest, I64(0))):
                        put(value, at, lanes_below(b, rest, lanes))

        with cgutils.for_range_slice(b, I64(0), count, I64(lanes), I64) as (j, _):
            here = b.sub(existing, b.mul(I64(2), j))
            with cgutils.for_range(b, outs, intp=I64) as out:
                at = b.add(b.add(source, b.mul(j, bytes)), b.mul(out.index, row))
                products = [[V(b, mover.load(b.add(at, b.mul(I64(SIDE * k + l), plane)))) for l in range(SIDE)] for k in range(SIDE)]
                place = b.add(b.add(first, b.mul(b.mul(I64(2), j), bytes)), b.mul(out.index, target_plane))
                upper, lower = _both(_outward, products)
                line(upper, place, here)
                with b.if_then(second):
                    line(lower, b.add(place, b.mul(width, bytes)), here)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 12, floor), emit


@intrinsic
def _tiles_of_weights(typingctx: Any, target: Any, plane: Any, source: Any, step: Any, count: Any, like: Any) -> Any:
    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, plane, source, step, count, _ = values
        mover = Mover(b, LLVM_ITEMS[like])

        def chunk(j: ir.Value, existing: ir.Value | None) -> None:
            shift = b.mul(j, I64(mover.bytes))
            at = b.add(source, shift)
            taps = [[V(b, mover.load(b.add(at, b.mul(I64(3 * k + l), step)), existing)) for l in range(3)] for k in range(3)]
            for n, value in enumerate(x for line in _both(_kernel, taps) for x in line):
                mover.store(value.value, b.add(b.add(target, shift), b.mul(I64(n), plane)), existing)

        mover.over(count, chunk)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 5, like), emit


def _channel_tiles(side: int, transform: Callable[[list[V]], list[V]]) -> Any:
    """The transform of squares of `side` pixels that begin at every other pixel, registers holding neighbouring channels."""

    @intrinsic
    def tiles(typingctx: Any, target: Any, plane: Any, source: Any, line: Any, rows: Any, cols: Any, vectors: Any, like: Any) -> Any:
        def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            target, plane, source, line, rows, cols, vectors, _ = values
            mover = Mover(b, LLVM_ITEMS[like])
            step = mover.lanes * mover.bytes
            row = NV * step
            with cgutils.for_range(b, rows, intp=I64) as i, cgutils.for_range(b, cols, intp=I64) as j:
                to = b.add(target, b.mul(b.add(b.mul(i.index, cols), j.index), I64(row)))
                at = b.add(source, b.add(b.mul(b.mul(i.index, I64(2)), line), b.mul(j.index, I64(2 * row))))
                with cgutils.for_range(b, vectors, intp=I64) as vector:
                    shift = b.mul(vector.index, I64(step))
                    lines = [b.add(b.add(at, shift), b.mul(I64(k), line)) for k in range(side)]
                    square = [[V(b, mover.load(b.add(here, I64(l * row)))) for l in range(side)] for here in lines]
                    for n, value in enumerate(x for line in _both(transform, square) for x in line):
                        mover.store(value.value, b.add(b.add(to, shift), b.mul(I64(n), plane)), None)
            return context.get_dummy_value()

        return signature(types.none, *[types.int64] * 7, like), emit

    return tiles


_channels_of_pixels = _channel_tiles(SIDE, _inward)
_channels_of_gradients = _channel_tiles(2, _gradients)


@intrinsic
def _taps_of_tiles(typingctx: Any, target: Any, source: Any, plane: Any, channels: Any, vectors: Any, like: Any) -> Any:
    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, source, plane, channels, vectors, _ = values
        mover = Mover(b, LLVM_ITEMS[like])
        step = mover.lanes * mover.bytes
        row = NV * step
        with cgutils.for_range(b, channels, intp=I64) as channel, cgutils.for_range(b, vectors, intp=I64) as vector:
            shift = b.mul(vector.index, I64(step))
            at = b.add(b.add(source, shift), b.mul(channel.index, I64(row)))
            to = b.add(b.add(target, shift), b.mul(channel.index, I64(TAPS * row)))
            products = [[V(b, mover.load(b.add(at, b.mul(I64(SIDE * k + l), plane)))) for l in range(SIDE)] for k in range(SIDE)]
            for n, value in enumerate(x for line in _both(_taps, products) for x in line):
                mover.store(value.value, b.add(to, I64(n * row)), None)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 5, like), emit


@subroutine
def tiles_of_pixels(target, plane, row, channels, source, source_plane, height, width, top, left, count, room, like):
    """target[p, c, t] = (B' d B)[p] of the 4x4 pixels d of channel c from row `top`, column left + 2 t on, for t < count.

    Addresses and strides in bytes: `plane` from place to place, `row` from channel to channel of the target. Pixels beyond the edges of
    the source (height, width) are 0. room: how many items from the first one on are not yet written, or the caller's no more.
    """
    _tiles_of_pixels(target, plane, row, channels, source, source_plane, height, width, top, left, count, room, like)


@subroutine
def pixels_of_tiles(target, target_plane, outs, height, width, top, left, source, plane, row, count, extra, floor):
    """max(floor, A' m A + extra) of the products m = source[:, o, t], for t < count, at row `top`, column left + 2 t of channel o < outs.

    Addresses and strides in bytes. Results beyond the edges of the target (height, width) are left out. extra: address of what lies as
    the target, or 0.
    """
    _pixels_of_tiles(target, target_plane, outs, height, width, top, left, source, plane, row, count, extra, floor)


@subroutine
def tiles_of_weights(target, plane, source, step, count, like):
    """target[p, j] = (G g G')[p] of the kernels g whose nine weights are source[:, j], for j < count; strides in bytes."""
    _tiles_of_weights(target, plane, source, step, count, like)


@subroutine
def channels_of_pixels(target, plane, source, line, rows, cols, vectors, like):
    """target[p, t] = (B' d B)[p] of the 4x4 pixels d of tile t of rows x cols, channels side by side in NV registers, `vectors` in use.

    Addresses and strides in bytes: `plane` from place to place, `line` from row to row of the source, whose pixels lie as the tiles do.
    """
    _channels_of_pixels(target, plane, source, line, rows, cols, vectors, like)


@subroutine
def channels_of_gradients(target, plane, source, line, rows, cols, vectors, like):
    """target[p, t] = (G g G')[p] of the 2x2 gradients g of tile t, laid out as the pixels of `channels_of_pixels`."""
    _channels_of_gradients(target, plane, source, line, rows, cols, vectors, like)


@subroutine
def taps_of_tiles(target, source, plane, channels, vectors, like):
    """target[c, n] = (A' m A)[n] of the products m = source[:, c], nine taps for each channel; rows of NV registers, `vectors` in use."""
    _taps_of_tiles(target, source, plane, channels, vectors, like)
