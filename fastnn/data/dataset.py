"""What a data set is: something with a length whose examples can be asked for by their number."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from .._arguments import instance
from ..errors import ArgumentError, ShapeError
from ..tensor import as_array

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Dataset:
    """Base of data sets that read or make their examples when they are asked for. Subclasses define `__len__` and `__getitem__`."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Example number `index`: its parts, such as (x, y), each an array or a number."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def batch(self, indices: Array) -> tuple[Array, ...]:
        """The examples of these numbers, each part stacked into one array. Override it where reading many at once is cheaper.

        Raises DTypeError or ShapeError unless each example is a tuple of as many parts, and each part has one shape in all of them.
        """
        examples = [instance("an example", self[int(i)], (tuple, list), "a tuple of its parts") for i in indices]
        if len({len(example) for example in examples}) > 1:
            raise ShapeError(f"examples must have as many parts as each other, got {' and '.join(str(len(e)) for e in examples)}")
        return tuple(_stacked(parts) for parts in zip(*examples, strict=True))


def _stacked(parts: tuple[Any, ...]) -> Array:
    arrays = [as_array(part, "a part of an example") for part in parts]
    if len({a.shape for a in arrays}) > 1:
        shapes = " and ".join(map(str, dict.fromkeys(a.shape for a in arrays)))
        raise ShapeError(f"a part of the examples must have one shape to be put into one batch, got {shapes}")
    return np.stack(arrays)


class ArrayDataset(Dataset):
    """Arrays, or memory maps, of the same length, read by row.

    Parameters
    ----------
    *arrays
        What each example has a row of: inputs and targets.

    Raises
    ------
    ArgumentError
        If no array is given.
    ShapeError
        If their lengths differ, or one has rows of different lengths.
    """

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ArgumentError("ArrayDataset() takes at least one array")
        self.arrays: tuple[Array, ...] = tuple(a if isinstance(a, np.ndarray) else as_array(a, "arrays") for a in arrays)
        check_lengths(*self.arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return tuple(a[index] for a in self.arrays)

    def batch(self, indices: Array) -> tuple[Array, ...]:
        """The rows `indices` of every array."""
        return tuple(a[indices] for a in self.arrays)


def check_lengths(*arrays: Array) -> None:
    """Raise ShapeError unless all `arrays` have a first dimension, of one length."""
    if any(a.ndim == 0 for a in arrays) or len({len(a) for a in arrays}) > 1:
        raise ShapeError(f"arrays of examples must have the same length, got shapes {', '.join(str(a.shape) for a in arrays)}")
