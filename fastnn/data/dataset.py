"""What a data set is: something with a length whose examples can be asked for by their number."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

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
        """The examples of these numbers, each part stacked into one array. Override it where reading many at once is cheaper."""
        examples = [self[int(i)] for i in indices]
        return tuple(np.stack([np.asarray(part) for part in parts]) for parts in zip(*examples, strict=True))


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
