"""Sums down the columns of matrices, around formulas: read row by row, as memory lies, in float64 where there are many rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature

from ._formula import V, constant, double, lanewise
from ._rows import DOUBLE, Loop, formula_intrinsic
from ._simd import I64

ROWS = 8  # rows that are added up in the array's own dtype before their sum goes into the float64 total
TILE = 512  # columns whose totals stay in the level-1 cache at a time


def column_sums(sums: int = 1, by_row: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula a loop that sums what it returns over the rows of matrices, for each column from `low` to `high` - 1.

    The loop is called with `sums` output rows, low, high, and then the formula's arguments: matrices of equal shape (contiguous),
    arrays with one item per column or, where named in `by_row`, per row, and numbers.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        names = [*(f"out{i}" for i in range(sums)), "low", "high", *inspect.signature(formula).parameters]

        def typing(*arguments: types.Type) -> Any:
            def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
                _Columns(context, b, formula, names, sig.args, values, sums=sums, by_row=by_row).emit()
                return context.get_dummy_value()

            return signature(types.none, *arguments), emit

        return formula_intrinsic(names, typing)

    return decorate


class _Columns(Loop):
    """Row by row through the matrices, in tiles of columns whose float64 sums stay in cache."""

    def __init__(self, *use: Any, sums: int, by_row: tuple[str, ...]) -> None:
        super().__init__(*use)
        self.outputs = list(self.pointers)[:sums]
        self.by_row = by_row
        self.matrices = [name for name, shape in self.shapes.items() if len(shape) == 2]
        self.rows, self.columns = self.shapes[self.matrices[0]]
        self.totals = [self.variable(DOUBLE, TILE) for _ in self.outputs]

    def emit(self) -> None:
        b, high = self.b, self.numbers["high"]
        many = self.rounded(self.rows, ROWS)
        with self.each(self.numbers["low"], high, TILE) as (start, _):
            stop = self.smaller(b.add(start, I64(TILE)), high)
            self.across(start, stop, self.clear)
            with self.each(I64(0), many, ROWS) as (r, _):
                self.across(start, stop, partial(self.add, [b.add(r, I64(k)) for k in range(ROWS)]))
            with self.each(many, self.rows, 1) as (r, _):
                self.across(start, stop, partial(self.add, [r]))
            self.across(start, stop, self.write)

    def across(self, start: ir.Value, stop: ir.Value, emit: Callable[..., None]) -> None:
        """`emit(column, place in the tile, mask)` over the columns of a tile."""
        b = self.b
        singles = b.add(start, self.rounded(b.sub(stop, start), self.lanes))
        with self.each(start, singles, self.lanes) as (j, _):
            emit(j, b.sub(j, start), None)
        self.edge(singles, stop, lambda mask: emit(singles, b.sub(singles, start), mask))

    def total(self, at: int, place: ir.Value) -> ir.Value:
        return self.b.bitcast(self.b.gep(self.totals[at], [place]), lanewise(DOUBLE, self.lanes).as_pointer())

    def clear(self, j: ir.Value, place: ir.Value, mask: ir.Value | None) -> None:
        for at in range(len(self.outputs)):
            self.b.store(constant(lanewise(DOUBLE, self.lanes), 0.0), self.total(at, place), align=8)

    def add(self, rows: list[ir.Value], j: ir.Value, place: ir.Value, mask: ir.Value | None) -> None:
        b = self.b
        sums: list[V] = []
        for r in rows:
            known = {name: self.repeated(value, self.lanes) for name, value in self.numbers.items()}
            for name, pointer in self.pointers.items():
                if name in self.by_row:
                    known[name] = self.repeated(b.load(b.gep(pointer, [r])), self.lanes)
                elif name not in self.outputs:
                    at = b.add(b.mul(r, self.columns), j) if name in self.matrices else j
                    known[name] = self.load(b.gep(pointer, [at]), self.lanes, mask)
            results = self.evaluate(**known)
            sums = [total + value for total, value in zip(sums, results, strict=True)] if sums else list(results)
        for at, value in enumerate(sums):
            address = self.total(at, place)
            b.store((V(b, b.load(address, align=8)) + double(value)).value, address, align=8)

    def write(self, j: ir.Value, place: ir.Value, mask: ir.Value | None) -> None:
        for at, name in enumerate(self.outputs):
            total = V(self.b, self.b.load(self.total(at, place), align=8))
            self.store(total, self.b.gep(self.pointers[name], [j]), mask)
