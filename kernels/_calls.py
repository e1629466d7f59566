"""Calls that leave a kernel: to another kernel through its address, and to the system's scheduler."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._simd import I32, I64, llvm_call


@intrinsic
def give_way(typingctx: Any) -> Any:
    """Let another thread have this core."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        llvm_call(builder, "sched_yield", I32, [])
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
