"""The matrix-product micro-kernel: a tile of C held in vector registers while K runs by.

For each step of k, MR items of A are repeated across registers, NR contiguous items of B are loaded, and MR x NR products are
added up: two vectors of B and MR rows fill the register file (Goto & van de Geijn 2008, "Anatomy of high-performance matrix
multiplication", section 4). Edges are handled by shorter tiles and by masked last vectors, never by padded copies of C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._host import NV, PANELS, tile_rows
from ._peak import CHAINS
from ._simd import I64, LLVM_ITEMS, Mover, V, constant, fma, lanes_below, prefetch, register, splat, unknown, where

GROUP = PANELS // 2  # panels of B that are copied together, since memory is read faster in longer pieces
LINE = 64  # bytes of a cache line
BEAT = GROUP * NV  # steps of k between two looks at memory: a tile that carries panels copies a vector a step
AHEAD = 16  # rows of B that are asked for before they are copied: the time of their way from the outermost cache
LEAD = 8  # beats from asking for the first row of C, after all others, to the end of the sums: the same time


def panels_across(rows: int) -> int:
    """How many panels of B, side by side, a tile of so few rows takes: as registers allow, since longer pieces are read faster."""
    fitting = tile_rows() // (rows + rows % 2)
    return 4 if fitting >= 4 else 2 if fitting >= 2 else 1


class _Tile(Mover):
    """Emits one tile of `rows` x `vectors`; with `masked`, only the first `cols` lanes of its last vector exist."""

    def __init__(
        self, b: ir.IRBuilder, item: ir.Type, rows: int, vectors: int, masked: bool, finishes: Sequence[Callable[[V, V], V]] = ()
    ) -> None:
        super().__init__(b, item)
        self.rows, self.vectors, self.masked, self.finishes = rows, vectors, masked, finishes

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b, lanes = self.b, self.vector.count
        masks: list[ir.Value | None] = [None] * self.vectors
        if self.masked:
            masks[-1] = lanes_below(b, b.sub(operands["cols"], I64((self.vectors - 1) * lanes)), lanes)
        if self.finishes:
            with b.if_then(b.icmp_signed("!=", operands["finish"], I64(0))):
                for beside in self._beside_each(self._rows(operands, "extra")):
                    prefetch(b, self.at(beside, self.item))
        results = self._with_base(operands, masks, self._products(operands, masks))
        self._finish(operands, masks, self._beside_each(self._rows(operands, "c")), results)

    def _beside_each(self, rows: list[ir.Value]) -> list[ir.Value]:
        """The addresses of a tile's vectors, row after row."""
        offsets = [I64(v * self.vector.count * self.bytes) for v in range(self.vectors)]
        return [self.b.add(row, offset) for row in rows for offset in offsets]

    def _read(self, operands: dict[str, ir.Value], name: str, masks: list[ir.Value | None]) -> list[V]:
        """A tile of a matrix."""
        places = self._beside_each(self._rows(operands, name))
        return [V(self.b, self.load(place, masks[n % self.vectors])) for n, place in enumerate(places)]

    def _with_base(self, operands: dict[str, ir.Value], masks: list[ir.Value | None], totals: list[ir.Value]) -> list[V]:
        """alpha times the totals plus beta times the base. An alpha of 1 takes no products, which would keep the multipliers busy."""
        b, zero, one = self.b, ir.Constant(self.item, 0.0), ir.Constant(self.item, 1.0)
        alpha, beta = (V(b, splat(b, operands[name], self.vector.count)) for name in ("alpha", "beta"))
        unit, alone = b.fcmp_ordered("==", operands["alpha"], one), b.fcmp_ordered("==", operands["beta"], zero)
        sums = [V(b, total) for total in totals]
        scaled = self._chosen(unit, sums, lambda: [alpha * total for total in sums])

        def added() -> list[V]:
            beneath = self._read(operands, "base", masks)
            return [fma(y, beta, x) for x, y in zip(scaled, beneath, strict=True)]

        return self._chosen(alone, scaled, added)

    def _chosen(self, condition: ir.Value, kept: list[V], otherwise: Callable[[], list[V]]) -> list[V]:
        """Some vectors as they are if a condition holds, else what takes their place."""
        b = self.b
        before, changing, after = b.block, b.append_basic_block("changing"), b.append_basic_block("changed")
        b.cbranch(condition, after, changing)
        b.position_at_end(changing)
        others = otherwise()
        last = b.block
        b.branch(after)
        b.position_at_end(after)
        phis = [b.phi(self.vector) for _ in kept]
        for phi, x, y in zip(phis, kept, others, strict=True):
            phi.add_incoming(x.value, before)
            phi.add_incoming(y.value, last)
        return [V(b, phi) for phi in phis]

    def _finish(self, operands: dict[str, ir.Value], masks: list[ir.Value | None], places: list[ir.Value], results: list[V]) -> None:
        """Apply the formula asked for and what is least, and store."""
        b = self.b
        least = V(b, splat(b, operands["least"], self.vector.count))

        def store(values: list[V]) -> None:  # after all loads: the last two rows may be one
            for n, (value, place) in enumerate(zip(values, places, strict=True)):
                self.store(where(value < least, least, value).value, place, masks[n % self.vectors])

        if not self.finishes:
            store(results)
            return
        done, plain = b.append_basic_block("finished"), b.append_basic_block("plain")
        switch = b.switch(operands["finish"], plain)
        for number, formula in enumerate(self.finishes):
            block = b.append_basic_block("finish")
            switch.add_case(I64(number + 1), block)
            b.position_at_end(block)
            store([formula(x, extra) for x, extra in zip(results, self._read(operands, "extra", masks), strict=True)])
            b.branch(done)
        b.position_at_end(plain)
        store(results)
        b.branch(done)
        b.position_at_end(done)

    def _rows(self, operands: dict[str, ir.Value], name: str) -> list[ir.Value]:
        """The addresses of a matrix's rows; of an odd number of rows the last stands for two."""
        b, step = self.b, operands[f"{name}_row"]
        offsets = [b.mul(I64(i), step) for i in range(self.rows - 1)] + [b.mul(b.sub(operands["rows"], I64(1)), step)]
        return [b.add(operands[name], offset) for offset in offsets]

    def _products(self, operands: dict[str, ir.Value], masks: list[ir.Value | None]) -> list[ir.Value]:
        """The loop over k; returns the accumulators."""
        b = self.b
        head, body, done = (b.append_basic_block(name) for name in ("k_head", "k_body", "k_done"))
        offsets = [b.sub(row, operands["a"]) for row in self._rows(operands, "a")]
        starts = [operands["depth"], operands["a"], operands["b"]]
        entry = b.block
        b.branch(head)
        b.position_at_end(head)
        counters = [b.phi(I64) for _ in starts]
        k, a_at, b_at = counters
        totals = [b.phi(self.vector) for _ in range(self.rows * self.vectors)]
        b.cbranch(b.icmp_signed(">", k, I64(0)), body, done)
        b.position_at_end(body)
        with b.if_then(b.icmp_signed("==", b.and_(k, I64(BEAT - 1)), I64(0))):
            self._on_beat(operands, b.ashr(k, I64(BEAT.bit_length() - 1)))
        sums = self._step(self._lefts(operands, a_at, offsets), b_at, masks, totals)
        advanced = [b.sub(k, I64(1)), b.add(a_at, operands["a_col"]), b.add(b_at, operands["b_row"])]
        zeros = [constant(self.vector, 0.0)] * len(totals)
        for phi, before, after in zip(counters + totals, starts + zeros, advanced + sums, strict=True):
            phi.add_incoming(before, entry)
            phi.add_incoming(after, b.block)
        b.branch(head)
        b.position_at_end(done)
        return totals

    def _lefts(self, operands: dict[str, ir.Value], a_at: ir.Value, offsets: list[ir.Value]) -> list[ir.Value]:
        """The addresses of a step's items of A.

        Where the sums leave registers free, LLVM would compute the next step's addresses from the last one of this step, and each step
        would wait for it.
        """
        b = self.b
        if self.vectors > 1:
            return [b.add(a_at, offset) for offset in offsets]
        places = [a_at]
        while len(places) < self.rows - 1:
            places.append(unknown(b, b.add(places[-1], operands["a_row"])))
        return [*places, b.add(a_at, offsets[-1])]

    def _on_beat(self, operands: dict[str, ir.Value], left: ir.Value) -> None:
        """Copy a part of the panels that come next, and ask for a row of C: all at once, misses would hold up the sums."""
        b = self.b
        if "to" in operands:
            beats = b.sdiv(operands["depth"], I64(BEAT))
            n = b.sub(beats, left)
            with b.if_else(b.icmp_signed("!=", operands["to_panel"], I64(0))) as (rows, columns):
                with rows:
                    self._carry(operands, n)
                with columns:
                    self._carry_across(operands, n, beats)
        self._expect(operands, b.sub(left, I64(LEAD)))

    def _carry(self, operands: dict[str, ir.Value], n: ir.Value) -> None:
        """Copy row n of the panels that come next."""
        b, step = self.b, self.vector.count * self.bytes
        source = b.add(operands["from"], b.mul(n, operands["from_row"]))
        target = b.add(operands["to"], b.mul(n, I64(NV * step)))
        for _ in range(GROUP):
            following = b.add(source, b.mul(I64(AHEAD), operands["from_row"]))
            for offset in (*range(0, NV * step, LINE), NV * step - 1):  # a row may begin within a line
                prefetch(b, self.at(b.add(following, I64(offset)), self.item))
            for place, to in zip(self._beside(source), self._beside(target), strict=True):
                self.store(self.load(place), to, None)
            source, target = b.add(source, operands["from_panel"]), b.add(target, operands["to_panel"])

    def _carry_across(self, operands: dict[str, ir.Value], n: ir.Value, beats: ir.Value) -> None:
        """Copy the n-th piece of the next panel, whose columns lie in one piece each: a line of each column in turn, as whole rows."""
        b, columns, items = self.b, I64(NV * self.vector.count), LINE // self.bytes
        column, line = b.srem(n, columns), b.sdiv(n, columns)
        with b.if_then(b.icmp_signed("<", line, b.sdiv(beats, columns))):
            source = b.add(b.add(operands["from"], b.mul(column, operands["from_panel"])), b.mul(line, I64(LINE)))
            target = b.add(b.add(operands["to"], b.mul(column, I64(self.bytes))), b.mul(line, b.mul(columns, I64(LINE))))
            prefetch(b, self.at(b.add(source, I64(LINE)), self.item), level=2)
            word = ir.IntType(8 * self.bytes)  # through registers that the sums do not need
            for i in range(items):
                value = b.load(self.at(b.add(source, I64(i * self.bytes)), word))
                b.store(value, self.at(b.add(target, b.mul(I64(i * self.bytes), columns)), word))

    def _expect(self, operands: dict[str, ir.Value], i: ir.Value) -> None:
        """Ask for row i of C, or for the nearest one that there is."""
        b, last = self.b, I64(self.rows - 1)
        i = b.select(b.icmp_signed("<", i, I64(0)), I64(0), b.select(b.icmp_signed(">", i, last), last, i))
        row = b.add(operands["c"], b.mul(i, operands["c_row"]))
        for offset in range(LINE - 1, self.vectors * self.vector.count * self.bytes, LINE):  # the tile beside it has needed the line before
            prefetch(b, self.at(b.add(row, I64(offset)), self.item), write=True)

    def _step(self, lefts: list[ir.Value], right: ir.Value, masks: list[ir.Value | None], totals: list[ir.Value]) -> list[ir.Value]:
        """One step of k: each item of A at the addresses `lefts`, times the row of B at `right`, added to the totals."""
        b, lanes = self.b, self.vector.count
        row = [V(b, self.load(place, masks[v])) for v, place in enumerate(self._beside(right))]
        sums = []
        for i, address in enumerate(lefts):
            left = V(b, splat(b, b.load(self.at(address, self.item)), lanes))
            sums += [fma(left, row[v], V(b, totals[i * self.vectors + v])).value for v in range(self.vectors)]
        return sums

    def _beside(self, right: ir.Value) -> list[ir.Value]:
        """Where the vectors of a row of B lie."""
        return [self.b.add(right, I64(v * self.vector.count * self.bytes)) for v in range(self.vectors)]


