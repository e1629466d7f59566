"""The residual block."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, as_tensor
from .container import Sequential
from .module import Module


class Residual(Module):
    """y = activation(body(x) + shortcut(x)): the body learns what to add to its input. He et al. 2016, eq. 1 and 2.

    Parameters
    ----------
    *body
        The modules of the body, applied one after the other.
    shortcut
        What the input passes through on its way around the body: nothing if None, or a projection, such as a `Linear`, where the body
        changes the shape.
    activation
        What the sum passes through: nothing if None.

    The original, post-activation form ends in an activation: `Residual(Linear(d, d), ReLU(), Linear(d, d), activation=ReLU())`. The
    pre-activation form keeps the way around the body free of any (He et al. 2016, "Identity mappings in deep residual networks", fig. 1b):
    `Residual(LayerNorm(d), ReLU(), Linear(d, d))`.

    Raises
    ------
    ShapeError
        When called, if body and shortcut give different shapes.
    """

    shortcut: Module | None
    activation: Module | None

    def __init__(self, *body: Module, shortcut: Module | None = None, activation: Module | None = None) -> None:
        if not body:
            raise ArgumentError("Residual: give at least one module for the body")
        self.body = Sequential(*body)
        self.register_module("shortcut", shortcut)
        self.register_module("activation", activation)

    def forward(self, x: Any) -> Tensor:
        x = as_tensor(x, name="input")
        change = self.body(x)
        kept = x if self.shortcut is None else self.shortcut(x)
        if change.shape != kept.shape:
            raise ShapeError(
                f"Residual: an input of shape {x.shape} becomes {change.shape} in the body and {kept.shape} on the shortcut; "
                f"they must be equal: give a shortcut that projects, such as shortcut=nn.Linear({x.shape[-1]}, {change.shape[-1]})"
            )
        y: Tensor = change + kept
        return y if self.activation is None else self.activation(y)
