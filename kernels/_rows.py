"""Loops over rows around formulas: what structured kernels are made of.

    @row(stores=1, folds=(SUM,))
    def _exponentials(x, top):
        e = exp(x - top)
        return e, e

    total = _exponentials(y[i], x[i], top)      # inside a kernel: y_ij = exp(x_ij - top); total = sum_j y_ij

A loop runs its formula on several registers at a time, so that no fold waits for its own last addition, and masks the lanes beyond
the end of the row. The order of a fold depends on the length of the row alone. Sums are float64: float32 items are added up as
such in blocks, and the blocks in float64.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import for_range_slice
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._simd import (
    I32,
    I64,
    LLVM_ITEMS,
    V,
    constant,
    convert,
    item_bytes,
    lanes_below,
    lanewise,
    load,
    maximum,
    minimum,
    part,
    shuffle,
    splat,
    store,
    where,
)

BLOCK = 4096  # items of a row that are added up in the array's own dtype
DOUBLE = ir.DoubleType()
LINE = 64  # bytes of a cache line


class Fold(NamedTuple):
    """A way to combine the items of a row: its neutral value, how it combines two, and whether its result is float64."""

    neutral: float
    combine: Callable[[V, V], V]
    wide: bool = False

    def __call__(self, *terms: V) -> Asked:
        """What a formula of `_each_row` asks for: a value folded along the row or, of two, the sum of their products."""
        return Asked(self, terms)


class Asked(NamedTuple):
    """What a formula of `_each_row` yields: how to fold a value, or the product of two; None keeps the value as it is."""

    fold: Fold | None
    terms: tuple[V, ...]


SUM = Fold(0.0, lambda total, x: total + x, wide=True)
LARGEST = Fold(-math.inf, lambda largest, x: where(x > largest, x, largest))  # one instruction; NaN is passed over
MAXIMUM = Fold(-math.inf, maximum)  # NaN wins
MINIMUM = Fold(math.inf, minimum)  # NaN wins


def row(
    stores: int = 0, folds: tuple[Fold, ...] = (), registers: int = 4, pairs: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula a loop over the items of rows of equal length.

    The loop is called with `stores` output rows and then the formula's arguments: rows (contiguous, one-dimensional), floats and
    integers; an argument named `position` is not passed but counts the items. The formula returns the items to store, then the
    items to fold; the loop returns what they fold to.

    Rows named in `pairs` (outputs are out0, out1, ...) have twice as many items as the others: the formula takes and returns the two
    that belong to an item of the others, the even one and the odd one, as a tuple.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        names = [*(f"out{i}" for i in range(stores)), *(n for n in inspect.signature(formula).parameters if n != "position")]

        def typing(*arguments: types.Type) -> Any:
            dtype = _dtype(arguments)
            results = tuple(types.float64 if fold.wide else dtype for fold in folds)
            result = types.none if not folds else results[0] if len(folds) == 1 else types.Tuple(results)

            def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
                found = _Row(context, b, formula, names, sig.args, values, stores=stores, folds=folds, pairs=pairs).emit(registers)
                if not folds:
                    return context.get_dummy_value()
                return found[0] if len(folds) == 1 else context.make_tuple(b, result, found)

            return signature(result, *arguments), emit

        return formula_intrinsic(names, typing)

    return decorate


def first(formula: Callable[..., Any]) -> Any:
    """Make a formula that returns truth values a search: the index of the first item of a row where it holds, or the row's length."""
    names = list(inspect.signature(formula).parameters)

    def typing(*arguments: types.Type) -> Any:
        def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            return _Row(context, b, formula, names, sig.args, values).search()

        return signature(types.int64, *arguments), emit

    return formula_intrinsic(names, typing)


def formula_intrinsic(names: Sequence[str], typing: Callable[..., Any]) -> Any:
    """A Numba intrinsic with named arguments; Numba reads their names from its signature."""

    def definition(typingctx: Any, *arguments: types.Type) -> Any:
        return typing(*arguments)

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("typingctx", *names)]
    definition.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(definition)


def _dtype(arguments: Sequence[types.Type]) -> types.Float:
    return next(a.dtype for a in arguments if isinstance(a, types.Array) and isinstance(a.dtype, types.Float))


def _halved(value: V, lanes: int, combine: Callable[[V, V], V]) -> V:
    """`value` folded to fewer lanes by adding its upper half to its lower one: always in the same order."""
    while value.lanes > lanes:
        half = value.lanes // 2
        value = combine(part(value, 0, half), part(value, half, half))
    return part(value, 0, lanes)


