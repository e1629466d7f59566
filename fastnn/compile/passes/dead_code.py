"""Dead code: instructions whose results nobody reads."""

from __future__ import annotations

from ..memory import root
from ..recording import Recording


def remove_dead_code(recording: Recording) -> None:
    """Drop every instruction that writes only temporaries which nothing after it reads."""
    temporaries = recording.temporaries()
    needed = {id(root(a)) for a in recording.outputs}
    kept = []
    for instruction in reversed(recording.instructions):
        written = {id(root(a)) for a in instruction.outputs}
        if written <= temporaries.keys() and not written & needed:
            continue
        needed |= {id(root(a)) for a in instruction.inputs}
        kept.append(instruction)
    recording.instructions = kept[::-1]
