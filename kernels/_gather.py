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

from ._formula import constant
from ._simd import I64, LLVM_ITEMS
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
