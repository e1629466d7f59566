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
from ._team import HERE_MAILBOX, HERE_THREADS, OWNER, here

# The words of a control block; the last ones say whether answers are counted, where `_team.here` is, and which function tells the thread.
ENTRY, RECORD, CELL, COUNT, YES, NO, COUNTED, WHOSE, IDENT = range(9)
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
    ident = ctypes.cast(ctypes.pythonapi.PyThread_get_thread_ident, ctypes.c_void_p).value
    counted = sys.version_info < IMMORTAL_SINCE
    block = np.array([entry, record, cell, count, id(True), id(False), counted, ctypes.addressof(here), ident], np.int64)
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

    from ._replay import DATA, HEAD, MAILBOX, THREADS

    word, nothing = ir.IntType(64), ir.VoidType()
    module = ir.Module(SYMBOL)
    function = ir.Function(module, ir.FunctionType(word, [word] * 3), SYMBOL)
    this, items, count = function.args
    b = ir.IRBuilder(function.append_basic_block())

    def at(address: ir.Value, type: ir.Type = word) -> ir.Value:
        return b.inttoptr(address, type.as_pointer())

    block = b.load(at(b.add(this, word(HEAD + DATA))))

    def item(address: ir.Value, index: int) -> ir.Value:
        return b.load(at(b.add(address, word(8 * index))))

    entry, record, cell, wanted, yes, no, counted, whose, ident = (item(block, i) for i in range(IDENT + 1))
    answer = b.alloca(word)
    b.store(no, answer)
    with b.if_then(b.icmp_signed("==", count, wanted)):
        owner = item(whose, OWNER)
        mine = b.icmp_signed("==", owner, b.call(at(ident, ir.FunctionType(word, [])), []))
        alone = b.zext(b.icmp_signed("!=", owner, word(0)), word)  # where somebody else's threads are known; else Python is asked
        b.store(b.select(mine, item(whose, HERE_THREADS), alone), at(b.add(cell, word(8 * THREADS))))
        b.store(item(whose, HERE_MAILBOX), at(b.add(cell, word(8 * MAILBOX))))
        b.call(at(entry, ir.FunctionType(nothing, [word] * 3)), [record, items, cell])
        with b.if_then(b.icmp_signed("==", b.load(at(cell)), word(1))):
            b.store(yes, answer)
    result = b.load(answer)
    with b.if_then(b.icmp_signed("!=", counted, word(0))):
        b.store(b.add(b.load(at(result)), word(1)), at(result))
    b.ret(result)
    return module
