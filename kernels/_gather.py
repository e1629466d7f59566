"""The micro-kernel of convolutions: a tile of a matrix product whose operands lie wherever tables say.

A convolution is a matrix product between pixels and taps (a channel and a place in the kernel), where the item for a pixel and a tap
lies at an address that is the sum of one part for the pixel and one for the tap. Two short tables of such parts stand
for the matrix, so that it is never written down (Dukhan 2019, "The indirect convolution algorithm", carries one table).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._formula import V, constant, fma, lanewise, splat
from ._rows import _halved
from ._simd import I64, LLVM_ITEMS, _lane_mask
from ._tile import NV, _Tile, _transpose_registers, _vectors, tile_rows


class _GatherTile(_Tile):
    """A tile whose rows of A, steps of k and rows of C lie where tables say: (address in A, address in C) for each row and
    (offset in A, offset in B) for each step, the steps repeated for a number of equally spaced planes of A and B."""

    PAIR = 16  # bytes of a table's entry

    def _entry(self, table: ir.Value, i: int) -> tuple[ir.Value, ir.Value]:
        first, second = (self.b.load(self._at(self.b.add(table, I64(self.PAIR * i + 8 * half)), I64)) for half in range(2))
        return first, second

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b, step = self.b, self.vector.count * self.bytes
        rows = [self._entry(operands["rows"], i) for i in range(self.rows)]
        totals = self._products(operands | {f"row_{i}": left for i, (left, _) in enumerate(rows)}, [None] * self.vectors)
        for i, (_, target) in enumerate(rows):
            for v in range(self.vectors):
                place = b.add(target, I64(v * step))
                self._store(b.fadd(self._load(place, None), totals[i * self.vectors + v]), place, None)

    def _products(self, operands: dict[str, ir.Value], masks: list[ir.Value | None]) -> list[ir.Value]:
        """Loops over at least one plane, each of at least one step."""
        b = self.b
        plane, body, latch, done = (b.append_basic_block(name) for name in ("plane", "step", "plane_done", "done"))
        entry = b.block
        b.branch(plane)
        b.position_at_end(plane)
        outer = [b.phi(I64) for _ in range(3)]
        starts = [b.phi(self.vector) for _ in range(self.rows * self.vectors)]
        b.branch(body)
        b.position_at_end(body)
        inner = [b.phi(I64) for _ in range(2)]
        totals = [b.phi(self.vector) for _ in starts]
        (planes, a_shift, b_at), (k, at) = outer, inner
        a_offset, b_offset = self._entry(at, 0)
        shift = b.add(a_shift, a_offset)
        sums = self._step([b.add(operands[f"row_{i}"], shift) for i in range(self.rows)], b.add(b_at, b_offset), masks, totals)
        following = [b.sub(k, I64(1)), b.add(at, I64(self.PAIR))]
        b.cbranch(b.icmp_signed(">", k, I64(1)), body, latch)
        b.position_at_end(latch)
        advanced = [b.sub(planes, I64(1)), b.add(a_shift, operands["a_plane"]), b.add(b_at, operands["b_plane"])]
        b.cbranch(b.icmp_signed(">", planes, I64(1)), plane, done)
        b.position_at_end(done)
        zeros = [constant(self.vector, 0.0)] * len(starts)
        first = [operands["planes"], I64(0), operands["b"]]
        for phi, before, after in zip(outer + starts, first + zeros, advanced + sums, strict=True):
            phi.add_incoming(before, entry)
            phi.add_incoming(after, latch)
        for phi, before, after in zip(inner + totals, [operands["depth"], operands["steps"], *starts], following + sums, strict=True):
            phi.add_incoming(before, plane)
            phi.add_incoming(after, body)
        return sums


@intrinsic
def gather_tile(typingctx: Any, rows: Any, steps: Any, depth: Any, planes: Any, a_plane: Any, b: Any, b_plane: Any,
                cols: Any, like: Any) -> Any:  # fmt: skip
    """c += a b for MR rows and NR columns (one vector, where cols needs no more), placed by tables: see `_GatherTile`.

    rows: address of MR pairs of addresses in A and C; steps: address of `depth` pairs of offsets in A and B; strides in bytes.
    """
    names = ("rows", "steps", "depth", "planes", "a_plane", "b", "b_plane", "cols")
    sig = signature(types.none, *[types.int64] * 8, like)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        operands = dict(zip(names, values, strict=False))
        lanes = _vectors(LLVM_ITEMS[like])[1].count
        with builder.if_else(builder.icmp_signed(">", operands["cols"], I64(lanes))) as (wide, narrow):
            for branch, vectors in ((wide, NV), (narrow, 1)):
                with branch:
                    _GatherTile(builder, LLVM_ITEMS[like], tile_rows(), vectors, False).emit(operands)
        return context.get_dummy_value()

    return sig, emit


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


@intrinsic
def transpose(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, rows: Any, cols: Any, like: Any) -> Any:
    """target[k, j] = source[j, k] for k < rows, j < cols; strides in bytes, rows of both contiguous."""
    bytes, vector = _vectors(LLVM_ITEMS[like])
    lanes, zero, one = I64(vector.count), I64(0), I64(1)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_row, rows, cols = values[:6]
        item = LLVM_ITEMS[like].as_pointer()

        def place(base: ir.Value, stride: ir.Value, i: ir.Value, j: ir.Value) -> ir.Value:
            return builder.add(base, builder.add(builder.mul(i, stride), builder.mul(j, I64(bytes))))

        def single(k: ir.Value, j: ir.Value) -> None:
            value = builder.load(builder.inttoptr(place(source, source_row, j, k), item))
            builder.store(value, builder.inttoptr(place(target, target_row, k, j), item))

        whole_rows, whole_cols = (builder.mul(builder.sdiv(n, lanes), lanes) for n in (rows, cols))

        def over(start: ir.Value, stop: ir.Value, step: ir.Value) -> Any:
            return cgutils.for_range_slice(builder, start, stop, step, I64)

        with over(zero, whole_rows, lanes) as (k, _), over(zero, whole_cols, lanes) as (j, _):
            blocks = place(target, target_row, k, j), target_row, place(source, source_row, j, k), source_row
            _transpose_registers(builder, LLVM_ITEMS[like], *blocks)
        for first_row, first_col, last_row in ((zero, whole_cols, whole_rows), (whole_rows, zero, rows)):
            with over(first_row, last_row, one) as (k, _), over(first_col, cols, one) as (j, _):
                single(k, j)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 6, like), emit


def _ceil_div(b: ir.IRBuilder, size: ir.Value, part: ir.Value) -> ir.Value:
    return b.sdiv(b.add(size, b.sub(part, I64(1))), part)


@intrinsic
def ceil_div(typingctx: Any, size: Any, part: Any) -> Any:
    """How many parts of `part` >= 1 items cover `size` >= 0 items."""
    return signature(types.int64, types.int64, types.int64), lambda context, builder, sig, values: _ceil_div(builder, *values)


@intrinsic
def even_parts(typingctx: Any, size: Any, most: Any) -> Any:
    """The length, at least 1, of the fewest equal parts of `size` >= 0 items that are no longer than `most`."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        size, most = (builder.select(builder.icmp_signed(">", value, I64(1)), value, I64(1)) for value in values)
        return _ceil_div(builder, size, _ceil_div(builder, size, most))

    return signature(types.int64, types.int64, types.int64), emit


