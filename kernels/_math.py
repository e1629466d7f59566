"""Elementary functions as formulas: range reduction, then a polynomial, without table or branch."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np

from ._formula import V, absolute, bits, clip, copysign, fma, from_bits, horner, sqrt, where

LN2 = math.log(2.0)


def exp(x: V) -> V:
    """e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln(2) / 2."""
    single = x.dtype is np.float32
    x = clip(x, *((-104.0, 89.0) if single else (-746.0, 710.0)))
    magic = 1.5 * 2.0 ** (23 if single else 52)
    shifted = fma(x, 1 / LN2, magic)
    n = shifted - magic
    high = 0.693359375 if single else 0.6931471803691238
    low = -2.12194440054690583e-4 if single else 1.9082149292705877e-10
    r = fma(n, -low, fma(n, -high, x))
    degree = 6 if single else 13
    p = horner(r, tuple(1 / math.factorial(k) for k in range(degree, -1, -1)))
    k = bits(shifted)
    mantissa, bias = (23, 127) if single else (52, 1023)
    # two factors, so that results in the denormal range and just below infinity come out right
    half = from_bits(((bits(fma(n, 0.5, magic)) + bias) << mantissa))
    n_half = fma(n, 0.5, magic) - magic
    rest = from_bits((bits(n - n_half + magic) + bias) << mantissa)
    return p * half * rest
