"""The micro-kernel of Winograd's convolutions: for each place in a tile, output channels by neighbouring tiles, summed over input channels.

All places are one call: each has so few channels to sum over that a call of its own would take a fifth of its time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._compiler import subroutine
from ._host import NV
from ._simd import I64, LLVM_ITEMS, V, register
from ._taps import MOST_ROWS, _TapTile

PLACES = 16
NAMES = ("c", "c_row", "c_place", "weight", "weight_row", "weight_place", "weight_step", "tiles", "tiles_place", "starts",
         "channels")  # fmt: skip


class _PlaceTile(_TapTile):
    """Emits `rows` channels by `vectors` registers of tiles, for all places."""

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b = self.b
        added = b.icmp_signed("==", operands["starts"], I64(0))
        zeros = b.ptrtoint(cgutils.alloca_once_value(b, ir.Constant(ir.ArrayType(self.item, MOST_ROWS), None)), I64)
        with cgutils.for_range(b, I64(PLACES), intp=I64) as place:
            at = {name: b.add(operands[name], b.mul(place.index, operands[f"{name}_place"])) for name in ("c", "weight", "tiles")}
            numbers = b.add(operands["starts"], b.mul(place.index, I64(MOST_ROWS * self.bytes)))
            targets = self._places(at["c"], operands["c_row"], I64(self.step))
            sums = [V(b, x) for x in self._sums(at, operands, self._starts({"bias": b.select(added, zeros, numbers)}, targets))]
            sums = self._chosen(b.not_(added), sums, lambda: [x + V(b, self.load(to)) for x, to in zip(sums, targets, strict=True)])
            for value, to in zip(sums, targets, strict=True):
                self.store(value.value, to)

    def _sums(self, at: dict[str, ir.Value], operands: dict[str, ir.Value], starts: list[ir.Value]) -> list[ir.Value]:
        """The loop over channels."""
        b = self.b
        head, body, done = (b.append_basic_block(name) for name in ("channels", "channel", "channels_done"))
        entry = b.block
        b.branch(head)
        b.position_at_end(head)
        left, weight, tiles = (b.phi(I64) for _ in range(3))
        sums = [b.phi(self.vector) for _ in starts]
        b.cbranch(b.icmp_signed(">", left, I64(0)), body, done)
        b.position_at_end(body)
        self.apart = I64(self.step)
        results = self._step(self._rows(weight, operands["weight_row"]), tiles, [None] * self.vectors, sums)
        before = [operands["channels"], at["weight"], at["tiles"], *starts]
        after = [b.sub(left, I64(1)), b.add(weight, operands["weight_step"]), b.add(tiles, I64(NV * self.step)), *results]
        for phi, first, further in zip([left, weight, tiles, *sums], before, after, strict=True):
            phi.add_incoming(first, entry)
            phi.add_incoming(further, body)
        b.branch(head)
        b.position_at_end(done)
        return sums


@intrinsic
def _place_tile(typingctx: Any, c: Any, c_row: Any, c_place: Any, weight: Any, weight_row: Any, weight_place: Any, weight_step: Any,
                tiles: Any, tiles_place: Any, starts: Any, channels: Any, rows: Any, cols: Any, like: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[like]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        *operands, rows, cols, _ = values
        done = builder.append_basic_block("places_done")
        lanes = register(item)[1].count
        widths = [builder.append_basic_block(f"vectors_{v}") for v in range(1, NV + 1)]
        switch = builder.switch(builder.sdiv(builder.add(cols, I64(lanes - 1)), I64(lanes)), widths[-1])
        for vectors, block in enumerate(widths, start=1):
            switch.add_case(I64(vectors), block)
            builder.position_at_end(block)
            heights = builder.switch(rows, done)
            for height in range(1, MOST_ROWS + 1):
                tile = builder.append_basic_block(f"places_{height}x{vectors}")
                heights.add_case(I64(height), tile)
                builder.position_at_end(tile)
                builder.call(_function(builder.module, item, height, vectors), operands)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * (len(NAMES) + 2), like), emit


def _function(module: ir.Module, item: ir.Type, rows: int, vectors: int) -> ir.Function:
    """A tile as a function of its own, as in `_taps`."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(NAMES)), f"places_{rows}x{vectors}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _PlaceTile(builder, item, rows, vectors).emit(dict(zip(NAMES, function.args, strict=True)))
    builder.ret_void()
    return function


@subroutine
def place_tile(c, c_row, c_place, weight, weight_row, weight_place, weight_step, tiles, tiles_place, starts, channels, rows, cols, like):
    """c[p] = starts[p] + the sum over channels k of weight[p, :, k] x tiles[p, k] for places p < PLACES and rows <= MOST_ROWS.

    Addresses and strides in bytes; registers of c are written as a whole. Channels of the tiles lie side by side, each NV registers
    wide. starts: address of MOST_ROWS numbers for each place, or 0: the sums are added to c.
    """
    _place_tile(c, c_row, c_place, weight, weight_row, weight_place, weight_step, tiles, tiles_place, starts, channels, rows, cols, like)
