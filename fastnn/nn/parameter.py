"""The tensors that a module owns and an optimiser trains."""

from __future__ import annotations

from typing import Any

from ..tensor import Array, Tensor, to_array
from ._changes import changes

_REQUIRES_GRAD: Any = vars(Tensor)["requires_grad"]  # where a tensor keeps it


class Parameter(Tensor):
    """A tensor that a `Module` counts among its parameters as soon as it is assigned to one of its attributes.

    Parameters
    ----------
    data
        The values, float32 or float64; an array is not copied.
    requires_grad
        Whether it is trained.

    Raises DTypeError for values that cannot have a gradient.

    An optimiser may later replace `data` by a view of its own flat buffer, so read `data` anew wherever it is needed.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(to_array(data), requires_grad)

    @property
    def requires_grad(self) -> bool:
        """Whether it is trained."""
        trained: bool = _REQUIRES_GRAD.__get__(self)
        return trained

    @requires_grad.setter
    def requires_grad(self, trained: bool) -> None:
        _REQUIRES_GRAD.__set__(self, trained)
        changes[0] += 1

    def __reduce__(self) -> tuple[type[Parameter], tuple[Array, bool]]:
        """Copies and pickles hold the values alone: gradient, history and optimiser stay behind."""
        return type(self), (self.data, self.requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
