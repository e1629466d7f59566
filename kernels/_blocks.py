"""Blocks of matrices: parts of a size, and transposes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._compiler import subroutine
from ._simd import I64, LLVM_ITEMS, Mover, V, joined, lanes_below, prefetch, register, transposed


class Square(Mover):
    """As many rows as a register has lanes, transposed along K.

    Registers are put together from pieces of 16 bytes that come from rows far enough apart for the rest to stay within such pieces: loads
    do half of the work, and what remains takes the cheapest of shuffles.
    """

    def __init__(self, b: ir.IRBuilder, item: ir.Type) -> None:
        super().__init__(b, item)
        self.piece = Mover(b, item, 16 // self.bytes)

    def along(self, depth: ir.Value, ahead: ir.Value, bases: list[ir.Value], steps: list[ir.Value], target: ir.Value,
              target_row: ir.Value) -> None:  # fmt: skip
        """Transpose the rows that begin at each of `bases` + each of `steps`: so few addresses stay in registers."""
        b, n = self.b, self.piece.lanes
        self.bases, self.target = [cgutils.alloca_once_value(b, base) for base in bases], cgutils.alloca_once_value(b, target)
        self.steps, self.target_row = steps, target_row
        with cgutils.for_range(b, b.sdiv(depth, I64(self.lanes)), intp=I64):
            for i in range(self.lanes // n):
                if i < len(steps):
                    with b.if_then(b.icmp_signed("!=", ahead, I64(0))):
                        for base in self.bases:
                            prefetch(b, self.at(b.add(b.add(b.load(base), steps[i]), ahead), self.item), level=2)
                self._piece(None)
        with cgutils.for_range(b, b.sdiv(b.srem(depth, I64(self.lanes)), I64(n)), intp=I64):
            self._piece(None)
        rest = b.srem(depth, I64(n))
        with b.if_then(b.icmp_signed(">", rest, I64(0))):
            self._piece(lanes_below(b, rest, n))

    def _piece(self, mask: ir.Value | None) -> None:
        """The next 16 bytes of all rows."""
        b, n = self.b, self.piece.lanes
        found = [V(b, self.piece.load(b.add(b.load(base), step), mask)) for base in self.bases for step in self.steps]
        for row in transposed([joined(found[i::n]) for i in range(n)]):
            self.store(row.value, b.load(self.target))
            b.store(b.add(b.load(self.target), self.target_row), self.target)
        for base in self.bases:
            b.store(b.add(b.load(base), I64(16)), base)


@intrinsic
def _transpose(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, rows: Any, cols: Any, like: Any) -> Any:
    """target[k, j] = source[j, k] for k < rows, j < cols; strides in bytes, rows of both contiguous."""
    bytes, vector = register(LLVM_ITEMS[like])
    lanes, zero, one = I64(vector.count), I64(0), I64(1)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_row, rows, cols = values[:6]
        item = LLVM_ITEMS[like].as_pointer()

        def place(base: ir.Value, stride: ir.Value, i: ir.Value, j: ir.Value) -> ir.Value:
            return builder.add(base, builder.add(builder.mul(i, stride), builder.mul(j, I64(bytes))))

        def single(k: ir.Value, j: ir.Value) -> None:
            value = builder.load(builder.inttoptr(place(source, source_row, j, k), item))
            builder.store(value, builder.inttoptr(place(target, target_row, k, j), item))

        square = Square(builder, LLVM_ITEMS[like])
        n = square.piece.lanes
        whole_rows, whole_cols = (builder.mul(builder.sdiv(size, part), part) for size, part in ((rows, I64(n)), (cols, lanes)))
        steps = [builder.mul(I64(j), source_row) for j in range(square.lanes)]

        def over(start: ir.Value, stop: ir.Value, step: ir.Value) -> Any:
            return cgutils.for_range_slice(builder, start, stop, step, I64)

        with over(zero, whole_cols, lanes) as (j, _):
            bases = [builder.add(place(source, source_row, j, zero), step) for step in steps[::n]]
            square.along(whole_rows, zero, bases, steps[:n], place(target, target_row, zero, j), target_row)
        for first_row, first_col, last_row in ((zero, whole_cols, whole_rows), (whole_rows, zero, rows)):
            with over(first_row, last_row, one) as (k, _), over(first_col, cols, one) as (j, _):
                single(k, j)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 6, like), emit


def _ceil_div(b: ir.IRBuilder, size: ir.Value, part: ir.Value) -> ir.Value:
    return b.sdiv(b.add(size, b.sub(part, I64(1))), part)


@intrinsic
def ceil_div(typingctx: Any, size: Any, part: Any) -> Any:
    """How many parts of `part` >= 1 items cover `size` >= 0 items."""
    return signature(types.int64, types.int64, types.int64), lambda context, builder, sig, values: _ceil_div(builder, *values)


@intrinsic
def even_parts(typingctx: Any, size: Any, most: Any) -> Any:
    """The length, at least 1, of the fewest equal parts of `size` >= 0 items that are no longer than `most`."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        size, most = (builder.select(builder.icmp_signed(">", value, I64(1)), value, I64(1)) for value in values)
        return _ceil_div(builder, size, _ceil_div(builder, size, most))

    return signature(types.int64, types.int64, types.int64), emit


@subroutine
def transpose(target, target_row, source, source_row, rows, cols, like):
    """target[k, j] = source[j, k] for k < rows, j < cols; strides in bytes, rows of both contiguous."""
    _transpose(target, target_row, source, source_row, rows, cols, like)
