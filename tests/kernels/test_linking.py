"""Object code is linked without LLVM where its kind is known, and by LLVM elsewhere; both give the same functions."""

import sys

import numpy as np
import pytest
from fastnn.kernels import KERNELS, _cache, _codegen, _host, _loader
from fastnn.kernels._registry import ENTRY, as_record

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not _host.is_x86(), reason="LLVM loads all code here")


def stored(name, dtypes):
    """The symbol and the object code of a kernel."""
    KERNELS[name].entry(dtypes)
    symbol = f"fastnn_{name}_{dtypes}"
    code = _cache.load(symbol)
    assert code is not None
    return symbol, code


def run(address, name, *operands):
    """What the function at an address makes of a kernel's operands."""
    y = operands[0].copy()
    record = as_record(KERNELS[name].signature.encode((y, *operands[1:])))
    ENTRY(address)(record, 0, 1)
    return y


X = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
SQUARE = np.zeros((1, 40, 40), np.float32)
CALLS = {  # constants, the C library's sin of huge arguments, jump tables and memset
    "tanh": (X, X),
    "sin": (X, 1e6 * X),
    "gemm": (SQUARE, np.zeros((1, 40), np.float32), X[None], X.T[None], SQUARE, SQUARE, 1.5, 0.0, 0),
}


@pytest.mark.parametrize("name", CALLS)
def test_code_that_is_linked_here_does_what_it_does_when_llvm_loads_it(name):
    operands = CALLS[name]
    symbol, code = stored(name, KERNELS[name].signature.dtypes(operands))
    linked = _loader._Object(code).linked(symbol)
    assert linked is not None
    assert run(linked, name, *operands).tobytes() == run(_codegen.load(symbol, code), name, *operands).tobytes()


def test_what_is_not_known_is_left_to_llvm(monkeypatch):
    symbol, code = stored("tanh", "f4f4")
    loaded = []
    monkeypatch.setattr(_codegen, "load", lambda symbol, code: loaded.append(symbol) or 1)
    assert _loader.load(symbol, code) != 1
    found = _loader._Object(code)
    table = next(s for s in found.sections if s["kind"] == _loader.RELA and int(s["info"]) in found.starts)
    kind = int(table["offset"]) + 8
    assert code[kind] == _loader.ABSOLUTE_64
    others = {
        "reference": code[:kind] + b"\x02" + code[kind + 1 :],
        "machine": code[:18] + b"\xb7" + code[19:],
        "format": b"\xcf\xfa\xed\xfe" + code[4:],
        "name": code.replace(b"memset\0", b"nosuch\0"),
    }
    for what, other in others.items():
        if other != code:
            assert _loader.load(what, other) == 1
    assert loaded[:3] == ["reference", "machine", "format"]