class _Span(_Tile):
    """Emits loops over neighbouring pixels, a register of them at a time or, where they do not lie side by side, one by one."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, lanes: int) -> None:
        super().__init__(b, item, 1, 1, False)
        self.lanes, self.vector = lanes, lanewise(item, lanes)

    def over(self, count: ir.Value, body: Any) -> None:
        """Call `body(first pixel, mask of the pixels that exist)` for each register; it emits code."""
        b, lanes = self.b, I64(self.lanes)
        whole = b.mul(b.sdiv(count, lanes), lanes)
        with cgutils.for_range_slice(b, I64(0), whole, lanes, I64) as (j, _):
            body(j, None)
        if self.lanes > 1:
            with b.if_then(b.icmp_signed("<", whole, count)):
                body(whole, _lane_mask(b, b.sub(count, whole), self.lanes))


def _spans(b: ir.IRBuilder, item: ir.Type, *steps: ir.Value) -> Any:
    """Whole registers where every step is one item, else single items: yields each kind within its branch."""
    bytes, vector = _vectors(item)
    side_by_side = b.icmp_signed("==", steps[0], I64(bytes))
    for step in steps[1:]:
        side_by_side = b.and_(side_by_side, b.icmp_signed("==", step, I64(bytes)))
    with b.if_else(side_by_side) as branches:
        for branch, lanes in zip(branches, (vector.count, 1), strict=True):
            with branch:
                yield _Span(b, item, lanes)


@intrinsic
def gather_span(typingctx: Any, target: Any, target_step: Any, source: Any, source_step: Any, count: Any, taps: Any, depth: Any,
                planes: Any, source_plane: Any, weight_plane: Any, like: Any) -> Any:  # fmt: skip
    """target[j] += sum_p sum_t weight[p, t] source[p, j + t] for j < count; steps in bytes.

    taps: address of `depth` pairs: offset in the source and address of the weight, both of the first of `planes` planes.
    """

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_step, source, source_step, count, taps, depth, planes, source_plane, weight_plane, _ = values
        for span in _spans(b, LLVM_ITEMS[like], target_step, source_step):

            def body(j: ir.Value, mask: ir.Value | None, span: _Span = span) -> None:
                place = b.add(target, b.mul(j, target_step))
                first = b.add(source, b.mul(j, source_step))
                total = cgutils.alloca_once_value(b, span._load(place, mask))
                with cgutils.for_range(b, planes, intp=I64) as plane, cgutils.for_range(b, depth, intp=I64) as tap:
                    pair = b.add(taps, b.mul(tap.index, I64(16)))
                    offset, weight_at = (b.load(b.inttoptr(b.add(pair, I64(half)), I64.as_pointer())) for half in (0, 8))
                    offset = b.add(offset, b.mul(plane.index, source_plane))
                    weight_at = b.add(weight_at, b.mul(plane.index, weight_plane))
                    weight = splat(b, b.load(span._at(weight_at, span.item)), span.lanes)
                    pixels = V(b, span._load(b.add(first, offset), mask))
                    b.store(fma(pixels, V(b, weight), V(b, b.load(total))).value, total)
                span._store(b.load(total), place, mask)

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
                    j: ir.Value, mask: ir.Value | None, span: _Span = span, left: Any = left, right: Any = right, total: Any = total
                ) -> None:
                    x = V(builder, span._load(builder.add(left, builder.mul(j, I64(span.bytes))), mask))
                    y = V(builder, span._load(builder.add(right, builder.mul(j, b_step)), mask))
                    builder.store(fma(x, y, V(builder, builder.load(total))).value, total)

                span.over(cols, body)
            builder.store(_halved(V(builder, builder.load(total)), 1, lambda x, y: x + y).value, result)
        return builder.load(result)

    return signature(like, *[types.int64] * 7, like), emit
