"""Tensors of a program that is being recorded: they have a shape and a place in memory, and no values yet."""

from __future__ import annotations

from typing import Any

from ..tensor import Array, Tensor
from ..unfilled import Unfilled, called_by_library, no_values, plain

_DATA: Any = vars(Tensor)["data"]  # where a tensor keeps it


class Placeholder(Tensor):
    """A tensor without values. This library reads its `data` as it is; all other code gets it as `Unfilled`."""

    __slots__ = ()

    @property
    def data(self) -> Any:
        """The memory in which the values will be."""
        memory: Array = _DATA.__get__(self)
        return memory if called_by_library() else Unfilled(memory)

    @data.setter
    def data(self, memory: Array) -> None:
        _DATA.__set__(self, plain(memory))

    def __repr__(self) -> str:
        return f"tensor(<no values yet>, shape={self.shape}, dtype={self.dtype})"

    def _needs_values(self, what: str) -> None:
        no_values(what)
