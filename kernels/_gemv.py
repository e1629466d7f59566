"""A vector times a matrix: every item of the matrix is read once, in the order in which it lies, so memory sets the pace."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._dots import folded
from ._host import NV
from ._rows import _halved
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, lanes_below, register, splat

ROWS_AT_ONCE = 8  # rows of the matrix added to the result in one pass over it
DOTS_AT_ONCE = 4  # columns whose products with the vector are summed side by side; more streams get into each other's way in a cache
VECTORS_AT_ONCE = 4  # of each row or column in a step: the fewer instructions a cache line takes, the more of them a CPU looks ahead to
PANELS_AT_ONCE = 4  # panels of a packed matrix whose products with the vector are summed side by side


def _scalar(b: ir.IRBuilder, item: ir.Type, address: ir.Value) -> ir.Value:
    return b.load(b.inttoptr(address, item.as_pointer()))


def _apart(b: ir.IRBuilder, name: str, emit: Callable[..., None], item: ir.Type, values: Sequence[ir.Value]) -> None:
    """Call what `emit` makes of some values, as a function of its own: in a large kernel registers for addresses run out."""
    module = b.module
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    function = ir.Function(module, kind, module.get_unique_name(name))
    function.linkage = "internal"
    function.attributes.add("noinline")
    inside = ir.IRBuilder(function.append_basic_block())
    emit(inside, item, *function.args)
    inside.ret_void()
    b.call(function, values)


def _several(b: ir.IRBuilder, start: ir.Value, stop: ir.Value, size: int, number: int, emit: Callable[[ir.Value, int], None]) -> None:
    """Call `emit(at, how many)` for what stands every `size` from start to stop: for `number` of them while there are so many."""
    left = b.srem(b.sub(stop, start), I64(number * size))
    together = b.select(b.icmp_signed("<", start, stop), b.sub(stop, left), start)
    with cgutils.for_range_slice(b, start, together, I64(number * size), I64) as (at, _):
        emit(at, number)
    with cgutils.for_range_slice(b, together, stop, I64(size), I64) as (at, _):
        emit(at, 1)


def _until_aligned(b: ir.IRBuilder, place: ir.Value, count: ir.Value, bytes: int, lanes: int) -> ir.Value:
    """How many of `count` items stand before the first vector that lies in one cache line: reading across two takes a quarter longer."""
    if not _host.isa().has_masks:
        return I64(0)
    ahead = b.and_(b.sdiv(b.neg(place), I64(bytes)), I64(lanes - 1))
    return b.select(b.icmp_signed("<", ahead, count), ahead, count)


def _rows(builder: ir.IRBuilder, item: ir.Type, *operands: ir.Value) -> None:
    c, cols, b, b_row, a, a_col, count, alpha = operands
    bytes, vector = register(item)
    lanes = vector.count
    mover = Mover(builder, item)
    head = _until_aligned(builder, b, cols, bytes, lanes)
    rest = builder.srem(builder.sub(cols, head), I64(lanes))
    first, last = builder.mul(head, I64(bytes)), builder.mul(builder.sub(cols, rest), I64(bytes))

    def rows(k: ir.Value, number: int) -> None:
        numbers = [builder.add(k, I64(i)) for i in range(number)]
        places = [builder.add(b, builder.mul(i, b_row)) for i in numbers]
        factors = [builder.fmul(alpha, _scalar(builder, item, builder.add(a, builder.mul(i, a_col)))) for i in numbers]
        repeated = [V(builder, splat(builder, f, lanes)) for f in factors]

        def column(offset: ir.Value, vectors: int, mask: ir.Value | None = None) -> None:
            offsets = [builder.add(offset, I64(v * lanes * bytes)) for v in range(vectors)]
            totals = [V(builder, mover.load(builder.add(c, at), mask)) for at in offsets]
            for place, factor in zip(places, repeated, strict=True):
                items = [V(builder, mover.load(builder.add(place, at), mask)) for at in offsets]
                totals = [fma(x, factor, total) for x, total in zip(items, totals, strict=True)]
            for total, at in zip(totals, offsets, strict=True):
                mover.store(total.value, builder.add(c, at), mask)

        with builder.if_then(builder.icmp_signed(">", head, I64(0))):
            column(I64(0), 1, lanes_below(builder, head, lanes))
        _several(builder, first, last, lanes * bytes, VECTORS_AT_ONCE, column)
        with builder.if_then(builder.icmp_signed(">", rest, I64(0))):
            column(last, 1, lanes_below(builder, rest, lanes))

    _several(builder, I64(0), count, 1, ROWS_AT_ONCE, rows)


@intrinsic
def add_rows(typingctx: Any, c: Any, cols: Any, b: Any, b_row: Any, a: Any, a_col: Any, count: Any, alpha: Any) -> Any:
    """c += alpha sum_k a_k b_k over `count` rows of b; addresses and strides in bytes, rows contiguous."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        _apart(builder, "add_rows", _rows, LLVM_ITEMS[alpha], values)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 7, alpha), emit


