"""Matrix products."""

import numpy as np

from .._signature import Float, Strided


def gemm(c: Strided("M N"), a: Strided("M K"), b: Strided("K N"), alpha: Float, beta: Float) -> None:
    """c = alpha a b + beta c; with beta = 0 the old c is not read."""
    product = alpha * (a @ b)
    np.copyto(c, product if beta == 0 else product + beta * c)
