"""Operations on tensors: each validates its arguments, runs kernels, and notes its gradient rules on the tape.

Their public face is `fastnn.nn.functional`; here they become operators and methods of tensors.
"""

from ..tensor import Tensor
from .activations import relu, sigmoid, tanh
from .elementwise import (
    absolute,
    add,
    clip,
    cos,
    divide,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    multiply,
    negative,
    power,
    sin,
    sqrt,
    subtract,
)
from .indexing import getitem, iterate
from .matmul import matmul
from .reduce import argmax, max, mean, min, sum, var
from .shape import astype, broadcast_to, chunk, contiguous, flatten, permute, reshape, reverse_dims, split, squeeze, transpose, unsqueeze

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
