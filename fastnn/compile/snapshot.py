"""A snapshot of a model: its layers and settings as they are at this moment, in evaluation mode; the model itself is left alone."""

from __future__ import annotations

import copy
from contextlib import suppress
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np

from ..nn import Module
from ..tensor import Tensor
from .placeholder import Placeholder


def snapshot(model: Module, live: bool) -> Module:
    """A second model of the same layers and settings; if `live`, its parameters and buffers share memory with those of the first one."""
    found: Module = _Copies(live).of(model)
    for module in found.modules():
        vars(module)["training"] = False
    return found


class _Copies:
    """Copies of what makes up a model, each thing once: modules, tensors, arrays, and what holds or uses them; all else is shared."""

    def __init__(self, live: bool) -> None:
        self.live = live
        self.made: dict[int, tuple[Any, Any]] = {}  # by the id of the original, which is held so that its id stays its own

    def of(self, value: Any) -> Any:
        """The copy of `value`."""
        if id(value) in self.made:
            return self.made[id(value)][1]
        if isinstance(value, Module) or (isinstance(value, FunctionType) and value.__closure__):
            return self._that_may_lead_back(value)
        twin = self._plain(value)
        self.made[id(value)] = value, twin
        return twin

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Placeholder):
            return value  # what a recorded call has kept, of which nobody can make anything
        if isinstance(value, Tensor):
            tensor = object.__new__(type(value))
            Tensor.__init__(tensor, self.of(value.data), value.requires_grad)
            return tensor
        if isinstance(value, np.ndarray):
            return value if self.live else value.copy()
        if isinstance(value, MethodType):
            return MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, partial):
            return partial(self.of(value.func), *map(self.of, value.args), **{k: self.of(v) for k, v in value.keywords.items()})
        if isinstance(value, tuple):
            items = tuple(map(self.of, value))
            return items if type(value) is tuple else value._make(items) if hasattr(value, "_make") else value  # a named one
        if isinstance(value, (list, dict)):
            twin: Any = copy.copy(value)
            for key, item in enumerate(value) if isinstance(value, list) else value.items():
                twin[key] = self.of(item)
            return twin
        return value

    def _that_may_lead_back(self, value: Any) -> Any:
        """A module whose attributes, or a function whose variables from outside, may refer to itself."""
        if isinstance(value, Module):
            twin: Any = object.__new__(type(value))
            self.made[id(value)] = value, twin
            vars(twin).update({name: self.of(held) for name, held in vars(value).items()})
            return twin
        cells = tuple([CellType() for _ in value.__closure__])
        twin = FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
        twin.__kwdefaults__ = value.__kwdefaults__
        self.made[id(value)] = value, twin
        for cell, held in zip(cells, value.__closure__, strict=True):
            with suppress(ValueError):  # a variable without a value
                cell.cell_contents = self.of(held.cell_contents)
        return twin
