"""Pixels in and out of a convolution's working memory: shifted rows with zeros around the image, and results put in their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._compiler import subroutine
from ._formula import V, constant, shuffle, splat, where
from ._simd import I32, I64, LLVM_ITEMS, _lane_mask, _masked, _suffix
from ._tile import _Tile


def _positions(b: ir.IRBuilder, first: ir.Value, step: ir.Value, lanes: int, start: int = 0) -> V:
    """first + (start + lane) step in every lane."""
    order = V(b, ir.Constant(ir.VectorType(I64, lanes), [I64(start + i) for i in range(lanes)]))
    return V(b, splat(b, first, lanes)) + order * V(b, splat(b, step, lanes))


def _within(position: V, size: ir.Value) -> V:
    return (position >= 0) & (position < V(position.builder, splat(position.builder, size, position.lanes)))


class _Mover(_Tile):
    """Emits moves of registers of pixels."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type) -> None:
        super().__init__(b, item, 1, 1, False)
        self.lanes = self.vector.count
        self.zero = constant(self.vector, 0.0)

    def offset(self, base: ir.Value, index: ir.Value) -> ir.Value:
        """The address of item `index`."""
        return self.b.add(base, self.b.mul(index, I64(self.bytes)))

    def over(self, count: ir.Value, body: Callable[[ir.Value, ir.Value | None], None]) -> None:
        """Call `body(first, mask)` for each register's worth of `count` items; the mask, of those that exist, only for the last one."""
        b, lanes = self.b, I64(self.lanes)
        whole = b.mul(b.sdiv(count, lanes), lanes)
        with cgutils.for_range_slice(b, I64(0), whole, lanes, I64) as (j, _):
            body(j, None)
        with b.if_then(b.icmp_signed("<", whole, count)):
            body(whole, _lane_mask(b, b.sub(count, whole), self.lanes))

    def strided(self, base: ir.Value, step: int, masks: list[ir.Value]) -> ir.Value:
        """Every `step`-th of step registers' worth of items, of which those masked exist; the others are zero."""
        registers = [V(self.b, self._load(self.b.add(base, I64(k * self.lanes * self.bytes)), masks[k])) for k in range(step)]
        if step == 1:
            return registers[0].value
        return shuffle(*registers, list(range(0, 2 * self.lanes, 2))).value

    def gathered(self, base: ir.Value, step: ir.Value, mask: ir.Value) -> ir.Value:
        """Items `step` apart, of which those masked exist; the others are zero."""
        b = self.b
        places = _positions(b, base, b.mul(step, I64(self.bytes)), self.lanes)
        pointers = b.inttoptr(places.value, ir.VectorType(self.item.as_pointer(), self.lanes))
        name = f"llvm.masked.gather.{_suffix(self.vector)}.v{self.lanes}p0"
        return _masked(b, name, self.vector, [pointers, I32(self.bytes), mask, self.zero])


@intrinsic
def _spread_rows(typingctx: Any, target: Any, target_plane: Any, target_row: Any, planes: Any, rows: Any, cols: Any, source: Any,
                 height: Any, width: Any, row: Any, row_step: Any, col: Any, col_step: Any, like: Any) -> Any:  # fmt: skip
    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_plane, target_row, planes, rows, cols, source, height, width, row, row_step, col, col_step, _ = values
        mover = _Mover(b, LLVM_ITEMS[like])

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

        def copy(j: ir.Value, existing: ir.Value | None, load: Callable[[ir.Value], ir.Value]) -> None:
            with cgutils.for_range(b, planes, intp=I64) as plane:
                place = b.add(mover.offset(target, j), b.mul(plane.index, target_plane))
                shift = b.mul(plane.index, source_plane)
                for start, stop, read in ((I64(0), top, None), (top, bottom, load), (bottom, rows, None)):
                    with cgutils.for_range_slice(b, start, stop, I64(1), I64) as (r, _):
                        value = mover.zero if read is None else read(b.add(shift, b.mul(r, source_row)))
                        mover._store(value, b.add(place, b.mul(r, target_row)), existing)

        def chunk(j: ir.Value, existing: ir.Value | None) -> None:
            here = b.add(col, b.mul(j, col_step))
            base = mover.offset(first, here)
            gathering, done = b.append_basic_block("gathering"), b.append_basic_block("spread")
            switch = b.switch(col_step, gathering)
            for step in (1, 2):
                block = b.append_basic_block(f"step_{step}")
                switch.add_case(I64(step), block)
                b.position_at_end(block)
                masks = [_within(_positions(b, here, I64(1), mover.lanes, k * mover.lanes), width).value for k in range(step)]
                copy(j, existing, lambda shift, step=step, masks=masks: mover.strided(b.add(base, shift), step, masks))
                b.branch(done)
            b.position_at_end(gathering)
            mask = _within(_positions(b, here, col_step, mover.lanes), width).value
            copy(j, existing, lambda shift: mover.gathered(b.add(base, shift), col_step, mask))
            b.branch(done)
            b.position_at_end(done)

        mover.over(cols, chunk)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 13, like), emit


