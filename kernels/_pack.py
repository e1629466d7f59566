"""Copies of blocks of a matrix as panels, in which a tile finds its operands one behind the other.

A panel holds some rows of A, or columns of B, item by item along K: for each step of k a row of the panel. Where the items along K lie
side by side, squares of one register's width are transposed in registers; rows and columns that do not exist are filled with others.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._blocks import Square
from ._simd import I64, LLVM_ITEMS, Mover, lanes_below, register


@intrinsic
def pack_crosswise(typingctx: Any, target: Any, target_row: Any, source: Any, source_step: Any, count: Any, depth: Any, ahead: Any,
                   like: Any) -> Any:  # fmt: skip
    """target[k, j] = source[j, k] for j < count <= W, the items along k lying side by side; strides in bytes.

    Whole registers are stored: lanes from `count` on get what the last has, and a few rows behind the last are written, too. What lies
    `ahead` of the source, and is needed next, is asked for; 0: nothing is.
    """
    item = LLVM_ITEMS[like]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_step, count, depth, ahead = values[:7]
        square = Square(b, item)
        steps = [b.mul(I64(j), source_step) for j in range(square.lanes)]
        with b.if_else(b.icmp_signed("==", count, I64(square.lanes)), likely=True) as (whole, edge):
            with whole:
                n = square.piece.lanes
                square.along(depth, ahead, [b.add(source, step) for step in steps[::n]], steps[:n], target, target_row)
            with edge:
                last = b.mul(b.sub(count, I64(1)), source_step)
                steps = [b.select(b.icmp_signed("<", I64(j), count), step, last) for j, step in enumerate(steps)]
                square.along(depth, ahead, [b.add(source, step) for step in steps], [I64(0)], target, target_row)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 7, like), emit


@intrinsic
def pack_lengthwise(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, count: Any, depth: Any, like: Any) -> Any:
    """target[k, j] = source[k, j] for j < count <= W, the items along j lying side by side; strides in bytes.

    Whole registers are stored, but of the last row: what lies behind it is another's.
    """
    item = LLVM_ITEMS[like]
    lanes = register(item)[1].count

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_row, count, depth = values[:6]
        mover = Mover(b, item)
        mask = lanes_below(b, count, lanes)
        last = b.sub(depth, I64(1))

        def copy(k: ir.Value, stored: ir.Value | None) -> None:
            row = mover.load(b.add(source, b.mul(k, source_row)), mask)
            mover.store(row, b.add(target, b.mul(k, target_row)), stored)

        with cgutils.for_range(b, last, intp=I64) as loop:
            copy(loop.index, None)
        with b.if_then(b.icmp_signed(">=", last, I64(0))):
            copy(last, mask)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 6, like), emit
