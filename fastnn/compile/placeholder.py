"""Tensors of a program that is being recorded: they have a shape and a place in memory, and no values yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tensor import Array, Tensor
from ..unfilled import Unfilled, called_by_library, no_values, no_values_left, plain

if TYPE_CHECKING:
    from .recording import Recording

_DATA: Any = vars(Tensor)["data"]  # where a tensor keeps it


class Placeholder(Tensor):
    """A tensor without values. This library reads its `data` as it is, during its recording; all other code gets it as `Unfilled`."""

    __slots__ = ("_recording",)

    def __init__(self, data: Array, recording: Recording) -> None:
        super().__init__(data)
        self._recording = recording

    @property
    def data(self) -> Any:
        """The memory in which the values will be. Raises StateError after the recording: whoever asks then takes it for values."""
        memory: Array = _DATA.__get__(self)
        if not called_by_library():
            return Unfilled(memory)
        return memory if self._recording.under_way else no_values_left("use")

    @data.setter
    def data(self, memory: Array) -> None:
        _DATA.__set__(self, plain(memory))

    def __repr__(self) -> str:
        memory: Array = _DATA.__get__(self)
        return f"tensor(<no values yet>, shape={memory.shape}, dtype={memory.dtype})"

    def _needs_values(self, what: str) -> None:
        (no_values if self._recording.under_way else no_values_left)(what)
