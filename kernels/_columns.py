"""Sums down the columns of matrices, around formulas, in float64 where there are many rows; and their largest or smallest items."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature

from . import _host
from ._rows import DOUBLE, Loop, formula_intrinsic
from ._simd import I64, V, constant, convert, double, item_bytes, lanewise, where

ROWS = 16  # rows that are added up in the array's own dtype before their sum goes into the float64 total
UNROLLED = 4  # of them that follow each other without a branch
COUNTED = 1 << 30  # rows that are counted in integers as wide as float32


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


def column_extreme(better: Callable[..., Any]) -> Any:
    """Make a formula that says where an item is better than the best before a search down columns: for each, the best item and its row.

    The loop is called with the rows of best items and of their indices, low, high, and then a contiguous matrix of at least one row; it
    looks at its columns from `low` to `high` - 1.
    """
    names = ["best", "index", "low", "high", "x"]

    def typing(*arguments: types.Type) -> Any:
        def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            _Extreme(context, b, better, names, sig.args, values).emit()
            return context.get_dummy_value()

        return signature(types.none, *arguments), emit

    return formula_intrinsic(names, typing)


class _Down(Loop):
    """Some vectors of columns at a time, all the way down."""

    rows: ir.Value
    columns: ir.Value

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
        """The columns j, j + 1, ..."""
        raise NotImplementedError


class _Columns(_Down):
    """Sums, which stay in registers."""

    def __init__(self, *use: Any, sums: int) -> None:
        super().__init__(*use)
        self.outputs = list(self.pointers)[:sums]
        self.inputs = {name: pointer for name, pointer in self.pointers.items() if name not in self.outputs}
        self.matrices = [name for name in self.inputs if len(self.shapes[name]) == 2]
        self.rows, self.columns = self.shapes[self.matrices[0]]

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


class _Extreme(_Down):
    """The best items so far, and in which rows they were, which stay in registers."""

    def __init__(self, *use: Any) -> None:
        super().__init__(*use)
        self.rows, self.columns = self.shapes["x"]

    def down(self, j: ir.Value, lanes: int, mask: ir.Value | None = None) -> None:
        """The best items of the columns j, j + 1, ...: rows are counted from the first one of a section on."""
        b = self.b
        count = ir.IntType(8 * item_bytes(self.item))
        best, place, index = (self.variable(lanewise(kind, lanes)) for kind in (self.item, count, I64))
        b.store(self.items(I64(0), j, lanes, mask).value, best)
        b.store(constant(index.type.pointee, 0), index)
        with self.each(I64(0), self.rows, COUNTED) as (first, _):
            stop = self.smaller(b.add(first, I64(COUNTED)), self.rows)
            b.store(constant(place.type.pointee, -1), place)
            with self.each(first, stop, 1) as (r, _):
                x, before = self.items(r, j, lanes, mask), V(b, b.load(best))
                better, row = self.formula(x, before), convert(V(b, b.sub(r, first)), count)
                b.store(where(better, x, before).value, best)
                b.store(where(better, row, V(b, b.load(place))).value, place)
            found = convert(V(b, b.load(place)), I64)
            b.store(where(found < 0, V(b, b.load(index)), found + V(b, first)).value, index)
        for name, at in (("best", best), ("index", index)):
            self.store(V(b, b.load(at)), b.gep(self.pointers[name], [j]), mask)

    def items(self, r: ir.Value, j: ir.Value, lanes: int, mask: ir.Value | None) -> V:
        """Those of row r."""
        return self.load(self.b.gep(self.pointers["x"], [self.b.add(self.b.mul(r, self.columns), j)]), lanes, mask)
