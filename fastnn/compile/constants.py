"""What the programs of one model share: its weights, and what passes have made of them, each once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from ..kernels import Instruction
from ..tensor import Array, Tensor
from .memory import address, extent, root

ROUNDINGS = 4  # by which weights may differ that are computed back from scaled ones


class _Part(NamedTuple):
    """A view of an array's memory, and how it follows from what was made of it."""

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    undo: Callable[[Array], Array]


class Constants:
    """Arrays by what they were made of.

    Weights that no program reads any more, since programs read what was made of them, are forgotten between recordings, and computed back
    for the next one. Where nothing was scaled they are the same to the bit.

    Parameters
    ----------
    weights
        Tensors that are there in the beginning, each with its own memory; what is not made from them is known by the values that it holds.
    """

    def __init__(self, weights: Sequence[Tensor] = ()) -> None:
        self.weights = weights
        self._made: dict[Hashable, Array] = {}
        self._names: dict[int, tuple[Hashable, Array]] = {}  # of arrays that own memory, by id
        self._used: set[Hashable] = set()  # the names of those that a program reads
        self._parts: dict[Hashable, dict[Hashable, _Part]] = {}  # by the names of the array and of what was made of it
        self._kinds: dict[Hashable, tuple[tuple[int, ...], np.dtype[Any]]] = {}  # shapes and dtypes, by name
        for n, t in enumerate(weights):
            self._name(n, t.data)

    def _name(self, name: Hashable, a: Array) -> None:
        self._kinds[name] = a.shape, a.dtype
        self._names.setdefault(id(root(a)), (name, root(a)))

    def made(self, how: str, make: Callable[[], Array], *sources: Array, undo: Callable[[Array], Array] | None = None) -> Array:
        """What `make`, whose name is `how`, makes of some arrays: now, or of their like before.

        `undo` computes the first of these from it.
        """
        key = how, *map(self._key, sources)
        if key not in self._made:
            self._made[key] = make()
            self._name(key, self._made[key])
            if undo is not None:
                name, offset, shape, strides, _ = self._key(sources[0])
                self._parts.setdefault(name, {})[key] = _Part(offset, shape, strides, undo)
        return self._made[key]

    def _key(self, a: Array) -> tuple[Hashable, int, tuple[int, ...], tuple[int, ...], str]:
        owner = root(a)
        name: Hashable
        if id(owner) in self._names:
            name, place = self._names[id(owner)][0], address(a) - extent(owner)[0]
        else:
            name, place = blake2b(np.ascontiguousarray(a).data).digest(), 0
        return name, place, a.shape, a.strides, a.dtype.str

    def settle(self, instructions: Iterable[Instruction]) -> None:
        """Keep what a finished program reads; forget what was made on the way to it."""
        read = {id(root(a)) for instruction in instructions for a in instruction.inputs}
        self._used |= {name for i, (name, _) in self._names.items() if i in read}
        self._made = {key: a for key, a in self._made.items() if self._names[id(root(a))][0] in self._used}
        self._names = {i: named for i, named in self._names.items() if named[0] in self._used or isinstance(named[0], int)}

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """All weights have values in the body of a `with` statement; behind it those have that cannot do without."""
        present = {name for name, _ in self._names.values()}
        for n, t in enumerate(self.weights):
            if n not in present:
                t.data = self._restored(n)
                self._name(n, t.data)
        try:
            yield
        finally:
            for n, t in enumerate(self.weights):
                if n not in self._used and n in self._parts and _alike(self._restored(n), t.data):
                    del self._names[id(root(t.data))]
                    t.data = np.broadcast_to(np.zeros((), t.dtype), t.shape)  # no memory, but a shape

    def _restored(self, name: Hashable) -> Array:
        """An array computed back from what was made of it; NaN where nothing was."""
        if name in self._made:
            return self._made[name]
        shape, dtype = self._kinds[name]
        found = np.full(shape, np.nan, dtype)
        for key, part in self._parts.get(name, {}).items():
            if key in self._made or key in self._parts:
                with np.errstate(all="ignore"):
                    values = part.undo(self._restored(key))
                view: Array = np.ndarray(part.shape, dtype, found.data, part.offset, part.strides)
                np.copyto(view, values, where=~np.isnan(values))
        return found


def _alike(a: Array, b: Array) -> bool:
    return np.array_equal(a, b) or bool(np.allclose(a, b, rtol=ROUNDINGS * np.finfo(b.dtype).eps, atol=0))
