"""Object code in, callable addresses out: a linker for kernels, which refer to nothing but themselves and a few functions of the C library.

It spares a warm process LLVM, which takes longer to import and more memory than the kernels. It knows what LLVM emits for x86-64 on Linux,
one kind of reference, by absolute address ("System V Application Binary Interface", AMD64 supplement, section 4.4); LLVM loads all else.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np

HEADER = np.dtype([("ident", "S16"), ("kind", "<u2"), ("machine", "<u2"), ("skipped", "V20"), ("sections", "<u8"), ("rest", "V10"),
                   ("section_size", "<u2"), ("section_count", "<u2"), ("names", "<u2")])  # fmt: skip
SECTION = np.dtype([("name", "<u4"), ("kind", "<u4"), ("flags", "<u8"), ("address", "<u8"), ("offset", "<u8"), ("size", "<u8"),
                    ("link", "<u4"), ("info", "<u4"), ("alignment", "<u8"), ("item", "<u8")])  # fmt: skip
SYMBOL = np.dtype([("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")])
REFERENCE = np.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
X86_64, PROGBITS, SYMTAB, RELA = 62, 1, 2, 4
ALLOCATED, UNDEFINED, ABSOLUTE_64 = 2, 0, 1

_process = ctypes.CDLL(None) if sys.platform == "linux" else None  # the functions of the C library, by name


def load(symbol: str, code: bytes) -> int:
    """Make `code` executable in this process and return the address of `symbol`."""
    address = _Object(code).linked(symbol) if _process and code[:6] == b"\x7fELF\x02\x01" else None
    if address is None:
        from . import _codegen

        return _codegen.load(symbol, code)
    return address


class _Object:
    """An object file, and where its sections lie once they are in memory."""

    def __init__(self, code: bytes) -> None:
        self.code = code
        header = np.frombuffer(code, HEADER, 1)[0]
        self.machine = int(header["machine"])
        self.sections = np.frombuffer(code, SECTION, int(header["section_count"]), int(header["sections"]))
        table = next(s for s in self.sections if s["kind"] == SYMTAB)
        self.symbols, self.names = self._items(table, SYMBOL), self._bytes(self.sections[table["link"]])
        self.starts: dict[int, int] = {}
        self.size = 0
        for i, section in enumerate(self.sections):
            if section["kind"] == PROGBITS and section["flags"] & ALLOCATED and section["size"]:
                alignment = int(section["alignment"])
                self.starts[i] = -(-self.size // alignment) * alignment
                self.size = self.starts[i] + int(section["size"])

    def linked(self, symbol: str) -> int | None:
        """The address of `symbol` in a copy of the sections with all references filled in; None if some are of a kind unknown here."""
        if self.machine != X86_64 or not self.size:
            return None
        base, image = _room(self.size)
        for i, start in self.starts.items():
            content = self._bytes(self.sections[i])
            image[start : start + len(content)] = np.frombuffer(content, np.uint8)
        for section in self.sections:
            if section["kind"] == RELA and int(section["info"]) in self.starts and not self._refer(section, base, image):
                return None
        assert _process is not None
        if _process.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(self.size), mmap.PROT_READ | mmap.PROT_EXEC):
            return None
        return next((self._place(s, base) for s in self.symbols if s["section"] != UNDEFINED and self._name(s) == symbol), None)

    def _refer(self, section: Any, base: int, image: Any) -> bool:
        """Fill in the references that one section lists; whether all are known."""
        references = self._items(section, REFERENCE)
        places = {s: self._place(self.symbols[s], base) for s in set(references["symbol"].tolist())}
        if (references["kind"] != ABSOLUTE_64).any() or None in places.values():
            return False
        start = self.starts[int(section["info"])]
        for offset, _, symbol, addend in references.tolist():
            image[start + offset : start + offset + 8] = np.frombuffer((places[symbol] + addend).to_bytes(8, "little"), np.uint8)
        return True

    def _place(self, symbol: Any, base: int) -> int | None:
        """The address of a symbol; None if there is no such thing."""
        if symbol["section"] == UNDEFINED:
            function = getattr(_process, self._name(symbol), None)
            return None if function is None else ctypes.cast(function, ctypes.c_void_p).value
        start = self.starts.get(int(symbol["section"]))
        return None if start is None else base + start + int(symbol["value"])

    def _name(self, symbol: Any) -> str:
        start = int(symbol["name"])
        return self.names[start : self.names.index(b"\0", start)].decode()

    def _bytes(self, section: Any) -> bytes:
        return self.code[int(section["offset"]) : int(section["offset"] + section["size"])]

    def _items(self, section: Any, kind: np.dtype[Any]) -> Any:
        return np.frombuffer(self.code, kind, int(section["size"]) // kind.itemsize, int(section["offset"]))


def _room(size: int) -> tuple[int, Any]:
    """New pages for `size` bytes, and their address. They are never given back: workers are in their code until the process has ended."""
    assert _process is not None
    reserve = _process.mmap
    reserve.restype, reserve.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    base = reserve(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if base == ctypes.c_void_p(-1).value:
        raise MemoryError(f"no room for {size} bytes of compiled code")
    return base, np.frombuffer((ctypes.c_uint8 * size).from_address(base), np.uint8)
