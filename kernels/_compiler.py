"""Numba's front end: a structured kernel in Python in, one LLVM module with a C entry point out.

The only file that reaches into Numba's internals. A kernel is typed and lowered by Numba without being finalised, a small entry
`void symbol(words, part, parts)` that unpacks the record is linked to it, and `_codegen` optimises and translates both together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numba
from llvmlite import ir
from numba.core import cgutils, compiler, registry, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.typing.templates import signature as typing_signature
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from ._epilogue import MOST_NUMBERS
from ._signature import Array, Signature
from ._simd import I64

ITEM_TYPES = {
    "f4": types.float32,
    "f8": types.float64,
    "i8": types.int64,
    "u8": types.uint64,
    "u1": types.uint8,
    "b1": types.boolean,
}
TEAM = types.UniTuple(types.int64, 2)  # (part, parts): which worker this is, of how many


def argument_types(signature: Signature, dtypes: str) -> list[types.Type]:
    """Numba's types of a kernel's arguments: the team, then its parameters."""
    codes = [dtypes[i : i + 2] for i in range(0, len(dtypes), 2)]
    lead = next((c for c in codes if c in ("f4", "f8")), "f8")
    remaining = iter(codes)
    found: list[types.Type] = [TEAM]
    for parameter in signature.kinds:
        if isinstance(parameter, Array):
            layout = "A" if parameter.layout == "strided" else "C"
            found.append(types.Array(ITEM_TYPES[next(remaining)], len(parameter.dims), layout))
        else:
            found.append(types.int64 if parameter.kind != "float" else ITEM_TYPES[lead])
    return found


def _flags() -> compiler.Flags:
    flags = compiler.Flags()
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.no_compile = True
    flags.nrt = False
    # Numba's default model checks every division for zero, which keeps loops from being vectorised.
    flags.error_model = "numpy"
    flags.boundscheck = bool(numba.config.BOUNDSCHECK)
    return flags


inlined = numba.njit(inline="always")  # a function that becomes part of each kernel that calls it

VECTORIZED_BY_HAND: set[Callable[..., None]] = set()


def by_hand(kernel: Callable[..., None]) -> Callable[..., None]:
    """Mark a kernel whose inner loops are vector code already, so that LLVM spends no time on looking for more."""
    VECTORIZED_BY_HAND.add(kernel)
    return kernel


class _Subroutines:
    """Which libraries of code call which others, while `build` is at work.

    Numba links a callee after a round of optimisation of its own, which only costs time here: these are linked as they were lowered.
    """

    def __init__(self) -> None:
        self.building = False
        self.callees: WeakKeyDictionary[Any, set[Any]] = WeakKeyDictionary()

    def below(self, library: Any) -> list[Any]:
        """A library and all that its functions call, each once."""
        found = [library]
        for one in found:
            found += [callee for callee in self.callees.get(one, ()) if callee not in found]
        return found

    def compiled(self, function: Callable[..., Any], argtypes: tuple[types.Type, ...]) -> Any:
        if self.building:
            context = registry.cpu_target
            return compiler.compile_extra(context.typing_context, context.target_context, function, argtypes, None, _flags(), {})
        dispatcher = numba.njit(error_model="numpy")(function)
        dispatcher.compile(argtypes)
        return dispatcher.overloads[argtypes]

    def link(self, caller: Any, callee: Any) -> None:
        if self.building:
            self.callees.setdefault(caller, set()).add(callee)
        else:
            caller.add_linking_library(callee)


_subroutines = _Subroutines()


def subroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make `function` callable inside kernels as a function of its own, typed and lowered once for all of them."""
    results: dict[Any, Any] = {}

    def definition(typingctx: Any, *arguments: types.Type) -> Any:
        argtypes = tuple(map(types.unliteral, arguments))
        key = (argtypes, _subroutines.building)
        if key not in results:
            results[key] = _subroutines.compiled(function, argtypes)
        result = results[key]

        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            _subroutines.link(context.active_code_library, result.library)
            return context.call_internal(builder, result.fndesc, sig, values)

        return typing_signature(result.signature.return_type, *argtypes), emit

    # Numba reads an intrinsic's parameters from its Python signature.
    parameters = [inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD), *inspect.signature(function).parameters.values()]
    definition.__signature__ = inspect.Signature(parameters)
    return intrinsic(definition)


def build(symbol: str, signature: Signature, dtypes: str, kernel: Callable[..., None]) -> Any:
    """The LLVM module of a structured kernel: its code and its entry point."""
    with global_compiler_lock:
        typing, context = registry.cpu_target.typing_context, registry.cpu_target.target_context
        typing.refresh()
        context.refresh()
        argtypes = argument_types(signature, dtypes)
        _subroutines.building = True
        try:
            result = compiler.compile_extra(typing, context, kernel, tuple(argtypes), types.none, _flags(), {})
        finally:
            _subroutines.building = False
        library = context.codegen().create_library(symbol)
        library.add_ir_module(_entry(symbol, signature, context, library, argtypes, result.fndesc))
        module = library._final_module
        for part in _subroutines.below(result.library):
            module.link_in(part._final_module, preserve=True)
            for callee in part._linking_libraries:
                module.link_in(callee._get_module_for_linking(), preserve=True)
        return module


def unpacked(signature: Signature, context: Any, b: ir.IRBuilder, record: ir.Value, argtypes: list[types.Type]) -> list[ir.Value]:
    """A kernel's arguments after the team, read from its record."""
    count = 0

    def word() -> ir.Value:
        nonlocal count
        count += 1
        return b.load(b.gep(record, [I64(count - 1)]))

    arguments = []
    for parameter, type in zip(signature.kinds, argtypes[1:], strict=True):
        if not isinstance(parameter, Array):
            if parameter.kind == "epilogue":
                arguments.append(b.ptrtoint(b.gep(record, [I64(count)]), I64))  # the address of its words
                count += 2 + MOST_NUMBERS
                continue
            value = word()
            if parameter.kind == "float":
                value = b.bitcast(value, ir.DoubleType())
                value = b.fptrunc(value, ir.FloatType()) if type == types.float32 else value
            arguments.append(value)
            continue
        array = context.make_array(type)(context, b)
        item = context.get_abi_sizeof(context.get_data_type(type.dtype))
        pointer = b.inttoptr(word(), array.data.type)
        shape = [word() for _ in parameter.dims]
        if parameter.layout == "strided":
            strides = [word() for _ in parameter.dims]
        else:
            strides = [I64(item)]
            for size in reversed(shape[1:]):
                strides.insert(0, b.mul(strides[0], size))
        populate_array(array, data=pointer, shape=shape, strides=strides, itemsize=I64(item), meminfo=None)
        arguments.append(array._getvalue())
    return arguments


def _entry(symbol: str, signature: Signature, context: Any, library: Any, argtypes: list[types.Type], fndesc: Any) -> ir.Module:
    """`void symbol(words, part, parts)`: rebuild the kernel's arguments from the record and call it."""
    module = library.create_ir_module(symbol)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64]), symbol)
    record, part, parts = function.args
    b = ir.IRBuilder(function.append_basic_block())
    arguments = [cgutils.pack_array(b, [part, parts]), *unpacked(signature, context, b, record, argtypes)]
    inner = context.declare_function(module, fndesc)
    context.call_conv.call_function(b, inner, types.none, argtypes, arguments)
    b.ret_void()
    return module
