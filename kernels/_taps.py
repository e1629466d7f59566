"""The micro-kernel of convolutions: a tile of output channels by neighbouring pixels, held in vector registers while the taps run by.

A tap is a channel and a place in the kernel. For each one a register's worth of neighbouring pixels is loaded and multiplied by the
weights of all channels of the tile, each repeated across a register. Where the weights and pixels of a tap lie, a short table says.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._compiler import subroutine
from ._host import NV
from ._simd import I64, LLVM_ITEMS, V, register, splat, where
from ._tile import _Tile

PAIR = 16  # bytes of a table's entry: two offsets
NAMES = ("c", "c_row", "c_apart", "weight", "weight_row", "pixels", "apart", "taps", "depth", "steps", "bias", "extra", "rows", "cols",
         "floor")  # fmt: skip


# Channels of a tile: there is room for all weights of a step beside the sums and the pixels, since LLVM loads them at once.
MOST_ROWS = (_host.isa().registers - NV) // (NV + 1)


class _TapTile(_Tile):
    """Emits one tile of `rows` channels by `vectors` registers of pixels."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, rows: int, vectors: int) -> None:
        super().__init__(b, item, rows, vectors, False)
        self.step = self.vector.count * self.bytes

    def _places(self, base: ir.Value, row: ir.Value, apart: ir.Value) -> list[ir.Value]:
        """The addresses of a tile's registers, row after row."""
        rows = [self.b.add(base, self.b.mul(I64(i), row)) for i in range(self.rows)]
        return [self.b.add(at, self.b.mul(I64(v), apart)) for at in rows for v in range(self.vectors)]

    def _rows(self, first: ir.Value, row: ir.Value) -> list[ir.Value]:
        """The addresses of the rows, each made from the one before: multiples of `row` would take a register each."""
        byte = ir.IntType(8).as_pointer()
        pointers = [self.b.inttoptr(first, byte)]
        for _ in range(1, self.rows):
            pointers.append(self.b.gep(pointers[-1], [row]))
        return [self.b.ptrtoint(p, I64) for p in pointers]

    def _beside(self, right: ir.Value) -> list[ir.Value]:
        """Where the registers of pixels lie."""
        places = [right]
        while len(places) < self.vectors:
            places.append(self.b.add(places[-1], self.apart))
        return places

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b = self.b
        self.apart = operands["apart"]
        places = self._places(operands["c"], operands["c_row"], operands["c_apart"])
        sums = self._products(operands, self._starts(operands, places))
        with b.if_else(b.icmp_signed("==", operands["extra"], I64(0))) as (alone, beside):
            with alone:
                self._finish(operands, places, sums)
            with beside:
                extras = self._places(operands["extra"], operands["c_row"], operands["c_apart"])
                self._finish(operands, places, [b.fadd(s, self.load(at)) for s, at in zip(sums, extras, strict=True)])

    def _starts(self, operands: dict[str, ir.Value], places: list[ir.Value]) -> list[ir.Value]:
        """What sums begin from: the bias of each channel, or, where that has no address, what the result holds already."""
        b = self.b
        with b.if_else(b.icmp_signed("==", operands["bias"], I64(0))) as (held, fresh):
            with held:
                before, from_held = [self.load(at) for at in places], b.block
            with fresh:
                biases = [b.load(self.at(b.add(operands["bias"], I64(i * self.bytes)), self.item)) for i in range(self.rows)]
                spread, from_fresh = [splat(b, x, self.vector.count) for x in biases], b.block
        starts = []
        for i, value in enumerate(before):
            phi = b.phi(self.vector)
            phi.add_incoming(value, from_held)
            phi.add_incoming(spread[i // self.vectors], from_fresh)
            starts.append(phi)
        return starts

    def _finish(self, operands: dict[str, ir.Value], places: list[ir.Value], sums: list[ir.Value]) -> None:
        floor = V(self.b, splat(self.b, operands["floor"], self.vector.count))
        for at, value in zip(places, sums, strict=True):
            total = V(self.b, value)
            self.store(where(floor > total, floor, total).value, at, None)

    def _products(self, operands: dict[str, ir.Value], starts: list[ir.Value]) -> list[ir.Value]:
        """The loop over steps, of which there may be none. Where the next step finds its operands is known before this one is done."""
        b = self.b
        head, body, done = (b.append_basic_block(name) for name in ("steps", "step", "steps_done"))
        entry = b.block
        end = b.add(operands["taps"], b.mul(operands["depth"], I64(PAIR)))
        b.branch(head)
        b.position_at_end(head)
        places = [b.phi(I64) for _ in range(4)]
        sums = [b.phi(self.vector) for _ in starts]
        left, tap, weight_at, pixels_at = places
        b.cbranch(b.icmp_signed(">", left, I64(0)), body, done)
        b.position_at_end(body)
        moves = [b.load(self.at(b.add(tap, I64(8 * half)), I64)) for half in range(2)]
        following = b.add(tap, I64(PAIR))
        following = b.select(b.icmp_signed("==", following, end), operands["taps"], following)
        results = self._step(self._rows(weight_at, operands["weight_row"]), pixels_at, [None] * self.vectors, sums)
        before = [operands[name] for name in ("steps", "taps", "weight", "pixels")] + starts
        after = [b.sub(left, I64(1)), following, b.add(weight_at, moves[0]), b.add(pixels_at, moves[1]), *results]
        for phi, first, further in zip(places + sums, before, after, strict=True):
            phi.add_incoming(first, entry)
            phi.add_incoming(further, body)
        b.branch(head)
        b.position_at_end(done)
        return sums


@intrinsic
def _tap_tile(typingctx: Any, c: Any, c_row: Any, c_apart: Any, weight: Any, weight_row: Any, pixels: Any, apart: Any, taps: Any,
              depth: Any, steps: Any, bias: Any, extra: Any, rows: Any, cols: Any, floor: Any) -> Any:  # fmt: skip
    item = LLVM_ITEMS[floor]

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        operands = dict(zip(NAMES, values, strict=True))
        done = builder.append_basic_block("tile_done")
        lanes = register(item)[1].count
        widths = [builder.append_basic_block(f"vectors_{v}") for v in range(1, NV + 1)]
        switch = builder.switch(builder.sdiv(builder.add(operands["cols"], I64(lanes - 1)), I64(lanes)), widths[-1])
        for vectors, block in enumerate(widths, start=1):
            switch.add_case(I64(vectors), block)
            builder.position_at_end(block)
            heights = builder.switch(operands["rows"], done)
            for rows in range(1, MOST_ROWS + 1):
                tile = builder.append_basic_block(f"tile_{rows}x{vectors}")
                heights.add_case(I64(rows), tile)
                builder.position_at_end(tile)
                builder.call(_function(builder.module, item, rows, vectors), values)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * (len(NAMES) - 1), floor), emit


def _function(module: ir.Module, item: ir.Type, rows: int, vectors: int) -> ir.Function:
    """A tile as a function of its own: where sizes share one function, LLVM joins their ends and keeps sums in memory meanwhile."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*[I64] * (len(NAMES) - 1), item]), f"tile_{rows}x{vectors}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _TapTile(builder, item, rows, vectors).emit(dict(zip(NAMES, function.args, strict=True)))
    builder.ret_void()
    return function


@subroutine
def tap_tile(c, c_row, c_apart, weight, weight_row, pixels, apart, taps, depth, steps, bias, extra, rows, cols, floor):
    """c = max(floor, start + sum over steps of weight x pixels + extra) for rows <= MOST_ROWS and as many registers as cols fill.

    Addresses and strides in bytes; registers of c lie `c_apart` and are written as a whole. weight, pixels: what the first step reads,
    registers of pixels lying `apart`; taps: address of `depth` pairs by which the two move from one step to the next, over and over. bias:
    address of the start of each row, or 0: c is added to. extra: address of a tile that lies as c, or 0.
    """
    _tap_tile(c, c_row, c_apart, weight, weight_row, pixels, apart, taps, depth, steps, bias, extra, rows, cols, floor)
