"""Elementwise kernels: one loop nest around a formula.

The inner dimension runs over whole vector registers where every operand is contiguous or repeats one value, and over single items
elsewhere. Scalar and vector code come from the same formula, so an element's value never depends on where it lies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from . import _host
from ._formula import V, convert, lanewise, splat
from ._signature import NEST, Array, Signature

I64 = ir.IntType(64)
I8 = ir.IntType(8)
WORD_POINTER = I64.as_pointer()
COLUMN_GRAIN = 64  # one row is split among workers at multiples of this many items: a cache line and more
ITEMS = {"f4": ir.FloatType(), "f8": ir.DoubleType(), "i8": I64, "u8": I64, "u1": I8, "b1": I8}
FLOATS = (ITEMS["f4"], ITEMS["f8"])


class Formula:
    """A formula marked as the body of an elementwise kernel.

    Its arguments are named after parameters of the kernel; what it returns is stored in the kernel's outputs.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.arguments = tuple(inspect.signature(function).parameters)

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
    nest = _Nest(b, function.args[0], arrays, formula, list(arrays)[: signature.outputs])
    for name, word in words.items():
        bits = nest.word(word)
        nest.numbers[name] = convert(V(b, b.bitcast(bits, ITEMS["f8"])), item).value if signature.parameters[name].kind == "float" else bits
    nest.emit(*function.args[1:])
    b.ret_void()
    return module


