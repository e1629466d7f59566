"""Fusion: a product applies what follows it to its result, while that is in cache; so does batch normalisation."""

from __future__ import annotations

import numpy as np

from ...kernels import CONVOLUTION_EPILOGUES, EPILOGUES, Instruction
from ...tensor import Array
from ..memory import address, overlap, root
from ..recording import Recording

# Kernels that can apply an elementwise one to their result: which ones they know, and where the second operand of that one stands.
EPILOGUES_OF = {
    "gemm": (EPILOGUES, 5),
    "conv2d": (CONVOLUTION_EPILOGUES, 4),
    "conv2d_input_grad": (CONVOLUTION_EPILOGUES, 3),
    "batch_norm": (CONVOLUTION_EPILOGUES, 6),
}
RESULT, EPILOGUE = 0, -1
PAIRS = {("add", "relu"): "add_relu"}  # elementwise kernels one after the other, and the kernel that does both


def fuse(recording: Recording) -> None:
    """Join elementwise pairs first, then kernels with epilogues and what follows them, until no more fit."""
    for join in (_fuse_pair, _fuse_epilogue, _fuse_added_gradient):
        n = 0
        while n < len(recording.instructions):
            n += not join(recording, n)


def _producer(recording: Recording, n: int, operand: int) -> int | None:
    """The instruction that computes an operand of instruction n, if that one operand is all that its memory is used for."""
    consumer = recording.instructions[n]
    value = consumer.operands[operand]
    if sum(root(a) is root(value) for a in consumer.operands if isinstance(a, np.ndarray)) > 1:  # a product times itself
        return None
    uses = recording.uses().get(id(root(value)), [])
    if len(uses) != 2 or uses[1] != n or id(root(value)) not in recording.temporaries():
        return None
    producer = recording.instructions[uses[0]]
    since = recording.instructions[uses[0] + 1 : n + 1]
    if any(overlap(a, b) for i in since for a in i.outputs for b in producer.inputs):
        return None
    return uses[0] if _lies_as(producer.operands[0], value) else None


def _lies_as(a: Array, b: Array) -> bool:
    """Whether two views of the same memory are its same items in the same order, whatever their shapes."""
    return a.size == b.size and address(a) == address(b) and a.flags.c_contiguous and b.flags.c_contiguous


def _fuse_pair(recording: Recording, n: int) -> bool:
    consumer = recording.instructions[n]
    for (first, second), both in PAIRS.items():
        if consumer.kernel == second:
            i = _producer(recording, n, 1)
            if i is not None and recording.instructions[i].kernel == first:
                operands = recording.instructions[i].operands[1:]
                recording.instructions[n] = Instruction(both, (consumer.operands[0], *operands))
                del recording.instructions[i]
                return True
    return False


def _fuse_epilogue(recording: Recording, n: int) -> bool:
    consumer = recording.instructions[n]
    if consumer.kernel not in EPILOGUES[1:]:
        return False
    y = consumer.operands[0]
    sides = (1, 2) if consumer.kernel in ("add", "add_relu", "multiply") else (1,)
    for side in sides:
        i = _producer(recording, n, side)
        if i is None:
            continue
        producer = recording.instructions[i]
        known, extra = EPILOGUES_OF.get(producer.kernel, ((), 0))
        rest = [x for k, x in enumerate(consumer.operands) if k not in (0, side)]
        others, numbers = [x for x in rest if isinstance(x, np.ndarray)], [x for x in rest if not isinstance(x, np.ndarray)]
        operands = list(producer.operands)
        c = operands[RESULT]
        fits = consumer.kernel in known and operands[EPILOGUE] == 0 and y.flags.c_contiguous and y.size == c.size
        if not fits or any(not x.flags.c_contiguous or x.shape != y.shape or x.dtype != y.dtype or overlap(x, y) for x in others):
            continue
        number = known.index(consumer.kernel)
        operands[RESULT], operands[EPILOGUE] = y.reshape(c.shape), (number, *numbers) if numbers else number
        if others:
            operands[extra] = others[0].reshape(c.shape)
        recording.instructions[n] = Instruction(producer.kernel, tuple(operands))
        del recording.instructions[i]
        return True
    return False


def _fuse_added_gradient(recording: Recording, n: int) -> bool:
    """The gradient of layer_norm, and that of what goes past it, in one."""
    consumer = recording.instructions[n]
    for side in (1, 2) if consumer.kernel == "add" else ():
        i = _producer(recording, n, side)
        if i is None or recording.instructions[i].kernel != "layer_norm_grad":
            continue
        dx, dweights, dbiases, dy, x, *others = recording.instructions[i].operands
        y, extra = consumer.operands[0], consumer.operands[3 - side]
        if any(not a.flags.c_contiguous or a.size != dx.size or a.dtype != dx.dtype for a in (y, extra)):
            continue
        between = recording.instructions[i + 1 : n]
        if any(recording.depend(consumer, other) for other in between):
            continue
        operands = (y.reshape(dx.shape), dweights, dbiases, dy, x, extra.reshape(dx.shape), *others)
        recording.instructions[i : n + 1] = [Instruction("layer_norm_grad_add", operands), *between]
        return True
    return False
