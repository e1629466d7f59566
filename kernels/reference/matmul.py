"""Matrix products. Operands may have any strides, so a transpose is only a view, and a bias is a base that repeats its rows."""

import numpy as np

from .._signature import Epilogue, Float, Floats, Strided
from . import activations, elementwise

# Elementwise kernels that a product can apply to its result, by number: every activation, its derivative times the result, and some
# arithmetic. Those of two arrays take `extra` as the second.
SIMPLE = ("relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "mish", "softsign", "selu", "relu6", "hardsigmoid", "hardswish")
ACTIVATIONS = (*SIMPLE, "leaky_relu", "elu", "celu", "softplus", "hardtanh")  # the latter take numbers
EPILOGUES = ("", *ACTIVATIONS, *[f"{name}_grad" for name in ACTIVATIONS], "add", "add_relu", "multiply")
OF_TWO = range(1 + len(ACTIVATIONS), len(EPILOGUES))


def gemm(
    c: Strided("B M N"),
    sums: Floats("B S"),
    /,
    a: Strided("B M K", apart=True),
    b: Strided("B K N", apart=True),
    base: Strided("B M N"),
    extra: Strided("B M N", apart=OF_TWO),
    alpha: Float,
    beta: Float,
    epilogue: Epilogue,
) -> None:
    """c_i = f(alpha a_i b_i + beta base_i, extra_i) for every matrix i of a batch, f being EPILOGUES[epilogue]; sums_i = a_i 1.

    S is 0, or M: sums of the rows of a are wanted then, added up in float64. Where the product is the gradient dy' x of a linear map's
    weight, they are the gradient of its bias.

    The rows or the columns of c are contiguous. With beta = 0 the base is not read, and it may be c. `extra` is read only where f takes two
    arrays; it lies as c does then, but in other memory, since c holds parts of the products before f is applied. Where f takes numbers,
    `epilogue` is a tuple: which f, and they.
    """
    if sums.size:
        np.copyto(sums, np.sum(a, axis=2, dtype=np.float64))
    product = alpha * (a @ b)
    np.copyto(c, product if beta == 0 else product + beta * base)
    number, *numbers = epilogue if isinstance(epilogue, tuple) else (epilogue,)
    if number:
        name = EPILOGUES[number]
        kernel = getattr(activations, name, None) or getattr(elementwise, name)
        kernel(c, c, *([extra] if number in OF_TWO else []), *numbers)
