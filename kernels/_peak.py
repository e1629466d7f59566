"""Arithmetic that nothing holds up, the peak that products are compared with; and a chain of it, which counts cycles."""

from typing import Any

import numpy as np

from . import _host, _team
from ._registry import Kernel, as_record
from ._signature import Floats, Int, Ints

CHAINS = 12  # sums that do not wait for each other; they and the factor fit into 16 registers
COUNT = 1 << 19  # almost a millisecond, beside which the call is nothing


STEPS_IN_TURN = 16  # of a chain between two looks at the counter, which run beside it


def _products(place: Floats("W"), count: Int) -> None: ...
def _steps(place: Ints("1"), count: Int) -> None: ...


PRODUCTS = Kernel("products", "peak", _products)
STEPS = Kernel("steps", "peak", _steps)


class Peak:
    """Multiplications and additions of vectors in registers on some threads: call it to do `flops` floating-point operations."""

    def __init__(self, dtype: str, threads: int) -> None:
        lanes = _host.lanes(np.dtype(dtype).itemsize)
        place = np.full(threads * lanes, 0.5, dtype)
        self._operands = (place, COUNT)
        self._record = as_record(PRODUCTS.signature.encode(self._operands))
        self._threads = threads
        self.flops = (2.0 if _host.isa().has_fma else 1.0) * CHAINS * lanes * COUNT * threads

    def __call__(self) -> None:
        place: Any = self._operands[0]
        place[:] = 0.5
        _team.launch(PRODUCTS.entry(PRODUCTS.signature.dtypes(self._operands)), self._record, self._threads, pieces=0)


class Steps:
    """A chain of operations on an integer, each of which takes a cycle: call it to spend `cycles` of them."""

    def __init__(self) -> None:
        self._operands = (np.ones(1, np.int64), COUNT)
        self._record = as_record(STEPS.signature.encode(self._operands))
        self.cycles = float(STEPS_IN_TURN * COUNT)

    def __call__(self) -> None:
        _team.launch(STEPS.entry(STEPS.signature.dtypes(self._operands)), self._record, 1)
