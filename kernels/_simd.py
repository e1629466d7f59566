"""What Numba kernels use beside the loops of `_rows`: shares of work, views, scratch space; and masks for those who emit code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from . import _formula, _host

I32 = ir.IntType(32)
I64 = ir.IntType(64)
LLVM_ITEMS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int64: I64,
    types.int32: I32,
    types.boolean: ir.IntType(1),
}


@intrinsic
def width(typingctx: Any, array: types.Array) -> Any:
    """How many items of `array` fill a vector register: a compile-time constant."""
    lanes = _host.lanes(array.dtype.bitwidth // 8)
    return signature(types.intp, array), lambda context, builder, sig, values: I64(lanes)


inlined = njit(inline="always")  # a function that becomes part of each kernel that calls it

_lane_mask, _suffix, _masked = _formula.lanes_below, _formula.suffix, _formula.intrinsic

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
