"""The table of kernels, and the choice of backend.

Each NumPy twin in `reference/` is an entry; the compiled kernel of the same name stands in the file of the same name in
`compiled/`, which is imported only when its object code is not in the cache yet.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from . import _cache, _notice
from ._errors import unknown_name
from ._locks import compiling
from ._signature import Signature
from .reference import FAMILIES

BACKENDS = ("numba", "numpy")
ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Kernel:
    """One entry of the table: a twin, its signature, and the compiled variants that this process has loaded."""

    def __init__(self, name: str, family: str, twin: Callable[..., None]) -> None:
        self.name = name
        self.family = family
        self.twin = np.errstate(all="ignore")(twin)  # infinities and NaN come without a warning, as from compiled code
        self.signature = Signature(name, twin)
        self.variants: dict[str, Callable[..., None]] = {}

    def entry(self, dtypes: str) -> Callable[..., None]:
        """The compiled entry point for operands of these dtypes: from the cache, or compiled now."""
        found = self.variants.get(dtypes)
        if found is None:
            with compiling:
                found = self.variants[dtypes] = self.variants.get(dtypes) or self._load(dtypes)
        return found

    def _load(self, dtypes: str) -> Callable[..., None]:
        from . import _loader

        symbol = f"fastnn_{self.name}_{dtypes}"
        code = _cache.load(symbol)
        if code is None:
            with _notice.compiling(self.name):
                try:
                    code = self._compile(symbol, dtypes)
                except Exception as error:
                    return self._without_stored_code(dtypes, error)
            _cache.store(symbol, code)
        return ENTRY(_loader.load(symbol, code))

    def _without_stored_code(self, dtypes: str, error: Exception) -> Callable[..., None]:
        """The entry point from Numba's public functions, where object code could not be had; an error that remains is the first one."""
        from . import _fallback

        try:
            address, kept = _fallback.address(self.signature, dtypes, self._implementation())
        except Exception:
            raise error from None
        not_stored[self.name] = f"{type(error).__name__}: {error}"
        entry = ENTRY(address)
        entry.kept = kept
        return entry

    def _implementation(self) -> Any:
        """The compiled counterpart of the twin: a formula or a Numba function."""
        return getattr(importlib.import_module(f"{__package__}.compiled.{self.family}"), self.name)

    def _compile(self, symbol: str, dtypes: str) -> bytes:
        from . import _codegen, _nest

        implementation = self._implementation()
        if isinstance(implementation, _nest.Formula):
            return _codegen.object_code(_nest.build(symbol, self.signature, dtypes, implementation), symbol, vectorize=False, level=1)
        from . import _compiler

        vectorize = implementation not in _compiler.VECTORIZED_BY_HAND
        return _codegen.object_code(_compiler.build(symbol, self.signature, dtypes, implementation), symbol, vectorize)


def _kernels(modules: tuple[ModuleType, ...]) -> dict[str, Kernel]:
    table: dict[str, Kernel] = {}
    for module in modules:
        for name, twin in vars(module).items():
            if callable(twin) and not name.startswith("_") and getattr(twin, "__module__", "") == module.__name__:
                table[name] = Kernel(name, module.__name__.rpartition(".")[2], twin)
    return table


KERNELS = _kernels(FAMILIES)
not_stored: dict[str, str] = {}  # kernels whose object code could not be stored, and why: they go through Numba's own cache
_backend = "numba"


def get_backend() -> str:
    """The backend in use: "numba" (compiled kernels) or "numpy" (their readable twins)."""
    return _backend


def set_backend(name: str) -> None:
    """Run everything on compiled kernels ("numba") or on their NumPy twins ("numpy"). Raises UnknownNameError."""
    global _backend
    if not isinstance(name, str) or name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    _backend = name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run the body of a `with` statement on the backend `name`."""
    before = get_backend()
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


def as_record(words: list[int]) -> ctypes.Array[ctypes.c_int64]:
    """The words of a record as memory that compiled code can read."""
    return (ctypes.c_int64 * len(words))(*words)
