"""The micro-kernel of weight gradients of few channels: dot products of rows of pixels, many at a time, in vector registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._compiler import subroutine
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, lanes_below, shuffle, where

# Rows and taps of a tile: there is room for all that a step loads beside the sums.
MOST_ROWS, TAPS_AT_ONCE = {16: 2, 32: 4}[_host.isa().registers], 4
NAMES = ("c", "c_row", "dy", "dy_row", "dy_image", "x", "x_image", "taps", "count", "images", "pixels")


class _DotTile(Mover):
    """Emits one tile of `rows` rows of dy by TAPS_AT_ONCE places in x."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, rows: int) -> None:
        super().__init__(b, item)
        self.rows = rows

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b = self.b
        zero = constant(self.vector, 0.0)
        self.totals = [cgutils.alloca_once_value(b, zero) for _ in range(self.rows * TAPS_AT_ONCE)]
        lanes = self.vector.count
        whole, rest = (emit(operands["pixels"], I64(lanes)) for emit in (b.sdiv, b.srem))
        taps = [b.load(self.at(b.add(operands["taps"], I64(8 * t)), I64)) for t in range(TAPS_AT_ONCE)]
        rows = [b.mul(I64(i), operands["dy_row"]) for i in range(self.rows)]
        with cgutils.for_range(b, operands["images"], intp=I64) as image:
            at, from_at = (b.add(operands[n], b.mul(image.index, operands[f"{n}_image"])) for n in ("dy", "x"))
            dy, x = [b.add(at, row) for row in rows], [b.add(from_at, tap) for tap in taps]
            with cgutils.for_range(b, whole, intp=I64) as step:
                self._add(dy, x, b.mul(step.index, I64(lanes * self.bytes)), None)
            with b.if_then(b.icmp_signed(">", rest, I64(0))):
                self._add(dy, x, b.mul(whole, I64(lanes * self.bytes)), lanes_below(b, rest, lanes))
        self._finish(operands)

    def _add(self, dy: list[ir.Value], x: list[ir.Value], shift: ir.Value, mask: ir.Value | None) -> None:
        b = self.b
        left, right = ([V(b, self.load(b.add(at, shift), mask)) for at in places] for places in (dy, x))
        for i, total in enumerate(self.totals):
            b.store(fma(left[i // TAPS_AT_ONCE], right[i % TAPS_AT_ONCE], V(b, b.load(total))).value, total)

    def _finish(self, operands: dict[str, ir.Value]) -> None:
        """Fold each register to one number and add it to the result, where the tap exists."""
        b, row = self.b, Mover(self.b, self.item, TAPS_AT_ONCE)
        mask = lanes_below(b, operands["count"], TAPS_AT_ONCE)
        for i, sums in enumerate(folded([V(b, b.load(total)) for total in self.totals], TAPS_AT_ONCE)):
            place = b.add(operands["c"], b.mul(I64(i), operands["c_row"]))
            row.store(b.fadd(row.load(place, mask), sums.value), place, mask)


def folded(vectors: list[V], size: int) -> list[V]:
    """The sums over the lanes of each vector, `size` of them side by side in each result.

    Lanes far apart are added first. Two vectors share a step: half of the sum's lanes go on with the one, half with the other.
    """
    b, lanes = vectors[0].builder, vectors[0].lanes
    whose = [[i] for i in range(len(vectors))]  # which vector's sum each group of lanes of a vector holds
    group = lanes
    while group > 1:
        group //= 2
        even = [lane // group % 2 == 0 for lane in range(lanes)]
        pairs = [(i, min(i + 1, len(vectors) - 1)) for i in range(0, len(vectors), 2)]
        across = [lane + group if first else lane - group + lanes for lane, first in enumerate(even)]
        mask = V(b, ir.Constant(ir.VectorType(ir.IntType(1), lanes), even))
        vectors = [where(mask, vectors[i], vectors[j]) + shuffle(vectors[i], vectors[j], across) for i, j in pairs]
        whose = [[x for both in zip(whose[i], whose[j], strict=True) for x in both] for i, j in pairs]
    places = {x: (i, lane) for i, labels in enumerate(whose) for lane, x in enumerate(labels)}
    results = []
    for start in range(0, len(places), size):
        first, second = (vectors[places[start + k][0]] for k in (0, size - 1))
        picks = [places[start + k] for k in range(size)]
        results.append(shuffle(first, second, [lane + (lanes if vectors[i] is not first else 0) for i, lane in picks]))
    return results


@intrinsic
def _dot_tile(typingctx: Any, c: Any, c_row: Any, dy: Any, dy_row: Any, dy_image: Any, x: Any, x_image: Any, taps: Any, count: Any,
              images: Any, pixels: Any, rows: Any, like: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[like]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        done = builder.append_basic_block("dots_done")
        switch = builder.switch(values[11], done)
        for rows in range(1, MOST_ROWS + 1):
            block = builder.append_basic_block(f"dots_{rows}")
            switch.add_case(I64(rows), block)
            builder.position_at_end(block)
            builder.call(_function(builder.module, item, rows), values[:11])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 12, like), emit


def _function(module: ir.Module, item: ir.Type, rows: int) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(NAMES)), f"dots_{rows}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _DotTile(builder, item, rows).emit(dict(zip(NAMES, function.args, strict=True)))
    builder.ret_void()
    return function


@subroutine
def dot_tile(c, c_row, dy, dy_row, dy_image, x, x_image, taps, count, images, pixels, rows, like):
    """c[i, t] += sum over images n and pixels p of dy[n, i, p] x[n, taps[t] + p] for rows <= MOST_ROWS and count <= TAPS_AT_ONCE.

    Addresses and strides in bytes; pixels lie side by side. taps: address of TAPS_AT_ONCE offsets, of which the first `count` matter.
    """
    _dot_tile(c, c_row, dy, dy_row, dy_image, x, x_image, taps, count, images, pixels, rows, like)
