"""Softmax and cross entropy: a logarithmic softmax that only a likelihood loss reads becomes part of that loss."""

from __future__ import annotations

import numpy as np

from ...kernels import Instruction
from ..memory import root, same_items
from ..recording import Recording


def join_softmax_and_loss(recording: Recording) -> None:
    """Replace log_softmax and nll, and their gradients, by cross_entropy and its gradient, which never write the probabilities down."""
    for n, instruction in enumerate(recording.instructions):
        if instruction.kernel == "log_softmax" and _join(recording, n):
            join_softmax_and_loss(recording)
            return


def _join(recording: Recording, n: int) -> bool:
    y, x = recording.instructions[n].operands
    users = [i for i in recording.uses()[id(root(y))] if i != n]
    found = {recording.instructions[i].kernel: i for i in users if i < len(recording.instructions)}
    backward = {"nll", "log_softmax_grad"}
    if len(found) != len(users) or found.keys() not in ({"nll"}, backward) or id(root(y)) not in recording.temporaries():
        return False
    forward = recording.instructions[found["nll"]]
    loss, scores, target, weight, ignored = forward.operands
    if not same_items(scores, y):
        return False
    lse = np.empty(len(x), x.dtype)
    changes: dict[int, Instruction | None] = {
        n: None,
        found["nll"]: Instruction("cross_entropy", (loss, lse, x, target, weight, 0.0, ignored)),
    }
    if found.keys() == backward:
        dx, dy, _ = recording.instructions[found["log_softmax_grad"]].operands
        writers = [i for i in recording.uses()[id(root(dy))] if i != found["log_softmax_grad"]]
        if len(writers) != 1 or recording.instructions[writers[0]].kernel != "nll_grad":
            return False
        _, dloss, *_ = recording.instructions[writers[0]].operands
        changes[writers[0]] = None
        changes[found["log_softmax_grad"]] = Instruction("cross_entropy_grad", (dx, dloss, x, lse, target, weight, 0.0, ignored))
    recording.instructions = [kept for i, old in enumerate(recording.instructions) if (kept := changes.get(i, old)) is not None]
    return True
