"""What the kernels know of the CPU: its instruction set, vector registers and caches.

`FASTNN_ISA` forces a lower instruction set than the machine has, so that every path is testable on one machine.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ._errors import ArgumentError, unknown_name

NV = 2  # vectors across a tile of a matrix product: with the rows of a tile they fill the registers


class ISA(NamedTuple):
    """An instruction set: vector register width in bytes, number of vector registers, LLVM's cpu and features."""

    name: str
    vector_bytes: int
    registers: int
    cpu: str
    features: str

    @property
    def has_masks(self) -> bool:
        """Whether loads and stores can leave out lanes."""
        return self.vector_bytes > 16


# LLVM names the psABI levels of x86-64 v2, v3 (AVX2 + FMA) and v4 (AVX-512); "-prefer-256-bit" lets v4 use its full width.
X86_LEVELS = {
    "avx512": ISA("avx512", 64, 32, "x86-64-v4", "-prefer-256-bit"),
    "avx2": ISA("avx2", 32, 16, "x86-64-v3", ""),
    "sse": ISA("sse", 16, 16, "x86-64-v2", ""),
    "generic": ISA("generic", 16, 16, "x86-64", ""),
}
NEEDED_FEATURES = {"avx512": ("avx512f", "avx512dq", "avx512vl", "avx512bw"), "avx2": ("avx2", "fma"), "sse": ("sse4.2",)}


def is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


@cache
def levels() -> list[str]:
    """The instruction sets that this CPU has, best first."""
    from llvmlite import binding as llvm

    if not is_x86():
        return ["generic"]
    present = llvm.get_host_cpu_features()
    names = list(X86_LEVELS)
    return names[next(i for i, name in enumerate(names) if all(present.get(f) for f in NEEDED_FEATURES.get(name, ()))) :]


@cache
def isa() -> ISA:
    """The instruction set in use: the best of this machine, or the lower one that `FASTNN_ISA` names."""
    from llvmlite import binding as llvm

    forced = os.environ.get("FASTNN_ISA", "").lower()
    if forced and forced not in X86_LEVELS:
        raise unknown_name("instruction set in FASTNN_ISA", forced, X86_LEVELS)
    if not is_x86():
        return ISA("generic", 16, 32, "" if forced else llvm.get_host_cpu_name(), "")
    best = levels()[0]
    if not forced:
        return X86_LEVELS[best]._replace(cpu=llvm.get_host_cpu_name(), features=_host_features(best))
    if forced not in levels():
        raise ArgumentError(f"FASTNN_ISA={forced} is above what this CPU has: {best}")
    return X86_LEVELS[forced]


def _host_features(level: str) -> str:
    """LLVM's feature string of this very CPU, with the full width of AVX-512 where it is there."""
    from llvmlite import binding as llvm

    flags = llvm.get_host_cpu_features().flatten()
    return f"{flags},-prefer-256-bit" if level == "avx512" else flags


def lanes(itemsize: int) -> int:
    """How many items of `itemsize` bytes one vector register holds."""
    return isa().vector_bytes // itemsize


def panel_columns(itemsize: int) -> int:
    """NR: how many columns of its right operand a matrix product takes at a time."""
    return NV * lanes(itemsize)


@cache
def cache_bytes(level: int) -> int:
    """Size in bytes of the data cache of `level` 1, 2 or 3 that one core sees."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "level").read_text().strip() == str(level) and (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}[size[-1]]
    return {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}[level]


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
