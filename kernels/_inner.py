"""The micro-kernel for operands that both lie along K: a tile of inner products, each summed lane by lane in a register of its own.

Nothing has to be transposed: for each step along K, vectors of some rows of A meet vectors of COLUMNS columns of B, and the lanes of the
sums are folded at the end. That repays where so few columns would leave most lanes of a vector of C empty. The order of a sum follows from
K alone, not from the tile in which it stands.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._dots import folded
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, lanes_below, where

ROWS = {16: 2, 32: 6}[_host.isa().registers]  # with COLUMNS there is room for the sums and all that a step loads
COLUMNS = 4
NAMES = ("c", "c_row", "base", "base_row", "a", "a_row", "b", "b_col", "rows", "cols", "depth", "alpha", "beta", "least")


class _InnerTile(Mover):
    """Emits one tile of `rows` x COLUMNS inner products; rows and columns that do not exist are the last one once more."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, rows: int) -> None:
        super().__init__(b, item)
        self.rows = rows

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b = self.b
        places = self._places(operands, "a", "a_row", "rows", self.rows), self._places(operands, "b", "b_col", "cols", COLUMNS)
        self.totals = [cgutils.alloca_once(b, self.vector) for _ in range(self.rows * COLUMNS)]
        for total in self.totals:
            b.store(constant(self.vector, 0.0), total)
        self.over(operands["depth"], lambda k, mask: self._add(*places, b.mul(k, I64(self.bytes)), mask))
        whole = b.icmp_signed("==", operands["cols"], I64(COLUMNS))
        with b.if_else(whole) as (all, some):
            with all:
                self._finish(operands, None)
            with some:
                self._finish(operands, lanes_below(b, operands["cols"], COLUMNS))

    def _places(self, operands: dict[str, ir.Value], name: str, step: str, count: str, most: int) -> list[ir.Value]:
        b = self.b
        last = b.sub(operands[count], I64(1))
        numbers = [b.select(b.icmp_signed("<", I64(i), last), I64(i), last) for i in range(most)]
        return [b.add(operands[name], b.mul(number, operands[step])) for number in numbers]

    def _add(self, rows: list[ir.Value], columns: list[ir.Value], offset: ir.Value, mask: ir.Value | None) -> None:
        """One step along K."""
        b = self.b
        right = [V(b, self.load(b.add(at, offset), mask)) for at in columns]
        for i, at in enumerate(rows):
            left = V(b, self.load(b.add(at, offset), mask))
            for x, total in zip(right, self.totals[i * COLUMNS :], strict=False):
                b.store(fma(left, x, V(b, b.load(total))).value, total)

    def _finish(self, operands: dict[str, ir.Value], mask: ir.Value | None) -> None:
        b, row = self.b, Mover(self.b, self.item, COLUMNS)
        alpha, beta, least = (V(b, operands[name]) for name in ("alpha", "beta", "least"))
        products = [alpha * sums for sums in folded([V(b, b.load(total)) for total in self.totals], COLUMNS)]
        targets, beneath = (self._places(operands, name, f"{name}_row", "rows", self.rows) for name in ("c", "base"))

        def store(results: list[V]) -> None:
            for result, at in zip(results, targets, strict=True):
                row.store(where(result < least, least, result).value, at, mask)

        with b.if_else(b.fcmp_ordered("==", operands["beta"], ir.Constant(self.item, 0.0))) as (fresh, added):
            with fresh:
                store(products)
            with added:
                store([fma(x, beta, product) for x, product in zip([V(b, row.load(at, mask)) for at in beneath], products, strict=True)])


@intrinsic
def inner_tile(typingctx: Any, c: Any, c_row: Any, base: Any, base_row: Any, a: Any, a_row: Any, b: Any, b_col: Any, rows: Any, cols: Any,
               depth: Any, alpha: Any, beta: Any, least: Any) -> Any:  # fmt: skip
    """c_ij = max(alpha sum_k a_ik b_kj + beta base_ij, least) for rows <= ROWS and cols <= COLUMNS.

    Addresses and strides in bytes; rows of c, base and a, and columns of b, in one piece each.
    """
    item = LLVM_ITEMS[alpha]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        operands = dict(zip(NAMES, values, strict=True))
        done = builder.append_basic_block("inner_done")
        switch = builder.switch(builder.ashr(builder.add(operands["rows"], I64(1)), I64(1)), done)
        for rows in range(2, ROWS + 1, 2):
            block = builder.append_basic_block(f"inner_{rows}")
            switch.add_case(I64(rows // 2), block)
            builder.position_at_end(block)
            _InnerTile(builder, item, rows).emit(operands)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 11, alpha, alpha, alpha), emit
