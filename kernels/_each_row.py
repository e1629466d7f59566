"""Loops over all rows of matrices, around formulas that fold whole rows between their steps.

    @each_row()
    def _softmax(x):
        top = yield LARGEST(x)
        e, sum = yield kept(exp(x - top)), SUM(exp(x - top))
        return e * (1 / sum)

    _softmax(y[start:stop], x[start:stop])      # inside a kernel

Some rows take each step together, so that none waits for the end of the one before in the same row: their maxima, then their sums, then
their results. A row of a few vectors is straight-line code without a loop or a branch, and several of them stand side by side in wide
values. The order of a fold depends on the length of the row alone.
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

from ._rows import Asked, Fold, Loop, formula_intrinsic
from ._simd import I64, V, convert, joined, lanes_below, lanewise, part, shuffle, where

SHORT = (1, 2, 4, 8)  # vectors of a row that is straight-line code
GROUP = 8  # vectors of short rows that stand side by side
TOGETHER = 64  # rows that take each step together
TOGETHER_ITEMS = 4096  # of one array among them: a third of a level-1 cache

Known = dict[str, V]


def kept(value: V) -> Asked:
    """What a formula asks for to have `value` stored in its first output until later steps read it back, not computed again."""
    return Asked(None, value)


def each_row(stores: int = 1, statistics: int = 0, by_row: tuple[str, ...] = (), registers: int = 4) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula a loop over the rows of matrices.

    The loop is called with `stores` output matrices, `statistics` outputs of one item per row, and then the formula's arguments:
    matrices (contiguous), arrays with one item per column or, where named in `by_row`, per row, and numbers. The formula may be a
    generator: it yields what it wants folded, or kept, and gets it back, sums as single values. It returns what the outputs become.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        outputs = [f"out{i}" for i in range(stores + statistics)]
        names = [*outputs, *inspect.signature(formula).parameters]

        def typing(*arguments: types.Type) -> Any:
            def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
                loop = _EachRow(context, b, formula, names, sig.args, values)
                loop.sort(outputs[:stores], outputs[stores:], by_row)
                loop.emit(registers)
                return context.get_dummy_value()

            return signature(types.none, *arguments), emit

        return formula_intrinsic(names, typing)

    return decorate


class _EachRow(Loop):
    """Emits the loops: over some rows at a time, over the steps of the formula, over the rows, and over the vectors of long rows."""

    def sort(self, outputs: Sequence[str], statistics: Sequence[str], by_row: Sequence[str]) -> None:
        """Tell apart what the arrays are."""
        self.outputs, self.statistics = outputs, statistics
        inputs = [name for name in self.pointers if name not in (*outputs, *statistics)]
        self.matrices = [name for name in inputs if len(self.shapes[name]) == 2]
        self.of_rows = [name for name in inputs if name in by_row]
        self.of_columns = [name for name in inputs if name not in (*self.matrices, *self.of_rows)]
        self.rows, self.columns = self.shapes[self.matrices[0]]

    def emit(self, registers: int) -> None:
        b, W = self.b, self.lanes
        self.steps = self.find_steps()
        self.answers = [[fold and self.variable(self.item, TOGETHER) for fold in folds] for folds in self.steps]
        done = b.append_basic_block("rows_done")
        for vectors in SHORT:
            with b.if_then(b.icmp_signed("<=", self.columns, I64(vectors * W))):
                masks: list[ir.Value | None] = [None] * (vectors // 2)
                masks += [lanes_below(b, b.sub(self.columns, I64(k * W)), W) for k in range(vectors // 2, vectors)]
                together = min(TOGETHER, TOGETHER_ITEMS // (vectors * W))
                self.in_steps(I64(together), GROUP // vectors, partial(self.short, masks))
                b.branch(done)
        together_ = self.smaller(b.add(b.sdiv(I64(TOGETHER_ITEMS), self.columns), I64(1)), I64(TOGETHER))
        self.in_steps(together_, 1, partial(self.long, registers))
        b.branch(done)
        b.position_at_end(done)

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

    def short(self, masks: Sequence[ir.Value | None], s: int, i: ir.Value, place: ir.Value, count: int) -> None:
        """Step s of `count` rows side by side, each as many vectors as there are masks; those in its upper half may end early."""
        b, W = self.b, self.lanes
        begins = [b.mul(b.add(i, I64(r)), self.columns) for r in range(count)]
        parts = [(b.add(begin, I64(k * W)), mask) for begin in begins for k, mask in enumerate(masks)]

        def rows(name: str) -> V:
            return joined([self.load(b.gep(self.pointers[name], [at]), W, mask) for at, mask in parts])

        def columns(name: str) -> V:
            return joined([self.load(b.gep(self.pointers[name], [I64(k * W)]), W, mask) for k, mask in enumerate(masks)] * count)

        def folded(fold: Fold, value: V) -> V:
            pieces = [part(value, p * W, W) for p in range(len(parts))]
            held = [v if mask is None else where(V(b, mask), v, fold.neutral) for v, (_, mask) in zip(pieces, parts, strict=True)]
            return _folded(joined(held), count, fold)

        arguments = self.singles(i, count) | {n: rows(n) for n in self.matrices} | {n: columns(n) for n in self.of_columns}
        course = _Course(self.formula, arguments)
        for answers in self.known(s, place, count):
            course.go_on(rows(self.outputs[0]) if a is None else a for a in answers)
        for name, value in self.to_store(course):
            for p, (at, mask) in enumerate(parts):
                self.store(part(value, p * W, W), b.gep(self.pointers[name], [at]), mask)
        self.note(s, i, place, [folded(asked.fold, asked.value) for asked in course.asks if asked.fold], course)

    def to_store(self, course: _Course) -> list[tuple[str, V]]:
        """Outputs and what to store in them at present: a value to be kept, or the results."""
        kept_ = [(self.outputs[0], asked.value) for asked in course.asks if asked.fold is None]
        return kept_ or list(zip(self.outputs, course.results, strict=False))

    def long(self, registers: int, s: int, i: ir.Value, place: ir.Value, count: int) -> None:
        """Step s of row i, `registers` vectors at a time."""
        b = self.b
        begin = b.mul(i, self.columns)
        known = self.known(s, place, 1)
        course = _Course(self.formula, self.anything(b) | self.singles(i, 1))
        for answers in known:
            course.go_on(asked.value if a is None else a for a, asked in zip(answers, course.asks, strict=True))

        def apply(j: ir.Value, lanes: int, mask: ir.Value | None) -> list[V]:
            def row(name: str) -> V:
                return self.load(b.gep(self.pointers[name], [b.add(begin, j)]), lanes, mask)

            columns = {name: self.load(b.gep(self.pointers[name], [j]), lanes, mask) for name in self.of_columns}
            course = _Course(self.formula, self.singles(i, 1) | {name: row(name) for name in self.matrices} | columns)
            for answers in known:
                course.go_on(row(self.outputs[0]) if a is None else a for a in answers)
            for name, value in self.to_store(course):
                self.store(value, b.gep(self.pointers[name], [b.add(begin, j)]), mask)
            return [asked.value for asked in course.asks if asked.fold]

        folds = [fold for fold in self.steps[s] if fold]
        self.note(s, i, place, self.along(self.columns, registers, folds, apply) if folds or self.outputs else [], course)


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
