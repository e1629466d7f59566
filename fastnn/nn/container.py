"""Modules that hold modules, and the layers that only pass values on.

What is no module among modules is a DTypeError, a name that is not there an UnknownNameError, an index beyond the end an IndexError as in
Python's lists. Building `Flatten` or `Unflatten` raises DTypeError unless dimensions and sizes are ints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from .._arguments import instance, items, iterable, whole
from ..errors import unknown_name
from ..tensor import Tensor
from . import functional as F
from .module import Module

L = TypeVar("L", bound="_List")


class _List(Module):
    """Modules in an order, named "0", "1", ..."""

    def _set(self, modules: Iterable[Module]) -> None:
        for name, _ in list(self._items()):
            delattr(self, name)
        for index, module in enumerate(modules):
            self.register_module(str(index), module)

    def _items(self) -> list[tuple[str, Module]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def _name(self, index: int) -> str:
        names = [name for name, _ in self._items()]
        if not -len(names) <= whole(f"{type(self).__name__}: an index", index) < len(names):
            raise IndexError(f"{type(self).__name__}: there is no module {index}, it holds {len(names)}")
        return names[index]

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self._items()])

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self: L, index: slice) -> L: ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return self._of(self._items()[index])
        module: Module = getattr(self, self._name(index))
        return module

    def _of(self, items: list[tuple[str, Module]]) -> Module:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._name(index), module)

    def __delitem__(self, index: int) -> None:
        name = self._name(index)
        self._set([module for other, module in self._items() if other != name])

    def append(self: L, module: Module) -> L:
        """Add a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self: L, modules: Iterable[Module]) -> L:
        """Add modules at the end."""
        for module in iterable("modules", modules, "an iterable of modules"):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before that at `index`."""
        modules = list(self)
        modules.insert(index, module)
        self._set(modules)


class Sequential(_List):
    """Modules applied one after the other.

    Parameters
    ----------
    *args
        The modules; or one mapping from names to modules.
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        items = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else ((str(i), m) for i, m in enumerate(args))
        for name, module in items:
            self.register_module(name, module)  # type: ignore[arg-type]  # which checks it

    def _of(self, items: list[tuple[str, Module]]) -> Module:
        return Sequential(dict(items))

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x


class ModuleList(_List):
    """A list whose modules count as parts of the module that holds it. It has no `forward`."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._set(iterable("modules", modules, "an iterable of modules"))

    def _of(self, items: list[tuple[str, Module]]) -> Module:
        return ModuleList([module for _, module in items])


class ModuleDict(Module):
    """A dictionary whose modules count as parts of the module that holds it. It has no `forward`."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update({} if modules is None else modules)

    def _table(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def __getitem__(self, key: str) -> Module:
        table = self._table()
        if not isinstance(key, str) or key not in table:
            raise unknown_name("module", key, table)
        return table[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._table())

    def __iter__(self) -> Iterator[str]:
        return iter(self._table())

    def __contains__(self, key: object) -> bool:
        return key in self._table()

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._table().keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._table().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._table().items()

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules, or put others in their places."""
        for key, module in instance("modules", modules, Mapping, "a mapping from names to modules").items():
            self[key] = module


class Identity(Module):
    """y = x; arguments are accepted and ignored, so that it can stand in for any layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs

    def forward(self, x: Any) -> Any:
        return x


class Flatten(Module):
    """The dimensions from start_dim to end_dim made one: (N, C, H, W) becomes (N, C H W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = whole("Flatten: start_dim", start_dim)
        self.end_dim = whole("Flatten: end_dim", end_dim)

    def forward(self, x: Any) -> Tensor:
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension `dim` taken apart into the sizes `unflattened_size`, one of which may be -1: what `Flatten` did, undone."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = whole("Unflatten: dim", dim)
        self.unflattened_size = items("Unflatten: unflattened_size", unflattened_size, whole, "a sequence of whole numbers")

    def forward(self, x: Any) -> Tensor:
        return F.unflatten(x, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
