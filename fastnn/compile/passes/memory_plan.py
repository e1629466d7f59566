"""The memory plan: lifetimes of temporaries become offsets in one arena."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...tensor import Array
from ..memory import extent, moved, root
from ..recording import Recording

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
# Memory that is used twice makes workers wait who would have nothing to do with each other, so it is reused only where that saves some.
APART = 2048  # bytes of an array that always has a place of its own
APART_SHARE = 4096  # and so has one whose bytes are no more than this part of all
ALL_APART = 256 << 10  # bytes of all arrays together that stay in cache with a place for each

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass
class Placement:
    """Where one temporary lies in the arena, and from which instruction to which it is alive."""

    array: Array
    first: int
    last: int
    offset: int = 0

    @property
    def bytes(self) -> int:
        low, high = extent(self.array)
        return -(-(high - low) // ALIGNMENT) * ALIGNMENT

    def clashes(self, other: Placement) -> bool:
        """Whether both are in use at some time."""
        return self.first <= other.last and other.first <= self.last


def lifetimes(recording: Recording) -> list[Placement]:
    """Every temporary with its lifetime; inputs and outputs are alive throughout, and so is what has a place of its own."""
    uses = recording.uses()
    end = len(recording.instructions)
    found = [Placement(a, uses[key][0], uses[key][-1]) for key, a in recording.temporaries().items()]
    total = sum(p.bytes for p in found)
    for p in found:
        if total <= ALL_APART or p.bytes <= max(APART, total // APART_SHARE):
            p.first, p.last = 0, end
    return found + [Placement(root(a), 0, end) for a in recording.inputs]


def assign_offsets(placements: list[Placement]) -> int:
    """Give each placement the lowest offset free during its lifetime, largest first; returns the bytes needed in all."""
    end = max((p.last for p in placements), default=0)
    needed = 0
    for p in placements:
        if p.first == 0 and p.last == end:  # clashes with every other one
            p.offset = needed
            needed += p.bytes
    base = needed
    placed: list[Placement] = []
    for p in sorted((p for p in placements if p.first or p.last < end), key=lambda p: (-p.bytes, p.first)):
        p.offset = base
        for other in sorted((q for q in placed if q.clashes(p)), key=lambda q: q.offset):
            if p.offset + p.bytes <= other.offset:
                break
            p.offset = max(p.offset, other.offset + other.bytes)
        placed.append(p)
        needed = max(needed, p.offset + p.bytes)
    return needed


def new_arena(bytes: int) -> Bytes:
    """Fresh zeroed memory whose first byte is aligned."""
    raw = np.zeros(bytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + bytes]


def plan_memory(recording: Recording, arena: Bytes | None = None) -> tuple[Bytes, int]:
    """Move inputs and temporaries into `arena`, or into a new one where it is too small.

    Returns the arena used, and how many bytes of it are.
    """
    placements = lifetimes(recording)
    needed = assign_offsets(placements)
    if arena is None or len(arena) < needed:
        arena = new_arena(needed)
    memory = arena
    where = {id(p.array): p for p in placements}

    def change(a: Array) -> Array:
        p = where.get(id(root(a)))
        return a if p is None else moved(a, p.array, memory, p.offset)

    recording.substitute(change)
    return arena, needed
