"""Bias gradients: the product that is a weight's gradient sums what it reads anyway, over the batch, for the gradient of the bias."""

from __future__ import annotations

from ...kernels import Instruction
from ..memory import address
from ..recording import Recording


def join_bias_sums(recording: Recording) -> None:
    """Let each product dy' x also compute the sums of dy over its rows, where an instruction of its own does."""
    n = 0
    while n < len(recording.instructions):
        n += not (recording.instructions[n].kernel == "reduce_sum" and _join(recording, n))


def _join(recording: Recording, n: int) -> bool:
    """Whether there is a product that sum n has become a part of."""
    total = recording.instructions[n]
    for i, product in enumerate(recording.instructions):
        if product.kernel != "gemm" or not _sums_what_is_multiplied(total, product):
            continue
        first, last = min(i, n), max(i, n)
        if any(recording.depend(total, other) for other in recording.instructions[first + 1 : last]):
            continue
        c, _, *rest = product.operands
        recording.instructions[i] = Instruction("gemm", (c, total.operands[0].reshape(1, c.shape[1]), *rest))
        del recording.instructions[n]
        return True
    return False


def _sums_what_is_multiplied(total: Instruction, product: Instruction) -> bool:
    """Whether a sum over the middle dimension adds up the rows of a product's left operand, which does not do so yet."""
    _, x = total.operands
    _, sums, a = product.operands[:3]
    if sums.size or not a.size or len(a) != 1 or len(x) != 1:
        return False
    left, turned = a[0], x[0].T
    return address(left) == address(turned) and (left.shape, left.strides) == (turned.shape, turned.strides)
