"""Gradient rules: in two forms, shared by several inputs, or without a further derivative."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..errors import StateError
from ..tensor import Array, Rule, Tensor, mode


def either(fast: Rule, composed: Rule) -> Rule:
    """A gradient rule in two forms: kernels, or a composition of operations where the gradient itself is differentiated."""
    return lambda y, dy: (composed if mode.grad_enabled else fast)(y, dy)


def only_once(operation: str) -> Rule:
    """The rule of a gradient that has no further derivative here."""

    def rule(y: Tensor, dy: Tensor) -> Tensor:
        raise StateError(f"{operation}: its gradient cannot be differentiated again")

    return rule


def if_given(x: Tensor | None, rule: Rule) -> tuple[tuple[Tensor, Rule], ...]:
    """The entry of an optional input on the tape."""
    return () if x is None else ((x, rule),)


class Shared:
    """Several gradients that one kernel computes at once: the first rule to be asked runs it, the others find the result."""

    def __init__(self, compute: Callable[[Array], tuple[Array, ...]]) -> None:
        self.compute = compute
        self.found: WeakKeyDictionary[Tensor, tuple[Tensor, ...]] = WeakKeyDictionary()

    def rule(self, position: int) -> Rule:
        """The rule of the input whose gradient `compute` returns at `position`."""
        return lambda y, dy: self._of(dy)[position]

    def _of(self, dy: Tensor) -> tuple[Tensor, ...]:
        found = self.found.get(dy)
        if found is None:
            found = self.found[dy] = tuple(map(Tensor, self.compute(dy.data)))
        return found
