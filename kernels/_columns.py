"""Sums down the columns of matrices, around formulas, in float64 where there are many rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature

from . import _host
from ._rows import DOUBLE, Loop, formula_intrinsic
from ._simd import I64, V, constant, double, lanewise

ROWS = 16  # rows that are added up in the array's own dtype before their sum goes into the float64 total
UNROLLED = 4  # of them that follow each other without a branch


def column_sums(sums: int = 1) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula a loop that sums what it returns over the rows of matrices, for each column from `low` to `high` - 1.

    The loop is called with `sums` output rows, low, high, and then the formula's arguments: matrices of equal shape (contiguous),
    arrays with one item per column, and numbers.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        names = [*(f"out{i}" for i in range(sums)), "low", "high", *inspect.signature(formula).parameters]

        def typing(*arguments: types.Type) -> Any:
            def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
                _Columns(context, b, formula, names, sig.args, values, sums=sums).emit()
                return context.get_dummy_value()

            return signature(types.none, *arguments), emit

        return formula_intrinsic(names, typing)

    return decorate


class _Columns(Loop):
    """Some vectors of columns at a time, all the way down: their sums stay in registers."""

    def __init__(self, *use: Any, sums: int) -> None:
        super().__init__(*use)
        self.outputs = list(self.pointers)[:sums]
        self.inputs = {name: pointer for name, pointer in self.pointers.items() if name not in self.outputs}
        self.matrices = [name for name in self.inputs if len(self.shapes[name]) == 2]
        self.rows, self.columns = self.shapes[self.matrices[0]]

    def emit(self) -> None:
        b, singles, high = self.b, self.numbers["low"], self.numbers["high"]
        vectors = _host.isa().registers // 8
        while vectors:  # 4, 2 and 1 where there are 32 registers
            start, width = singles, vectors * self.lanes
            singles = b.add(start, self.rounded(b.sub(high, start), width))
            with self.each(start, singles, width) as (j, _):
                self.down(j, width)
            vectors //= 2
        self.edge(singles, high, lambda mask: self.down(singles, self.lanes, mask))

    def down(self, j: ir.Value, lanes: int, mask: ir.Value | None = None) -> None:
        """The sums of the columns j, j + 1, ...: of blocks of rows in the array's own dtype, of those in float64."""
        b = self.b
        totals = [self.variable(lanewise(DOUBLE, lanes)) for _ in self.outputs]
        sums = [self.variable(lanewise(self.item, lanes)) for _ in self.outputs]
        known = {name: V(b, value) for name, value in self.numbers.items()}
        for name in self.inputs:
            if name not in self.matrices:
                known[name] = self.load(b.gep(self.pointers[name], [j]), lanes, mask)
        for total in totals:
            b.store(constant(total.type.pointee, 0.0), total)
        with self.each(I64(0), self.rows, ROWS) as (first, _):
            stop = self.smaller(b.add(first, I64(ROWS)), self.rows)
            several = b.add(first, self.rounded(b.sub(stop, first), UNROLLED))
            for sum in sums:
                b.store(constant(sum.type.pointee, 0.0), sum)
            with self.each(first, several, UNROLLED) as (r, _):
                self.add(sums, known, [b.add(r, I64(k)) for k in range(UNROLLED)], j, lanes, mask)
            with self.each(several, stop, 1) as (r, _):
                self.add(sums, known, [r], j, lanes, mask)
            for total, sum in zip(totals, sums, strict=True):
                b.store((V(b, b.load(total)) + double(V(b, b.load(sum)))).value, total)
        for total, name in zip(totals, self.outputs, strict=True):
            self.store(V(b, b.load(total)), b.gep(self.pointers[name], [j]), mask)

    def add(self, sums: list[ir.Value], known: dict[str, V], rows: list[ir.Value], j: ir.Value, lanes: int, mask: ir.Value | None) -> None:
        b = self.b
        for r in rows:
            at = b.add(b.mul(r, self.columns), j)
            of_row = {name: self.load(b.gep(self.pointers[name], [at]), lanes, mask) for name in self.matrices}
            for sum, value in zip(sums, self.evaluate(**known, **of_row), strict=True):
                b.store((V(b, b.load(sum)) + value).value, sum)
