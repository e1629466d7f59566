"""The vocabulary that kernels are written in: arithmetic on whole vector registers, memory with masks, shuffles, and atomic words.

A formula is a Python function over `V`, a value of LLVM that knows Python's operators. Calling it once emits its vector
instructions, for any width and dtype; it holds no loop and no branch. `_nest` wraps formulas into elementwise kernels and
`_rows` makes them callable inside Numba kernels, so every formula exists exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from . import _host

I32 = ir.IntType(32)
I64 = ir.IntType(64)
FLOAT_OF = {32: ir.FloatType(), 64: ir.DoubleType()}
LLVM_ITEMS = {  # of Numba's types
    types.float32: FLOAT_OF[32],
    types.float64: FLOAT_OF[64],
    types.int64: I64,
    types.int32: I32,
    types.boolean: ir.IntType(1),
}

Operand = Any  # a V, or a Python number that becomes a constant of the other operand's type


class V:
    """A vector (or, with one lane, a scalar) of floats, integers or truth values."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    @property
    def type(self) -> ir.Type:
        return self.value.type

    @property
    def item(self) -> ir.Type:
        """The LLVM type of one lane."""
        return self.type.element if isinstance(self.type, ir.VectorType) else self.type

    @property
    def lanes(self) -> int:
        return int(self.type.count) if isinstance(self.type, ir.VectorType) else 1

    @property
    def is_float(self) -> bool:
        return isinstance(self.item, (ir.FloatType, ir.DoubleType))

    @property
    def dtype(self) -> type:
        """np.float32 or np.float64, for formulas that choose constants by precision."""
        return np.float64 if isinstance(self.item, ir.DoubleType) else np.float32

    def like(self, number: Operand) -> V:
        """`number` as a value of this type; each lane of a V that has fewer of them is repeated as often as needed."""
        if not isinstance(number, V):
            return V(self.builder, constant(self.type, number))
        if number.lanes == 1:
            return V(self.builder, splat(self.builder, number.value, self.lanes))
        times = self.lanes // number.lanes
        return number if times == 1 else shuffle(number, number, [lane // times for lane in range(self.lanes)])

    def _binary(self, float_op: str, int_op: str, other: Operand, swap: bool = False) -> V:
        a, b = alike(other, self) if swap else alike(self, other)
        emit = getattr(self.builder, float_op if self.is_float else int_op)
        return V(self.builder, emit(a.value, b.value))

    def __add__(self, other: Operand) -> V:
        return self._binary("fadd", "add", other)

    def __radd__(self, other: Operand) -> V:
        return self._binary("fadd", "add", other, swap=True)

    def __sub__(self, other: Operand) -> V:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: Operand) -> V:
        return self._binary("fsub", "sub", other, swap=True)

    def __mul__(self, other: Operand) -> V:
        return self._binary("fmul", "mul", other)

    def __rmul__(self, other: Operand) -> V:
        return self._binary("fmul", "mul", other, swap=True)

    def __truediv__(self, other: Operand) -> V:
        return self._binary("fdiv", "sdiv", other)

    def __rtruediv__(self, other: Operand) -> V:
        return self._binary("fdiv", "sdiv", other, swap=True)

    def __neg__(self) -> V:
        return V(self.builder, self.builder.fneg(self.value) if self.is_float else self.builder.neg(self.value))

    def __and__(self, other: Operand) -> V:
        a, b = alike(self, other)
        return V(self.builder, self.builder.and_(a.value, b.value))

    def __or__(self, other: Operand) -> V:
        a, b = alike(self, other)
        return V(self.builder, self.builder.or_(a.value, b.value))

    def __xor__(self, other: Operand) -> V:
        a, b = alike(self, other)
        return V(self.builder, self.builder.xor(a.value, b.value))

    def __invert__(self) -> V:
        return V(self.builder, self.builder.not_(self.value))

    def __lshift__(self, count: Operand) -> V:
        return V(self.builder, self.builder.shl(self.value, self.like(count).value))

    def __rshift__(self, count: Operand) -> V:
        """Shift right; integers are taken as unsigned."""
        return V(self.builder, self.builder.lshr(self.value, self.like(count).value))

    def _compare(self, symbol: str, other: Operand) -> V:
        emit = self.builder.fcmp_ordered if self.is_float else self.builder.icmp_signed
        a, b = alike(self, other)
        return V(self.builder, emit(symbol, a.value, b.value))

    def __lt__(self, other: Operand) -> V:
        return self._compare("<", other)

    def __le__(self, other: Operand) -> V:
        return self._compare("<=", other)

    def __gt__(self, other: Operand) -> V:
        return self._compare(">", other)

    def __ge__(self, other: Operand) -> V:
        return self._compare(">=", other)

    def __eq__(self, other: Operand) -> V:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: Operand) -> V:  # type: ignore[override]
        if self.is_float:  # a NaN differs from everything
            a, b = alike(self, other)
            return V(self.builder, self.builder.fcmp_unordered("!=", a.value, b.value))
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]


