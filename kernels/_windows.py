"""The micro-kernel of weight gradients of kernels of five columns: a gradient of the result times all pixels that it was made of.

Registers hold neighbouring channels of the result. A gradient is loaded once and meets each pixel of its window, repeated across a
register, where it lies in the image; a sum for each place in the kernel stays in a register.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._compiler import subroutine
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, splat

COLUMNS = 5  # of the kernel: with as many rows of it, sums fill the registers; smaller kernels have a micro-kernel in `_shifts`
MOST_LINES = {16: 2, 32: 5}[_host.isa().registers]
NAMES = ("c", "x", "x_line", "x_row", "x_col", "x_image", "dy", "images", "rows", "cols")


class _WindowTile(Mover):
    """Emits the sums of `lines` rows of the kernel."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, lines: int) -> None:
        super().__init__(b, item)
        self.lines = lines

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b, step = self.b, I64(self.lanes * self.bytes)
        totals = [cgutils.alloca_once_value(b, constant(self.vector, 0.0)) for _ in range(self.lines * COLUMNS)]
        gradient_at = cgutils.alloca_once_value(b, operands["dy"])
        with cgutils.for_range(b, operands["images"], intp=I64) as image, cgutils.for_range(b, operands["rows"], intp=I64) as row:
            at = b.add(b.add(operands["x"], b.mul(image.index, operands["x_image"])), b.mul(row.index, operands["x_row"]))
            lines = [b.add(at, b.mul(I64(k), operands["x_line"])) for k in range(self.lines)]
            with cgutils.for_range(b, operands["cols"], intp=I64) as col:
                place = b.load(gradient_at)
                gradient = V(b, self.load(place))
                b.store(b.add(place, step), gradient_at)
                here = b.mul(col.index, operands["x_col"])
                for n, total in enumerate(totals):
                    pixel = b.add(b.add(lines[n // COLUMNS], here), I64(n % COLUMNS * self.bytes))
                    repeated = V(b, splat(b, b.load(self.at(pixel, self.item)), self.lanes))
                    b.store(fma(repeated, gradient, V(b, b.load(total))).value, total)
        for n, total in enumerate(totals):
            place = b.add(operands["c"], b.mul(I64(n), step))
            self.store(b.fadd(self.load(place), b.load(total)), place)


@intrinsic
def _window_tile(typingctx: Any, c: Any, x: Any, x_line: Any, x_row: Any, x_col: Any, x_image: Any, dy: Any, images: Any, rows: Any,
                 cols: Any, lines: Any, like: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[like]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        done = builder.append_basic_block("windows_done")
        switch = builder.switch(values[len(NAMES)], done)
        for lines in range(1, MOST_LINES + 1):
            block = builder.append_basic_block(f"windows_{lines}")
            switch.add_case(I64(lines), block)
            builder.position_at_end(block)
            builder.call(_function(builder.module, item, lines), values[: len(NAMES)])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * (len(NAMES) + 1), like), emit


def _function(module: ir.Module, item: ir.Type, lines: int) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(NAMES)), f"windows_{lines}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _WindowTile(builder, item, lines).emit(dict(zip(NAMES, function.args, strict=True)))
    builder.ret_void()
    return function


@subroutine
def window_tile(c, x, x_line, x_row, x_col, x_image, dy, images, rows, cols, lines, like):
    """c[k, l] += sum over images n, rows i, columns j of dy[n, i, j] x[n, i x_row + k x_line + j x_col + l] for k < lines, l < COLUMNS.

    Addresses and strides in bytes; items of c and dy are registers, side by side, those of x are single. lines <= MOST_LINES.
    """
    _window_tile(c, x, x_line, x_row, x_col, x_image, dy, images, rows, cols, lines, like)
