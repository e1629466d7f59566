"""What a program takes for granted when it is recorded: the modules, their modes and attributes, and which parameters are trained."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np

from ..nn import Module, Parameter
from ..nn._changes import changes

KEPT = 64  # settings that are told apart


class Same:
    """Equal to what holds the very same object, which it keeps alive."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.held is other.held


class Settings:
    """The settings of some modules as a number: settings that come back have the number that they had.

    They are looked at when something was assigned to an attribute of any module, so that the number costs nothing where nothing was. What
    `forward` itself assigns while a program is recorded is no setting; without `modes`, neither are training and evaluation.
    """

    def __init__(self, *modules: Module, modes: bool = True) -> None:
        self.modules = modules
        self.modes = modes
        self._numbers: dict[Hashable, int] = {}
        self._next = count()
        self._results: set[tuple[Same, str]] = set()  # attributes that `forward` assigns
        self._seen = -1
        self._number = -1

    @property
    def number(self) -> int:
        """The number of the present settings."""
        if self._seen != changes[0]:
            self._seen = changes[0]
            found = tuple(self._described())
            if found not in self._numbers:
                if len(self._numbers) == KEPT:
                    self._numbers.clear()
                self._numbers[found] = next(self._next)
            self._number = self._numbers[found]
        return self._number

    @contextmanager
    def forward_runs(self) -> Iterator[None]:
        """Find out in the body of a `with` statement, while the modules are called, what they assign to themselves."""
        before = set(self._described())
        try:
            yield
        finally:
            self._results |= {(module, name) for module, name, _ in before.symmetric_difference(self._described())}
            self._seen = -1

    def _described(self) -> Iterator[tuple[Same, str, Hashable]]:
        for top in self.modules:
            for module in top.modules():
                held = Same(module)
                for name, value in {"training": module.training, **vars(module)}.items():
                    if (held, name) not in self._results and (self.modes or name != "training"):
                        yield held, name, described(value)


def described(value: Any) -> Hashable:
    """Numbers and text by what they are, also within lists, tuples and mappings; everything else by which object it is."""
    if isinstance(value, Parameter):
        return Same(value), value.requires_grad
    if isinstance(value, (bool, int, float, str, type(None), np.generic)):
        return type(value), value
    if isinstance(value, (tuple, list)):
        return type(value), tuple([described(item) for item in value])
    if isinstance(value, Mapping):
        return type(value), tuple([(described(key), described(item)) for key, item in value.items()])
    return Same(value)
