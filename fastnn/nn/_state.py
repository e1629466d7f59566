"""Loading saved values into the arrays of a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DTypeError, StateError
from ..tensor import Array, Tensor

MAY_BE_MISSING = "num_batches_tracked"  # files from before batch normalisation counted lack it; the count stays as it is then


class IncompatibleKeys(NamedTuple):
    """The names that a saved state lacks, and those that the module does not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(owner: str, state: Mapping[str, Tensor], saved: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Write `saved` into the arrays of `state`: everything is read and checked before the first value is written."""
    if not isinstance(saved, Mapping):
        raise DTypeError(f"state_dict must map names to arrays, got {type(saved).__name__}")
    missing = [n for n in state if n not in saved and n.rpartition(".")[2] != MAY_BE_MISSING]
    keys = IncompatibleKeys(missing, [n for n in saved if n not in state])
    problems = []
    if strict and keys.missing_keys:
        problems.append(f"missing: {', '.join(keys.missing_keys)}")
    if strict and keys.unexpected_keys:
        problems.append(f"unexpected: {', '.join(map(str, keys.unexpected_keys))}")
    values: dict[str, Array] = {}
    for name, tensor in state.items():
        if name in saved:
            value, problem = _read(saved[name], tensor)
            if value is None:
                problems.append(f"{name}: {problem}")
            else:
                values[name] = value
    if problems:
        raise StateError(f"state_dict does not fit this {owner}:\n  " + "\n  ".join(problems))
    for name, value in values.items():
        # Into the array that is there: it may be a view of an optimiser's flat buffer.
        np.copyto(state[name].data, value)
    return keys


def _read(value: Any, target: Tensor) -> tuple[Array | None, str]:
    """A copy of `value` with the dtype of `target`, or None and what is wrong with it."""
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        return None, f"NumPy cannot read this {type(value).__name__} ({error})"
    if array.shape != target.shape:
        return None, f"has shape {array.shape}, the module's is {target.shape}"
    if array.dtype.kind not in "biuf":
        return None, f"has dtype {array.dtype}, which holds no real numbers"
    return array.astype(target.dtype), ""