def _columns(builder: ir.IRBuilder, item: ir.Type, *operands: ir.Value) -> None:
    c, base, b, b_col, a, depth, count, alpha, beta = operands
    bytes, vector = register(item)
    lanes = vector.count
    mover = Mover(builder, item)

    # Where all columns lie alike, vectors begin where cache lines do: `shift` lanes before the first item.
    alike = builder.icmp_signed("==", builder.and_(b_col, I64(lanes * bytes - 1)), I64(0))
    shift = builder.select(alike, builder.and_(builder.sdiv(b, I64(bytes)), I64(lanes - 1)), I64(0))
    shift = shift if _host.isa().has_masks else I64(0)
    back = builder.mul(shift, I64(bytes))
    end = builder.add(depth, shift)
    rest = builder.srem(end, I64(lanes))
    begun = builder.icmp_signed(">", shift, I64(0))
    first, last = builder.select(begun, I64(lanes), I64(0)), builder.sub(end, rest)
    left = builder.sub(a, back)

    def columns(j: ir.Value, number: int) -> None:
        start = builder.sub(builder.add(b, builder.mul(j, b_col)), back)
        places = [builder.add(start, builder.mul(I64(i), b_col)) for i in range(number)]
        with builder.goto_entry_block():
            totals = [builder.alloca(vector) for _ in range(number)]
        for total in totals:
            builder.store(constant(vector, 0.0), total)

        def step(k: ir.Value, vectors: int, mask: ir.Value | None = None) -> None:
            for v in range(vectors):
                offset = builder.mul(builder.add(k, I64(v * lanes)), I64(bytes))
                factor = V(builder, mover.load(builder.add(left, offset), mask))
                for place, total in zip(places, totals, strict=True):
                    right = V(builder, mover.load(builder.add(place, offset), mask))
                    builder.store(fma(factor, right, V(builder, builder.load(total))).value, total)

        with builder.if_then(begun):
            step(I64(0), 1, builder.xor(lanes_below(builder, end, lanes), lanes_below(builder, shift, lanes)))
        _several(builder, first, last, lanes, VECTORS_AT_ONCE, step)
        with builder.if_then(builder.and_(builder.icmp_signed(">", rest, I64(0)), builder.icmp_signed("<=", first, last))):
            step(last, 1, lanes_below(builder, rest, lanes))
        # Lanes far apart are added first: such a fold gives the same wherever in the register the sum begins.
        few, found = Mover(builder, item, min(number, lanes)), [V(builder, builder.load(total)) for total in totals]
        found = folded(found, few.lanes) if number > 1 else [_halved(found[0], 1, operator.add)]
        sums = [V(builder, alpha) * sum for sum in found]
        offsets = [builder.mul(builder.add(j, I64(i * few.lanes)), I64(bytes)) for i in range(len(sums))]
        with builder.if_else(builder.fcmp_ordered("==", beta, ir.Constant(item, 0.0))) as (fresh, added):
            with fresh:
                for sum, offset in zip(sums, offsets, strict=True):
                    few.store(sum.value, builder.add(c, offset), None)
            with added:
                for sum, offset in zip(sums, offsets, strict=True):
                    old = V(builder, few.load(builder.add(base, offset)))
                    few.store((sum + V(builder, beta) * old).value, builder.add(c, offset), None)

    _several(builder, I64(0), count, 1, DOTS_AT_ONCE, columns)