NAMES = ("a", "a_row", "a_col", "b", "b_row", "c", "c_row", "base", "base_row", "extra", "extra_row", "depth", "rows", "cols", "alpha",
         "beta", "least", "finish")  # fmt: skip
CARRIED = ("from", "from_row", "from_panel", "to", "to_panel")


def tile_with(*finishes: Callable[[V, V], V]) -> Any:
    """The tile that can apply any of some formulas to its results and what lies beside them, while they are in registers."""

    def tile(typingctx: Any, a: Any, a_row: Any, a_col: Any, b: Any, b_row: Any, c: Any, c_row: Any, base: Any, base_row: Any, extra: Any,
             extra_row: Any, depth: Any, rows: Any, cols: Any, alpha: Any, beta: Any, least: Any, finish: Any, source: Any, source_row: Any,
             source_panel: Any, target: Any, target_panel: Any) -> Any:  # fmt: skip
        """c = max(f(alpha a b + beta base, extra), least) for one tile; addresses and strides in bytes, 1 <= rows <= MR, 1 <= cols <= NR,
        or cols = panels_across(rows) NR.

        a: (rows, depth) any strides; b: (depth, cols) contiguous rows; c, base and extra: (rows, cols) contiguous rows. f is the formula
        number `finish`, counted from 1, for tiles of NR columns or more; with 0 there is none. With a `target` other than 0, the tile is a
        whole one and also copies rows of the panels at `source` there: depth / BEAT of GROUP panels side by side, or, with a `target_panel`
        of 0, as many as (depth / BEAT) / NR lines hold, of one panel whose columns lie `source_panel` apart.
        """
        item = LLVM_ITEMS[alpha]
        sig = signature(types.none, *[types.int64] * 14, alpha, alpha, alpha, *[types.int64] * 6)

        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            operands = dict(zip(NAMES, values, strict=False))
            carried = dict(zip(CARRIED, values[len(NAMES) :], strict=True))
            done = builder.append_basic_block("tile_done")
            lanes = register(item)[1].count
            with builder.if_then(builder.icmp_signed("!=", carried["to"], I64(0))):
                _Tile(builder, item, tile_rows(), NV, False, finishes).emit(operands | carried)
                builder.branch(done)
            half = builder.ashr(builder.add(operands["rows"], I64(1)), I64(1))
            heights = range(2, tile_rows() + 1, 2)

            def choose(shapes: Sequence[tuple[int, int]], masked: bool) -> None:
                """Go on with that one of some tiles, given as rows and vectors, which has as many rows as there are."""
                switch = builder.switch(half, done)
                for count, vectors in shapes:
                    block = builder.append_basic_block(f"tile_{count}x{vectors}")
                    switch.add_case(I64(count // 2), block)
                    builder.position_at_end(block)
                    _Tile(builder, item, count, vectors, masked, () if masked else finishes).emit(operands)
                    builder.branch(done)

            with builder.if_then(builder.icmp_signed(">", operands["cols"], I64(NV * lanes))):
                choose([(n, NV * panels_across(n)) for n in heights if panels_across(n) > 1], False)
            # whole tiles, then those whose last vector is cut off, the more vectors the earlier
            for vectors, masked, fewest in ((NV, False, NV * lanes), *((v, True, (v - 1) * lanes + 1) for v in range(NV, 0, -1))):
                chosen, following = (builder.append_basic_block(name) for name in (f"tile_{vectors}", "tile_narrower"))
                builder.cbranch(builder.icmp_signed(">=", operands["cols"], I64(fewest)), chosen, following)
                builder.position_at_end(chosen)
                choose([(n, vectors) for n in heights], masked)
                builder.position_at_end(following)
            builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return sig, emit

    return intrinsic(tile)


@intrinsic
def products_in_registers(typingctx: Any, place: Any, count: Any, like: Any) -> Any:
    """CHAINS times `count` multiplications and additions of the vector at `place`, which gets their sum.

    Where they are not one instruction, half of the chains multiply and half add, so that none waits for another.
    """
    item = LLVM_ITEMS[like]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        mover = Mover(b, item)
        factor = V(b, mover.load(values[0]))
        entry, turn, done = b.block, b.append_basic_block("turn"), b.append_basic_block("turned")
        b.branch(turn)
        b.position_at_end(turn)
        k = b.phi(I64)
        totals = [b.phi(mover.vector) for _ in range(CHAINS)]
        chains = [V(b, total) for total in totals]
        if _host.isa().has_fma:
            sums = [fma(chain, factor, factor).value for chain in chains]
        else:
            sums = [(chain + factor if i % 2 else chain * factor).value for i, chain in enumerate(chains)]
        left = b.sub(k, I64(1))
        for phi, before, after in zip([k, *totals], [values[1], *[factor.value] * len(totals)], [left, *sums], strict=True):
            phi.add_incoming(before, entry)
            phi.add_incoming(after, turn)
        b.cbranch(b.icmp_signed(">", left, I64(0)), turn, done)
        b.position_at_end(done)
        total = V(b, sums[0])
        for other in sums[1:]:
            total = total + V(b, other)
        mover.store(total.value, values[0], None)
        return context.get_dummy_value()

    return signature(types.none, types.int64, types.int64, like), emit


@intrinsic
def copy_row(typingctx: Any, target: Any, source: Any, cols: Any, like: Any) -> Any:
    """Copy `cols` <= NR items from one address to another and fill up with zeros to NR: a row of a packed panel of B."""
    bytes, vector = register(LLVM_ITEMS[like])
    lanes = vector.count

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, source, cols = values[:3]
        with builder.if_else(builder.icmp_signed("==", cols, I64(NV * lanes)), likely=True) as (whole, edge):
            for branch, masked in ((whole, False), (edge, True)):
                with branch:
                    for v in range(NV):
                        mover = Mover(builder, LLVM_ITEMS[like])
                        mask = lanes_below(builder, builder.sub(cols, I64(v * lanes)), lanes) if masked else None
                        value = mover.load(builder.add(source, I64(v * lanes * bytes)), mask)
                        mover.store(value, builder.add(target, I64(v * lanes * bytes)), None)
        return context.get_dummy_value()

    return signature(types.none, types.int64, types.int64, types.int64, like), emit
