"""The SIMD vocabulary of Numba kernels: vectors as values, loads and stores with masked edges, horizontal sums, and formulas.

Inside a kernel a vector is an ordinary value: `a * b + 1` works, and so does every formula wrapped by `vectorized`. Loads and stores
address a row of an array whose last dimension is contiguous; lanes beyond its end are masked, so loops need no separate tail:

    W = width(x)
    for j in range(0, D, W):
        store(y, (i, j), exp(load(x, (i, j), 0.0)))
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.np.arrayobj import populate_array
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import _formula, _host, _math
from ._formula import V, lanewise

I32 = ir.IntType(32)
I64 = ir.IntType(64)


class Vector(types.Type):
    """Numba's type of a SIMD vector."""

    def __init__(self, dtype: types.Type, lanes: int) -> None:
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, type: Vector) -> None:
        super().__init__(manager, type, lanewise(LLVM_ITEMS[type.dtype], type.lanes))


LLVM_ITEMS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int64: I64,
    types.int32: I32,
    types.boolean: ir.IntType(1),
}
NUMBA_ITEMS = {str(item): type for type, item in LLVM_ITEMS.items()}


def _vector_of(dtype: types.Type) -> Vector:
    return Vector(dtype, _host.lanes(dtype.bitwidth // 8))


def _operand(builder: ir.IRBuilder, type: types.Type, value: ir.Value, like: Vector) -> V:
    """An operator's argument as a formula's value; plain numbers are converted and repeated."""
    if isinstance(type, Vector):
        return V(builder, value)
    item = LLVM_ITEMS[like.dtype]
    scalar = _formula.convert(V(builder, value), item)
    return V(builder, _formula.splat(builder, scalar.value, like.lanes))


def _traced_type(formula: Callable[..., Any], arguments: tuple[types.Type, ...], like: Vector) -> Vector:
    """The type that `formula` returns for these arguments, found by tracing it into a scratch function."""
    b = ir.IRBuilder(ir.Function(ir.Module("scratch"), ir.FunctionType(ir.VoidType(), []), "scratch").append_basic_block())
    vectors = [a if isinstance(a, Vector) else like for a in arguments]
    result = formula(*[V(b, ir.Constant(lanewise(LLVM_ITEMS[v.dtype], v.lanes), ir.Undefined)) for v in vectors])
    return Vector(NUMBA_ITEMS[str(result.item)], result.lanes)


def vectorized(formula: Callable[..., Any]) -> Any:
    """Make `formula` callable inside Numba kernels on vectors and plain numbers, of which at least one is a vector."""

    def definition(typingctx: Any, *arguments: types.Type) -> Any:
        like = next((a for a in arguments if isinstance(a, Vector)), None)
        if like is None:
            return None

        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            return formula(*[_operand(builder, t, v, like) for t, v in zip(sig.args, values, strict=True)]).value

        return signature(_traced_type(formula, arguments, like), *arguments), emit

    # Numba reads an intrinsic's parameters from its Python signature, so each arity needs one of its own.
    by_arity = {
        1: lambda typingctx, a: definition(typingctx, a),
        2: lambda typingctx, a, b: definition(typingctx, a, b),
        3: lambda typingctx, a, b, c: definition(typingctx, a, b, c),
        4: lambda typingctx, a, b, c, d: definition(typingctx, a, b, c, d),
    }
    return intrinsic(by_arity[len(inspect.signature(formula).parameters)])


def _register_operator(symbol: Callable[..., Any], arity: int) -> None:
    @infer_global(symbol)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            like = next((a for a in args if isinstance(a, Vector)), None)
            if like is None or len(args) != arity or not all(isinstance(a, (Vector, types.Number)) for a in args):
                return None
            return signature(_traced_type(symbol, args, like), *args)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        like = next(a for a in sig.args if isinstance(a, Vector))
        return symbol(*[_operand(builder, t, v, like) for t, v in zip(sig.args, values, strict=True)]).value

    if arity == 1:
        lower_builtin(symbol, Vector)(emit)
        return
    for pattern in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(symbol, *pattern)(emit)


for _symbol in (operator.add, operator.sub, operator.mul, operator.truediv, operator.and_, operator.or_, operator.xor):
    _register_operator(_symbol, 2)
for _symbol in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
    _register_operator(_symbol, 2)
for _symbol in (operator.neg, operator.invert):
    _register_operator(_symbol, 1)


@intrinsic
def width(typingctx: Any, array: types.Array) -> Any:
    """How many items of `array` fill a vector register: a compile-time constant."""
    lanes = _vector_of(array.dtype).lanes
    return signature(types.intp, array), lambda context, builder, sig, values: I64(lanes)


inlined = njit(inline="always")  # a function that becomes part of each kernel that calls it

GRAIN = 16  # columns that workers share out together, so that two workers never write to one cache line


def _share(builder: ir.IRBuilder, team: ir.Value, count: ir.Value, grain: int) -> list[ir.Value]:
    part, parts = cgutils.unpack_tuple(builder, team, 2)
    grains = builder.sdiv(builder.add(count, I64(grain - 1)), I64(grain))
    edges = []
    for worker in (part, builder.add(part, I64(1))):
        edge = builder.mul(builder.sdiv(builder.mul(grains, worker), parts), I64(grain))
        edges.append(builder.select(builder.icmp_signed("<", edge, count), edge, count))
    return edges


def _sharing(grain: int) -> Any:
    def definition(typingctx: Any, team: types.UniTuple, count: types.Integer) -> Any:
        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            return cgutils.pack_array(builder, _share(builder, *values, grain))

        return signature(types.UniTuple(types.int64, 2), team, types.int64), emit

    return intrinsic(definition)


share = _sharing(1)  # (team, count) -> start and stop of this worker's items
share_columns = _sharing(GRAIN)  # the same, in grains


@intrinsic
def share_both(typingctx: Any, team: types.UniTuple, rows: types.Integer, columns: types.Integer) -> Any:
    """This worker's start and stop among rows and among columns: rows are shared where there are enough, else grains of columns."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        team, rows, columns = values
        parts = builder.extract_value(team, 1)
        by_rows = builder.or_(builder.icmp_signed(">=", rows, builder.mul(parts, I64(4))), builder.icmp_signed("<=", columns, I64(GRAIN)))
        edges = []
        for count, shared, grain in ((rows, by_rows, 1), (columns, builder.not_(by_rows), GRAIN)):
            for edge, all in zip(_share(builder, team, count, grain), (I64(0), count), strict=True):
                edges.append(builder.select(shared, edge, all))
        return cgutils.pack_array(builder, edges)

    return signature(types.UniTuple(types.int64, 4), team, types.int64, types.int64), emit


def scratch(items: int) -> Any:
    """An intrinsic that returns an array on the stack, of `items` items of its argument's dtype, the same at every call."""

    @intrinsic
    def buffer(typingctx: Any, like: types.Array) -> Any:
        result = types.Array(like.dtype, 1, "C")

        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            with builder.goto_entry_block():
                space = builder.alloca(LLVM_ITEMS[like.dtype], I32(items))
            bytes = I64(like.dtype.bitwidth // 8)
            array = context.make_array(result)(context, builder)
            populate_array(array, space, [I64(items)], [bytes], bytes, None)
            return array._getvalue()

        return signature(result, like), emit

    return buffer


@intrinsic
def flattened(typingctx: Any, array: types.Array) -> Any:
    """A contiguous array as a matrix: all its dimensions but the first become one."""
    matrix = types.Array(array.dtype, 2, "C")

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        source = context.make_array(array)(context, builder, values[0])
        shape = cgutils.unpack_tuple(builder, source.shape, array.ndim)
        columns = shape[1]
        for size in shape[2:]:
            columns = builder.mul(columns, size)
        target = context.make_array(matrix)(context, builder)
        strides = [builder.mul(columns, source.itemsize), source.itemsize]
        populate_array(target, source.data, [shape[0], columns], strides, source.itemsize, None)
        return target._getvalue()

    return signature(matrix, array), emit


def _position(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> tuple[ir.Value, ir.Value]:
    """Pointer to the item at an index tuple, and how many items its row has from there on."""
    array_type, index_type = sig.args[:2]
    array = context.make_array(array_type)(context, builder, values[0])
    shape = cgutils.unpack_tuple(builder, array.shape, array_type.ndim)
    strides = cgutils.unpack_tuple(builder, array.strides, array_type.ndim)
    index = cgutils.unpack_tuple(builder, values[1], index_type.count)
    offset = I64(0)
    for i, stride in zip(index[:-1], strides[:-1], strict=True):
        offset = builder.add(offset, builder.mul(i, stride))
    raw = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [offset])
    row = builder.bitcast(raw, array.data.type)
    return builder.gep(row, [index[-1]]), builder.sub(shape[-1], index[-1])


def _lane_mask(builder: ir.IRBuilder, count: ir.Value, lanes: int) -> ir.Value:
    """True in the first `count` lanes."""
    number = _formula.splat(builder, builder.trunc(count, I32), lanes)
    order = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return builder.icmp_signed("<", order, number)


def _masked(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(function, arguments)


def _suffix(vector: ir.VectorType) -> str:
    item = {ir.FloatType: "f32", ir.DoubleType: "f64"}.get(vector.element.__class__) or f"i{vector.element.width}"
    return f"v{vector.count}{item}"


@intrinsic
def load(typingctx: Any, array: types.Array, index: types.BaseTuple, fill: types.Number) -> Any:
    """The vector of items from `array[index]` on; lanes beyond the end of the row hold `fill`."""
    result = _vector_of(array.dtype)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        pointer, count = _position(context, builder, sig, values)
        type = lanewise(LLVM_ITEMS[result.dtype], result.lanes)
        address = builder.bitcast(pointer, type.as_pointer())
        align = result.dtype.bitwidth // 8
        whole = builder.icmp_signed(">=", count, I64(result.lanes))
        with builder.if_else(whole, likely=True) as (inside, edge):
            with inside:
                full = builder.load(address, align=align)
                full_block = builder.block
            with edge:
                mask = _lane_mask(builder, count, result.lanes)
                other = _operand(builder, sig.args[2], values[2], result).value
                name = f"llvm.masked.load.{_suffix(type)}.p0"
                partial = _masked(builder, name, type, [address, I32(align), mask, other])
                edge_block = builder.block
        phi = builder.phi(type)
        phi.add_incoming(full, full_block)
        phi.add_incoming(partial, edge_block)
        return phi

    return signature(result, array, index, fill), emit


@intrinsic
def store(typingctx: Any, array: types.Array, index: types.BaseTuple, vector: Vector) -> Any:
    """Store `vector` from `array[index]` on; lanes beyond the end of the row are dropped."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        pointer, count = _position(context, builder, sig, values)
        type = values[2].type
        address = builder.bitcast(pointer, type.as_pointer())
        align = vector.dtype.bitwidth // 8
        whole = builder.icmp_signed(">=", count, I64(vector.lanes))
        with builder.if_else(whole, likely=True) as (inside, edge):
            with inside:
                builder.store(values[2], address, align=align)
            with edge:
                mask = _lane_mask(builder, count, vector.lanes)
                name = f"llvm.masked.store.{_suffix(type)}.p0"
                _masked(builder, name, ir.VoidType(), [values[2], address, I32(align), mask])
        return context.get_dummy_value()

    return signature(types.none, array, index, vector), emit


@intrinsic
def repeat(typingctx: Any, array: types.Array, value: types.Number) -> Any:
    """A vector of `array`'s dtype with `value` in every lane."""
    result = _vector_of(array.dtype)

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return _operand(builder, sig.args[1], values[1], result).value

    return signature(result, array, value), emit


def _fold(combine: Callable[[V, V], V]) -> Any:
    """A horizontal reduction that halves the vector until one lane is left: always the same order."""

    def definition(typingctx: Any, vector: Vector) -> Any:
        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            value, lanes = values[0], vector.lanes
            undefined = ir.Constant(value.type, ir.Undefined)
            while lanes > 1:
                lanes //= 2
                order = [*range(lanes, 2 * lanes), *range(vector.lanes - lanes)][: vector.lanes]
                mask = ir.Constant(ir.VectorType(I32, vector.lanes), order)
                value = combine(V(builder, value), V(builder, builder.shuffle_vector(value, undefined, mask))).value
            return builder.extract_element(value, I32(0)) if vector.lanes > 1 else value

        return signature(vector.dtype, vector), emit

    return intrinsic(definition)


total = _fold(lambda a, b: a + b)
largest = _fold(_formula.maximum)
fma = vectorized(_formula.fma)
maximum = vectorized(_formula.maximum)
minimum = vectorized(_formula.minimum)
where = vectorized(_formula.where)
sqrt = vectorized(_formula.sqrt)
exp = vectorized(_math.exp)
