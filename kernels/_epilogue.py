"""Epilogues: what products can apply to their result, by number, and where compiled code finds them.

Each is a small kernel of its own, called by address on one block after the other, so that the kernel of products need not hold them all.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from ._registry import KERNELS, Kernel
from ._signature import float_bits
from .reference.matmul import EPILOGUES

MOST_NUMBERS = 2  # that a formula takes


class Epilogue(Kernel):
    """An elementwise kernel as an epilogue.

    Attributes
    ----------
    numbers
        How many numbers it takes.
    """

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(f"{kernel.name}_of_blocks", kernel.family, kernel.twin.__wrapped__)
        self._kernel = kernel
        self.numbers = len(self.signature.kinds) - len(self.signature.arrays)

    def _compile(self, symbol: str, dtypes: str) -> bytes:
        from . import _codegen, _finish

        module = _finish.build(symbol, dtypes, self._kernel._implementation(), self.numbers)
        return _codegen.object_code(module, symbol, vectorize=False, level=1)


@cache
def known(number: int) -> Epilogue:
    """The epilogue of this number, which is not 0."""
    return Epilogue(KERNELS[EPILOGUES[number]])


def split(epilogue: Any) -> tuple[int, tuple[float, ...]]:
    """An epilogue, which is a number of the table or a tuple of that and what its formula takes, as both."""
    return (epilogue[0], tuple(epilogue[1:])) if isinstance(epilogue, tuple) else (epilogue, ())


def words(epilogue: Any, dtype: str) -> list[int]:
    """What the record of a call says of it: the number, the address of its code for this dtype, its formula's numbers."""
    number, numbers = split(epilogue)
    if not number:
        return [0] * (2 + MOST_NUMBERS)
    address = ctypes.cast(known(number).entry(dtype), ctypes.c_void_p).value or 0
    return [number, address, *map(float_bits, numbers), *[0] * (MOST_NUMBERS - len(numbers))]
