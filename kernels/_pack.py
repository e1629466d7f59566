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

from ._simd import I64, LLVM_ITEMS, Mover, lanes_below, prefetch, register, transposed


@intrinsic
def pack_crosswise(typingctx: Any, target: Any, target_row: Any, source: Any, source_step: Any, count: Any, depth: Any, ahead: Any,
                   like: Any) -> Any:  # fmt: skip
    """target[k, j] = source[j, k] for j < count <= W, the items along k lying side by side; strides in bytes.

    Whole registers are stored: lanes from `count` on get what the last has, and up to W - 1 rows behind the last are written, too. What
    lies `ahead` of the source, and is needed next, is asked for.
    """
    item = LLVM_ITEMS[like]
    bytes, vector = register(item)
    lanes = vector.count

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_step, count, depth, ahead = values[:7]
        mover = Mover(b, item)
        last = b.sub(count, I64(1))
        places = []
        for j in range(lanes):
            exists = b.icmp_signed("<", I64(j), count)
            places.append(b.add(source, b.mul(b.select(exists, I64(j), last), source_step)))

        def square(k: ir.Value, mask: ir.Value | None) -> None:
            offset = b.mul(k, I64(bytes))
            rows = []
            for place in places:
                at = b.add(place, offset)
                rows.append(mover.load(at, mask))
                prefetch(b, mover.at(b.add(at, ahead), item), level=2)
            for j, row in enumerate(transposed(b, rows)):
                mover.store(row, b.add(target, b.mul(b.add(k, I64(j)), target_row)), None)

        whole = b.mul(b.sdiv(depth, I64(lanes)), I64(lanes))
        with cgutils.for_range_slice(b, I64(0), whole, I64(lanes), I64) as (k, _):
            square(k, None)
        with b.if_then(b.icmp_signed("<", whole, depth)):
            square(whole, lanes_below(b, b.sub(depth, whole), lanes))
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 7, like), emit


@intrinsic
def pack_lengthwise(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, count: Any, depth: Any, like: Any) -> Any:
    """target[k, j] = source[k, j] for j < count <= W, the items along j lying side by side; strides in bytes, whole registers stored."""
    item = LLVM_ITEMS[like]
    lanes = register(item)[1].count

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_row, count, depth = values[:6]
        mover = Mover(b, item)
        mask = lanes_below(b, count, lanes)
        with cgutils.for_range(b, depth, intp=I64) as loop:
            row = mover.load(b.add(source, b.mul(loop.index, source_row)), mask)
            mover.store(row, b.add(target, b.mul(loop.index, target_row)), None)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 6, like), emit
