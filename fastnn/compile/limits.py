"""What a machine can do at best: work that nothing but arithmetic, or nothing but memory, holds up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .. import kernels
from ..kernels._peak import Peak, Steps

COPIED = 64 << 20  # bytes: far more than any cache holds


def products_in_registers(dtype: str, threads: int) -> tuple[Callable[[], None], float]:
    """Multiplications and additions of vectors that stay in registers, and how many floating-point operations they are."""
    peak = Peak(dtype, threads)
    return peak, peak.flops


def dependent_steps() -> tuple[Callable[[], None], float]:
    """Operations on an integer, each of which takes one cycle and waits for the one before, and how many cycles they take."""
    steps = Steps()
    return steps, steps.cycles


def large_copy() -> tuple[partial[None], float]:
    """A copy that no cache can hold, and the bytes that it reads and writes."""
    source = np.ones(COPIED // 4, np.float32)
    return partial(kernels.run, "copy", np.zeros_like(source), source), 2.0 * COPIED
