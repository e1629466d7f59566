"""Elementwise kernels: one loop nest around a formula.

The inner dimension runs over whole vector registers wherever each operand is contiguous or repeats one value, and over single
items elsewhere. Scalar and vector code come from the same formula, so an element's value never depends on where it lies.
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


class Formula:
    """A formula marked as the body of an elementwise kernel.

    Its arguments are named after parameters of the kernel; what it returns is stored in the kernel's first parameters.
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
    """One array of the nest: its item type, its base pointer, and its strides."""

    def __init__(self, dtype: str, pointer: ir.Value, strides: list[ir.Value]) -> None:
        self.bool = dtype == "b1"
        self.item = ITEMS[dtype]
        self.bytes = int(np.dtype(dtype).itemsize)
        self.pointer = pointer
        self.strides = strides


def build(symbol: str, signature: Signature, dtypes: str, formula: Formula) -> ir.Module:
    """The LLVM module of an elementwise kernel: `void symbol(words, part, parts)`."""
    module = ir.Module(symbol)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD_POINTER, I64, I64]), symbol)
    record, part, parts = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))

    def word(index: int) -> ir.Value:
        return b.load(b.gep(record, [I64(index)]))

    sizes = [word(i) for i in range(NEST)]
    at = NEST
    codes = iter(dtypes[i : i + 2] for i in range(0, len(dtypes), 2))
    arrays: dict[str, _Operand] = {}
    numbers: dict[str, ir.Value] = {}
    for name, parameter in signature.parameters.items():
        if isinstance(parameter, Array):
            pointer = b.inttoptr(word(at), I8.as_pointer())
            arrays[name] = _Operand(next(codes), pointer, [word(at + 1 + i) for i in range(NEST)])
            at += 1 + NEST
        else:
            numbers[name] = word(at)
            at += 1
    outputs = _outputs(formula, arrays, numbers)
    item = next((a.item for a in arrays.values() if isinstance(a.item, (ir.FloatType, ir.DoubleType))), ir.FloatType())
    for name, bits in numbers.items():
        if signature.parameters[name].kind == "float":
            double = b.bitcast(bits, ir.DoubleType())
            numbers[name] = b.fptrunc(double, item) if isinstance(item, ir.FloatType) else double
    width = _host.lanes(8 if any(isinstance(a.item, ir.DoubleType) for a in arrays.values()) else 4)
    _Nest(b, sizes, list(arrays.items()), numbers, formula, outputs, width).emit(part, parts)
    b.ret_void()
    return module


def _outputs(formula: Formula, arrays: dict[str, _Operand], numbers: dict[str, ir.Value]) -> list[str]:
    """The kernel's first parameters, as many as the formula returns values; found by tracing it once into nothing."""
    scratch = ir.IRBuilder(ir.Function(ir.Module("scratch"), ir.FunctionType(ir.VoidType(), []), "scratch").append_basic_block())
    traced = []
    floats = [a.item for a in arrays.values() if isinstance(a.item, (ir.FloatType, ir.DoubleType))]
    for name in formula.arguments:
        item = arrays[name].item if name in arrays else (floats or [ir.FloatType()])[0]
        item = ir.IntType(1) if name in arrays and arrays[name].bool else item
        traced.append(V(scratch, ir.Constant(item, 0)))
    result = formula(*traced)
    return list(arrays)[: len(result) if isinstance(result, tuple) else 1]


