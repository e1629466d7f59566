"""LLVM at work: modules to object code, and the way of loading it that is open on every machine. A warm process needs none of it."""

from __future__ import annotations

from functools import cache

from llvmlite import binding as llvm
from llvmlite import ir

from . import _host
from ._locks import compiling

# What compiled kernels may call: LLVM lowers copies and hard cases of mathematics to these, and waiting threads give way.
MATHEMATICS = "exp log pow sin cos tan tanh erf fmod floor ceil trunc rint nearbyint round roundeven fma"
ALLOWED_SYMBOLS = frozenset(["memcpy", "memmove", "memset", "sched_yield"]) | {
    name + precision for name in MATHEMATICS.split() for precision in ("", "f")
}


@cache
def _target() -> llvm.Target:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


@cache
def _machine() -> llvm.TargetMachine:
    """The code generator for the instruction set in use; the settings are those of a JIT compiler."""
    cpu, features = _host.target()
    reloc = "static" if _target().name.startswith("x86") else "default"
    return _target().create_target_machine(cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


@cache
def _engine() -> llvm.ExecutionEngine:
    _target()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target().create_target_machine(codemodel="jitdefault", jit=True))


def object_code(module: ir.Module | llvm.ModuleRef, symbol: str, vectorize: bool = True, level: int = 3) -> bytes:
    """Optimise `module` and translate it; only `symbol` stays visible. Code that is vectors already need not be vectorised nor unrolled,
    and straight-line code needs no more than level 1 of optimisation.

    Raises RuntimeError if the code needs anything beyond `ALLOWED_SYMBOLS`: such code could not be loaded on its own.
    """
    ref = module if isinstance(module, llvm.ModuleRef) else llvm.parse_assembly(str(module))
    machine = _machine()
    ref.triple = _target().triple
    ref.data_layout = str(machine.target_data)
    for function in ref.functions:
        if not function.is_declaration and function.name != symbol:
            function.linkage = "internal"
    ref.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = vectorize
    options.slp_vectorization = vectorize
    options.loop_unrolling = vectorize
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(ref, passes)
    needed = {f.name for f in ref.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if foreign := sorted(needed - ALLOWED_SYMBOLS):
        raise RuntimeError(f"kernel {symbol} is not freestanding: it calls {', '.join(foreign)}")
    return bytes(machine.emit_object(ref))


def load(symbol: str, code: bytes) -> int:
    """Make object code of any kind executable in this process and return the address of `symbol`."""
    with compiling:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return int(engine.get_function_address(symbol))
