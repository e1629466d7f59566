"""What a machine can do at best: work that nothing but arithmetic, or nothing but memory, holds up."""

from __future__ import annotations

from functools import partial

import numpy as np

from .. import kernels
from ..kernels import _host

DEPTH = 1 << 17
COPIED = 64 << 20  # bytes: far more than any cache holds


def product_in_registers(dtype: str, threads: int) -> tuple[partial[None], float]:
    """A matrix product whose operands stay in registers and the innermost cache, and its floating-point operations.

    Each row of b is the same row, and all of a is the same number, so nothing but multiplications and additions takes time.
    """
    M = {16: 6, 32: 14}[_host.isa().registers]  # with two vectors across it fills the register file
    N = 2 * _host.lanes(np.dtype(dtype).itemsize) * threads
    a = np.broadcast_to(np.array(0.5, dtype), (M, DEPTH))
    b = np.broadcast_to(np.full(N, 0.5, dtype), (DEPTH, N))
    return partial(kernels.matmul, np.empty((M, N), dtype), a, b), 2.0 * M * N * DEPTH


def large_copy() -> tuple[partial[None], float]:
    """A copy that no cache can hold, and the bytes that it reads and writes."""
    source = np.ones(COPIED // 4, np.float32)
    return partial(kernels.run, "copy", np.zeros_like(source), source), 2.0 * COPIED
