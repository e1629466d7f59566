"""Loops over all rows of matrices, around formulas that fold whole rows between their steps.

    @each_row()
    def _softmax(x):
        top = yield LARGEST(x)
        e, sum = yield kept(exp(x - top)), SUM(exp(x - top))
        return e * (1 / sum)

    _softmax(y[start:stop], x[start:stop])      # inside a kernel

Some rows take each step together, so that none waits for the end of the one before in the same row: their maxima, then their sums, then
their results. Several rows stand side by side in wide values, whose folds share their shuffles. A row of a few vectors is straight-line
code without a loop or a branch. The vectors of longer rows begin where registers of memory do, since one that lies in two cache lines
takes twice as long: those at both ends are masked, and rows stand beside the next ones that begin as far from a boundary. The order of
a fold depends on the length of the row alone: items that are half a register apart, or several registers, are combined with each other,
wherever the first one is.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import for_range_slice
from numba.core.typing.templates import signature

from . import _host
from ._rows import DOUBLE, Asked, Fold, Loop, formula_intrinsic
from ._simd import I32, I64, V, constant, convert, fma, item_bytes, joined, lanes_below, lanes_from, lanewise, part, shuffle, where

SHORT = (1, 2, 4)  # vectors of a row that is straight-line code
GROUP = 8  # vectors of short rows that stand side by side
LONG_GROUP = 2  # long rows that stand side by side
TOGETHER = 64  # rows that take each step together
TOGETHER_BYTES = _host.cache_bytes(1)  # of all matrices among them, and of arrays that all rows share

Known = dict[str, V]


def kept(value: V) -> Asked:
    """What a formula asks for to have `value` stored in its first output until later steps read it back, not computed again."""
    return Asked(None, (value,))


def each_row(stores: int = 1, statistics: int = 0, sums: int = 0, by_row: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula a loop over the rows of matrices.

    The loop is called with `stores` output matrices, `statistics` outputs of one item per row, `sums` outputs of one item per column,
    and then the formula's arguments: matrices (contiguous), arrays with one item per column or, where named in `by_row`, per row, and
    numbers. The formula may be a generator: it yields what it wants folded, or kept, and gets it back, sums as single values. It returns
    what the outputs become; for a sum, what is added up down the columns. In sums, a pair stands for its product.
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
        self.room = TOGETHER_BYTES // item_bytes(self.item)

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
        together = I64(min(TOGETHER, max(1, self.room // (self.count * len(masks) * W) // group) * group))
        self.in_steps(partial(self.straight, masks), group, together, together)
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
        distance = self.distance()
        beside = b.mul(distance, I64(LONG_GROUP))
        fits = b.sdiv(b.sub(b.sdiv(I64(self.room), self.columns), I64(len(self.of_columns) + len(self.sums))), I64(self.count))
        fits = self.larger(self.smaller(fits, I64(TOGETHER)), I64(1))
        section = b.mul(self.larger(b.sdiv(fits, beside), I64(1)), beside)
        self.in_steps(partial(self.along_rows, _host.isa().registers // 4), LONG_GROUP, section, fits, distance)

    def distance(self) -> ir.Value:
        """How many rows on one begins as far from where a register of memory does: 1, 2, 4, ..."""
        b = self.b
        if not _host.isa().has_masks:
            return I64(1)
        factor = self.smaller(b.and_(self.columns, b.neg(self.columns)), I64(self.lanes))  # a power of two
        return b.udiv(I64(self.lanes), factor)

    def lead(self, row: ir.Value) -> ir.Value:
        """How many items before its first one a row's vectors begin: where registers of the memory do that is read most."""
        b = self.b
        if not _host.isa().has_masks:
            return I64(0)
        read_back = any(fold is None for folds in self.steps for fold in folds)
        pointer = self.pointers[self.outputs[0] if read_back else self.matrices[0]]
        first = b.ptrtoint(b.gep(pointer, [b.mul(row, self.columns)]), I64)
        return b.udiv(b.and_(first, I64(_host.isa().vector_bytes - 1)), I64(item_bytes(self.item)))

    def find_steps(self) -> list[list[Fold | None]]:
        """What the formula asks for, found out by having it write code that nobody runs; at last it asks for nothing."""
        scratch = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "steps")
        course = _Course(self.formula, self.anything(ir.IRBuilder(scratch.append_basic_block())))
        found = []
        while course.asks:
            found.append([asked.fold for asked in course.asks])
            course.go_on([asked.terms[0] if asked.fold is None else part(asked.terms[0], 0, 1) for asked in course.asks])
        return [*found, []]

    def anything(self, b: ir.IRBuilder) -> Known:
        """Arguments of the right types that hold no values."""
        vector = lanewise(self.item, self.lanes)
        kinds = dict.fromkeys([*self.matrices, *self.of_columns], vector)
        kinds |= {name: self.pointers[name].type.pointee for name in self.of_rows}
        kinds |= {name: value.type for name, value in self.numbers.items()}
        return {name: V(b, ir.Constant(kind, ir.Undefined)) for name, kind in kinds.items()}

    def in_steps(
        self, step: Callable[[int, _Rows], None], group: int, section: ir.Value, fits: ir.Value, distance: ir.Value | None = None
    ) -> None:
        """All steps of all rows, `fits` of them at a time; of those of a section, `group` stand side by side, so many rows apart."""
        b = self.b
        apart = distance or I64(1)
        beside = b.mul(apart, I64(group))
        grouped = b.mul(b.sdiv(self.rows, beside), beside)
        turn = self.larger(b.sdiv(fits, I64(group)), I64(1))
        with for_range_slice(b, I64(0), grouped, section) as (first, _), for_range_slice(b, I64(0), apart, turn) as (low, _):
            last, high = self.smaller(b.add(first, section), grouped), self.smaller(b.add(low, turn), apart)
            for s in range(len(self.steps)):
                with for_range_slice(b, first, last, beside) as (start, _), self.each(low, high, 1) as (k, _):
                    place = b.add(b.sub(start, first), b.mul(b.sub(k, low), I64(group)))
                    index = [b.add(b.add(start, k), b.mul(I64(r), apart)) for r in range(group)]
                    step(s, _Rows(index, place, distance is None))
        with for_range_slice(b, grouped, self.rows, fits) as (first, _):
            last = self.smaller(b.add(first, fits), self.rows)
            for s in range(len(self.steps)):
                with self.each(first, last, 1) as (i, _):
                    step(s, _Rows([i], b.sub(i, first), True))

    def singles(self, rows: _Rows) -> Known:
        """The numbers, and those that belong to some rows."""
        of_rows = {name: self.belonging(self.pointers[name], rows) for name in self.of_rows}
        return of_rows | {name: V(self.b, value) for name, value in self.numbers.items()}

    def belonging(self, array: ir.Value, rows: _Rows) -> V:
        """An item of each row."""
        b = self.b
        if rows.adjacent:
            return self.load(b.gep(array, [rows.index[0]]), len(rows.index), None)
        items = ir.Constant(lanewise(self.item, len(rows.index)), ir.Undefined)
        for r, i in enumerate(rows.index):
            items = b.insert_element(items, b.load(b.gep(array, [i])), I32(r))
        return V(b, items)

    def known(self, s: int, rows: _Rows) -> list[list[V | None]]:
        """What the folds before step s came to for some rows; None where a value was kept."""
        return [[at and self.load(self.b.gep(at, [rows.place]), len(rows.index), None) for at in step] for step in self.answers[:s]]

    def note(self, s: int, rows: _Rows, folded: Iterable[V], course: _Course) -> None:
        """Store what belongs to rows as a whole: the folds of step s or, at last, the statistics."""
        b = self.b
        for at, value in zip(filter(None, self.answers[s]), folded, strict=True):
            self.store(convert(value, self.item), b.gep(at, [rows.place]), None)
        for name, value in zip(self.statistics, course.results[len(self.outputs) :], strict=False):
            if rows.adjacent:
                self.store(value, b.gep(self.pointers[name], [rows.index[0]]), None)
                continue
            for r, i in enumerate(rows.index):
                self.store(part(value, r, 1), b.gep(self.pointers[name], [i]), None)

    def straight(self, masks: Sequence[ir.Value | None], s: int, rows: _Rows) -> None:
        """Step s of some whole rows side by side."""
        course, found = self.visit(self.singles(rows), self.known(s, rows), rows, I64(0), masks)
        values = [math.prod(terms[1:], start=terms[0]) for terms in found]
        folded = [_folded(value, len(rows.index), fold) for fold, value in zip(self.folds(s), values, strict=True)]
        self.note(s, rows, folded, course)

    def along_rows(self, side_by_side: int, s: int, rows: _Rows) -> None:
        """Step s of some rows side by side: as many vectors at a time, or half of that where registers hold totals too."""
        b, count = self.b, len(rows.index)
        stretch = side_by_side // (4 if self.sums and s == len(self.steps) - 1 else 2)
        lanes = stretch * self.lanes
        folds, singles, known = self.folds(s), self.singles(rows), self.known(s, rows)
        partial = [self.variable(lanewise(self.item, count * lanes)) for _ in folds]
        items = [DOUBLE if fold.wide else self.item for fold in folds]
        results = [self.variable(lanewise(item, count)) for item in items]
        lead = self.lead(rows.index[0])

        def visit(j: ir.Value, masks: Sequence[ir.Value | None]) -> None:
            for fold, terms, at in zip(folds, self.visit(singles, known, rows, j, masks)[1], partial, strict=True):
                total = V(b, b.load(at))
                b.store((fold.combine(total, *terms) if len(terms) == 1 else fma(*terms, total)).value, at)

        for fold, result in zip(folds, results, strict=True):
            b.store(constant(result.type.pointee, fold.neutral), result)
        with self.blocks(self.columns, folds) as (start, stop):
            for fold, at in zip(folds, partial, strict=True):
                b.store(constant(at.type.pointee, fold.neutral), at)
            self.stretches(b.sub(start, lead), start, stop, stretch, visit)
            for fold, item, at, result in zip(folds, items, partial, results, strict=True):
                folded = convert(_folded(V(b, b.load(at)), count, fold), item)
                b.store(fold.combine(V(b, b.load(result)), folded).value, result)
        course = self.resumed(self.anything(b) | singles, known)
        self.note(s, rows, [V(b, b.load(result)) for result in results], course)

    def stretches(self, first: ir.Value, start: ir.Value, stop: ir.Value, stretch: int, visit: Callable[..., None]) -> None:
        """`visit(j, masks)` for all stretches of vectors from `first` on: masked where they reach beyond the items start to stop - 1."""
        b, W, lanes = self.b, self.lanes, I64(stretch * self.lanes)
        at = self.variable(I64)
        b.store(first, at)
        with self.each(I64(0), I64(2), 1):  # one stretch that is masked and those behind, then one at the end
            j = b.load(at)
            beyond = b.or_(b.icmp_signed("<", j, start), b.icmp_signed("<", stop, b.add(j, lanes)))
            with b.if_then(b.and_(b.icmp_signed("<", j, stop), beyond)):
                begins = [b.sub(b.add(j, I64(k * W)), start) for k in range(stretch)]
                visit(j, [lanes_from(b, begin, b.sub(stop, start), W) for begin in begins])
                b.store(b.add(j, lanes), at)
            begin = b.load(at)
            whole = b.add(begin, self.rounded(self.larger(b.sub(stop, begin), I64(0)), stretch * W))
            with self.each(begin, whole, stretch * W) as (j, _):
                visit(j, [None] * stretch)
            b.store(whole, at)

    def folds(self, s: int) -> list[Fold]:
        """What step s folds."""
        return [fold for fold in self.steps[s] if fold]

    def resumed(self, arguments: Known, known: Sequence[Sequence[V | None]]) -> _Course:
        """The formula at these arguments, given what its steps so far have asked for; None stands for what it has kept."""
        course = _Course(self.formula, arguments)
        for answers in known:
            course.go_on(asked.terms[0] if a is None else a for a, asked in zip(answers, course.asks, strict=True))
        return course

    def visit(
        self, singles: Known, known: Sequence[Sequence[V | None]], beside: _Rows, j: ir.Value, masks: Sequence[ir.Value | None]
    ) -> tuple[_Course, list[list[V]]]:
        """The present step at the columns from j on, a vector for each mask, of rows side by side, and the terms that it wants folded."""
        b, W = self.b, self.lanes
        begins = [b.add(b.mul(i, self.columns), j) for i in beside.index]
        parts = [(b.add(begin, I64(k * W)), mask) for begin in begins for k, mask in enumerate(masks)]

        def rows(name: str) -> V:
            return joined([self.load(b.gep(self.pointers[name], [at]), W, mask) for at, mask in parts])

        def columns(name: str) -> V:
            items = [self.load(b.gep(self.pointers[name], [b.add(j, I64(k * W))]), W, mask) for k, mask in enumerate(masks)]
            return joined(items * len(begins))

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
        return course, [[held(asked.fold, term) for term in asked.terms] for asked in course.asks if asked.fold]

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
        kept_ = [(self.outputs[0], asked.terms[0]) for asked in course.asks if asked.fold is None]
        return kept_ or list(zip(self.outputs, course.results, strict=False))


class _Rows(NamedTuple):
    """Rows that stand side by side: which ones, where their folds are kept, and whether they follow each other."""

    index: list[ir.Value]
    place: ir.Value
    adjacent: bool


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
