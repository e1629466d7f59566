"""Memory as Numba kernels see it: addresses, arrays under another shape, and room on the stack."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from ._simd import I32, I64, LLVM_ITEMS


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
def words_at(typingctx: Any, position: Any, count: Any) -> Any:
    """The `count` words at an address."""
    words = types.Array(types.int64, 1, "C")

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        array = context.make_array(words)(context, builder)
        populate_array(array, builder.inttoptr(values[0], I64.as_pointer()), [values[1]], [I64(8)], I64(8), None)
        return array._getvalue()

    return signature(words, types.int64, types.int64), emit


@intrinsic
def matrix_at(typingctx: Any, position: Any, rows: Any, columns: Any, like: types.Array) -> Any:
    """The items at an address as a matrix of so many rows and columns, of the dtype of `like`; rows may lie anyhow, or be the same one."""
    matrix = types.Array(like.dtype, 2, "C")

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        position, rows, columns, _ = values
        bytes = I64(like.dtype.bitwidth // 8)
        data = builder.inttoptr(position, LLVM_ITEMS[like.dtype].as_pointer())
        array = context.make_array(matrix)(context, builder)
        populate_array(array, data, [rows, columns], [builder.mul(columns, bytes), bytes], bytes, None)
        return array._getvalue()

    return signature(matrix, types.int64, types.int64, types.int64, like), emit


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


@intrinsic
def narrowed(typingctx: Any, value: Any, like: Any) -> Any:
    """`value`, or its lowest bits where it is a float and `like` a narrow integer, which Numba would leave open beyond that one's range."""
    narrow = isinstance(value, types.Float) and isinstance(like, types.Integer) and like.bitwidth < I32.width

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return builder.trunc(builder.fptosi(values[0], I32), ir.IntType(like.bitwidth)) if narrow else values[0]

    return signature(like if narrow else value, value, like), emit