@intrinsic
def dots(typingctx: Any, c: Any, base: Any, b: Any, b_col: Any, a: Any, depth: Any, count: Any, alpha: Any, beta: Any) -> Any:
    """c_j = alpha sum_k a_k b_kj + beta base_j for `count` columns of b, contiguous as a is; addresses and strides in bytes."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        _apart(builder, "dots", _columns, LLVM_ITEMS[alpha], values)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 7, alpha, alpha), emit


@intrinsic
def panel_sums(typingctx: Any, c: Any, c_panel: Any, base: Any, base_panel: Any, b: Any, b_panel: Any, a: Any, a_col: Any, depth: Any,
               count: Any, alpha: Any, beta: Any) -> Any:  # fmt: skip
    """c_p = alpha sum_k a_k b_pk + beta base_p for `count` panels p of b, either PANELS_AT_ONCE or 1, their rows one behind the other."""
    item = LLVM_ITEMS[alpha]
    bytes, vector = register(item)
    lanes = vector.count

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        c, c_panel, base, base_panel, b, b_panel, a, a_col, depth, count, alpha, beta = values
        mover = Mover(builder, item)

        def vectors(start: ir.Value, step: ir.Value, number: int) -> list[ir.Value]:
            panels = [builder.add(start, builder.mul(I64(p), step)) for p in range(number)]
            return [builder.add(panel, I64(v * lanes * bytes)) for panel in panels for v in range(NV)]

        def panels(number: int) -> None:
            entry, head, body, done = builder.block, *(builder.append_basic_block(name) for name in ("k_head", "k_body", "k_done"))
            places = vectors(b, b_panel, number)
            builder.branch(head)
            builder.position_at_end(head)
            k, a_at, offset = counters = [builder.phi(I64) for _ in range(3)]
            totals = [builder.phi(vector) for _ in places]
            builder.cbranch(builder.icmp_signed(">", k, I64(0)), body, done)
            builder.position_at_end(body)
            left = V(builder, splat(builder, _scalar(builder, item, a_at), lanes))
            rights = [V(builder, mover.load(builder.add(place, offset))) for place in places]
            sums = [fma(left, right, V(builder, total)).value for right, total in zip(rights, totals, strict=True)]
            advanced = [builder.sub(k, I64(1)), builder.add(a_at, a_col), builder.add(offset, I64(NV * lanes * bytes))]
            starts = [depth, a, I64(0), *[constant(vector, 0.0)] * len(totals)]
            for phi, before, after in zip(counters + totals, starts, advanced + sums, strict=True):
                phi.add_incoming(before, entry)
                phi.add_incoming(after, body)
            builder.branch(head)
            builder.position_at_end(done)
            repeated = [V(builder, splat(builder, x, lanes)) for x in (alpha, beta)]
            targets, beneath = vectors(c, c_panel, number), vectors(base, base_panel, number)
            with builder.if_else(builder.fcmp_ordered("==", beta, ir.Constant(item, 0.0))) as (fresh, added):
                with fresh:
                    for total, place in zip(totals, targets, strict=True):
                        mover.store((repeated[0] * V(builder, total)).value, place, None)
                with added:
                    for total, place, under in zip(totals, targets, beneath, strict=True):
                        old = V(builder, mover.load(under))
                        mover.store(fma(old, repeated[1], repeated[0] * V(builder, total)).value, place, None)

        with builder.if_else(builder.icmp_signed("==", count, I64(PANELS_AT_ONCE))) as (several, single):
            with several:
                panels(PANELS_AT_ONCE)
            with single:
                panels(1)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 10, alpha, alpha), emit
