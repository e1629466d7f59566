"""The typed errors that every public function raises.

Each message names the argument, what it was and what it should have been, and is raised before anything changes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FastnnError(Exception):
    """Base of all errors that this library raises on purpose."""


class ShapeError(FastnnError, ValueError):
    """An array has the wrong shape, rank or layout."""


class DTypeError(FastnnError, TypeError):
    """An array or argument has the wrong dtype or type."""


class ArgumentError(FastnnError, ValueError):
    """An argument lies outside its allowed values."""


class LabelError(FastnnError, ValueError):
    """A target is not what the loss is defined for: a class that does not exist, not a number, outside 0 to 1, ..."""


class UnknownNameError(FastnnError, ValueError, LookupError):
    """A name (activation, loss, optimiser, backend, data set, ...) is not in its table."""


class StateError(FastnnError, RuntimeError):
    """An object is not in the state that the call needs, or a saved state does not fit."""


class MissingDependencyError(FastnnError, ImportError):
    """An optional package is needed and is not installed."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a `name` that is not among the `known` ones, with the nearest of them as a hint."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return UnknownNameError(f"unknown {kind} {shown(name)}{hint} Known: {', '.join(filter(None, names))}")


def shown(value: object) -> str:
    """A value as a message shows it: itself where that is short, else what kind it is."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text and " at 0x" not in text else f"an object of type {type(value).__name__}"
