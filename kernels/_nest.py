"""Elementwise kernels: one loop nest around a formula.

The inner dimension runs over whole vector registers where every operand is contiguous or repeats one value. The vectors at its ends are
masked, the first one so that the others lie on the boundaries of cache lines. Where an operand is strided, items are gathered in
buffers first, and the same code runs on those, so an element's value never depends on where it lies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir

from . import _host
from ._signature import NEST, Array, Signature
from ._simd import I64, V, convert, lanes_below, llvm_call, load, prefetch, splat, store

I8 = ir.IntType(8)
WORD_POINTER = I64.as_pointer()
LINE = 64  # bytes of a cache line
AHEAD = 16384  # bytes that are fetched ahead from arrays that no cache holds: 8 KiB of them come too late for exp and tanh by up to 10 %
PIECE = 64  # items that are gathered from strided operands at a time
ALIGNED_VECTORS = 8  # from so many vectors on, it is worth the while to begin them where cache lines do
COLUMN_GRAIN = 64  # one row is split among workers at multiples of this many items: a cache line and more
ITEMS = {"f4": ir.FloatType(), "f8": ir.DoubleType(), "i8": I64, "u8": I64, "u1": I8, "b1": I8}
FLOATS = (ITEMS["f4"], ITEMS["f8"])


class Formula:
    """A formula marked as the body of an elementwise kernel.

    Its arguments are named after parameters of the kernel; what it returns is stored in the kernel's outputs. Those in `singles` are
    arrays that nearly always repeat one value: vector code has it in a register, and where they do not, items are taken one by one.
    `abreast` is how many vectors go side by side at most: fewer where tables fill the registers.
    """

    def __init__(self, function: Callable[..., Any], singles: Sequence[str] = (), abreast: int = 4) -> None:
        self.function = function
        self.arguments = tuple(inspect.signature(function).parameters)
        self.singles = singles
        self.abreast = abreast

    def __call__(self, *operands: Any) -> Any:
        return self.function(*operands)


def elementwise(function: Callable[..., Any]) -> Formula:
    """Make `function`, a formula, an elementwise kernel."""
    return Formula(function)


class _Operand:
    """One array of the nest: its items, and where the record holds its pointer, which its strides follow."""

    def __init__(self, dtype: str, word: int) -> None:
        self.bool = dtype == "b1"
        self.item = ITEMS[dtype]
        self.bytes = int(np.dtype(dtype).itemsize)
        self.word = word


def build(symbol: str, signature: Signature, dtypes: str, formula: Formula) -> ir.Module:
    """The LLVM module of an elementwise kernel: `void symbol(words, part, parts)`."""
    module = ir.Module(symbol)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD_POINTER, I64, I64]), symbol)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    codes = iter(dtypes[i : i + 2] for i in range(0, len(dtypes), 2))
    arrays: dict[str, _Operand] = {}
    words: dict[str, int] = {}
    at = NEST
    for name, parameter in signature.parameters.items():
        if isinstance(parameter, Array):
            arrays[name] = _Operand(next(codes), at)
            at += 1 + NEST
        else:
            words[name] = at
            at += 1
    item = next((a.item for a in arrays.values() if a.item in FLOATS), ITEMS["f4"])
    nest = _Nest(b, function.args[0], arrays, formula, list(arrays)[: signature.outputs], item)
    for name, word in words.items():
        bits = nest.word(word)
        nest.numbers[name] = convert(V(b, b.bitcast(bits, ITEMS["f8"])), item).value if signature.parameters[name].kind == "float" else bits
    nest.emit(*function.args[1:])
    b.ret_void()
    return module


class _Nest:
    """Emits the loops: a worker's share, its rows, the pieces of a row, and their vectors."""

    def __init__(
        self, b: ir.IRBuilder, record: ir.Value, arrays: dict[str, _Operand], formula: Formula, outputs: Sequence[str], number: ir.Type
    ) -> None:
        self.b = b
        self.number = number
        self.record = record
        self.arrays = arrays
        self.formula = formula
        self.outputs = outputs
        self.numbers: dict[str, ir.Value] = {}
        self.width = _host.lanes(8 if any(a.item == ITEMS["f8"] for a in arrays.values()) else 4)
        self.masks = _host.isa().has_masks
        # vectors at a time, so that their latencies overlap
        self.side_by_side = min(_host.isa().registers // 8, formula.abreast) if self.masks else 1

    def word(self, index: int | ir.Value) -> ir.Value:
        return self.b.load(self.b.gep(self.record, [I64(index) if isinstance(index, int) else index]))

    def smaller(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def variable(self, value: ir.Value) -> ir.Value:
        """A variable that begins as `value`."""
        with self.b.goto_entry_block():
            at = self.b.alloca(value.type)
        self.b.store(value, at)
        return at

    def _share(self, part: ir.Value, parts: ir.Value) -> list[ir.Value]:
        """A worker's rows and columns: first and last + 1 of each. Many rows are divided by rows, few of them by columns."""
        b = self.b
        *outer, columns = [self.word(i) for i in range(NEST)]
        rows = outer[0]
        for size in outer[1:]:
            rows = b.mul(rows, size)
        share = [self.variable(edge) for edge in (I64(0), rows, I64(0), columns)]
        with b.if_then(b.icmp_signed(">", parts, I64(1)), likely=False):  # divisions take longer than small work
            by_rows = b.icmp_signed(">=", rows, b.mul(parts, I64(4)))
            grains = b.sdiv(b.add(columns, I64(COLUMN_GRAIN - 1)), I64(COLUMN_GRAIN))
            whole = b.select(by_rows, rows, grains)
            low = b.sdiv(b.mul(whole, part), parts)
            high = b.sdiv(b.mul(whole, b.add(part, I64(1))), parts)
            b.store(b.select(by_rows, low, I64(0)), share[0])
            b.store(b.select(by_rows, high, rows), share[1])
            b.store(b.select(by_rows, I64(0), b.mul(low, I64(COLUMN_GRAIN))), share[2])
            b.store(b.select(by_rows, columns, self.smaller(b.mul(high, I64(COLUMN_GRAIN)), columns)), share[3])
        return [b.load(edge) for edge in share]

    def emit(self, part: ir.Value, parts: ir.Value) -> None:
        b = self.b
        first_row, row_stop, first, stop = self._share(part, parts)
        self.count = b.sub(stop, first)
        self.strides = {name: self.word(a.word + NEST) for name, a in self.arrays.items()}
        self.repeats = {name: b.icmp_signed("==", stride, I64(0)) for name, stride in self.strides.items()}
        self.buffers = {name: self._buffer(a) for name, a in self.arrays.items()}
        self.direct = self.count if self.masks else b.and_(self.count, I64(-self.width))
        self.most = I64(PIECE)
        for name in self.formula.singles:
            self.most = b.select(self.repeats[name], self.most, I64(1))
        self.in_place: dict[str, ir.Value] = {}  # operands whose items need not be gathered, whatever those of others do
        for name, a in self.arrays.items():
            contiguous = b.icmp_signed("==", self.strides[name], I64(a.bytes))
            self.in_place[name] = contiguous if self.masks and name not in self.formula.singles else ir.Constant(ir.IntType(1), 0)
            if name in self.formula.singles:
                contiguous = self.repeats[name]
            elif name not in self.outputs:
                contiguous = b.or_(contiguous, self.repeats[name])
            self.direct = b.select(contiguous, self.direct, I64(0))
        with b.if_then(b.icmp_signed("<", self.direct, self.count), likely=False):  # vectors of buffers are not always full
            for name, a in self.arrays.items():
                room = ir.ArrayType(a.item, PIECE)
                b.store(ir.Constant(room, None), b.bitcast(self.buffers[name], room.as_pointer()))
        self.streams = self._bypasses_caches(row_stop)
        walk = _Rows(self, {name: b.mul(first, stride) for name, stride in self.strides.items()})
        walk.each(first_row, row_stop, self._row)
        if self.streams is not None:
            with b.if_then(self.streams):
                llvm_call(b, "llvm.x86.sse.sfence", ir.VoidType(), [])

    def _buffer(self, a: _Operand) -> ir.Value:
        """Room for a register's worth of equal items, or for a piece of those gathered from a strided operand."""
        with self.b.goto_entry_block():
            at = self.b.alloca(ir.ArrayType(a.item, PIECE))
            at.align = LINE
        return self.b.bitcast(at, I8.as_pointer())

    def _bypasses_caches(self, rows: ir.Value) -> ir.Value | None:
        """Whether results go past the caches: one row longer than those hold, and no operand that it overwrites."""
        if not (self.masks and _host.is_x86()) or len(self.outputs) > 1 or self.arrays[self.outputs[0]].bool:
            return None
        b, out = self.b, self.arrays[self.outputs[0]]
        bypass = b.icmp_signed(">=", b.mul(self.direct, I64(out.bytes)), I64(_host.cache_bytes(3) // 2))
        bypass = b.and_(bypass, b.icmp_signed("==", rows, I64(1)))
        bypass = b.and_(bypass, b.icmp_signed("==", b.and_(self.word(out.word), I64(out.bytes - 1)), I64(0)))
        for name, a in self.arrays.items():
            if name not in self.outputs:
                bypass = b.and_(bypass, b.icmp_signed("!=", self.word(a.word), self.word(out.word)))
        return bypass

    def _row(self, pointers: dict[str, ir.Value]) -> None:
        """One row: a piece where it lies, if its operands allow, and the rest in pieces that are gathered in buffers."""
        b = self.b
        bases = {name: p if name in (*self.outputs, *self.formula.singles) else self._base(name, p) for name, p in pointers.items()}
        done = self.variable(I64(0))
        with _while(b, lambda: b.icmp_signed("<", b.load(done), self.count)):
            start = b.load(done)
            straight = b.icmp_signed("<", start, self.direct)
            some = self.smaller(b.sub(self.count, start), self.most)
            here = {n: b.gep(p, [b.mul(start, self.strides[n])]) for n, p in pointers.items()}
            for name in self.formula.singles:
                self.numbers[name] = convert(self._item(name, here[name]), self.number).value
            with b.if_then(b.not_(straight), likely=False):
                for name in self.formula.arguments:
                    if name in self.arrays and name not in self.formula.singles:
                        gathered = b.select(self.in_place[name], I64(0), some)
                        self._move(name, self.buffers[name], self.size(name), here[name], self.strides[name], gathered)
            whole = some if self.masks else b.and_(b.add(some, I64(self.width - 1)), I64(-self.width))
            at = {n: b.select(straight, base, b.select(self.in_place[n], here[n], self.buffers[n])) for n, base in bases.items()}
            self._piece(at, b.select(straight, self.direct, whole), straight)
            with b.if_then(b.not_(straight), likely=False):
                for name in self.outputs:
                    scattered = b.select(self.in_place[name], I64(0), some)
                    self._move(name, here[name], self.strides[name], self.buffers[name], self.size(name), scattered)
            b.store(b.add(start, b.select(straight, self.direct, some)), done)

    def size(self, name: str) -> ir.Value:
        return I64(self.arrays[name].bytes)

    def _base(self, name: str, pointer: ir.Value) -> ir.Value:
        """Where vectors of an operand are read: its row, or a register's worth of copies when it repeats one value."""
        b, repeats, buffer = self.b, self.repeats[name], self.buffers[name]
        with b.if_then(b.and_(repeats, b.icmp_signed(">", self.direct, I64(0)))):
            copies = splat(b, self._item(name, pointer).value, self.width * self.side_by_side)
            b.store(copies, b.bitcast(buffer, copies.type.as_pointer()))
        return b.select(repeats, buffer, pointer)

    def _item(self, name: str, pointer: ir.Value) -> V:
        return V(self.b, self.b.load(self.b.bitcast(pointer, self.arrays[name].item.as_pointer())))

    def _move(self, name: str, to: ir.Value, to_stride: ir.Value, source: ir.Value, stride: ir.Value, count: ir.Value) -> None:
        """Copy items one by one."""
        b, item = self.b, self.arrays[name].item.as_pointer()
        with _Loop(b, count, [to, source], [to_stride, stride]) as (_, (put, get)):
            b.store(b.load(b.bitcast(get, item)), b.bitcast(put, item))

    def _piece(self, bases: dict[str, ir.Value], count: ir.Value, straight: ir.Value) -> None:
        """`count` contiguous items: those before the first cache line's boundary if there are many, vectors, and the rest."""
        b, W = self.b, self.width
        moves = {n: b.select(b.and_(straight, self.repeats[n]), I64(0), I64(a.bytes)) for n, a in self.arrays.items()}
        at = {n: self.variable(p) for n, p in bases.items()}
        left = self.variable(count)
        names = list(self.arrays)

        def go_on(items: ir.Value) -> None:
            for name in names:
                b.store(b.gep(b.load(at[name]), [b.mul(items, moves[name])]), at[name])
            b.store(b.sub(b.load(left), items), left)

        if not self.masks:
            self._vectors([b.load(at[n]) for n in names], [b.mul(moves[n], I64(W)) for n in names], b.sdiv(count, I64(W)), W)
            return
        out = self.arrays[self.outputs[0]]
        before = b.and_(b.sub(I64(0), b.ptrtoint(bases[self.outputs[0]], I64)), I64(W * out.bytes - 1))
        many = b.icmp_signed(">=", count, I64(ALIGNED_VECTORS * W))
        masked = self.variable(b.select(many, b.sdiv(before, I64(out.bytes)), I64(0)))
        with _while(b, lambda: b.icmp_signed(">", b.load(left), I64(0))):
            items = b.load(masked)
            with b.if_then(b.icmp_signed(">", items, I64(0))):
                self._apply([b.load(at[n]) for n in names], W, lanes_below(b, items, W))
                go_on(items)
            wide = W * self.side_by_side
            steps = b.sdiv(b.load(left), I64(wide))
            self._vectors([b.load(at[n]) for n in names], [b.mul(moves[n], I64(wide)) for n in names], steps, wide)
            go_on(b.mul(steps, I64(wide)))
            b.store(self.smaller(b.load(left), I64(W)), masked)

    def _vectors(self, pointers: list[ir.Value], moves: list[ir.Value], count: ir.Value, lanes: int) -> None:
        b = self.b
        with _Loop(b, count, pointers, moves) as (_, at):
            if self.streams is not None:
                with b.if_then(self.streams, likely=False):
                    self._prefetch(at, lanes)
            self._apply(at, lanes)

    def _prefetch(self, pointers: list[ir.Value], lanes: int) -> None:
        b = self.b
        for (name, a), p in zip(self.arrays.items(), pointers, strict=True):
            for line in range(0, lanes * a.bytes if name not in self.outputs else 0, LINE):
                prefetch(b, b.gep(p, [I64(AHEAD + line)]))

    def _apply(self, pointers: list[ir.Value], W: int, mask: ir.Value | None = None) -> None:
        """Load the operands, run the formula, store what it returns."""
        b = self.b
        items = {name: b.bitcast(p, a.item.as_pointer()) for (name, a), p in zip(self.arrays.items(), pointers, strict=True)}
        values = []
        for name in self.formula.arguments:
            if name not in self.numbers:
                value = load(b, items[name], W, mask)
                values.append(value != 0 if self.arrays[name].bool else value)
            else:
                values.append(V(b, splat(b, self.numbers[name], W)))
        result = self.formula(*values)
        for name, value in zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=True):
            a = self.arrays[name]
            value = convert(value, ir.IntType(1)) if a.bool else value
            self._store(convert(value, a.item), items[name], mask)

    def _store(self, value: V, items: ir.Value, mask: ir.Value | None) -> None:
        if mask is not None or self.streams is None:
            store(value, items, mask)
            return
        with self.b.if_else(self.streams, likely=False) as (past, into):
            with past:
                store(value, items, past_caches=True)
            with into:
                store(value, items)


class _Rows:
    """Walks the outer dimensions like an odometer: a counter per dimension, and each operand's pointer to its present row."""

    def __init__(self, nest: _Nest, offsets: dict[str, ir.Value]) -> None:
        b = self.b = nest.b
        self.nest = nest
        self.at = {}
        for name, a in nest.arrays.items():
            self.at[name] = nest.variable(b.gep(b.inttoptr(nest.word(a.word), I8.as_pointer()), [offsets[name]]))
        counters = ir.ArrayType(I64, NEST)
        self.counters = nest.variable(ir.Constant(counters, None))
        self.carry, self.axis = nest.variable(I64(0)), nest.variable(I64(0))

    def each(self, first: ir.Value, stop: ir.Value, row: Callable[[dict[str, ir.Value]], None]) -> None:
        """`row(pointers)` for the rows from `first` to `stop` - 1: those of the last outer dimension in an inner loop."""
        b, nest = self.b, self.nest
        last = NEST - 2
        strides = [nest.word(a.word + 1 + last) for a in nest.arrays.values()]
        left, skip = nest.variable(b.sub(stop, first)), nest.variable(first)
        with _while(b, lambda: b.icmp_signed(">", b.load(left), I64(0))):
            self.advance(b.load(skip))
            counter = b.load(b.gep(self.counters, [I64(0), I64(last)]))
            some = nest.smaller(b.load(left), b.sub(nest.word(last), counter))
            with _Loop(b, some, [b.load(at) for at in self.at.values()], strides) as (_, pointers):
                row(dict(zip(nest.arrays, pointers, strict=True)))
            b.store(b.sub(b.load(left), some), left)
            b.store(some, skip)

    def advance(self, rows: ir.Value) -> None:
        """Go `rows` rows on: count up the last outer dimension and carry what exceeds its size to the one before."""
        b = self.b
        b.store(rows, self.carry)
        b.store(I64(NEST - 2), self.axis)
        head, body, done = (b.append_basic_block(name) for name in ("advance", "advance_axis", "advanced"))
        b.branch(head)
        b.position_at_end(head)
        carry = b.load(self.carry)
        b.cbranch(b.icmp_signed(">", carry, I64(0)), body, done)
        b.position_at_end(body)
        axis = b.load(self.axis)
        counter = b.gep(self.counters, [I64(0), axis])
        size = self.nest.word(axis)
        before = b.load(counter)
        after = b.add(before, carry)
        b.store(after, counter)
        b.store(I64(0), self.carry)
        with b.if_then(b.icmp_signed(">=", after, size), likely=False):
            b.store(b.srem(after, size), counter)
            b.store(b.sdiv(after, size), self.carry)
        step = b.sub(b.load(counter), before)
        for variable, a in zip(self.at.values(), self.nest.arrays.values(), strict=True):
            stride = self.nest.word(b.add(axis, I64(a.word + 1)))
            b.store(b.gep(b.load(variable), [b.mul(step, stride)]), variable)
        b.store(b.sub(axis, I64(1)), self.axis)
        b.branch(head)
        b.position_at_end(done)


@contextmanager
def _while(b: ir.IRBuilder, holds: Callable[[], ir.Value]) -> Iterator[None]:
    """Run the body as long as `holds()`."""
    head, body, done = (b.append_basic_block(name) for name in ("while", "body", "done"))
    b.branch(head)
    b.position_at_end(head)
    b.cbranch(holds(), body, done)
    b.position_at_end(body)
    yield
    b.branch(head)
    b.position_at_end(done)


class _Loop:
    """`with _Loop(builder, count, pointers, steps) as (first, at)`: run the body `count` times.

    `at` are the pointers, which move by `steps` bytes from one time to the next; `first` holds the first time only.
    """

    def __init__(self, b: ir.IRBuilder, count: ir.Value, pointers: Sequence[ir.Value] = (), steps: Sequence[ir.Value] = ()) -> None:
        self.b, self.steps = b, steps
        before, self.body, self.exit = b.block, b.append_basic_block("loop"), b.append_basic_block("loop_exit")
        b.cbranch(b.icmp_signed(">", count, I64(0)), self.body, self.exit)
        b.position_at_end(self.body)
        self.left = b.phi(I64)
        self.left.add_incoming(count, before)
        self.at = [b.phi(p.type) for p in pointers]
        for phi, pointer in zip(self.at, pointers, strict=True):
            phi.add_incoming(pointer, before)
        self.first = b.icmp_signed("==", self.left, count)

    def __enter__(self) -> tuple[ir.Value, list[ir.Value]]:
        return self.first, self.at

    def __exit__(self, *_: object) -> None:
        b = self.b
        left = b.sub(self.left, I64(1))
        self.left.add_incoming(left, b.block)
        for phi, step in zip(self.at, self.steps, strict=True):
            phi.add_incoming(b.gep(phi, [step]), b.block)
        b.cbranch(b.icmp_signed(">", left, I64(0)), self.body, self.exit)
        b.position_at_end(self.exit)
