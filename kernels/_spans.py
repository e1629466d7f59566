"""The inner loops of depthwise convolutions: rows of pixels that take part together, a register of them at a time."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._rows import _halved
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, register, splat


@intrinsic
def fill_table(typingctx: Any, table: Any, first: Any, second: Any, sizes: Any, first_steps: Any, second_steps: Any) -> Any:
    """Write the pairs (first + i . first_steps, second + i . second_steps) for all three-fold indices i below `sizes`; returns the end."""
    sig = signature(types.int64, *[types.int64] * 3, *[types.UniTuple(types.int64, 3)] * 3)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        at = cgutils.alloca_once_value(builder, values[0])
        sizes, *steps = (cgutils.unpack_tuple(builder, value, 3) for value in values[3:])

        def loop(level: int, pair: list[ir.Value]) -> None:
            if level == 3:
                place = builder.load(at)
                for half, value in enumerate(pair):
                    builder.store(value, builder.inttoptr(builder.add(place, I64(8 * half)), I64.as_pointer()))
                builder.store(builder.add(place, I64(16)), at)
                return
            with cgutils.for_range(builder, sizes[level], intp=I64) as turn:
                loop(level + 1, [builder.add(v, builder.mul(turn.index, s[level])) for v, s in zip(pair, steps, strict=True)])

        loop(0, list(values[1:3]))
        return builder.load(at)

    return sig, emit


def _spans(b: ir.IRBuilder, item: ir.Type, *steps: ir.Value) -> Any:
    """Whole registers where every step is one item, else single items: yields each kind within its branch."""
    bytes, vector = register(item)
    side_by_side = b.icmp_signed("==", steps[0], I64(bytes))
    for step in steps[1:]:
        side_by_side = b.and_(side_by_side, b.icmp_signed("==", step, I64(bytes)))
    with b.if_else(side_by_side) as branches:
        for branch, lanes in zip(branches, (vector.count, 1), strict=True):
            with branch:
                yield Mover(b, item, lanes)


@intrinsic
def gather_span(typingctx: Any, target: Any, target_step: Any, source: Any, source_step: Any, count: Any, taps: Any, depth: Any,
                planes: Any, source_plane: Any, weight_plane: Any, like: Any) -> Any:  # fmt: skip
    """target[j] += sum_p sum_t weight[p, t] source[p, j + t] for j < count; steps in bytes.

    taps: address of `depth` pairs: offset in the source and address of the weight, both of the first of `planes` planes.
    """

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_step, source, source_step, count, taps, depth, planes, source_plane, weight_plane, _ = values
        for span in _spans(b, LLVM_ITEMS[like], target_step, source_step):

            def body(j: ir.Value, mask: ir.Value | None, span: Mover = span) -> None:
                place = b.add(target, b.mul(j, target_step))
                first = b.add(source, b.mul(j, source_step))
                total = cgutils.alloca_once_value(b, span.load(place, mask))
                with cgutils.for_range(b, planes, intp=I64) as plane, cgutils.for_range(b, depth, intp=I64) as tap:
                    pair = b.add(taps, b.mul(tap.index, I64(16)))
                    offset, weight_at = (b.load(b.inttoptr(b.add(pair, I64(half)), I64.as_pointer())) for half in (0, 8))
                    offset = b.add(offset, b.mul(plane.index, source_plane))
                    weight_at = b.add(weight_at, b.mul(plane.index, weight_plane))
                    weight = splat(b, b.load(span.at(weight_at, span.item)), span.lanes)
                    pixels = V(b, span.load(b.add(first, offset), mask))
                    b.store(fma(pixels, V(b, weight), V(b, b.load(total))).value, total)
                span.store(b.load(total), place, mask)

            span.over(count, body)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 10, like), emit


@intrinsic
def plane_dot(typingctx: Any, a: Any, a_row: Any, b: Any, b_row: Any, b_step: Any, rows: Any, cols: Any, like: Any) -> Any:
    """The sum over rows i and columns j of a[i, j] b[i, j]; a's items lie side by side, b's `b_step` bytes apart."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        a, a_row, b, b_row, b_step, rows, cols, _ = values
        item = LLVM_ITEMS[like]
        result = cgutils.alloca_once(builder, item)
        for span in _spans(builder, item, b_step):
            total = cgutils.alloca_once_value(builder, constant(span.vector, 0.0))
            builder.store(constant(span.vector, 0.0), total)
            with cgutils.for_range(builder, rows, intp=I64) as row:
                left, right = (builder.add(at, builder.mul(row.index, step)) for at, step in ((a, a_row), (b, b_row)))

                def body(
                    j: ir.Value, mask: ir.Value | None, span: Mover = span, left: Any = left, right: Any = right, total: Any = total
                ) -> None:
                    x = V(builder, span.load(builder.add(left, builder.mul(j, I64(span.bytes))), mask))
                    y = V(builder, span.load(builder.add(right, builder.mul(j, b_step)), mask))
                    builder.store(fma(x, y, V(builder, builder.load(total))).value, total)

                span.over(cols, body)
            builder.store(_halved(V(builder, builder.load(total)), 1, lambda x, y: x + y).value, result)
        return builder.load(result)

    return signature(like, *[types.int64] * 7, like), emit