def alike(*operands: Operand) -> list[V]:
    """The operands with as many lanes as the one that has most: lanes of the others are repeated, numbers become constants."""
    widest = max((x for x in operands if isinstance(x, V)), key=lambda x: x.lanes)
    return [widest.like(x) for x in operands]


def constant(type: ir.Type, number: float) -> ir.Constant:
    """`number` in every lane of `type`."""
    return _Repeated(type, number) if isinstance(type, ir.VectorType) else ir.Constant(type, number)


class _Repeated(ir.Constant):
    """A constant vector of equal lanes, in LLVM's short form, which is written and read several times faster than all lanes."""

    def __init__(self, type: ir.VectorType, number: float) -> None:
        self.type, self.constant = type, number

    def _get_reference(self) -> str:
        return f"splat ({ir.Constant(self.type.element, self.constant)})"


def lanewise(item: ir.Type, lanes: int) -> ir.Type:
    """A vector type, or the plain type for one lane."""
    return ir.VectorType(item, lanes) if lanes > 1 else item


def register(item: ir.Type) -> tuple[int, ir.Type]:
    """The bytes of an item, and the type of a register full of them."""
    bytes = item_bytes(item)
    return bytes, lanewise(item, _host.lanes(bytes))


def splat(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """`value` repeated in every lane."""
    if lanes == 1:
        return value
    vector = ir.VectorType(value.type, lanes)
    first = b.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
    return b.shuffle_vector(first, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def lanes_below(b: ir.IRBuilder, count: ir.Value, lanes: int) -> ir.Value:
    """True in the first `count` lanes."""
    number = splat(b, b.trunc(count, I32), lanes)
    return b.icmp_signed("<", ir.Constant(ir.VectorType(I32, lanes), list(range(lanes))), number)


def lanes_from(b: ir.IRBuilder, first: ir.Value, count: ir.Value, lanes: int) -> ir.Value:
    """True in the lanes that hold one of `count` items, where the first lane holds item `first`, which may be negative."""
    order = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    item = b.add(order, splat(b, b.trunc(first, I32), lanes))
    return b.icmp_unsigned("<", item, splat(b, b.trunc(count, I32), lanes))


def suffix(kind: ir.Type) -> str:
    """How LLVM's overloaded intrinsics name a type: f32, v16f32, v8i64."""
    item = kind.element if isinstance(kind, ir.VectorType) else kind
    name = {ir.FloatType: "f32", ir.DoubleType: "f64"}.get(item.__class__) or f"i{item.width}"
    return f"v{kind.count}{name}" if isinstance(kind, ir.VectorType) else name


def llvm_call(b: ir.IRBuilder, name: str, result: ir.Type, arguments: Sequence[ir.Value]) -> ir.Value:
    """Call a function of LLVM's, or of the C library's, by its full name."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return b.call(b.module.globals.get(name) or ir.Function(b.module, kind, name), arguments)


def item_bytes(kind: ir.Type) -> int:
    """The size of one lane of a type."""
    item = kind.element if isinstance(kind, ir.VectorType) else kind
    return {ir.FloatType: 4, ir.DoubleType: 8}.get(item.__class__) or item.width // 8


def load(b: ir.IRBuilder, pointer: ir.Value, lanes: int, mask: ir.Value | None = None, nothing: float = 0) -> V:
    """`lanes` items from `pointer` on; where there is a mask, only those in its lanes, and `nothing` in the others."""
    kind = lanewise(pointer.type.pointee, lanes)
    address = b.bitcast(pointer, kind.as_pointer())
    if mask is None:
        return V(b, b.load(address, align=item_bytes(kind)))
    operands = [address, I32(item_bytes(kind)), mask, constant(kind, nothing)]
    return V(b, llvm_call(b, f"llvm.masked.load.{suffix(kind)}.p0", kind, operands))


def gather(b: ir.IRBuilder, pointers: ir.Value, mask: ir.Value, nothing: float = 0) -> V:
    """The items that a vector of pointers points to in the lanes of the mask, and `nothing` in the others."""
    kind = ir.VectorType(pointers.type.element.pointee, pointers.type.count)
    operands = [pointers, I32(item_bytes(kind)), mask, constant(kind, nothing)]
    return V(b, llvm_call(b, f"llvm.masked.gather.{suffix(kind)}.v{kind.count}p0", kind, operands))


def store(value: V, pointer: ir.Value, mask: ir.Value | None = None, past_caches: bool = False) -> None:
    """The lanes of `value` from `pointer` on; where there is a mask, only its lanes. Past the caches, they lie where a register's do."""
    b = value.builder
    address = b.bitcast(pointer, value.type.as_pointer())
    if mask is not None:
        operands = [value.value, address, I32(item_bytes(value.type)), mask]
        llvm_call(b, f"llvm.masked.store.{suffix(value.type)}.p0", ir.VoidType(), operands)
    elif past_caches:
        stored = b.store(value.value, address, align=_host.isa().vector_bytes)
        stored.set_metadata("nontemporal", b.module.add_metadata([I32(1)]))
    else:
        b.store(value.value, address, align=item_bytes(value.type))


def prefetch(b: ir.IRBuilder, pointer: ir.Value, write: bool = False, level: int = 1) -> None:
    """Bring a cache line into the cache of a level, to be read soon, or to be read and written."""
    line = b.bitcast(pointer, ir.IntType(8).as_pointer())
    llvm_call(b, "llvm.prefetch.p0", ir.VoidType(), [line, I32(int(write)), I32(4 - level), I32(1)])


def unknown(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The value, of which LLVM is not told where it comes from, so that it is computed where it stands."""
    return b.asm(ir.FunctionType(value.type, [value.type]), "", "=r,0", [value], side_effect=False)


class Mover:
    """Items of one type, a register of them at a time, to and from addresses."""

    def __init__(self, b: ir.IRBuilder, item: ir.Type, lanes: int = 0, nothing: float = 0) -> None:
        """lanes: of a register, 0 for as many as it holds; nothing: what is read where a mask leaves an item out."""
        self.b, self.item, self.nothing = b, item, nothing
        self.bytes = item_bytes(item)
        self.lanes = lanes or _host.lanes(self.bytes)
        self.vector = lanewise(item, self.lanes)

    def at(self, address: ir.Value, type: ir.Type) -> ir.Value:
        """A pointer to an address."""
        return self.b.inttoptr(address, type.as_pointer())

    def load(self, address: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        return load(self.b, self.at(address, self.item), self.lanes, mask, self.nothing).value

    def store(self, value: ir.Value, address: ir.Value, mask: ir.Value | None = None) -> None:
        store(V(self.b, value), self.at(address, self.item), mask)

    def over(self, count: ir.Value, body: Callable[[ir.Value, ir.Value | None], None]) -> None:
        """Call `body(first, mask)` for each register's worth of `count` items; the mask, of those that exist, only for the last one."""
        b, lanes = self.b, I64(self.lanes)
        whole = b.mul(b.sdiv(count, lanes), lanes)
        with cgutils.for_range_slice(b, I64(0), whole, lanes, I64) as (j, _):
            body(j, None)
        if self.lanes > 1:
            with b.if_then(b.icmp_signed("<", whole, count)):
                body(whole, lanes_below(b, b.sub(count, whole), self.lanes))


def call(name: str, *arguments: V) -> V:
    """Call the LLVM intrinsic `name`, overloaded on the type of its first argument."""
    x = arguments[0]
    full = f"llvm.{name}.{suffix(x.type)}"
    return V(x.builder, llvm_call(x.builder, full, x.type, [a.value for a in arguments]))


def fma(a: V, b: Operand, c: Operand) -> V:
    """a * b + c, rounded once where the CPU can do that in one instruction, else a product and a sum."""
    return call("fmuladd", *alike(a, b, c))


def sqrt(x: V) -> V:
    return call("sqrt", x)


def has_tables(x: V) -> bool:
    """Whether `scaled`, `nearer_to_zero` and `lookup`, an instruction each, take such a value: AVX-512, float32."""
    return isinstance(x.item, ir.FloatType) and x.lanes % 16 == 0 and _host.isa().name == "avx512"


def _by_register(x: V, emit: Callable[[V], ir.Value]) -> V:
    """`emit` on each register's part of a value."""
    return joined([V(x.builder, emit(part(x, at, 16))) for at in range(0, x.lanes, 16)])


def scaled(x: V, n: V) -> V:
    """x 2^n for a whole n, where `has_tables`."""
    b, all, nearest = x.builder, ir.Constant(ir.IntType(16), -1), I32(4)
    numbers = iter([part(n, at, 16).value for at in range(0, n.lanes, 16)])

    def emit(x: V) -> ir.Value:
        return llvm_call(b, "llvm.x86.avx512.mask.scalef.ps.512", x.type, [x.value, next(numbers), x.value, all, nearest])

    return _by_register(x, emit)


def nearer_to_zero(x: V, number: float) -> V:
    """min(|x|, number), and `number` for NaN, where `has_tables`."""
    b, all, magnitude, present = x.builder, ir.Constant(ir.IntType(16), -1), I32(0b1010), I32(4)

    def emit(x: V) -> ir.Value:
        end = constant(x.type, number)
        return llvm_call(b, "llvm.x86.avx512.mask.range.ps.512", x.type, [x.value, end, magnitude, x.value, all, present])

    return _by_register(x, emit)


def lookup(numbers: Sequence[float], index: V) -> V:
    """numbers[index] of 16 or 32 numbers, by the lowest bits of integers, where `has_tables`."""
    b, register = index.builder, ir.VectorType(FLOAT_OF[32], 16)
    halves = [ir.Constant(register, [float(np.float32(x)) for x in numbers[at : at + 16]]) for at in range(0, len(numbers), 16)]

    def emit(index: V) -> ir.Value:
        if len(halves) == 1:
            return llvm_call(b, "llvm.x86.avx512.permvar.sf.512", register, [halves[0], index.value])
        return llvm_call(b, "llvm.x86.avx512.vpermi2var.ps.512", register, [halves[0], index.value, halves[1]])

    return _by_register(index, emit)


def absolute(x: V) -> V:
    return call("fabs", x)


def copysign(magnitude: V, sign: V) -> V:
    return call("copysign", magnitude, sign)


def floor(x: V) -> V:
    return call("floor", x)


def where(mask: V, a: Operand, b: Operand) -> V:
    """`a` in the lanes where `mask` holds, else `b`; at least one of them is a V."""
    mask, a, b = alike(mask, *alike(a, b))
    return V(mask.builder, mask.builder.select(mask.value, a.value, b.value))


def maximum(a: V, b: Operand) -> V:
    """The larger one; NaN where either is NaN, as in NumPy."""
    b = a.like(b)
    return where((a > b) | (a != a), a, b)


def minimum(a: V, b: Operand) -> V:
    """The smaller one; NaN where either is NaN, as in NumPy."""
    b = a.like(b)
    return where((a < b) | (a != a), a, b)


def clip(x: V, low: Operand, high: Operand) -> V:
    """`x` held between `low` and `high`; NaN stays NaN."""
    x = where(x < low, low, x)
    return where(x > high, high, x)


def bits(x: V) -> V:
    """The bit pattern of floats as integers of the same width."""
    item = I32 if isinstance(x.item, ir.FloatType) else I64
    return V(x.builder, x.builder.bitcast(x.value, lanewise(item, x.lanes)))


def from_bits(x: V) -> V:
    """The floats whose bit pattern the integers are."""
    return V(x.builder, x.builder.bitcast(x.value, lanewise(FLOAT_OF[x.item.width], x.lanes)))


def double(x: V) -> V:
    """`x` in float64."""
    return convert(x, FLOAT_OF[64])


def single(x: V) -> V:
    """`x` rounded to float32."""
    return convert(x, FLOAT_OF[32])


def convert(x: V, item: ir.Type) -> V:
    """`x` converted to lanes of LLVM type `item`; truth values become 0 and 1, floats are cut off towards zero.

    What a narrow integer does not hold keeps its lowest bits, as in C and NumPy: floats go through 32 bits, since LLVM leaves open what
    they come to beyond the range of the type that they are converted to.
    """
    if x.item == item:
        return x
    to = lanewise(item, x.lanes)
    b = x.builder
    if isinstance(item, ir.IntType) and item.width == 1:
        return x != 0
    if x.is_float:
        if isinstance(item, ir.DoubleType):
            return V(b, b.fpext(x.value, to))
        if isinstance(item, ir.FloatType):
            return V(b, b.fptrunc(x.value, to))
        if item.width < I32.width:
            return convert(convert(x, I32), item)
        return V(b, b.fptosi(x.value, to))
    if isinstance(item, ir.IntType):
        narrow = x.item.width > item.width
        emit = b.trunc if narrow else (b.zext if x.item.width in (1, 8) else b.sext)
        return V(b, emit(x.value, to))
    return V(b, (b.uitofp if x.item.width in (1, 8) else b.sitofp)(x.value, to))


def shuffle(a: V, b: V, order: list[int]) -> V:
    """The lanes of `a` and then `b`, put in another order."""
    picks = ir.Constant(ir.VectorType(I32, len(order)), order)
    return V(a.builder, a.builder.shuffle_vector(a.value, b.value, picks))


def part(value: V, start: int, lanes: int) -> V:
    """Some neighbouring lanes of a value."""
    if lanes == value.lanes and (lanes > 1 or not isinstance(value.type, ir.VectorType)):
        return value
    if lanes == 1:
        return V(value.builder, value.builder.extract_element(value.value, I32(start)))
    return shuffle(value, value, list(range(start, start + lanes)))


def joined(parts: Sequence[V]) -> V:
    """Values of as many lanes each, side by side in one; there are 1, 2, 4, ... of them."""
    found = list(parts)
    while len(found) > 1:
        found = [shuffle(a, b, list(range(2 * a.lanes))) for a, b in zip(found[::2], found[1::2], strict=True)]
    return found[0]


def halves(x: V) -> V:
    """64-bit integers as pairs of 32-bit ones, the low half first."""
    return V(x.builder, x.builder.bitcast(x.value, ir.VectorType(I32, 2 * x.lanes)))


def transposed(registers: list[V]) -> list[V]:
    """Squares side by side, as wide as there are registers, transposed: lane n p + i of result j is lane n p + j of register i, of n."""
    n, group = len(registers), 1  # items that move together
    while group < n:
        pairs = [(registers[i], registers[i | group]) for i in range(n) if not i & group]
        registers = [x for a, b in pairs for x in _unpacked(a, b, group, n)]
        group *= 2
    return registers


def _unpacked(a: V, b: V, group: int, n: int) -> list[V]:
    """The low halves of all pieces of `n` lanes of two registers, then the high ones: `group` lanes of a and of b in turn."""
    halves = []
    for start in (0, n // 2):
        first = [i for i in range(a.lanes) if start <= i % n < start + n // 2]
        turns = [first[i : i + group] for i in range(0, len(first), group)]
        halves.append(shuffle(a, b, [i for turn in turns for i in (*turn, *(a.lanes + j for j in turn))]))
    return halves


@intrinsic
def width(typingctx: Any, array: types.Array) -> Any:
    """How many items of `array` fill a vector register: a compile-time constant."""
    lanes = _host.lanes(array.dtype.bitwidth // 8)
    return signature(types.intp, array), lambda context, builder, sig, values: I64(lanes)


def _word(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
    """Pointer to element values[1] of an int64 array."""
    return builder.gep(context.make_array(sig.args[0])(context, builder, values[0]).data, [values[1]])


@intrinsic
def atomic_add(typingctx: Any, array: types.Array, index: types.Integer, amount: types.Integer) -> Any:
    """Add to array[index]; returns the value before."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return builder.atomic_rmw("add", _word(context, builder, sig, values), values[2], "seq_cst")

    return signature(types.int64, array, types.int64, types.int64), emit


@intrinsic
def atomic_load(typingctx: Any, array: types.Array, index: types.Integer) -> Any:
    """array[index], read afresh and before everything that follows."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return builder.load_atomic(_word(context, builder, sig, values), "seq_cst", 8)

    return signature(types.int64, array, types.int64), emit


@intrinsic
def atomic_store(typingctx: Any, array: types.Array, index: types.Integer, value: types.Integer) -> Any:
    """array[index] = value, after everything that stands before."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        builder.store_atomic(values[2], _word(context, builder, sig, values), "seq_cst", 8)
        return context.get_dummy_value()

    return signature(types.none, array, types.int64, types.int64), emit


@intrinsic
def atomic_replace(typingctx: Any, array: types.Array, index: types.Integer, old: types.Integer, new: types.Integer) -> Any:
    """array[index] = new if it is `old`; returns whether it was."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        found = builder.cmpxchg(_word(context, builder, sig, values), values[2], values[3], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return signature(types.boolean, array, types.int64, types.int64, types.int64), emit


@intrinsic
def pause(typingctx: Any) -> Any:
    """Tell the core that this is a spinning loop."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        name, arguments = ("llvm.x86.sse2.pause", []) if _host.is_x86() else ("llvm.aarch64.hint", [I32(1)])
        llvm_call(builder, name, ir.VoidType(), arguments)
        return context.get_dummy_value()

    return signature(types.none), emit


# Bits of the register that says how a core computes: denormal results become zero, and denormal operands count as zero.
FLUSH_ON_X86, FLUSH_ON_ARM = 1 << 15 | 1 << 6, 1 << 24


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Have this thread take denormal numbers for zero, until `arithmetic` is given the mode that this returns."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        if not _host.is_x86():
            mode = llvm_call(builder, "llvm.aarch64.get.fpcr", I64, [])
            llvm_call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [builder.or_(mode, I64(FLUSH_ON_ARM))])
            return mode
        word = cgutils.alloca_once(builder, I32)
        llvm_call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [word])
        mode = builder.load(word)
        _set_arithmetic(builder, builder.or_(mode, I32(FLUSH_ON_X86)))
        return builder.zext(mode, I64)

    return signature(types.int64), emit


@intrinsic
def arithmetic(typingctx: Any, mode: types.Integer) -> Any:
    """Go back to this mode of arithmetic."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        if _host.is_x86():
            _set_arithmetic(builder, builder.trunc(values[0], I32))
        else:
            llvm_call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [values[0]])
        return context.get_dummy_value()

    return signature(types.none, types.int64), emit


def _set_arithmetic(b: ir.IRBuilder, mode: ir.Value) -> None:
    word = cgutils.alloca_once_value(b, mode)
    llvm_call(b, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [word])
