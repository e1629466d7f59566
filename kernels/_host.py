"""What the kernels know of the CPU: its instruction set, vector registers and caches.

`FASTNN_ISA` forces a lower instruction set than the machine has, so that every path is testable on one machine.
"""

from __future__ import annotations

import math
import os
import platform
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ._errors import ArgumentError, unknown_name

NV = 2  # vectors across a tile of a matrix product: with the rows of a tile they fill the registers


class ISA(NamedTuple):
    """An instruction set: vector register width in bytes, and number of vector registers."""

    name: str
    vector_bytes: int
    registers: int

    @property
    def has_fma(self) -> bool:
        """Whether one instruction multiplies and adds."""
        return self.name in ("avx512", "avx2") or not is_x86()

    @property
    def has_masks(self) -> bool:
        """Whether loads and stores can leave out lanes."""
        return self.vector_bytes > 16


X86_LEVELS = {
    "avx512": ISA("avx512", 64, 32),
    "avx2": ISA("avx2", 32, 16),
    "sse": ISA("sse", 16, 16),
    "generic": ISA("generic", 16, 16),
}
# What a CPU must have for each, and LLVM's name of the psABI level that it is: v2, v3 (AVX2 + FMA) and v4 (AVX-512) of x86-64.
NEEDED_FEATURES = {"avx512": ("avx512f", "avx512dq", "avx512vl", "avx512bw"), "avx2": ("avx2", "fma"), "sse": ("sse4_2",)}
LLVM_LEVELS = {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "sse": "x86-64-v2", "generic": "x86-64"}
CPU_FACTS = ("vendor_id", "cpu family", "model", "flags")  # of a processor in /proc/cpuinfo: what code for it depends on


def is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


@cache
def cpu() -> tuple[str, ...]:
    """What tells this CPU from others, the names of its features last. Linux is asked, since LLVM takes long to import."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return tuple([facts[name] for name in CPU_FACTS])
    except (OSError, KeyError):
        from llvmlite import binding as llvm

        present = [name.replace(".", "_") for name, there in llvm.get_host_cpu_features().items() if there]
        return llvm.get_host_cpu_name(), " ".join(sorted(present))


@cache
def levels() -> list[str]:
    """The instruction sets that this CPU has, best first."""
    if not is_x86():
        return ["generic"]
    present = cpu()[-1].split()
    names = list(X86_LEVELS)
    return names[next(i for i, name in enumerate(names) if all(f in present for f in NEEDED_FEATURES.get(name, ()))) :]


@cache
def isa() -> ISA:
    """The instruction set in use: the best of this machine, or the lower one that `FASTNN_ISA` names."""
    name = _forced() or levels()[0]
    if name not in levels():
        raise ArgumentError(f"FASTNN_ISA={name} is above what this CPU has: {levels()[0]}")
    return X86_LEVELS[name] if is_x86() else ISA(name, 16, 32)


def _forced() -> str:
    forced = os.environ.get("FASTNN_ISA", "").lower()
    if forced and forced not in X86_LEVELS:
        raise unknown_name("instruction set in FASTNN_ISA", forced, X86_LEVELS)
    return forced


@cache
def target() -> tuple[str, str]:
    """LLVM's name of the CPU that code is made for, and its features: this very one, or any with the instruction set of `FASTNN_ISA`."""
    from llvmlite import binding as llvm

    wide = ["-prefer-256-bit"] if isa().name == "avx512" else []  # else vectors stay narrower than registers
    if _forced():
        return LLVM_LEVELS[isa().name] if is_x86() else "", ",".join(wide)
    return llvm.get_host_cpu_name(), ",".join([llvm.get_host_cpu_features().flatten(), *wide]) if is_x86() else ""


def identity() -> tuple[object, ...]:
    """What compiled kernels depend on: the instruction set, the CPU unless another one is asked for, the sizes of its caches."""
    return isa(), _forced() or cpu(), *[cache_bytes(level) for level in (1, 2, 3)]


def lanes(itemsize: int) -> int:
    """How many items of `itemsize` bytes one vector register holds."""
    return isa().vector_bytes // itemsize


def tile_rows() -> int:
    """MR: the sums of a tile of a matrix product leave room for NV vectors of its right operand and one repeated item of its left one."""
    return {16: 6, 32: 14}[isa().registers]


def panel_columns(itemsize: int) -> int:
    """NR: how many columns of its right operand a matrix product takes at a time."""
    return NV * lanes(itemsize)


@cache
def cache_bytes(level: int) -> int:
    """Size in bytes of the data cache of `level` 1, 2 or 3 that one core sees."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if not (index / "size").exists():  # as on some Arm boards
            continue
        if (index / "level").read_text().strip() == str(level) and (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}[size[-1]]
    return {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}[level]


class Blocking(NamedTuple):
    """How much of its operands a matrix product works on at a time, in bytes but for the first.

    Attributes
    ----------
    depth
        KC: the items of a row of a block along K. Panels of B, those at work and those to come, take a quarter of the level-2 cache.
    block
        Of a block of A, which stays in the level-2 cache beside a panel of B and tiles of C: at least one tile.
    near
        Of B, which needs no copy while it stays in the level-1 cache.
    afar
        The same for panels, which are worth a copy only where they come from memory: a core's part of the outermost cache.
    row
        Of a single row of C that stays in the level-1 cache while K runs by.
    """

    depth: int
    block: int
    near: int
    afar: int
    row: int


MOST_DEPTH = 512  # C is read and written seldom enough then, and blocks of A hold enough rows to repay a copy of B
PANELS = 4  # of B at a time: those at work, and those to come
MOST_BLOCK = 1 << 20  # blocks of A stand on the stack of a thread
CORES = 8  # which share an outermost cache, more or less


@cache
def blocking() -> Blocking:
    """The blocks of matrix products that fit this machine's caches."""
    first, second, third = (cache_bytes(level) for level in (1, 2, 3))
    rows = isa().registers // 2  # of a tile, and what fills them up to whole vectors
    depth = min(_power_of_two(second // 4 // PANELS // (NV * isa().vector_bytes)), MOST_DEPTH)
    block = max(min(second * 5 // 8, MOST_BLOCK), rows * depth * 8)
    return Blocking(depth, block, first * 2 // 3, third // CORES, _power_of_two(first // 3))


def _power_of_two(limit: int) -> int:
    """The largest one up to `limit`, but no less than some vectors."""
    return max(1 << (limit.bit_length() - 1), 4 * isa().vector_bytes)


GROUPS = Path("/sys/fs/cgroup")  # of processes, among which Linux shares out time


@cache
def cores() -> int:
    """How many cores this process may use: those that it may run on, or as many as its share of their time is worth (of a container's)."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(there, time_share(GROUPS, Path("/proc/self/cgroup")))))


def time_share(groups: Path, membership: Path) -> float:
    """How many cores' time Linux gives the groups that this process belongs to, at most, as `membership` names them.

    Threads beyond that would use it up sooner, and all would be stopped until there is more.
    """
    share = math.inf
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return share
    for _, controllers, name in lines:
        root = groups / controllers if controllers else groups  # the second kind has one tree for all
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = root / name.strip("/")
        while True:
            share = min(share, _quota(group))
            if group == root:
                break
            group = group.parent
    return share


def _quota(group: Path) -> float:
    """Time for each time that passes; infinite where nothing is said."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = [(group / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period")]
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # float("max")
        return math.inf
