"""Copies of blocks of a matrix as panels, in which a tile finds its operands one behind the other.

A panel holds some rows of A, or columns of B, item by item along K: for each step of k a row of the panel. Where the items along K lie
side by side, squares of one register's width are transposed in registers; rows and columns that do not exist are filled with others.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._simd import I64, LLVM_ITEMS, Mover, V, joined, lanes_below, prefetch, register, shuffle


@intrinsic
def pack_crosswise(typingctx: Any, target: Any, target_row: Any, source: Any, source_step: Any, count: Any, depth: Any, ahead: Any,
                   like: Any) -> Any:  # fmt: skip
    """target[k, j] = source[j, k] for j < count <= W, the items along k lying side by side; strides in bytes.

    Whole registers are stored: lanes from `count` on get what the last has, and a few rows behind the last are written, too. What lies
    `ahead` of the source, and is needed next, is asked for; 0: nothing is.
    """
    item = LLVM_ITEMS[like]

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_step, count, depth, ahead = values[:7]
        square = _Square(b, item)
        steps = [b.mul(I64(j), source_step) for j in range(square.lanes)]
        with b.if_else(b.icmp_signed("==", count, I64(square.lanes)), likely=True) as (whole, edge):
            with whole:
                n = square.piece.lanes
                square.along(depth, ahead, [b.add(source, step) for step in steps[::n]], steps[:n], target, target_row)
            with edge:
                last = b.mul(b.sub(count, I64(1)), source_step)
                steps = [b.select(b.icmp_signed("<", I64(j), count), step, last) for j, step in enumerate(steps)]
                square.along(depth, ahead, [b.add(source, step) for step in steps], [I64(0)], target, target_row)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 7, like), emit


class _Square(Mover):
    """As many rows as a register has lanes, transposed along K.

    Registers are put together from pieces of 16 bytes that come from rows far enough apart for the rest to stay within such pieces: loads
    do half of the work, and what remains takes the cheapest of shuffles.
    """

    def __init__(self, b: ir.IRBuilder, item: ir.Type) -> None:
        super().__init__(b, item)
        self.piece = Mover(b, item, 16 // self.bytes)

    def along(self, depth: ir.Value, ahead: ir.Value, bases: list[ir.Value], steps: list[ir.Value], target: ir.Value,
              target_row: ir.Value) -> None:  # fmt: skip
        """Transpose the rows that begin at each of `bases` + each of `steps`: so few addresses stay in registers."""
        b, n = self.b, self.piece.lanes
        self.bases, self.target = [cgutils.alloca_once_value(b, base) for base in bases], cgutils.alloca_once_value(b, target)
        self.steps, self.target_row = steps, target_row
        with cgutils.for_range(b, b.sdiv(depth, I64(self.lanes)), intp=I64):
            for i in range(self.lanes // n):
                if i < len(steps):
                    with b.if_then(b.icmp_signed("!=", ahead, I64(0))):
                        for base in self.bases:
                            prefetch(b, self.at(b.add(b.add(b.load(base), steps[i]), ahead), self.item), level=2)
                self._piece(None)
        with cgutils.for_range(b, b.sdiv(b.srem(depth, I64(self.lanes)), I64(n)), intp=I64):
            self._piece(None)
        rest = b.srem(depth, I64(n))
        with b.if_then(b.icmp_signed(">", rest, I64(0))):
            self._piece(lanes_below(b, rest, n))

    def _piece(self, mask: ir.Value | None) -> None:
        """The next 16 bytes of all rows."""
        b, n = self.b, self.piece.lanes
        found = [V(b, self.piece.load(b.add(b.load(base), step), mask)) for base in self.bases for step in self.steps]
        registers = [joined(found[i::n]) for i in range(n)]
        group = 1  # items that move together
        while group < n:
            pairs = [(i, i | group) for i in range(n) if not i & group]
            registers = [x for i, j in pairs for x in _unpacked(registers[i], registers[j], group, n)]
            group *= 2
        for row in registers:
            self.store(row.value, b.load(self.target))
            b.store(b.add(b.load(self.target), self.target_row), self.target)
        for base in self.bases:
            b.store(b.add(b.load(base), I64(16)), base)


def _unpacked(a: V, b: V, group: int, n: int) -> list[V]:
    """The low halves of all pieces of `n` items of two registers, then the high ones: `group` items of a and of b in turn."""
    halves = []
    for start in (0, n // 2):
        first = [i for i in range(a.lanes) if start <= i % n < start + n // 2]
        turns = [first[i : i + group] for i in range(0, len(first), group)]
        halves.append(shuffle(a, b, [i for turn in turns for i in (*turn, *(a.lanes + j for j in turn))]))
    return halves


@intrinsic
def pack_lengthwise(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, count: Any, depth: Any, like: Any) -> Any:
    """target[k, j] = source[k, j] for j < count <= W, the items along j lying side by side; strides in bytes, whole registers stored."""
    item = LLVM_ITEMS[like]
    lanes = register(item)[1].count

    def emit(context: Any, b: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        target, target_row, source, source_row, count, depth = values[:6]
        mover = Mover(b, item)
        mask = lanes_below(b, count, lanes)
        with cgutils.for_range(b, depth, intp=I64) as loop:
            row = mover.load(b.add(source, b.mul(loop.index, source_row)), mask)
            mover.store(row, b.add(target, b.mul(loop.index, target_row)), None)
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 6, like), emit
