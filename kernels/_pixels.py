"""Pixels in and out of a convolution's working memory: shifted rows with zeros around the image, and results put in their places."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._compiler import subroutine
from ._simd import I32, I64, LLVM_ITEMS, Mover, V, constant, gather, lanewise, shuffle, splat, where

USUAL_COLUMNS = 3  # of a window of ResNet's, for which code is straight


def within(b: ir.IRBuilder, first: ir.Value, step: ir.Value, size: ir.Value, lanes: int) -> ir.Value:
    """In which lanes first + lane step is one of `size` positions."""
    order = ir.Constant(ir.VectorType(I32, lanes), [I32(i) for i in range(lanes)])
    start, step, size = (splat(b, b.trunc(value, I32), lanes) for value in (first, step, size))
    return b.icmp_unsigned("<", b.add(start, b.mul(order, step)), size)


class _Mover(Mover):
    """Emits moves of registers of pixels."""

    def offset(self, base: ir.Value, index: ir.Value) -> ir.Value:
        """The address of item `index`."""
        return self.b.add(base, self.b.mul(index, I64(self.bytes)))

    def read(self, line: ir.Value, first: ir.Value, step: ir.Value, width: ir.Value, known: int) -> Callable[[ir.Value], ir.Value]:
        """Reads items `step` apart, from `first` on, of any line of `width` items that lies a number of bytes behind `line`.

        known: 1 or 2 where the step is that, and 0 for any.
        """
        b = self.b
        base = self.offset(line, first)
        if not known:
            order = ir.Constant(ir.VectorType(I64, self.lanes), [I64(i) for i in range(self.lanes)])
            shifts = b.mul(order, splat(b, b.mul(step, I64(self.bytes)), self.lanes))
            mask = within(b, first, step, width, self.lanes)

            def gathered(shift: ir.Value) -> ir.Value:
                places = b.add(splat(b, b.add(base, shift), self.lanes), shifts)
                pointers = b.inttoptr(places, ir.VectorType(self.item.as_pointer(), self.lanes))
                return gather(b, pointers, mask, self.nothing).value

            return gathered
        masks = [within(b, b.add(first, I64(k * self.lanes)), I64(1), width, self.lanes) for k in range(known)]

        def strided(shift: ir.Value) -> ir.Value:
            starts = [b.add(b.add(base, shift), I64(k * self.lanes * self.bytes)) for k in range(known)]
            registers = [V(b, self.load(at, mask)) for at, mask in zip(starts, masks, strict=True)]
            return registers[0].value if known == 1 else shuffle(*registers, list(range(0, 2 * self.lanes, 2))).value

        return strided

    def for_step(self, step: ir.Value, body: Callable[[int], None]) -> None:
        """Call `body` for a step of 1, of 2 and of anything else (0), each in a branch of its own."""
        b = self.b
        blocks = {known: b.append_basic_block(f"step_{known}") for known in (0, 1, 2)}
        done = b.append_basic_block("steps_done")
        switch = b.switch(step, blocks[0])
        for known, block in blocks.items():
            if known:
                switch.add_case(I64(known), block)
            b.position_at_end(block)
            body(known)
            b.branch(done)
        b.position_at_end(done)


@intrinsic
def _spread_rows(typingctx: Any, target: Any, target_plane: Any, target_row: Any, planes: Any, rows: Any, cols: Any, source: Any,
                 height: Any, width: Any, row: Any, row_step: Any, col: Any, col_step: Any, like: Any) -> Any:  # fmt: skip
    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_plane, target_row, planes, rows, cols, source, height, width, row, row_step, col, col_step, _ = values
        mover = _Mover(b, LLVM_ITEMS[like])
        nothing = constant(mover.vector, mover.nothing)

        def clipped(value: ir.Value) -> ir.Value:
            value = b.select(b.icmp_signed(">", value, I64(0)), value, I64(0))
            return b.select(b.icmp_signed("<", value, rows), value, rows)

        def reach(size: ir.Value) -> ir.Value:
            """The first r where row + r row_step >= size."""
            return clipped(b.sdiv(b.add(b.sub(size, row), b.sub(row_step, I64(1))), row_step))

        # rounding towards zero is no matter: what comes out below zero is clipped
        top, bottom = reach(I64(0)), reach(height)
        source_row = b.mul(b.mul(row_step, width), I64(mover.bytes))
        source_plane = b.mul(b.mul(height, width), I64(mover.bytes))
        first = mover.offset(source, b.mul(row, width))

        def copy(j: ir.Value, existing: ir.Value | None, read: Callable[[ir.Value], ir.Value]) -> None:
            with cgutils.for_range(b, planes, intp=I64) as plane:
                place = b.add(mover.offset(target, j), b.mul(plane.index, target_plane))
                shift = b.mul(plane.index, source_plane)
                for start, stop, inside in ((I64(0), top, False), (top, bottom, True), (bottom, rows, False)):
                    with cgutils.for_range_slice(b, start, stop, I64(1), I64) as (r, _):
                        value = read(b.add(shift, b.mul(r, source_row))) if inside else nothing
                        mover.store(value, b.add(place, b.mul(r, target_row)), existing)

        def chunk(j: ir.Value, existing: ir.Value | None) -> None:
            here = b.add(col, b.mul(j, col_step))
            mover.for_step(col_step, lambda known: copy(j, existing, mover.read(first, here, col_step, width, known)))

        mover.over(cols, chunk)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 13, like), emit


@intrinsic
def _settle_rows(typingctx: Any, target: Any, target_row: Any, step: Any, source: Any, source_row: Any, other: Any, rows: Any, count: Any,
                 extra: Any, floor: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[floor]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, step, source, source_row, other, rows, count, extra, floor = values
        mover = _Mover(b, item)

        def finish(place: ir.Value, value: ir.Value, mask: ir.Value | None) -> None:
            lanes = V(b, value).lanes
            low = V(b, splat(b, floor, lanes))
            before = b.block
            with b.if_then(b.icmp_signed("!=", extra, I64(0))):
                beside = b.add(extra, place)
                more = b.fadd(value, b.load(mover.at(beside, item)) if lanes == 1 else mover.load(beside, mask))
                after = b.block
            total = b.phi(value.type)
            total.add_incoming(value, before)
            total.add_incoming(more, after)
            result = where(low > V(b, total), low, V(b, total)).value
            if lanes == 1:
                b.store(result, mover.at(b.add(target, place), item))
            else:
                mover.store(result, b.add(target, place), mask)

        def each_row(read: Callable[[ir.Value], ir.Value], column: ir.Value, mask: ir.Value | None) -> None:
            """`finish` what is read so many bytes behind the beginning of the source, in every row, from a column of the target on."""
            with cgutils.for_range(b, rows, intp=I64) as row:
                place = b.add(mover.offset(I64(0), column), b.mul(row.index, target_row))
                finish(place, read(b.mul(row.index, source_row)), mask)

        def plain(j: ir.Value, mask: ir.Value | None) -> None:
            each_row(lambda shift: mover.load(b.add(mover.offset(source, j), shift), mask), j, mask)

        def paired(j: ir.Value, mask: ir.Value | None) -> None:
            order = [k // 2 + k % 2 * mover.lanes for k in range(mover.lanes)]

            def read(shift: ir.Value) -> ir.Value:
                places = [b.add(mover.offset(at, b.sdiv(j, I64(2))), shift) for at in (source, other)]
                return shuffle(*[V(b, mover.load(place)) for place in places], order).value

            each_row(read, j, mask)

        with b.if_else(b.icmp_signed("!=", other, I64(0))) as (two, one):
            with two:
                mover.over(count, paired)
            with one, b.if_else(b.icmp_signed("==", step, I64(1))) as (near, far):
                with near:
                    mover.over(count, plain)
                with far, cgutils.for_range(b, count, intp=I64) as turn:
                    at = mover.offset(source, turn.index)
                    each_row(lambda shift: b.load(mover.at(b.add(at, shift), item)), b.mul(turn.index, step), None)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 9, floor), emit


@intrinsic
def _window_row(typingctx: Any, target: Any, cols: Any, source: Any, height: Any, width: Any, row: Any, col: Any, kernel_h: Any,
                kernel_w: Any, dilation_h: Any, dilation_w: Any, stride: Any, like: Any) -> Any:  # fmt: skip
    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, cols, source, height, width, row, col, kernel_h, kernel_w, dilation_h, dilation_w, stride, _ = values
        mover = _Mover(b, LLVM_ITEMS[like], nothing=-math.inf)
        largest = cgutils.alloca_once(b, mover.vector)
        nans = cgutils.alloca_once(b, lanewise(ir.IntType(1), mover.lanes))  # where one was seen, which no comparison finds

        def rows(reads: list[Callable[[ir.Value], ir.Value]]) -> None:
            """What some columns of the kernel find in each of its rows."""
            with cgutils.for_range(b, kernel_h, intp=I64) as k:
                here = b.add(row, b.mul(k.index, dilation_h))
                with b.if_then(b.icmp_unsigned("<", here, height)):
                    shift = mover.offset(I64(0), b.mul(here, width))
                    values = [V(b, read(shift)) for read in reads]
                    wrong = reduce(b.or_, [b.fcmp_unordered("uno", value.value, value.value) for value in values])
                    b.store(b.or_(wrong, b.load(nans)), nans)
                    best = reduce(lambda x, y: where(x > y, x, y), values)
                    before = V(b, b.load(largest))
                    b.store(where(best > before, best, before).value, largest)

        def chunk(j: ir.Value, existing: ir.Value | None, known: int) -> None:
            b.store(constant(mover.vector, mover.nothing), largest)
            b.store(constant(nans.type.pointee, 0), nans)
            first = b.add(col, b.mul(j, stride))

            def column(l: ir.Value) -> Callable[[ir.Value], ir.Value]:
                return mover.read(source, b.add(first, b.mul(l, dilation_w)), stride, width, known)

            with b.if_else(b.icmp_signed("==", kernel_w, I64(USUAL_COLUMNS))) as (usual, other):
                with usual:
                    rows([column(I64(l)) for l in range(USUAL_COLUMNS)])
                with other, cgutils.for_range(b, kernel_w, intp=I64) as l:
                    rows([column(l.index)])
            result = where(V(b, b.load(nans)), math.nan, V(b, b.load(largest)))
            mover.store(result.value, mover.offset(target, j), existing)

        mover.for_step(stride, lambda known: mover.over(cols, lambda j, existing: chunk(j, existing, known)))
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 12, like), emit


@subroutine
def spread_rows(target, target_plane, target_row, planes, rows, cols, source, height, width, row, row_step, col, col_step, like):
    """target[p, r, j] = source[p, row + r row_step, col + j col_step] for p < planes, r < rows, j < cols; 0 beyond the planes' edges.

    Planes and rows of the target lie `target_plane` and `target_row` bytes apart, those of the source (height, width) side by side.
    """
    _spread_rows(target, target_plane, target_row, planes, rows, cols, source, height, width, row, row_step, col, col_step, like)


@subroutine
def settle_rows(target, target_row, step, source, source_row, other, rows, count, extra, floor):
    """target[r, j step] = max(floor, source[r, j] + extra[r, j step]) for r < rows, j < count; extra is none where its address is 0.

    With `other`, the address of the odd items where source has only the even ones, (source, other)[j % 2][r, j // 2] takes the place of
    source[r, j]. Rows of target and extra lie `target_row` bytes apart, those of source and other `source_row`.
    """
    _settle_rows(target, target_row, step, source, source_row, other, rows, count, extra, floor)


@subroutine
def window_row(target, cols, source, height, width, row, col, kernel_h, kernel_w, dilation_h, dilation_w, stride, like):
    """target[j] = the largest of source[row + k dilation_h, col + j stride + l dilation_w] over k < kernel_h and l < kernel_w.

    Places beyond the edges of the plane (height, width) do not count; where there are no others, the result is -inf.
    """
    _window_row(target, cols, source, height, width, row, col, kernel_h, kernel_w, dilation_h, dilation_w, stride, like)
