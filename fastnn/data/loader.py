"""Batches of a data set, shuffled from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from .._arguments import whole
from ..errors import DTypeError
from .dataset import Dataset

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class DataLoader:
    """Iterates over a data set in batches: `for x, y in DataLoader(data, batch_size=64, shuffle=True)`.

    Parameters
    ----------
    dataset
        What to read from: a `Dataset`, or an object that has its `__len__` and `batch`.
    batch_size
        Examples in a batch; the last one may be smaller.
    shuffle
        Go through the examples in a new random order each time.
    drop_last
        Leave out the last batch if it is smaller.
    generator
        Where the order comes from: a NumPy generator, or a seed for one.

    Raises
    ------
    DTypeError, ArgumentError
        If `dataset` is no data set, `batch_size` no positive whole number, or `generator` neither a generator nor a seed of at least 0.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: np.random.Generator | int | None = None,
    ) -> None:
        if not hasattr(dataset, "batch") or not hasattr(dataset, "__len__") or isinstance(dataset, type):
            raise DTypeError(f"dataset must be a data set, with a length and batches, got {type(dataset).__name__}")
        self.dataset = dataset
        self.batch_size = check_batch_size(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        if generator is not None and not isinstance(generator, np.random.Generator):
            generator = whole("generator", generator, 0)
        self.generator = np.random.default_rng(generator)

    def __len__(self) -> int:
        """How many batches one pass has."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        rng = self.generator if self.shuffle else None
        for indices in batches(len(self.dataset), self.batch_size, rng, self.drop_last):
            yield self.dataset.batch(indices)


def batches(count: int, batch_size: int, rng: np.random.Generator | None = None, drop_last: bool = False) -> Iterator[Array]:
    """The numbers 0 to `count` - 1 in batches: in order, or in a random one drawn from `rng`."""
    order = np.arange(count) if rng is None else rng.permutation(count)
    stop = count - count % batch_size if drop_last else count
    for start in range(0, stop, batch_size):
        yield order[start : start + batch_size]


def check_batch_size(size: Any) -> int:
    """`size` as an int. Raises DTypeError unless it is a whole number, ArgumentError unless it is positive."""
    return whole("batch_size", size, 1)
