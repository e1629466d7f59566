"""A builtin function of Python whose body is compiled code: it sees its arguments as they are, a call costs some 40 ns.

What it does stands in its control block, an array of words that is the function's `self`: the address of the kernel `replay`, that of its
record and of a cell for what the call comes to, how many arguments there are, and the answers. The interpreter's lock is held meanwhile, so
only short work goes this way. The call is CPython's METH_FASTCALL, part of its stable interface since 3.10.
"""

import ctypes
import sys
import sysconfig
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from . import _cache
from ._locks import compiling

ENTRY, RECORD, CELL, COUNT, YES, NO, COUNTED = range(7)  # the words of a control block; the last says whether answers are counted
METH_FASTCALL = 0x80
SYMBOL = "fastnn_builtin"
IMMORTAL_SINCE = (3, 12)  # where True and False are no longer counted


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


def possible() -> bool:
    """Whether this interpreter has a lock that keeps two calls from using one cell."""
    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")


def builtin(entry: int, record: int, cell: int, count: int) -> tuple[Callable[..., bool], np.ndarray[Any, Any]]:
    """A function of `count` arguments that says True if a plan fitted them and the kernel has run; and its control block."""
    block = np.array([entry, record, cell, count, id(True), id(False), sys.version_info < IMMORTAL_SINCE], np.int64)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return new(ctypes.addressof(_method()), block, None), block


@cache
def _method() -> _Method:
    from . import _loader

    with compiling:
        code = _cache.load(SYMBOL)
        if code is None:
            from . import _codegen

            code = _codegen.object_code(_module(), SYMBOL, vectorize=False)
            _cache.store(SYMBOL, code)
        return _Method(b"replay", _loader.load(SYMBOL, code), METH_FASTCALL, None)


def _module() -> Any:
    """`PyObject *fastnn_builtin(PyObject *self, PyObject *const *args, Py_ssize_t count)`."""
    from llvmlite import ir

    from ._replay import DATA, HEAD

    word, nothing = ir.IntType(64), ir.VoidType()
    module = ir.Module(SYMBOL)
    function = ir.Function(module, ir.FunctionType(word, [word] * 3), SYMBOL)
    this, items, count = function.args
    b = ir.IRBuilder(function.append_basic_block())

    def at(address: ir.Value, type: ir.Type = word) -> ir.Value:
        return b.inttoptr(address, type.as_pointer())

    block = b.load(at(b.add(this, word(HEAD + DATA))))
    entry, record, cell, wanted, yes, no, counted = (b.load(at(b.add(block, word(8 * i)))) for i in range(COUNTED + 1))
    answer = b.alloca(word)
    b.store(no, answer)
    with b.if_then(b.icmp_signed("==", count, wanted)):
        b.call(at(entry, ir.FunctionType(nothing, [word] * 3)), [record, items, cell])
        with b.if_then(b.icmp_signed("==", b.load(at(cell)), word(1))):
            b.store(yes, answer)
    result = b.load(answer)
    with b.if_then(b.icmp_signed("!=", counted, word(0))):
        b.store(b.add(b.load(at(result)), word(1)), at(result))
    b.ret(result)
    return module
