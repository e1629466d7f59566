"""Tensors of a program that is being recorded: they have a shape and a place in memory, and no values yet."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..tensor import Array, Tensor, called_by_library, no_values

_DATA: Any = vars(Tensor)["data"]  # where a tensor keeps it
VIEWS = frozenset(
    {np.shape, np.ndim, np.size, np.reshape, np.ravel, np.transpose, np.moveaxis, np.swapaxes, np.squeeze, np.expand_dims}
    | {np.broadcast_to, np.may_share_memory, np.shares_memory}
)
ALIKE = frozenset({np.empty_like, np.zeros_like, np.ones_like, np.full_like})  # arrays of their own, with values


class Unfilled(np.ndarray[Any, np.dtype[Any]]):
    """Memory without values: it may be viewed and handed to kernels; looking at what it holds raises StateError."""

    def __array_ufunc__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        no_values("data")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in ALIKE:
            return function(*[a.view(np.ndarray) if isinstance(a, Unfilled) else a for a in args], **kwargs)
        if function not in VIEWS:
            no_values("data")
        return super().__array_function__(function, types, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return found if isinstance(found, np.ndarray) else no_values("data")

    def _look(self, *arguments: Any, **keywords: Any) -> NoReturn:
        no_values("data")


LOOKS = "__setitem__ __bool__ __int__ __float__ __complex__ __index__ __contains__ __repr__ __str__ item tolist tobytes dump dumps tofile"
SEARCHES = "argmax argmin argsort argpartition sort partition nonzero searchsorted choose compress dot trace take repeat copy astype"
for _name in f"{LOOKS} {SEARCHES}".split():
    setattr(Unfilled, _name, Unfilled._look)


class Placeholder(Tensor):
    """A tensor without values. This library reads its `data` as it is; all other code gets it as `Unfilled`."""

    __slots__ = ()

    @property
    def data(self) -> Array:
        """The memory in which the values will be."""
        memory: Array = _DATA.__get__(self)
        return memory if called_by_library() else memory.view(Unfilled)

    @data.setter
    def data(self, memory: Array) -> None:
        _DATA.__set__(self, memory)

    def __repr__(self) -> str:
        return f"tensor(<no values yet>, shape={self.shape}, dtype={self.dtype})"

    def _needs_values(self, what: str) -> None:
        no_values(what)