class _Nest:
    """Emits the loops: a worker's share, its rows, and the vector and scalar parts of a row."""

    def __init__(self, b: ir.IRBuilder, record: ir.Value, arrays: dict[str, _Operand], formula: Formula, outputs: Sequence[str]) -> None:
        self.b = b
        self.record = record
        self.arrays = arrays
        self.formula = formula
        self.outputs = outputs
        self.numbers: dict[str, ir.Value] = {}
        self.width = _host.lanes(8 if any(a.item == ITEMS["f8"] for a in arrays.values()) else 4)

    def word(self, index: int | ir.Value) -> ir.Value:
        return self.b.load(self.b.gep(self.record, [I64(index) if isinstance(index, int) else index]))

    def _share(self, part: ir.Value, parts: ir.Value) -> list[ir.Value]:
        """A worker's rows and columns: first and last + 1 of each. Many rows are divided by rows, few of them by columns."""
        b = self.b
        *outer, columns = [self.word(i) for i in range(NEST)]
        rows = outer[0]
        for size in outer[1:]:
            rows = b.mul(rows, size)
        by_rows = b.icmp_signed(">=", rows, b.mul(parts, I64(4)))
        grains = b.sdiv(b.add(columns, I64(COLUMN_GRAIN - 1)), I64(COLUMN_GRAIN))
        whole = b.select(by_rows, rows, grains)
        low = b.sdiv(b.mul(whole, part), parts)
        high = b.sdiv(b.mul(whole, b.add(part, I64(1))), parts)
        edge = b.mul(high, I64(COLUMN_GRAIN))
        edge = b.select(b.icmp_signed("<", edge, columns), edge, columns)
        return [
            b.select(by_rows, low, I64(0)),
            b.select(by_rows, high, rows),
            b.select(by_rows, I64(0), b.mul(low, I64(COLUMN_GRAIN))),
            b.select(by_rows, columns, edge),
        ]

    def emit(self, part: ir.Value, parts: ir.Value) -> None:
        b = self.b
        first_row, row_stop, first, stop = self._share(part, parts)
        count = b.sub(stop, first)
        strides = [self.word(a.word + NEST) for a in self.arrays.values()]
        repeats = [b.icmp_signed("==", stride, I64(0)) for stride in strides]
        fits = b.icmp_signed(">=", count, I64(self.width))
        for (name, a), stride, repeat in zip(self.arrays.items(), strides, repeats, strict=True):
            contiguous = b.icmp_signed("==", stride, I64(a.bytes))
            fits = b.and_(fits, contiguous if name in self.outputs else b.or_(contiguous, repeat))
        vectors = b.select(fits, b.sdiv(count, I64(self.width)), I64(0))
        in_vectors = b.mul(vectors, I64(self.width))

        buffers = [b.bitcast(b.alloca(ir.VectorType(a.item, self.width)), I8.as_pointer()) for a in self.arrays.values()]
        moves = [b.select(repeat, I64(0), I64(a.bytes * self.width)) for a, repeat in zip(self.arrays.values(), repeats, strict=True)]
        walk = _Rows(self, [b.mul(first, stride) for stride in strides])
        with _Loop(b, b.sub(row_stop, first_row)) as (at_first, _):
            walk.advance(b.select(at_first, first_row, I64(1)))
            pointers = walk.pointers()
            with b.if_then(fits):
                bases = [
                    p if name in self.outputs else self._base(a, p, repeat, buffer)
                    for (name, a), p, repeat, buffer in zip(self.arrays.items(), pointers, repeats, buffers, strict=True)
                ]
                with _Loop(b, vectors, bases, moves) as (_, at):
                    self._apply(at, self.width)
            rest = [b.gep(p, [b.mul(in_vectors, stride)]) for p, stride in zip(pointers, strides, strict=True)]
            with _Loop(b, b.sub(count, in_vectors), rest, strides) as (_, at):
                self._apply(at, 1)

    def _base(self, a: _Operand, pointer: ir.Value, repeats: ir.Value, buffer: ir.Value) -> ir.Value:
        """Where vectors of an operand are read: its row, or a register's worth of copies when it repeats one value."""
        b = self.b
        copies = splat(b, b.load(b.bitcast(pointer, a.item.as_pointer())), self.width)
        b.store(copies, b.bitcast(buffer, copies.type.as_pointer()))
        return b.select(repeats, buffer, pointer)

    def _apply(self, pointers: list[ir.Value], lanes: int) -> None:
        """Load the operands, run the formula, store what it returns."""
        b = self.b
        addresses = {
            name: b.bitcast(p, lanewise(a.item, lanes).as_pointer()) for (name, a), p in zip(self.arrays.items(), pointers, strict=True)
        }
        values = []
        for name in self.formula.arguments:
            if name in self.arrays:
                a = self.arrays[name]
                value = V(b, b.load(addresses[name], align=a.bytes))
                values.append(value != 0 if a.bool else value)
            else:
                values.append(V(b, splat(b, self.numbers[name], lanes)))
        result = self.formula(*values)
        for name, value in zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=True):
            a = self.arrays[name]
            value = convert(value, ir.IntType(1)) if a.bool else value
            b.store(convert(value, a.item).value, addresses[name], align=a.bytes)


class _Rows:
    """Walks the outer dimensions like an odometer: a counter per dimension, and each operand's pointer to its present row."""

    def __init__(self, nest: _Nest, offsets: list[ir.Value]) -> None:
        b = self.b = nest.b
        self.nest = nest
        self.at = [b.alloca(I8.as_pointer()) for _ in offsets]
        for variable, a, offset in zip(self.at, nest.arrays.values(), offsets, strict=True):
            b.store(b.gep(b.inttoptr(nest.word(a.word), I8.as_pointer()), [offset]), variable)
        counters = ir.ArrayType(I64, NEST)
        self.counters, self.carry, self.axis = b.alloca(counters), b.alloca(I64), b.alloca(I64)
        b.store(ir.Constant(counters, None), self.counters)

    def pointers(self) -> list[ir.Value]:
        return [self.b.load(variable) for variable in self.at]

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
        for variable, a in zip(self.at, self.nest.arrays.values(), strict=True):
            stride = self.nest.word(b.add(axis, I64(a.word + 1)))
            b.store(b.gep(b.load(variable), [b.mul(step, stride)]), variable)
        b.store(b.sub(axis, I64(1)), self.axis)
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
