"""Models in files: safetensors, which hold names, shapes and numbers and nothing that could be executed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ._arguments import instance
from .errors import DTypeError, StateError
from .nn.module import Module

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def save(state: Module | Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write a model's parameters and buffers to a safetensors file.

    The file appears complete or not at all: whatever stops the writing leaves an earlier file as it was.

    Parameters
    ----------
    state
        A module, or a mapping of names to arrays such as its `state_dict()`.
    path
        The file; by custom its name ends in `.safetensors`.
    metadata
        Notes to keep with it, text under text names.

    Raises
    ------
    DTypeError
        If `state` is neither, a value is no array of numbers, `path` is no path, or a note is no text; nothing is written then.
    """
    _check_path(path)
    if not isinstance(state, Module):
        instance("state", state, Mapping, "a module, or a mapping from names to arrays")
    notes = {} if metadata is None else dict(instance("metadata", metadata, Mapping, "a mapping from text to text"))
    for name in () if isinstance(state, Module) else state:
        instance("the names in state", name, str, "text")
    from safetensors.numpy import save as to_bytes

    arrays = {}
    for name, value in (state.state_dict() if isinstance(state, Module) else state).items():
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise DTypeError(f"save(): {name} must hold numbers, got dtype {array.dtype}")
        arrays[name] = array.copy(order="C")  # the writer ignores strides
    if not all(isinstance(text, str) for pair in notes.items() for text in pair):
        raise DTypeError(f"save(): metadata must map text to text, got {notes!r}")
    write_atomically(path, to_bytes(arrays, metadata=notes or None))


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a safetensors file, by name: what `Module.load_state_dict` takes.

    Raises StateError if the file is damaged, DTypeError if `path` is no path, OSError if the file cannot be read.
    """
    _check_path(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise StateError(f"{os.fspath(path)} is not a whole safetensors file: {error}") from error


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The notes kept with a safetensors file. Raises what `load` raises."""
    _check_path(path)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise StateError(f"{os.fspath(path)} is not a whole safetensors file: {error}") from error


def _check_path(path: Any) -> None:
    instance("path", path, (str, os.PathLike), "a path")


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` under a temporary name beside `path`, flush it to the disk and rename it. Raises OSError, when `path` is as it was."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