@intrinsic
def _settle_pixels(typingctx: Any, target: Any, step: Any, source: Any, other: Any, count: Any, extra: Any, floor: Any) -> Any:
    item = LLVM_ITEMS[floor]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, step, source, other, count, extra, floor = values
        mover = _Mover(b, item)

        def finish(place: ir.Value, value: ir.Value, mask: ir.Value | None) -> None:
            lanes = V(b, value).lanes
            low = V(b, splat(b, floor, lanes))
            before = b.block
            with b.if_then(b.icmp_signed("!=", extra, I64(0))):
                beside = mover.offset(extra, place)
                more = b.fadd(value, b.load(mover._at(beside, item)) if lanes == 1 else mover._load(beside, mask))
                after = b.block
            total = b.phi(value.type)
            total.add_incoming(value, before)
            total.add_incoming(more, after)
            result = where(low > V(b, total), low, V(b, total)).value
            if lanes == 1:
                b.store(result, mover._at(mover.offset(target, place), item))
            else:
                mover._store(result, mover.offset(target, place), mask)

        def plain(j: ir.Value, mask: ir.Value | None) -> None:
            finish(j, mover._load(mover.offset(source, j), mask), mask)

        def paired(j: ir.Value, mask: ir.Value | None) -> None:
            even, odd = (V(b, mover._load(mover.offset(at, b.sdiv(j, I64(2))), None)) for at in (source, other))
            finish(j, shuffle(even, odd, [k // 2 + k % 2 * mover.lanes for k in range(mover.lanes)]).value, mask)

        with b.if_else(b.icmp_signed("!=", other, I64(0))) as (two, one):
            with two:
                mover.over(count, paired)
            with one, b.if_else(b.icmp_signed("==", step, I64(1))) as (near, far):
                with near:
                    mover.over(count, plain)
                with far, cgutils.for_range(b, count, intp=I64) as turn:
                    finish(b.mul(turn.index, step), b.load(mover._at(mover.offset(source, turn.index), item)), None)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 6, floor), emit


@subroutine
def spread_rows(target, target_plane, target_row, planes, rows, cols, source, height, width, row, row_step, col, col_step, like):
    """target[p, r, j] = source[p, row + r row_step, col + j col_step] for p < planes, r < rows, j < cols; 0 beyond the planes' edges.

    Planes and rows of the target lie `target_plane` and `target_row` bytes apart, those of the source (height, width) side by side.
    """
    _spread_rows(target, target_plane, target_row, planes, rows, cols, source, height, width, row, row_step, col, col_step, like)


@subroutine
def settle_pixels(target, step, source, other, count, extra, floor):
    """target[j step] = max(floor, source[j] + extra[j step]) for j < count; extra is none where its address is 0.

    With `other`, the address of the odd items where source has only the even ones, target[j] = max(floor, (source, other)[j % 2][j // 2]).
    """
    _settle_pixels(target, step, source, other, count, extra, floor)
