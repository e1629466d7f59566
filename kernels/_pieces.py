"""Functions in pieces: a polynomial for each, whose coefficients one instruction finds in a register (AVX-512, float32).

A piece ends where the two bits behind the point of t + 1 change: 0, 1/4, 1/2, 3/4, 1, 3/2, 2, 5/2, 3, 4, 5, 6, 7, 9, 11, 13, 15. So they
grow with t, as what smooth functions do far out asks for, and a few bits of t + 1 are the piece's number.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from ._coefficients import FORMATS
from ._simd import V, bits, fma, from_bits, lookup

COUNT = 16
FORM = FORMATS[np.float32]
STEP = FORM.mantissa - 2  # bits of t + 1 below those that tell pieces apart
FIRST = FORM.pattern(1.0) >> STEP  # the bits of 0 + 1 above
EDGES = ((FIRST + np.arange(COUNT + 1)) << STEP).astype(np.int32).view(np.float32).astype(np.float64) - 1

LAST = 14.75  # beyond it, functions in pieces no longer change

Function = Callable[[float], float]
Table = np.ndarray  # row: a coefficient of all pieces, highest power first


def pieces(function: Function, degree: int, odd: bool = False) -> Table:
    """Polynomials that meet `function` at Chebyshev points; of an odd one, t times that of function(t) / t in the first piece."""
    found = [_polynomial(function, degree, start, stop) for start, stop in pairwise(EDGES)]
    if odd:
        found[0] = [0.0, *_polynomial(lambda t: function(t) / t, degree - 1, *EDGES[:2])]
    return np.roll(found, FIRST, axis=0).T[::-1]


def _polynomial(function: Function, degree: int, start: float, stop: float) -> list[float]:
    """Coefficients in t - start, lowest power first."""
    found = Chebyshev.interpolate(np.vectorize(lambda u: function(start + u)), degree, domain=(0.0, stop - start))
    return found.convert(kind=Polynomial).coef.tolist()


def in_pieces(t: V, table: Table) -> V:
    """The function of a table at 0 <= t < 15 = EDGES[-1]."""
    above = bits(t + 1)
    start = from_bits(above & -(1 << STEP)) - 1
    u, piece = t - start, above >> STEP
    total = lookup(table[0], piece)
    for coefficients in table[1:]:
        total = fma(total, u, lookup(coefficients, piece))
    return total
