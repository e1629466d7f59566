"""Functions in pieces: a polynomial for each, whose coefficients one instruction finds in a register (AVX-512, float32).

A piece ends where the two bits behind the point of t + 1 change: 0, 1/4, 1/2, 3/4, 1, 3/2, 2, 5/2, 3, 4, 5, 6, 7, 9, 11, 13, 15. So they
grow with t, as what smooth functions do far out asks for, and a few bits of t + 1 are the piece's number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import ArrayLike

from ._coefficients import FORMATS
from ._simd import V, bits, fma, lookup

COUNT = 16
FORM = FORMATS[np.float32]
STEP = FORM.mantissa - 2  # bits of t + 1 below those that tell pieces apart
FIRST = FORM.pattern(1.0) >> STEP  # the bits of 0 + 1 above
EDGES = ((FIRST + np.arange(COUNT + 1)) << STEP).astype(np.int32).view(np.float32).astype(np.float64) - 1

LAST = 14.75  # beyond it, functions in pieces no longer change

Function = Callable[[float], float]
Table = np.ndarray  # row: a number for each piece, in the order of the bits that tell them apart


def _table(rows: Sequence[ArrayLike]) -> Table:
    """The table of a row of numbers for each piece."""
    return np.roll(rows, FIRST, axis=0).T


ORIGINS = np.r_[0.0, (EDGES[1:-1] + EDGES[2:]) / 2]  # of polynomials: amid their pieces, but at 0 in the first, where functions are odd
ORIGIN = _table(ORIGINS)


def pieces(function: Function, degree: int, odd: bool = False) -> Table:
    """Polynomials that meet `function` at Chebyshev points; of an odd one, t times that of function(t) / t in the first piece."""
    found = [_polynomial(function, degree, *piece) for piece in zip(ORIGINS, EDGES[:-1], EDGES[1:], strict=True)]
    if odd:
        found[0] = [0.0, *_polynomial(lambda t: function(t) / t, degree - 1, 0.0, *EDGES[:2])]
    return _table(found)[::-1]


def _polynomial(function: Function, degree: int, origin: float, start: float, stop: float) -> list[float]:
    """Coefficients in t - origin, lowest power first."""
    found = Chebyshev.interpolate(np.vectorize(lambda u: function(origin + u)), degree, domain=(start - origin, stop - origin))
    coefficients = found.convert(kind=Polynomial).coef.tolist()
    return coefficients + [0.0] * (degree + 1 - len(coefficients))  # a constant function has but one


def in_pieces(t: V, table: Table) -> V:
    """The function of a table at 0 <= t < 15 = EDGES[-1]."""
    piece = bits(t + 1) >> STEP
    u = t - lookup(ORIGIN, piece)
    total = lookup(table[0], piece)
    for coefficients in table[1:]:
        total = fma(total, u, lookup(coefficients, piece))
    return total