class _Nest:
    """Emits the loops: workers' shares, rows of the outer dimensions, and the vector and scalar halves of a row."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        sizes: list[ir.Value],
        arrays: list[tuple[str, _Operand]],
        numbers: dict[str, ir.Value],
        formula: Formula,
        outputs: Sequence[str],
        width: int,
    ) -> None:
        self.b = builder
        self.sizes = sizes
        self.arrays = arrays
        self.numbers = numbers
        self.formula = formula
        self.outputs = outputs
        self.width = width
        self.middle = builder.alloca(I64, name="middle")
        self.buffers = {
            name: builder.bitcast(builder.alloca(ir.VectorType(a.item, width), name=f"{name}_repeat"), I8.as_pointer())
            for name, a in arrays
            if name not in outputs
        }

    def emit(self, part: ir.Value, parts: ir.Value) -> None:
        b = self.b
        rows = self.sizes[0]
        for size in self.sizes[1:-1]:
            rows = b.mul(rows, size)
        columns = self.sizes[-1]
        by_rows = b.icmp_signed(">=", rows, b.mul(parts, I64(4)))
        grains = b.sdiv(b.add(columns, I64(COLUMN_GRAIN - 1)), I64(COLUMN_GRAIN))
        whole = b.select(by_rows, rows, grains)
        low = b.sdiv(b.mul(whole, part), parts)
        high = b.sdiv(b.mul(whole, b.add(part, I64(1))), parts)
        row_start = b.select(by_rows, low, I64(0))
        row_stop = b.select(by_rows, high, rows)
        edge = b.mul(high, I64(COLUMN_GRAIN))
        column_start = b.select(by_rows, I64(0), b.mul(low, I64(COLUMN_GRAIN)))
        column_stop = b.select(by_rows, columns, b.select(b.icmp_signed("<", edge, columns), edge, columns))

        vectorised = b.icmp_signed(">=", b.sub(column_stop, column_start), I64(self.width))
        for name, a in self.arrays:
            stride = a.strides[-1]
            fits = b.icmp_signed("==", stride, I64(a.bytes))
            if name not in self.outputs:
                fits = b.or_(fits, b.icmp_signed("==", stride, I64(0)))
            vectorised = b.and_(vectorised, fits)

        odometer = _Odometer(b, self.sizes[:-1], [a.strides[:-1] for _, a in self.arrays], row_start)
        with _loop(b, row_start, row_stop, I64(1)):
            pointers = [b.gep(a.pointer, [offset]) for (_, a), offset in zip(self.arrays, odometer.offsets(), strict=True)]
            b.store(column_start, self.middle)
            with b.if_then(vectorised):
                count = b.sub(column_stop, column_start)
                middle = b.add(column_start, b.sub(count, b.srem(count, I64(self.width))))
                b.store(middle, self.middle)
                bases = [self._base(name, a, p) for (name, a), p in zip(self.arrays, pointers, strict=True)]
                with _loop(b, column_start, middle, I64(self.width)) as j:
                    self._apply(bases, j, self.width)
            with _loop(b, b.load(self.middle), column_stop, I64(1)) as j:
                self._apply(pointers, j, 1)
            odometer.advance()

    def _base(self, name: str, a: _Operand, pointer: ir.Value) -> ir.Value:
        """Where vectors of an operand are read: its row, or a register's worth of copies when it repeats one value."""
        if name in self.outputs:
            return pointer
        b = self.b
        repeats = b.icmp_signed("==", a.strides[-1], I64(0))
        buffer = self.buffers[name]
        with b.if_then(repeats):
            value = b.load(b.bitcast(pointer, a.item.as_pointer()))
            copies = splat(b, value, self.width)
            b.store(copies, b.bitcast(buffer, copies.type.as_pointer()))
        return b.select(repeats, buffer, pointer)

    def _apply(self, bases: list[ir.Value], j: ir.Value, lanes: int) -> None:
        """Load the operands at column `j`, run the formula, store what it returns."""
        b = self.b
        addresses = {
            name: b.bitcast(b.gep(base, [b.mul(j, a.strides[-1])]), lanewise(a.item, lanes).as_pointer())
            for (name, a), base in zip(self.arrays, bases, strict=True)
        }
        arrays = dict(self.arrays)
        values = []
        for name in self.formula.arguments:
            if name in arrays:
                a = arrays[name]
                value = V(b, b.load(addresses[name], align=a.bytes))
                values.append(value != 0 if a.bool else value)
            else:
                values.append(V(b, splat(b, self.numbers[name], lanes)))
        result = self.formula(*values)
        for name, value in zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=True):
            b.store(convert(value, arrays[name].item).value, addresses[name], align=arrays[name].bytes)


class _Odometer:
    """Walks the outer dimensions row by row, keeping each operand's byte offset without a division per row."""

    def __init__(self, b: ir.IRBuilder, sizes: list[ir.Value], strides: list[list[ir.Value]], start: ir.Value) -> None:
        self.b, self.sizes, self.strides = b, sizes, strides
        self.index = [b.alloca(I64) for _ in sizes]
        self.offset = [b.alloca(I64) for _ in strides]
        totals = [I64(0) for _ in strides]
        rest = start
        with_rows = []
        for axis in reversed(range(len(sizes))):
            # A size of zero means that there is no row at all: any divisor but zero will do.
            divisor = b.select(b.icmp_signed("==", sizes[axis], I64(0)), I64(1), sizes[axis])
            digit = b.srem(rest, divisor)
            rest = b.sdiv(rest, divisor)
            with_rows.append((axis, digit))
        for axis, digit in with_rows:
            b.store(digit, self.index[axis])
            totals = [b.add(t, b.mul(digit, s[axis])) for t, s in zip(totals, strides, strict=True)]
        for variable, total in zip(self.offset, totals, strict=True):
            b.store(total, variable)

    def offsets(self) -> list[ir.Value]:
        return [self.b.load(variable) for variable in self.offset]

    def advance(self) -> None:
        b = self.b
        done = b.append_basic_block("advanced")
        for axis in reversed(range(len(self.sizes))):
            digit = b.add(b.load(self.index[axis]), I64(1))
            full = b.icmp_signed("==", digit, self.sizes[axis])
            b.store(b.select(full, I64(0), digit), self.index[axis])
            wrap = b.select(full, b.sub(I64(1), self.sizes[axis]), I64(1))
            for variable, strides in zip(self.offset, self.strides, strict=True):
                b.store(b.add(b.load(variable), b.mul(wrap, strides[axis])), variable)
            carry = b.append_basic_block("carry")
            b.cbranch(full, carry, done)
            b.position_at_end(carry)
        b.branch(done)
        b.position_at_end(done)


class _loop:
    """`with _loop(builder, start, stop, step) as i`: a counted loop."""

    def __init__(self, b: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: ir.Value) -> None:
        self.b, self.stop, self.step = b, stop, step
        self.head, self.body, self.exit = (b.append_basic_block(f"loop_{n}") for n in ("head", "body", "exit"))
        self.entry = b.block
        b.branch(self.head)
        b.position_at_end(self.head)
        self.i = b.phi(I64)
        self.i.add_incoming(start, self.entry)
        b.cbranch(b.icmp_signed("<", self.i, stop), self.body, self.exit)
        b.position_at_end(self.body)

    def __enter__(self) -> ir.Value:
        return self.i

    def __exit__(self, *_: object) -> None:
        self.i.add_incoming(self.b.add(self.i, self.step), self.b.block)
        self.b.branch(self.head)
        self.b.position_at_end(self.exit)
