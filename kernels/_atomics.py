"""What workers need to meet: atomic words, a pause for spinning loops, and calls through addresses, for Numba kernels."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

I32 = ir.IntType(32)
I64 = ir.IntType(64)


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
def pause(typingctx: Any) -> Any:
    """Tell the core that this is a spinning loop."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        name, arguments = ("llvm.x86.sse2.pause", []) if x86 else ("llvm.aarch64.hint", [I32(1)])
        _call(builder, name, ir.VoidType(), arguments)
        return context.get_dummy_value()

    return signature(types.none), emit


@intrinsic
def give_way(typingctx: Any) -> Any:
    """Let another thread have this core."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        _call(builder, "sched_yield", I32, [])
        return context.get_dummy_value()

    return signature(types.none), emit


@intrinsic
def invoke(typingctx: Any, entry: types.Integer, record: types.Integer, part: types.Integer, parts: types.Integer) -> Any:
    """Call the kernel whose entry point and record stand at these addresses."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        kernel = ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64])
        function = builder.inttoptr(values[0], kernel.as_pointer())
        builder.call(function, [builder.inttoptr(values[1], I64.as_pointer()), values[2], values[3]])
        return context.get_dummy_value()

    return signature(types.none, *[types.int64] * 4), emit


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(function, arguments)
