"""The hyperparameters of a parameter group as kernels read them."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from ..tensor import Array

APART = ("params", "param_names", "betas")
NO_NUMBER = (str, tuple, list, type(None))


class Numbers:
    """Float64 numbers side by side: those of a group, in its order, then the two `betas` if it has them.

    Attributes
    ----------
    values
        All of them, shape (n,).
    views
        Name -> the place of one, an array of no dimension; the betas are called beta1 and beta2.
    """

    def __init__(self, group: Mapping[str, Any]) -> None:
        self.names = [name for name, value in group.items() if name not in APART and not isinstance(value, NO_NUMBER)]
        self._get = itemgetter("params", "params", *self.names)  # of two keys at least, a tuple
        places = [*self.names, "beta1", "beta2"] if "betas" in group else self.names
        self.values: Array = np.zeros(len(places))
        self.views = {name: self.values[i : i + 1].reshape(()) for i, name in enumerate(places)}

    def of(self, group: Mapping[str, Any]) -> list[float]:
        """What `group` holds at present, in the order of `values`."""
        found = self._get(group)[2:]
        return [*found, *group["betas"]] if "betas" in group else [*found]

    def read(self, group: Mapping[str, Any]) -> None:
        """Write what `group` holds at present into `values`."""
        self.values[:] = self.of(group)
