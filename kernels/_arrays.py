"""Kernels as functions on plain NumPy arrays: operands are checked once, large work is spread over the thread team."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _registry, _team
from ._errors import DTypeError, ShapeError
from ._registry import KERNELS, Kernel, as_record
from ._signature import KINDS

SHARED_BYTES = 1 << 20  # operands of fewer bytes are worked through sooner than another thread wakes up
SHARED_FLOPS = 1 << 23  # the same for products


def share(kernel: Kernel, operands: tuple[Any, ...], large: bool) -> None:
    """Run a kernel on operands that fit its signature, `large` work on all threads."""
    if _registry.get_backend() == "numpy":
        kernel.twin(*operands)
        return
    signature = kernel.signature
    record = as_record(signature.encode(operands))
    _team.launch(kernel.entry(signature.dtypes(operands)), record, _team.get_num_threads() if large else 1)


def function(name: str) -> Callable[..., None]:
    """The kernel `name` as a function: outputs first; raises typed errors for operands that do not fit."""
    kernel = KERNELS[name]

    def call(*operands: Any) -> None:
        kernel.signature.validate(operands)
        share(kernel, operands, sum(a.nbytes for a in operands if isinstance(a, np.ndarray)) >= SHARED_BYTES)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = kernel.twin.__doc__
    return call


def matmul(out: np.ndarray[Any, Any], a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> None:
    """out = a b.

    Parameters
    ----------
    out
        (M, N), writeable, of any strides, sharing no memory with a and b
    a, b
        (M, K) and (K, N), float32 or float64 like `out`, of any strides: a transpose is only a view

    Raises
    ------
    DTypeError
        If one of them is no array, or their dtypes are not the same float.
    ShapeError
        If the shapes do not fit each other, or `out` is read-only or shares memory with an operand.
    """
    for name, array in (("out", out), ("a", a), ("b", b)):
        if not isinstance(array, np.ndarray):
            raise DTypeError(f"matmul(): {name} must be a numpy array, got {type(array).__name__}")
        if array.dtype != out.dtype or array.dtype not in KINDS["float"]:
            raise DTypeError(f"matmul(): all arrays must be float32, or all float64; {name} has {array.dtype}, out has {out.dtype}")
        if array.ndim != 2:
            raise ShapeError(f"matmul(): {name} must have two dimensions, got shape {array.shape}")
    (M, K), N = a.shape, b.shape[1]
    if b.shape[0] != K or out.shape != (M, N):
        raise ShapeError(f"matmul(): out must have shape (M, N), a (M, K) and b (K, N); got {out.shape}, {a.shape} and {b.shape}")
    if not out.flags.writeable:
        raise ShapeError("matmul(): out must be writeable")
    if np.shares_memory(out, a) or np.shares_memory(out, b):
        raise ShapeError("matmul(): out must not share memory with a or b")
    share(KERNELS["gemm"], (out[None], a[None], b[None], out[None], out[None], 1.0, 0.0, 0), 2 * M * N * K >= SHARED_FLOPS)
