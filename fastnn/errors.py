"""The typed errors of the library; every one derives from `FastnnError`."""

from .kernels._errors import (
    ArgumentError,
    DTypeError,
    FastnnError,
    LabelError,
    MissingDependencyError,
    ShapeError,
    StateError,
    UnknownNameError,
    shown,
    unknown_name,
)

__all__ = [
    "ArgumentError",
    "DTypeError",
    "FastnnError",
    "LabelError",
    "MissingDependencyError",
    "ShapeError",
    "StateError",
    "UnknownNameError",
    "shown",
    "unknown_name",
]
