"""The micro-kernel of weight gradients of small kernels: pixels of few channels times the result's gradients, shifted as each tap asks.

Registers hold neighbouring channels of the result. A pixel is repeated across a register and meets the gradients that it had a part in,
those of SHIFTS places beside it; nothing but these gradients has to be laid out anew.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._compiler import subroutine
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, prefetch, splat

SHIFTS = 9  # the places of a 3x3 kernel
# Where there is room, two channels, so that a step does more products than loads; LLVM loads all gradients of a step at once.
MOST_CHANNELS = {16: 1, 32: 2}[_host.isa().registers]
NAMES = ("c", "c_row", "x", "x_plane", "x_row", "x_image", "dy", "dy_row", "dy_image", "shifts", "images", "rows", "cols")


class _ShiftTile(Mover):
    """Emits one tile of `channels` channels of x by SHIFTS places in dy."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, channels: int) -> None:
        super().__init__(b, item)
        self.channels = channels

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b = self.b
        zero = constant(self.vector, 0.0)
        totals = [cgutils.alloca_once_value(b, zero) for _ in range(self.channels * SHIFTS)]
        shifts = [b.load(self.at(b.add(operands["shifts"], I64(8 * s)), I64)) for s in range(SHIFTS)]
        step = self.vector.count * self.bytes
        ahead = b.mul(operands["x_plane"], I64(self.channels))
        with cgutils.for_range(b, operands["images"], intp=I64) as image, cgutils.for_range(b, operands["rows"], intp=I64) as row:
            x, dy = (
                b.add(b.add(operands[n], b.mul(image.index, operands[f"{n}_image"])), b.mul(row.index, operands[f"{n}_row"]))
                for n in ("x", "dy")
            )
            planes = [b.add(x, b.mul(I64(c), operands["x_plane"])) for c in range(self.channels)]
            places = [b.add(dy, shift) for shift in shifts]
            with cgutils.for_range(b, operands["cols"], intp=I64) as col:
                at, here = b.mul(col.index, I64(self.bytes)), b.mul(col.index, I64(step))
                for p in planes:  # what the next tile reads: planes are too short for the CPU to foresee it
                    prefetch(b, self.at(b.add(b.add(p, ahead), at), self.item), level=2)
                pixels = [V(b, splat(b, b.load(self.at(b.add(p, at), self.item)), self.vector.count)) for p in planes]
                gradients = [V(b, self.load(b.add(p, here), None)) for p in places]
                for i, total in enumerate(totals):
                    b.store(fma(pixels[i // SHIFTS], gradients[i % SHIFTS], V(b, b.load(total))).value, total)
        for i, total in enumerate(totals):
            place = b.add(b.add(operands["c"], b.mul(I64(i // SHIFTS), operands["c_row"])), I64(i % SHIFTS * step))
            self.store(b.fadd(self.load(place, None), b.load(total)), place, None)


@intrinsic
def _shift_tile(typingctx: Any, c: Any, c_row: Any, x: Any, x_plane: Any, x_row: Any, x_image: Any, dy: Any, dy_row: Any, dy_image: Any,
                shifts: Any, images: Any, rows: Any, cols: Any, channels: Any, like: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[like]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        done = builder.append_basic_block("shifts_done")
        switch = builder.switch(values[len(NAMES)], done)
        for channels in range(1, MOST_CHANNELS + 1):
            block = builder.append_basic_block(f"shifts_{channels}")
            switch.add_case(I64(channels), block)
            builder.position_at_end(block)
            builder.call(_function(builder.module, item, channels), values[: len(NAMES)])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * (len(NAMES) + 1), like), emit


def _function(module: ir.Module, item: ir.Type, channels: int) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(NAMES)), f"shifts_{channels}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _ShiftTile(builder, item, channels).emit(dict(zip(NAMES, function.args, strict=True)))
    builder.ret_void()
    return function


@subroutine
def shift_tile(c, c_row, x, x_plane, x_row, x_image, dy, dy_row, dy_image, shifts, images, rows, cols, channels, like):
    """c[k, s] += sum over images n, rows i, columns j of x[n, k, i, j] dy[n, i, j + shifts[s]] for channels k <= MOST_CHANNELS, s < SHIFTS.

    Addresses and strides in bytes; items of c and dy are registers, side by side in rows, those of x are single. shifts: address of
    SHIFTS offsets.
    """
    _shift_tile(c, c_row, x, x_plane, x_row, x_image, dy, dy_row, dy_image, shifts, images, rows, cols, channels, like)
