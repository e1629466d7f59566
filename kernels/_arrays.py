"""Kernels on plain NumPy arrays: unchecked, as layers above call them, or as functions that check what they are given.

Large work is spread over the thread team.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _registry, _team
from ._epilogue import known, split
from ._errors import ArgumentError, DTypeError, ShapeError
from ._mailbox import ALWAYS, IF_OFTEN
from ._overlap import overlaps_itself
from ._registry import KERNELS, Kernel, as_record
from ._replay import BRIEF, IF_AWAKE, Replay
from ._signature import KINDS, check_array
from .reference.matmul import EPILOGUES, OF_TWO

SHARED_BYTES = 1 << 20  # operands of fewer bytes are worked through sooner than another thread has joined in
ROW_BYTES = 1 << 18  # the same for structured kernels
BRIEF_BYTES = SHARED_BYTES // 4  # of products and elementwise kernels: the same where no Python is needed to call the others
WAKING_BYTES = 1 << 24  # from here on, work repays waking threads that are asleep
PRODUCTS = 16  # how many multiplications there may be for each byte of a product's result until they take longer than reading does
CONVOLVED_BYTES = 1 << 20  # of convolutions, which do more with each byte, the same as WAKING_BYTES


def share(kernel: Kernel, operands: tuple[Any, ...], large: int) -> None:
    """Run a kernel on operands that fit its signature, `large` work on all threads."""
    signature = kernel.signature
    record = as_record(signature.encode(operands))
    waking = IF_OFTEN if large == IF_AWAKE else ALWAYS
    _team.launch(kernel.entry(signature.dtypes(operands)), record, 1 if large in (0, BRIEF) else _team.get_num_threads(), waking)


def run(name: str, *operands: Any) -> None:
    """Run the kernel `name` on operands that are known to fit its signature, on the backend in use."""
    kernel = KERNELS[name]
    if _registry._backend == "numpy":
        kernel.twin(*operands)
    else:
        share(kernel, operands, is_large(name, operands))


def is_large(name: str, operands: tuple[Any, ...]) -> int:
    """Whether a call is worth more than one thread: 0, 1, `IF_AWAKE`, or `BRIEF`."""
    brief, shared, waking = ROW_BYTES, ROW_BYTES, WAKING_BYTES
    if name == "gemm":
        c, _, a, b = operands[:4]
        size = max(c.nbytes + a.nbytes + b.nbytes, c.nbytes * a.shape[2] // PRODUCTS)
        brief, shared = BRIEF_BYTES, SHARED_BYTES
    else:
        size = sum([a.nbytes for a in operands if isinstance(a, np.ndarray)])
        if KERNELS[name].signature.nested:
            brief, shared = BRIEF_BYTES, SHARED_BYTES
        elif KERNELS[name].family in ("convolution", "winograd"):
            waking = CONVOLVED_BYTES
    return 1 if size >= waking else IF_AWAKE if size >= shared else BRIEF if size >= brief else 0


def function(name: str) -> Callable[..., None]:
    """The kernel `name` as a function: outputs first; raises typed errors for operands that do not fit."""
    kernel, replay = KERNELS[name], Replay()

    def call(*operands: Any) -> None:
        compiled = _registry._backend == "numba"
        if compiled and (replay.short(*operands) or replay(operands)):
            return
        kernel.signature.validate(operands)
        if name == "gemm":
            _check_gemm(*operands)
        if compiled:
            large = is_large(name, operands)
            share(kernel, operands, large)
            replay.learn(operands, kernel, large)
        else:
            kernel.twin(*operands)

    call.__name__ = call.__qualname__ = name
    call.__signature__ = kernel.signature.shown()
    call.__doc__ = kernel.twin.__doc__
    return call


_product = Replay()


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
        If the shapes do not fit each other, or `out` is read-only, repeats memory or shares it with an operand.
    """
    if _registry._backend == "numba" and (_product.short(out, a, b) or _product((out, a, b))):
        return
    _check_product(out, a, b)
    if not _has_rows(out):
        compact = np.empty_like(out, order="C", subok=False)
        matmul(compact, a, b)
        np.copyto(out, compact)
        return
    gemm = KERNELS["gemm"]
    given = (out[None], np.empty((1, 0), out.dtype), a[None], b[None], out[None], out[None], 1.0, 0.0, 0)
    if _registry._backend == "numba":
        large = is_large("gemm", given)
        share(gemm, given, large)
        _product.learn((out, a, b), gemm, large, given, origins=(0, 0, 1, 2, 0, 0), apart=(1, 2))
    else:
        gemm.twin(*given)


def _check_gemm(c: Any, sums: Any, a: Any, b: Any, base: Any, extra: Any, alpha: float, beta: float, epilogue: Any) -> None:
    """Raise what `gemm` raises beside what its signature says."""
    if len(c) and not _has_rows(c[0]):
        raise ShapeError(f"gemm(): the rows or the columns of c must be contiguous, got strides {c.strides}")
    if sums.shape[1] not in (0, c.shape[1]):
        raise ShapeError(f"gemm(): sums must have a place for each of the {c.shape[1]} rows, or none; got shape {sums.shape}")
    number, numbers = split(epilogue)
    if not 0 <= number < len(EPILOGUES):
        raise ArgumentError(f"gemm(): epilogue must be a number from 0 to {len(EPILOGUES) - 1}, got {number}")
    wanted = known(number).numbers if number else 0
    if len(numbers) != wanted:
        raise ArgumentError(f"gemm(): the epilogue {EPILOGUES[number]} takes {wanted} numbers, got {len(numbers)}")
    along = 2 if c.shape[2] > 1 and c.strides[2] == c.itemsize else 1
    in_pieces = c.shape[along] > 1 and c.strides[along] == c.itemsize
    if number in OF_TWO and c.size and in_pieces and extra.strides[along] != c.itemsize:
        raise ShapeError(f"gemm(): extra must lie as c does, with strides {c.strides}, or repeat whole rows; got {extra.strides}")


def _has_rows(out: np.ndarray[Any, Any]) -> bool:
    """Whether the items of each row, or those of each column, lie side by side: `gemm` stores whole vectors."""
    return not out.size or any(size == 1 or stride == out.itemsize for size, stride in zip(out.shape, out.strides, strict=True))


def _check_product(out: Any, a: Any, b: Any) -> None:
    """Raise what `matmul` raises."""
    for name, array in (("out", out), ("a", a), ("b", b)):
        check_array(f"matmul(): {name}", array)
        if array.dtype != out.dtype or array.dtype not in KINDS["float"]:
            raise DTypeError(f"matmul(): all arrays must be float32, or all float64; {name} has {array.dtype}, out has {out.dtype}")
        if array.ndim != 2:
            raise ShapeError(f"matmul(): {name} must have two dimensions, got shape {array.shape}")
    (M, K), N = a.shape, b.shape[1]
    if b.shape[0] != K or out.shape != (M, N):
        raise ShapeError(f"matmul(): out must have shape (M, N), a (M, K) and b (K, N); got {out.shape}, {a.shape} and {b.shape}")
    if not out.flags.writeable:
        raise ShapeError("matmul(): out must be writeable")
    if overlaps_itself(out):
        raise ShapeError(f"matmul(): out must not repeat memory, got strides {out.strides}")
    if np.shares_memory(out, a) or np.shares_memory(out, b):
        raise ShapeError("matmul(): out must not share memory with a or b")