class Loop:
    """One use of a formula: what its arguments are inside the function that is being built."""

    def __init__(
        self, context: Any, b: ir.IRBuilder, formula: Callable[..., Any], names: Sequence[str], kinds: Sequence[types.Type], values: Any
    ) -> None:
        self.b = b
        self.formula = formula
        self.item = LLVM_ITEMS[_dtype(kinds)]
        self.lanes = max(_host.lanes(item_bytes(self.item)), 4)
        self.pointers: dict[str, ir.Value] = {}
        self.shapes: dict[str, list[ir.Value]] = {}
        self.numbers: dict[str, ir.Value] = {}
        for name, kind, value in zip(names, kinds, values, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, b, value)
                self.pointers[name] = array.data
                self.shapes[name] = [b.extract_value(array.shape, i) for i in range(kind.ndim)]
            elif isinstance(kind, types.Integer):
                self.numbers[name] = context.cast(b, value, kind, types.int64)
            else:
                self.numbers[name] = context.cast(b, value, kind, _dtype(kinds))

    def variable(self, type: ir.Type, count: int = 1) -> ir.Value:
        with self.b.goto_entry_block():
            at = self.b.alloca(type, I32(count))
        at.align = LINE  # which makes LLVM align the registers that it spills as well
        return at

    def load(self, pointer: ir.Value, lanes: int, mask: ir.Value | None) -> V:
        return load(self.b, pointer, lanes, mask)

    def store(self, value: V, pointer: ir.Value, mask: ir.Value | None) -> None:
        store(convert(value, pointer.type.pointee), pointer, mask)

    def repeated(self, value: ir.Value, lanes: int) -> V:
        return V(self.b, splat(self.b, value, lanes))

    def evaluate(self, **known: V) -> tuple[V, ...]:
        """The formula's results, for the arguments in `known`."""
        result = self.formula(**{name: known[name] for name in inspect.signature(self.formula).parameters})
        return result if isinstance(result, tuple) else (result,)

    def smaller(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def larger(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed(">", x, y), x, y)

    def rounded(self, count: ir.Value, step: int) -> ir.Value:
        """`count` rounded down to a multiple of `step`, a power of two."""
        return self.b.and_(count, I64(-step))

    def each(self, start: ir.Value, stop: ir.Value, step: int) -> Any:
        return for_range_slice(self.b, start, stop, I64(step))

    def edge(self, start: ir.Value, stop: ir.Value, emit: Callable[[ir.Value], None]) -> None:
        """`emit(mask)` for the lanes from `start` to `stop` - 1, if there are any."""
        count = self.b.sub(stop, start)
        with self.b.if_then(self.b.icmp_signed(">", count, I64(0))):
            emit(lanes_below(self.b, count, self.lanes))

    def along(self, length: ir.Value, registers: int, folds: Sequence[Fold], apply: Callable[..., Sequence[V]]) -> list[V]:
        """Run `apply(j, lanes, mask)` over the items of a row, `registers` vectors at a time; what it returns is folded."""
        b, W = self.b, self.lanes
        types = [DOUBLE if fold.wide else self.item for fold in folds]
        results = [self.variable(type) for type in types]
        many = [self.variable(lanewise(self.item, registers * W)) for _ in folds]
        few = [self.variable(lanewise(self.item, W)) for _ in folds]

        def visit(j: ir.Value, lanes: int, partial: list[ir.Value], mask: ir.Value | None = None) -> None:
            for fold, value, variable in zip(folds, apply(j, lanes, mask), partial, strict=True):
                if mask is not None:
                    value = where(V(b, mask), value, fold.neutral)
                b.store(fold.combine(V(b, b.load(variable)), value).value, variable)

        for fold, result, type in zip(folds, results, types, strict=True):
            b.store(ir.Constant(type, fold.neutral), result)
        with self.blocks(length, folds) as (start, stop):
            size = b.sub(stop, start)
            groups = b.add(start, self.rounded(size, registers * W))
            singles = b.add(start, self.rounded(size, W))
            for fold, variable in zip(folds, many, strict=True):
                b.store(constant(variable.type.pointee, fold.neutral), variable)
            with self.each(start, groups, registers * W) as (j, _):
                visit(j, registers * W, many)
            for fold, wide, narrow in zip(folds, many, few, strict=True):
                b.store(_halved(V(b, b.load(wide)), W, fold.combine).value, narrow)
            with self.each(groups, singles, W) as (j, _):
                visit(j, W, few)
            self.edge(singles, stop, lambda mask: visit(singles, W, few, mask))
            for fold, narrow, result in zip(folds, few, results, strict=True):
                one = convert(_halved(V(b, b.load(narrow)), 1, fold.combine), result.type.pointee)
                b.store(fold.combine(V(b, b.load(result)), one).value, result)
        return [V(b, b.load(result)) for result in results]

    @contextmanager
    def blocks(self, length: ir.Value, folds: Sequence[Fold]) -> Iterator[tuple[ir.Value, ir.Value]]:
        """Loop over blocks of a row, each given as (start, stop): the whole row unless there are sums."""
        if not any(fold.wide for fold in folds):
            yield I64(0), length
            return
        with self.each(I64(0), length, BLOCK) as (start, _):
            yield start, self.smaller(self.b.add(start, I64(BLOCK)), length)


class _Row(Loop):
    def __init__(self, *use: Any, stores: int = 0, folds: tuple[Fold, ...] = (), pairs: tuple[str, ...] = ()) -> None:
        super().__init__(*use)
        self.outputs = list(self.pointers)[:stores]
        self.folds = folds
        self.pairs = pairs
        self.length = next(shape for name, shape in self.shapes.items() if name not in pairs)[0]

    def emit(self, registers: int) -> list[ir.Value]:
        return [found.value for found in self.along(self.length, registers, self.folds, self.apply)]

    def apply(self, j: ir.Value, lanes: int, mask: ir.Value | None) -> Sequence[V]:
        """The formula at items j, j + 1, ...: load its arguments, store its first results, return the others."""
        b = self.b
        results = self.evaluate(**self.arguments(j, lanes, mask))
        for value, name in zip(results, self.outputs, strict=False):
            if name in self.pairs:
                in_turn = shuffle(*value, [lane + odd * lanes for lane in range(lanes) for odd in (0, 1)])
                self.store(in_turn, b.gep(self.pointers[name], [b.shl(j, I64(1))]), self.doubled(mask))
            else:
                self.store(value, b.gep(self.pointers[name], [j]), mask)
        return results[len(self.outputs) :]

    def doubled(self, mask: ir.Value | None) -> ir.Value | None:
        """The mask of pairs."""
        if mask is None:
            return None
        return shuffle(V(self.b, mask), V(self.b, mask), [lane // 2 for lane in range(2 * mask.type.count)]).value

    def arguments(self, j: ir.Value, lanes: int, mask: ir.Value | None) -> dict[str, Any]:
        b = self.b
        known = {name: self.repeated(value, lanes) for name, value in self.numbers.items()}
        inputs = {n: p for n, p in self.pointers.items() if n not in self.outputs}
        known |= {n: self.load(b.gep(p, [j]), lanes, mask) for n, p in inputs.items() if n not in self.pairs}
        for name in [n for n in self.pairs if n in inputs]:
            both = self.load(b.gep(inputs[name], [b.shl(j, I64(1))]), 2 * lanes, self.doubled(mask))
            known[name] = tuple(shuffle(both, both, list(range(odd, 2 * lanes, 2))) for odd in (0, 1))
        if "position" in inspect.signature(self.formula).parameters:
            order = ir.Constant(lanewise(I64, lanes), list(range(lanes)) if lanes > 1 else 0)
            known["position"] = V(b, b.add(splat(b, j, lanes), order))
        return known

    def search(self) -> ir.Value:
        b, W = self.b, self.lanes
        found = self.variable(I64)
        b.store(self.length, found)
        done = b.append_basic_block("found")

        def look(j: ir.Value, mask: ir.Value | None = None) -> None:
            holds = self.evaluate(**self.arguments(j, W, mask))[0].value
            hits = b.bitcast(holds if mask is None else b.and_(holds, mask), ir.IntType(W))
            with b.if_then(b.icmp_unsigned("!=", hits, ir.IntType(W)(0)), likely=False):
                lane = b.zext(b.cttz(hits, ir.IntType(1)(1)), I64)
                b.store(b.add(j, lane), found)
                b.branch(done)

        singles = self.rounded(self.length, W)
        with self.each(I64(0), singles, W) as (j, _):
            look(j)
        self.edge(singles, self.length, lambda mask: look(singles, mask))
        b.branch(done)
        b.position_at_end(done)
        return b.load(found)


def integers(results: int) -> Callable[[Callable[..., Any]], Any]:
    """Make a formula that returns `results` integers callable on single integers."""

    def decorate(formula: Callable[..., Any]) -> Any:
        names = list(inspect.signature(formula).parameters)

        def typing(*arguments: types.Type) -> Any:
            result = types.UniTuple(types.int64, results)

            def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
                words = [V(b, context.cast(b, v, t, types.int64)) for t, v in zip(sig.args, values, strict=True)]
                return context.make_tuple(b, result, [found.value for found in formula(*words)])

            return signature(result, *arguments), emit

        return formula_intrinsic(names, typing)

    return decorate
