"""An elementwise formula as a product applies it to a block of its result, while that is in cache: a small kernel of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from ._host import NV
from ._nest import ITEMS, Formula
from ._simd import I64, Mover, V, convert, splat

# The words of a call: a block of the result, what lies beside it, steps from row to row in bytes, sizes; behind them the formula's numbers.
C, C_ROW, EXTRA, EXTRA_ROW, ROWS, COLUMNS, NUMBERS = range(7)


def build(symbol: str, dtype: str, formula: Formula, numbers: int) -> ir.Module:
    """The LLVM module `void symbol(words, part, parts)` of c = f(c) or f(c, extra), for a formula with so many numbers; rows contiguous."""
    module = ir.Module(symbol)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64]), symbol)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    words = [b.load(b.gep(function.args[0], [I64(n)])) for n in range(NUMBERS + numbers)]
    values = [convert(V(b, b.bitcast(word, ir.DoubleType())), ITEMS[dtype]).value for word in words[NUMBERS:]]
    step, wide = Mover(b, ITEMS[dtype]), Mover(b, ITEMS[dtype], NV * Mover(b, ITEMS[dtype]).lanes)  # side by side, latencies overlap
    panels = b.mul(b.sdiv(words[COLUMNS], I64(wide.lanes)), I64(wide.lanes))

    def block(mover: Mover, places: list[ir.Value]) -> Callable[[ir.Value, ir.Value | None], None]:
        repeated = [V(b, splat(b, value, mover.lanes)) for value in values]
        operands = places[: len(formula.arguments) - numbers]

        def apply(first: ir.Value, mask: ir.Value | None) -> None:
            offset = b.mul(first, I64(mover.bytes))
            found: list[Any] = [V(b, mover.load(b.add(place, offset), mask)) for place in operands]
            mover.store(formula(*found, *repeated).value, b.add(places[0], offset), mask)

        return apply

    with cgutils.for_range(b, words[ROWS], intp=I64) as row:
        places = [b.add(words[at], b.mul(row.index, words[by])) for at, by in ((C, C_ROW), (EXTRA, EXTRA_ROW))]
        whole = block(wide, places)
        with cgutils.for_range_slice(b, I64(0), panels, I64(wide.lanes), I64) as (first, _):
            whole(first, None)
        rest = [b.add(place, b.mul(panels, I64(step.bytes))) for place in places]
        step.over(b.sub(words[COLUMNS], panels), block(step, rest))
    b.ret_void()
    return module
