"""What the programs of one model share: its weights, and what passes have made of them, each once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from hashlib import blake2b

import numpy as np

from ..kernels import Instruction
from ..tensor import Array
from .memory import address, extent, root


class Constants:
    """Arrays by what they were made of.

    Parameters
    ----------
    state
        Arrays that are there in the beginning; what is not made from them is known by the values that it holds.
    """

    def __init__(self, state: Sequence[Array] = ()) -> None:
        self._made: dict[Hashable, Array] = {}
        self._names: dict[int, tuple[Hashable, Array]] = {}  # of arrays that own memory, by id
        self._used: set[int] = set()  # their ids, if a program reads them
        for n, a in enumerate(state):
            self._names.setdefault(id(root(a)), (n, root(a)))

    def made(self, how: str, make: Callable[[], Array], *sources: Array) -> Array:
        """What `make`, whose name is `how`, makes of some arrays: now, or of their like before."""
        key = how, *map(self._key, sources)
        if key not in self._made:
            made = self._made[key] = make()
            self._names.setdefault(id(root(made)), (key, root(made)))
        return self._made[key]

    def _key(self, a: Array) -> Hashable:
        owner = root(a)
        if id(owner) in self._names:
            name, place = self._names[id(owner)][0], address(a) - extent(owner)[0]
        else:
            name, place = blake2b(np.ascontiguousarray(a).data).digest(), 0
        return name, place, a.shape, a.strides, a.dtype.str

    def settle(self, instructions: Iterable[Instruction]) -> None:
        """Keep what a finished program reads; forget what was made on the way to it."""
        made = {id(root(a)) for a in self._made.values()}
        self._used |= made & {id(root(a)) for instruction in instructions for a in instruction.inputs}
        self._made = {key: a for key, a in self._made.items() if id(root(a)) in self._used}
        self._names = {i: named for i, named in self._names.items() if i in self._used or isinstance(named[0], int)}
