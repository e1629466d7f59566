"""Matrix products. Operands may have any strides, so a transpose is only a view, and a bias is a base that repeats its rows."""

import numpy as np

from .._signature import Float, Strided


def gemm(c: Strided("B M N"), /, a: Strided("B M K"), b: Strided("B K N"), base: Strided("B M N"), alpha: Float, beta: Float) -> None:
    """c_i = alpha a_i b_i + beta base_i for every matrix i of a batch; with beta = 0 the base is not read. The base may be c."""
    product = alpha * (a @ b)
    np.copyto(c, product if beta == 0 else product + beta * base)
