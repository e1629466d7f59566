"""Arithmetic that nothing holds up: the peak that products are compared with."""

from typing import Any

import numpy as np

from . import _host, _team
from ._registry import Kernel, as_record
from ._signature import Floats, Int

CHAINS = 12  # sums that do not wait for each other; they and the factor fit into 16 registers
COUNT = 1 << 19  # almost a millisecond, beside which the call is nothing


def _products(place: Floats("W"), count: Int) -> None: ...


PRODUCTS = Kernel("products", "peak", _products)


class Peak:
    """Multiplications and additions of vectors in registers on some threads: call it to do `flops` floating-point operations."""

    def __init__(self, dtype: str, threads: int) -> None:
        lanes = _host.lanes(np.dtype(dtype).itemsize)
        place = np.full(threads * lanes, 0.5, dtype)
        self._operands = (place, COUNT)
        self._record = as_record(PRODUCTS.signature.encode(self._operands))
        self._threads = threads
        self.flops = 2.0 * CHAINS * lanes * COUNT * threads

    def __call__(self) -> None:
        place: Any = self._operands[0]
        place[:] = 0.5
        _team.launch(PRODUCTS.entry(PRODUCTS.signature.dtypes(self._operands)), self._record, self._threads)
