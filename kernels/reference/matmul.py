"""Matrix products. Operands may have any strides, so a transpose is only a view, and a bias is a base that repeats its rows."""

import numpy as np

from .._signature import Float, Int, Strided
from . import activations, elementwise

# Elementwise kernels that a product can apply to its result, by number; those of two operands take `extra` as the second.
EPILOGUES = ("", "relu", "sigmoid", "tanh", "gelu", "silu", "relu_grad", "sigmoid_grad", "tanh_grad", "add", "add_relu", "multiply")


def gemm(
    c: Strided("B M N"),
    /,
    a: Strided("B M K", apart=True),
    b: Strided("B K N", apart=True),
    base: Strided("B M N"),
    extra: Strided("B M N"),
    alpha: Float,
    beta: Float,
    epilogue: Int,
) -> None:
    """c_i = f(alpha a_i b_i + beta base_i, extra_i) for every matrix i of a batch, f being EPILOGUES[epilogue].

    The rows or the columns of c are contiguous. With beta = 0 the base is not read, and it may be c. `extra` lies as c does, or is not
    read.
    """
    product = alpha * (a @ b)
    np.copyto(c, product if beta == 0 else product + beta * base)
    if epilogue:
        name = EPILOGUES[epilogue]
        kernel = getattr(activations, name, None) or getattr(elementwise, name)
        kernel(c, c, *([extra] if kernel.__code__.co_argcount == 3 else []))
