"""In-place reuse: an elementwise result takes the memory of an operand that is not needed afterwards."""

from __future__ import annotations

import numpy as np

from ...kernels import KERNELS
from ...tensor import Array
from ..memory import as_bytes, root
from ..recording import Recording


def reuse_in_place(recording: Recording) -> None:
    """Let elementwise instructions write over a temporary of the same layout that dies there."""
    uses = recording.uses()
    temporaries = recording.temporaries()
    kept = {id(root(a)) for a in recording.outputs}

    def whole(a: Array) -> bool:
        return a.flags.c_contiguous and a.nbytes == root(a).nbytes and id(root(a)) in temporaries

    for i in range(len(recording.instructions)):
        instruction = recording.instructions[i]
        if not KERNELS[instruction.kernel].signature.elementwise or len(instruction.outputs) != 1:
            continue
        y = instruction.outputs[0]
        if not whole(y) or uses[id(root(y))][0] != i:
            continue
        for x in instruction.inputs:
            alone = sum(root(a) is root(x) for a in instruction.operands if isinstance(a, np.ndarray)) == 1
            if whole(x) and alone and id(root(x)) not in kept and x.shape == y.shape and x.dtype == y.dtype and uses[id(root(x))][-1] == i:
                gone = root(y)
                recording.relocate(gone, as_bytes(x))
                uses[id(root(x))] += uses.pop(id(gone))[1:]
                del temporaries[id(gone)]
                if id(gone) in kept:
                    kept.add(id(root(x)))
                break
