"""Blocks of matrices: parts of a size, and transposes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._compiler import subroutine
from ._simd import I64, LLVM_ITEMS, Mover, register, transposed


def _transpose_registers(
    builder: ir.IRBuilder, item: ir.Type, target: ir.Value, target_row: ir.Value, source: ir.Value, source_row: ir.Value
) -> None:
    lanes = register(item)[1].count
    mover = Mover(builder, item)
    rows = [mover.load(builder.add(source, builder.mul(I64(j), source_row)), None) for j in range(lanes)]
    for k, row in enumerate(transposed(builder, rows)):
        mover.store(row, builder.add(target, builder.mul(I64(k), target_row)), None)


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

        whole_rows, whole_cols = (builder.mul(builder.sdiv(n, lanes), lanes) for n in (rows, cols))

        def over(start: ir.Value, stop: ir.Value, step: ir.Value) -> Any:
            return cgutils.for_range_slice(builder, start, stop, step, I64)

        with over(zero, whole_rows, lanes) as (k, _), over(zero, whole_cols, lanes) as (j, _):
            blocks = place(target, target_row, k, j), target_row, place(source, source_row, j, k), source_row
            _transpose_registers(builder, LLVM_ITEMS[like], *blocks)
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
