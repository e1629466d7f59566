"""Loops over all rows of matrices, around formulas that fold whole rows between their steps.

    @each_row()
    def _softmax(x):
        top = yield LARGEST(x)
        e, sum = yield kept(exp(x - top)), SUM(exp(x - top))
        return e * (1 / sum)

    _softmax(y[start:stop], x[start:stop])      # inside a kernel

Some rows take each step together, so that none waits for the end of the one before in the same row: their maxima, then their sums, then
their results. Several rows stand side by side in wide values, whose folds share their shuffles. A row of a few vectors is straight-line
code without a loop or a branch. The order of a fold depends on the length of the row alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import for_range_slice
from numba.core.typing.templates import signature

from . import _host
from ._rows import DOUBLE, Asked, Fold, Loop, formula_intrinsic
from ._simd import I64, V, constant, convert, fma, joined, lanes_below, lanewise, part, shuffle, where

SHORT = (1, 2, 4)  # vectors of a row that is straight-line code
GROUP = 8  # vectors of short rows that stand side by side
TOGETHER = 64  # rows that take each step together
TOGETHER_ITEMS = 12288  # of all matrices among them: a level-1 cache

Known = dict[str, V]


def kept(value: V) -> Asked:
    """What a formula asks for to have `value` stored in its first output until later steps read it back, not computed again."""
    return Asked(None, value)


def each_row(stores: int = 1, statistics: int = 0, sums: int = 0, by_row: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula a loop over the rows of matrices.

    The loop is called with `stores` output matrices, `statistics` outputs of one item per row, `sums` outputs of one item per column,
    and then the formula's arguments: matrices (contiguous), arrays with one item per column or, where named in `by_row`, per row, and
    numbers. The formula may be a generator: it yields what it wants folded, or kept, and gets it back, sums as single values. It returns
    what the outputs become; for a sum, what is added up down the columns, where a pair stands for its product.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        outputs = [f"out{i}" for i in range(stores + statistics + sums)]
        names = [*outputs, *inspect.signature(formula).parameters]

        def typing(*arguments: types.Type) -> Any:
            def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
                loop = _EachRow(context, b, formula, names, sig.args, values)
                loop.sort(outputs[:stores], outputs[stores : stores + statistics], outputs[stores + statistics :], by_row)
                loop.emit()
                return context.get_dummy_value()

            return signature(types.none, *arguments), emit

        return formula_intrinsic(names, typing)

    return decorate


class _EachRow(Loop):
    """Emits the loops: over some rows at a time, over the steps of the formula, over the rows, and over the vectors of long rows."""

    def sort(self, outputs: Sequence[str], statistics: Sequence[str], sums: Sequence[str], by_row: Sequence[str]) -> None:
        """Tell apart what the arrays are."""
        self.outputs, self.statistics, self.sums = outputs, statistics, sums
        inputs = [name for name in self.pointers if name not in (*outputs, *statistics, *sums)]
        self.matrices = [name for name in inputs if len(self.shapes[name]) == 2]
        self.of_rows = [name for name in inputs if name in by_row]
        self.of_columns = [name for name in inputs if name not in (*self.matrices, *self.of_rows)]
        self.rows, self.columns = self.shapes[self.matrices[0]]
        self.count = len(self.matrices) + len(self.outputs)

    def emit(self) -> None:
        b, W = self.b, self.lanes
        self.steps = self.find_steps()
        self.answers = [[fold and self.variable(self.item, TOGETHER) for fold in folds] for folds in self.steps]
        done = b.append_basic_block("rows_done")
        for vectors in SHORT:
            with b.if_then(b.icmp_signed("<=", self.columns, I64(vectors * W))):
                masks: list[ir.Value | None] = [None] * (vectors // 2)
                masks += [lanes_below(b, b.sub(self.columns, I64(k * W)), W) for k in range(vectors // 2, vectors)]
                self.short(masks)
                b.branch(done)
        self.long()
        b.branch(done)
        b.position_at_end(done)

    def short(self, masks: Sequence[ir.Value | None]) -> None:
        """All rows, each as many vectors as there are masks; those in its upper half may end early."""
        b, W = self.b, self.lanes
        self.totals = [[self.variable(lanewise(self.item, W)) for _ in masks] for _ in self.sums]
        for total in (at for totals in self.totals for at in totals):
            b.store(constant(total.type.pointee, 0.0), total)
        group = GROUP // len(masks)
        together = min(TOGETHER, TOGETHER_ITEMS // (self.count * len(masks) * W) // group * group)
        self.in_steps(I64(together), group, partial(self.straight, masks))
        for name, totals in zip(self.sums, self.totals, strict=True):
            for k, (total, mask) in enumerate(zip(totals, masks, strict=True)):
                self.store(V(b, b.load(total)), b.gep(self.pointers[name], [I64(k * W)]), mask)

    def long(self) -> None:
        """All rows, in loops along them."""
        b = self.b
        self.totals = [[] for _ in self.sums]
        zeros = V(b, constant(lanewise(self.item, self.lanes), 0.0))
        whole = self.rounded(self.columns, self.lanes)
        for pointer in map(self.pointers.get, self.sums):
            with self.each(I64(0), whole, self.lanes) as (j, _):
                self.store(zeros, b.gep(pointer, [j]), None)
            self.edge(whole, self.columns, lambda mask, to=pointer: self.store(zeros, b.gep(to, [whole]), mask))
        side_by_side = _host.isa().registers // 4  # vectors
        group = 2 if self.sums else side_by_side // 2  # rows; of those whose totals are kept, few enough to leave these in cache
        together = self.rounded(self.smaller(b.sdiv(I64(TOGETHER_ITEMS // self.count), self.columns), I64(TOGETHER)), group)
        together = b.select(b.icmp_signed(">", together, I64(0)), together, I64(group))
        self.in_steps(together, group, partial(self.along_rows, side_by_side // group))

    def find_steps(self) -> list[list[Fold | None]]:
        """What the formula asks for, found out by having it write code that nobody runs; at last it asks for nothing."""
        scratch = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "steps")
        course = _Course(self.formula, self.anything(ir.IRBuilder(scratch.append_basic_block())))
        found = []
        while course.asks:
            found.append([asked.fold for asked in course.asks])
            course.go_on([asked.value if asked.fold is None else part(asked.value, 0, 1) for asked in course.asks])
        return [*found, []]

    def anything(self, b: ir.IRBuilder) -> Known:
        """Arguments of the right types that hold no values."""
        vector = lanewise(self.item, self.lanes)
        kinds = dict.fromkeys([*self.matrices, *self.of_columns], vector)
        kinds |= {name: self.pointers[name].type.pointee for name in self.of_rows}
        kinds |= {name: value.type for name, value in self.numbers.items()}
        return {name: V(b, ir.Constant(kind, ir.Undefined)) for name, kind in kinds.items()}

    def in_steps(self, most: ir.Value, group: int, step: Callable[..., None]) -> None:
        """`step(number, row, place, count)` for all steps of all rows: `most` rows at a time, of which `group` stand side by side."""
        b = self.b
        with for_range_slice(b, I64(0), self.rows, most) as (first, _):
            stop = self.smaller(b.add(first, most), self.rows)
            groups = b.add(first, self.rounded(b.sub(stop, first), group))
            for s in range(len(self.steps)):
                with self.each(first, groups, group) as (i, _):
                    step(s, i, b.sub(i, first), group)
                if group > 1:
                    with self.each(groups, stop, 1) as (i, _):
                        step(s, i, b.sub(i, first), 1)

    def singles(self, i: ir.Value, count: int) -> Known:
        """The numbers, and those that belong to `count` rows from row i on."""
        of_rows = {name: self.load(self.b.gep(self.pointers[name], [i]), count, None) for name in self.of_rows}
        return of_rows | {name: V(self.b, value) for name, value in self.numbers.items()}

    def known(self, s: int, place: ir.Value, count: int) -> list[list[V | None]]:
        """What the folds before step s came to for `count` rows from `place` on; None where a value was kept."""
        return [[at and self.load(self.b.gep(at, [place]), count, None) for at in step] for step in self.answers[:s]]

    def note(self, s: int, i: ir.Value, place: ir.Value, folded: Iterable[V], course: _Course) -> None:
        """Store what belongs to rows as a whole: the folds of step s or, at last, the statistics."""
        for at, value in zip(filter(None, self.answers[s]), folded, strict=True):
            self.store(convert(value, self.item), self.b.gep(at, [place]), None)
        for name, value in zip(self.statistics, course.results[len(self.outputs) :], strict=False):
            self.store(value, self.b.gep(self.pointers[name], [i]), None)

    def straight(self, masks: Sequence[ir.Value | None], s: int, i: ir.Value, place: ir.Value, count: int) -> None:
        """Step s of `count` whole rows side by side."""
        course, found = self.visit(self.singles(i, count), self.known(s, place, count), i, count, I64(0), masks)
        self.note(s, i, place, [_folded(value, count, fold) for fold, value in zip(self.folds(s), found, strict=True)], course)

    def along_rows(self, stretch: int, s: int, i: ir.Value, place: ir.Value, count: int) -> None:
        """Step s of `count` rows side by side, `stretch` vectors of each at a time, or half of that where registers hold totals too."""
        b = self.b
        stretch = stretch // 2 if self.sums and s == len(self.steps) - 1 else stretch
        lanes = stretch * self.lanes
        folds, singles, known = self.folds(s), self.singles(i, count), self.known(s, place, count)
        partial = [self.variable(lanewise(self.item, count * lanes)) for _ in folds]
        items = [DOUBLE if fold.wide else self.item for fold in folds]
        results = [self.variable(lanewise(item, count)) for item in items]

        def visit(j: ir.Value, masks: Sequence[ir.Value | None]) -> None:
            for fold, value, at in zip(folds, self.visit(singles, known, i, count, j, masks)[1], partial, strict=True):
                b.store(fold.combine(V(b, b.load(at)), value).value, at)

        for fold, result in zip(folds, results, strict=True):
            b.store(constant(result.type.pointee, fold.neutral), result)
        with self.blocks(self.columns, folds) as (start, stop):
            for fold, at in zip(folds, partial, strict=True):
                b.store(constant(at.type.pointee, fold.neutral), at)
            whole = b.add(start, self.rounded(b.sub(stop, start), lanes))
            with self.each(start, whole, lanes) as (j, _):
                visit(j, [None] * stretch)
            left = b.sub(stop, whole)
            with b.if_then(b.icmp_signed(">", left, I64(0))):
                visit(whole, [lanes_below(b, b.sub(left, I64(k * self.lanes)), self.lanes) for k in range(stretch)])
            for fold, item, at, result in zip(folds, items, partial, results, strict=True):
                folded = convert(_folded(V(b, b.load(at)), count, fold), item)
                b.store(fold.combine(V(b, b.load(result)), folded).value, result)
        course = self.resumed(self.anything(b) | singles, known)
        self.note(s, i, place, [V(b, b.load(result)) for result in results], course)

    def folds(self, s: int) -> list[Fold]:
        """What step s folds."""
        return [fold for fold in self.steps[s] if fold]

    def resumed(self, arguments: Known, known: Sequence[Sequence[V | None]]) -> _Course:
        """The formula at these arguments, given what its steps so far have asked for; None stands for what it has kept."""
        course = _Course(self.formula, arguments)
        for answers in known:
            course.go_on(asked.value if a is None else a for a, asked in zip(answers, course.asks, strict=True))
        return course

    def visit(
        self,
        singles: Known,
        known: Sequence[Sequence[V | None]],
        i: ir.Value,
        count: int,
        j: ir.Value,
        masks: Sequence[ir.Value | None],
    ) -> tuple[_Course, list[V]]:
        """The present step at the columns from j on, a vector for each mask, of `count` rows side by side, and what it wants folded."""
        b, W = self.b, self.lanes
        begins = [b.add(b.mul(b.add(i, I64(r)), self.columns), j) for r in range(count)]
        parts = [(b.add(begin, I64(k * W)), mask) for begin in begins for k, mask in enumerate(masks)]

        def rows(name: str) -> V:
            return joined([self.load(b.gep(self.pointers[name], [at]), W, mask) for at, mask in parts])

        def columns(name: str) -> V:
            items = [self.load(b.gep(self.pointers[name], [b.add(j, I64(k * W))]), W, mask) for k, mask in enumerate(masks)]
            return joined(items * count)

        def held(fold: Fold, value: V) -> V:
            pieces = [part(value, p * W, W) for p in range(len(parts))]
            return joined([v if mask is None else where(V(b, mask), v, fold.neutral) for v, (_, mask) in zip(pieces, parts, strict=True)])

        course = _Course(self.formula, singles | {n: rows(n) for n in self.matrices} | {n: columns(n) for n in self.of_columns})
        for answers in known:
            course.go_on(rows(self.outputs[0]) if a is None else a for a in answers)
        for name, value in self.to_store(course):
            for p, (at, mask) in enumerate(parts):
                self.store(part(value, p * W, W), b.gep(self.pointers[name], [at]), mask)
        for terms, totals, name in zip(course.results[len(self.outputs) + len(self.statistics) :], self.totals, self.sums, strict=False):
            for k, mask in enumerate(masks):
                at = totals[k] if totals else b.gep(self.pointers[name], [b.add(j, I64(k * W))])
                self.add_up(at, terms if isinstance(terms, tuple) else (terms,), range(k, len(parts), len(masks)), mask)
        return course, [held(asked.fold, asked.value) for asked in course.asks if asked.fold]

    def add_up(self, at: ir.Value, terms: Sequence[V], places: Iterable[int], mask: ir.Value | None) -> None:
        """Add some vectors of a term, or of the product of two, to a total, one after the other."""
        b, W = self.b, self.lanes
        total = V(b, b.load(at)) if isinstance(at.type.pointee, ir.VectorType) else self.load(at, W, mask)
        for p in places:
            first, *second = [part(x, p * W, W) for x in terms]
            total = fma(first, *second, total) if second else total + first
        self.store(total, at, mask) if at.type.pointee == self.item else b.store(total.value, at)

    def to_store(self, course: _Course) -> list[tuple[str, V]]:
        """Outputs and what to store in them at present: a value to be kept, or the results."""
        kept_ = [(self.outputs[0], asked.value) for asked in course.asks if asked.fold is None]
        return kept_ or list(zip(self.outputs, course.results, strict=False))


class _Course:
    """A formula under way: what it asks for at present, or its results."""

    def __init__(self, formula: Callable[..., Any], known: Known) -> None:
        self.asks: list[Asked] = []
        self.results: Sequence[V] = ()
        begun = formula(**known)
        if inspect.isgenerator(begun):
            self.running = begun
            self.go_on([None])
        else:
            self.results = begun if isinstance(begun, tuple) else (begun,)

    def go_on(self, answers: Iterable[V | None]) -> None:
        """Give the formula what it asked for."""
        given = tuple(answers)
        try:
            asked = self.running.send(given[0] if len(given) == 1 else given)
            self.asks = [asked] if isinstance(asked, Asked) else list(asked)
        except StopIteration as end:
            self.asks, self.results = [], end.value if isinstance(end.value, tuple) else (end.value,)


def _folded(value: V, rows: int, fold: Fold) -> V:
    """Each of the rows that stand side by side in `value`, folded: always lane with lane half a row apart."""
    while value.lanes > rows:
        row = value.lanes // rows
        lower = [r * row + j for r in range(rows) for j in range(row // 2)]
        value = fold.combine(shuffle(value, value, lower), shuffle(value, value, [lane + row // 2 for lane in lower]))
    return part(value, 0, rows)
