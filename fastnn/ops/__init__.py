"""Operations on tensors: each validates its arguments, runs kernels, and notes its gradient rules on the tape."""

from ..tensor import Tensor
from .activations import (
    celu,
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    maxout,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    tanh,
)
from .classification import cross_entropy, nll_loss
from .elementwise import (
    absolute,
    add,
    clip,
    cos,
    divide,
    erf,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sign,
    sin,
    sqrt,
    subtract,
    where,
)
from .indexing import embedding, getitem, iterate
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    hinge_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from .matmul import bilinear, linear, matmul
from .reduce import argmax, max, mean, min, sum, sum_to, var
from .shape import (
    astype,
    broadcast_to,
    chunk,
    concatenate,
    contiguous,
    flatten,
    pad,
    permute,
    reshape,
    reverse_dims,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)
from .softmax import log_softmax, softmax

METHODS = {
    "__add__": add,
    "__sub__": subtract,
    "__mul__": multiply,
    "__truediv__": divide,
    "__pow__": power,
    "__matmul__": matmul,
    "__neg__": negative,
    "__abs__": absolute,
    "__lt__": less,
    "__le__": less_equal,
    "__gt__": greater,
    "__ge__": greater_equal,
    "__getitem__": getitem,
    "__iter__": iterate,
    "abs": absolute,
    "argmax": argmax,
    "astype": astype,
    "broadcast_to": broadcast_to,
    "chunk": chunk,
    "clip": clip,
    "contiguous": contiguous,
    "cos": cos,
    "exp": exp,
    "flatten": flatten,
    "log": log,
    "matmul": matmul,
    "max": max,
    "mean": mean,
    "min": min,
    "permute": permute,
    "pow": power,
    "relu": relu,
    "reshape": reshape,
    "sigmoid": sigmoid,
    "sin": sin,
    "split": split,
    "sqrt": sqrt,
    "squeeze": squeeze,
    "sum": sum,
    "tanh": tanh,
    "transpose": transpose,
    "unsqueeze": unsqueeze,
    "var": var,
}
REFLECTED = {"__radd__": add, "__rsub__": subtract, "__rmul__": multiply, "__rtruediv__": divide, "__rpow__": power, "__rmatmul__": matmul}

for _name, _operation in METHODS.items():
    setattr(Tensor, _name, _operation)
for _name, _operation in REFLECTED.items():
    setattr(Tensor, _name, lambda b, a, operation=_operation: operation(a, b))
Tensor.T = property(reverse_dims)  # type: ignore[assignment, method-assign]
