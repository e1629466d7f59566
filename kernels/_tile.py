"""The matrix-product micro-kernel: a tile of C held in vector registers while K runs by.

For each step of k, MR items of A are repeated across registers, NR contiguous items of B are loaded, and MR x NR products are
added up: two vectors of B and MR rows fill the register file (Goto & van de Geijn 2008, "Anatomy of high-performance matrix
multiplication", section 4). Edges are handled by shorter tiles and by masked last vectors, never by padded copies of C.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host
from ._formula import V, constant, fma, lanewise, splat
from ._simd import I32, I64, LLVM_ITEMS, _lane_mask, _masked, _suffix

NV = 2  # vectors of B in a tile


def tile_rows() -> int:
    """MR: the accumulators leave room for NV vectors of B and one repeated item of A."""
    return {16: 6, 32: 14}[_host.isa().registers]


def _vectors(item: ir.Type) -> tuple[int, ir.Type]:
    bytes = 4 if isinstance(item, ir.FloatType) else 8
    lanes = _host.lanes(bytes)
    return bytes, lanewise(item, lanes)


class _Tile:
    """Emits one tile of `rows` x `vectors`; with `masked`, only the first `cols` lanes of its last vector exist."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, rows: int, vectors: int, masked: bool) -> None:
        self.b, self.item, self.rows, self.vectors, self.masked = b, item, rows, vectors, masked
        self.bytes, self.vector = _vectors(item)

    def _at(self, address: ir.Value, type: ir.Type) -> ir.Value:
        return self.b.inttoptr(address, type.as_pointer())

    def _load(self, address: ir.Value, mask: ir.Value | None) -> ir.Value:
        pointer = self._at(address, self.vector)
        if mask is None:
            return self.b.load(pointer, align=self.bytes)
        name = f"llvm.masked.load.{_suffix(self.vector)}.p0"
        return _masked(self.b, name, self.vector, [pointer, I32(self.bytes), mask, constant(self.vector, 0.0)])

    def _store(self, value: ir.Value, address: ir.Value, mask: ir.Value | None) -> None:
        pointer = self._at(address, self.vector)
        if mask is None:
            self.b.store(value, pointer, align=self.bytes)
        else:
            _masked(self.b, f"llvm.masked.store.{_suffix(self.vector)}.p0", ir.VoidType(), [value, pointer, I32(self.bytes), mask])

    def emit(self, operands: dict[str, ir.Value]) -> None:
        b, lanes = self.b, self.vector.count
        masks: list[ir.Value | None] = [None] * self.vectors
        if self.masked:
            masks[-1] = _lane_mask(b, b.sub(operands["cols"], I64((self.vectors - 1) * lanes)), lanes)
        for i in range(self.rows):
            _prefetch(b, b.add(operands["base"], b.mul(I64(i), operands["base_row"])))
        totals = self._products(operands, masks)
        step = lanes * self.bytes
        with b.if_else(b.fcmp_ordered("==", operands["beta"], ir.Constant(self.item, 0.0))) as (fresh, added):
            for branch, adds in ((fresh, False), (added, True)):
                with branch:
                    alpha = V(b, splat(b, operands["alpha"], lanes))
                    beta = V(b, splat(b, operands["beta"], lanes))
                    for i in range(self.rows):
                        target = b.add(operands["c"], b.mul(I64(i), operands["c_row"]))
                        base = b.add(operands["base"], b.mul(I64(i), operands["base_row"]))
                        for v in range(self.vectors):
                            result = alpha * V(b, totals[i * self.vectors + v])
                            if adds:
                                result = fma(V(b, self._load(b.add(base, I64(v * step)), masks[v])), beta, result)
                            self._store(result.value, b.add(target, I64(v * step)), masks[v])

    def _products(self, operands: dict[str, ir.Value], masks: list[ir.Value | None]) -> list[ir.Value]:
        """The loop over k; returns the accumulators."""
        b = self.b
        head, body, done = (b.append_basic_block(name) for name in ("k_head", "k_body", "k_done"))
        entry = b.block
        b.branch(head)
        b.position_at_end(head)
        k, a_at, b_at = b.phi(I64), b.phi(I64), b.phi(I64)
        for phi, start in ((k, operands["depth"]), (a_at, operands["a"]), (b_at, operands["b"])):
            phi.add_incoming(start, entry)
        totals = []
        for _ in range(self.rows * self.vectors):
            phi = b.phi(self.vector)
            phi.add_incoming(constant(self.vector, 0.0), entry)
            totals.append(phi)
        b.cbranch(b.icmp_signed(">", k, I64(0)), body, done)
        b.position_at_end(body)
        lefts = [b.add(a_at, b.mul(I64(i), operands["a_row"])) for i in range(self.rows)]
        sums = self._step(lefts, b_at, masks, totals)
        k.add_incoming(b.sub(k, I64(1)), b.block)
        a_at.add_incoming(b.add(a_at, operands["a_col"]), b.block)
        b_at.add_incoming(b.add(b_at, operands["b_row"]), b.block)
        for phi, value in zip(totals, sums, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(done)
        return totals

    def _step(self, lefts: list[ir.Value], right: ir.Value, masks: list[ir.Value | None], totals: list[ir.Value]) -> list[ir.Value]:
        """One step of k: each item of A at the addresses `lefts`, times the row of B at `right`, added to the totals."""
        b, lanes = self.b, self.vector.count
        row = [V(b, self._load(b.add(right, I64(v * lanes * self.bytes)), masks[v])) for v in range(self.vectors)]
        sums = []
        for i, address in enumerate(lefts):
            left = V(b, splat(b, b.load(self._at(address, self.item)), lanes))
            sums += [fma(left, row[v], V(b, totals[i * self.vectors + v])).value for v in range(self.vectors)]
        return sums


def _prefetch(b: ir.IRBuilder, address: ir.Value) -> None:
    """Bring the cache line at an address closer, to be read and written soon."""
    pointer = b.inttoptr(address, ir.IntType(8).as_pointer())
    _masked(b, "llvm.prefetch.p0", ir.VoidType(), [pointer, I32(1), I32(3), I32(1)])


NAMES = ("a", "a_row", "a_col", "b", "b_row", "c", "c_row", "base", "base_row", "depth", "rows", "cols", "alpha", "beta")


@intrinsic
def tile(typingctx: Any, a: Any, a_row: Any, a_col: Any, b: Any, b_row: Any, c: Any, c_row: Any, base: Any, base_row: Any, depth: Any,
         rows: Any, cols: Any, alpha: Any, beta: Any) -> Any:  # fmt: skip
    """c = alpha a b + beta base for one tile; addresses and strides in bytes, rows <= MR, cols <= NR.

    a: (rows, depth) any strides; b: (depth, cols) contiguous rows; c and base: (rows, cols) contiguous rows.
    """
    item = LLVM_ITEMS[alpha]
    sig = signature(types.none, *[types.int64] * 12, alpha, alpha)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        operands = dict(zip(NAMES, values, strict=True))
        done = builder.append_basic_block("tile_done")
        lanes = _vectors(item)[1].count
        # whole tiles, then those whose last vector is cut off, the more vectors the earlier
        for vectors, masked, fewest in ((NV, False, NV * lanes), *((v, True, (v - 1) * lanes + 1) for v in range(NV, 0, -1))):
            chosen, following = (builder.append_basic_block(name) for name in (f"tile_{vectors}", "tile_narrower"))
            builder.cbranch(builder.icmp_signed(">=", operands["cols"], I64(fewest)), chosen, following)
            builder.position_at_end(chosen)
            switch = builder.switch(operands["rows"], done)
            for count in range(1, tile_rows() + 1):
                block = builder.append_basic_block(f"tile_{count}x{vectors}")
                switch.add_case(I64(count), block)
                builder.position_at_end(block)
                _Tile(builder, item, count, vectors, masked).emit(operands)
                builder.branch(done)
            builder.position_at_end(following)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return sig, emit


@intrinsic
def address(typingctx: Any, array: types.Array) -> Any:
    """The address of the first item of `array`."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return builder.ptrtoint(context.make_array(sig.args[0])(context, builder, values[0]).data, I64)

    return signature(types.int64, array), emit


def stack_buffer(bytes: int) -> Any:
    """An intrinsic that returns the address of `bytes` bytes on the stack, aligned to a cache line, the same at every call."""

    @intrinsic
    def buffer(typingctx: Any) -> Any:
        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            with builder.goto_entry_block():
                space = builder.alloca(ir.IntType(8), I64(bytes))
                space.align = 64
            return builder.ptrtoint(space, I64)

        return signature(types.int64), emit

    return buffer


@intrinsic
def peek(typingctx: Any, position: Any, like: Any) -> Any:
    """The item at an address, of the type of `like`."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return builder.load(builder.inttoptr(values[0], LLVM_ITEMS[like].as_pointer()))

    return signature(like, types.int64, like), emit


@intrinsic
def poke(typingctx: Any, position: Any, item: Any) -> Any:
    """Store `item` at an address."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        builder.store(values[1], builder.inttoptr(values[0], LLVM_ITEMS[item].as_pointer()))
        return context.get_dummy_value()

    return signature(types.none, types.int64, item), emit


@intrinsic
def copy_row(typingctx: Any, target: Any, source: Any, cols: Any, like: Any) -> Any:
    """Copy `cols` <= NR items from one address to another and fill up with zeros to NR: a row of a packed panel of B."""
    bytes, vector = _vectors(LLVM_ITEMS[like])
    lanes = vector.count

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, source, cols = values[:3]
        with builder.if_else(builder.icmp_signed("==", cols, I64(NV * lanes)), likely=True) as (whole, edge):
            for branch, masked in ((whole, False), (edge, True)):
                with branch:
                    for v in range(NV):
                        mover = _Tile(builder, LLVM_ITEMS[like], 1, NV, masked)
                        mask = _lane_mask(builder, builder.sub(cols, I64(v * lanes)), lanes) if masked else None
                        value = mover._load(builder.add(source, I64(v * lanes * bytes)), mask)
                        mover._store(value, builder.add(target, I64(v * lanes * bytes)), None)
        return context.get_dummy_value()

    return signature(types.none, types.int64, types.int64, types.int64, like), emit


def _transpose_registers(
    builder: ir.IRBuilder, item: ir.Type, target: ir.Value, target_row: ir.Value, source: ir.Value, source_row: ir.Value
) -> None:
    lanes = _vectors(item)[1].count
    mover = _Tile(builder, item, 1, 1, False)
    rows = [mover._load(builder.add(source, builder.mul(I64(j), source_row)), None) for j in range(lanes)]
    # log2(lanes) rounds; each exchanges the off-diagonal quarters of blocks half as large as in the round before.
    distance = lanes // 2
    while distance:
        low = [i if not i & distance else i - distance + lanes for i in range(lanes)]
        high = [i + distance if not i & distance else i + lanes for i in range(lanes)]
        for j in range(lanes):
            if not j & distance:
                first, second = rows[j], rows[j + distance]
                order = [ir.Constant(ir.VectorType(I32, lanes), pick) for pick in (low, high)]
                rows[j] = builder.shuffle_vector(first, second, order[0])
                rows[j + distance] = builder.shuffle_vector(first, second, order[1])
        distance //= 2
    for k in range(lanes):
        mover._store(rows[k], builder.add(target, builder.mul(I64(k), target_row)), None)


@intrinsic
def transpose_block(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, like: Any) -> Any:
    """Transpose a square block of one register's width: target[k, j] = source[j, k]; strides in bytes, rows contiguous."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        _transpose_registers(builder, LLVM_ITEMS[like], *values[:4])
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 4, like), emit
