"""What a matrix product does to a block of its result while that is still in cache: an elementwise formula, chosen by number."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._simd import I64, LLVM_ITEMS, Mover, V, lanes_below, register
from .compiled import activations, elementwise
from .reference.matmul import EPILOGUES


def _formula(name: str) -> Any:
    return getattr(activations, name, None) or getattr(elementwise, name)


@intrinsic
def finish(typingctx: Any, epilogue: Any, c: Any, c_row: Any, extra: Any, extra_row: Any, rows: Any, cols: Any, like: Any) -> Any:
    """c = f(c) or f(c, extra) for a block of rows x cols; addresses and strides in bytes, rows contiguous."""
    item = LLVM_ITEMS[like]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        done = builder.append_basic_block("finished")
        switch = builder.switch(values[0], done)
        for number, name in enumerate(EPILOGUES):
            if name:
                block = builder.append_basic_block(f"finish_{name}")
                switch.add_case(I64(number), block)
                builder.position_at_end(block)
                _block(builder, item, _formula(name), *values[1:7])
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 7, like), emit


def _block(b: ir.IRBuilder, item: ir.Type, formula: Any, *place: ir.Value) -> None:
    c, c_row, extra, extra_row, rows, cols = place
    bytes, vector = register(item)
    lanes = vector.count
    mover = Mover(b, item)

    def apply(offset: ir.Value, c_at: ir.Value, extra_at: ir.Value, mask: ir.Value | None) -> None:
        operands = [V(b, mover.load(b.add(c_at, offset), mask))]
        if len(formula.arguments) == 2:
            operands.append(V(b, mover.load(b.add(extra_at, offset), mask)))
        mover.store(formula(*operands).value, b.add(c_at, offset), mask)

    with cgutils.for_range(b, rows) as row:
        c_at = b.add(c, b.mul(row.index, c_row))
        extra_at = b.add(extra, b.mul(row.index, extra_row))
        whole = b.sdiv(cols, I64(lanes))
        with cgutils.for_range(b, whole) as column:
            apply(b.mul(column.index, I64(lanes * bytes)), c_at, extra_at, None)
        rest = b.sub(cols, b.mul(whole, I64(lanes)))
        with b.if_then(b.icmp_signed(">", rest, I64(0))):
            apply(b.mul(whole, I64(lanes * bytes)), c_at, extra_at, lanes_below(b, rest, lanes))
