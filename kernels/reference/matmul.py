"""Matrix products. Operands may have any strides, so a transpose is only a view."""

import numpy as np

from .._signature import Float, Floats, Strided


def gemm(c: Strided("M N"), a: Strided("M K"), b: Strided("K N"), alpha: Float, beta: Float) -> None:
    """c = alpha a b + beta c; with beta = 0 the old c is not read."""
    product = alpha * (a @ b)
    np.copyto(c, product if beta == 0 else product + beta * c)


def gemm_bias(c: Strided("M N"), a: Strided("M K"), b: Strided("K N"), bias: Floats("N")) -> None:
    """c = a b + bias, the bias added to every row."""
    np.copyto(c, a @ b + bias)


def gemm_batched(c: Strided("B M N"), a: Strided("B M K"), b: Strided("B K N"), alpha: Float, beta: Float) -> None:
    """c_i = alpha a_i b_i + beta c_i for every matrix i of a batch."""
    product = alpha * (a @ b)
    np.copyto(c, product if beta == 0 else product + beta * c)
