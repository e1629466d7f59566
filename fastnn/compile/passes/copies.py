"""Copy forwarding: a result that is only copied somewhere is computed there in the first place."""

from __future__ import annotations

import numpy as np

from ...tensor import Array
from ..memory import as_bytes, overlap, root
from ..recording import Recording


def forward_copies(recording: Recording) -> None:
    """Remove `copy(target, source)` where source is a whole temporary that dies there and target is free until then."""
    i = 0
    while i < len(recording.instructions):
        kernel, operands = recording.instructions[i]
        if kernel != "copy" or not _forward(recording, i, *operands):
            i += 1


def _forward(recording: Recording, i: int, target: Array, source: Array) -> bool:
    whole = root(source)
    uses = recording.uses()
    key = id(whole)
    fits = (
        key in recording.temporaries()
        and key not in {id(root(a)) for a in recording.outputs}
        and source.dtype == target.dtype
        and source.shape == target.shape
        and source.nbytes == whole.nbytes
        and source.flags.c_contiguous
        and target.flags.c_contiguous
        and uses[key][-1] == i
    )
    if not fits:
        return False
    between = recording.instructions[uses[key][0] : i]
    if any(overlap(a, target) for instruction in between for a in instruction.operands if isinstance(a, np.ndarray)):
        return False
    del recording.instructions[i]
    recording.relocate(whole, as_bytes(target))
    return True
