"""A data set as arrays, and its split into a part to train on and a part held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from .._arguments import number, whole
from ..errors import ArgumentError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Pair: TypeAlias = tuple[Array, Array]


@dataclass(frozen=True)
class Examples:
    """Labelled examples of one task.

    Attributes
    ----------
    x
        float32 (N, features). Pixels are scaled to [0, 1]; measurements keep their units.
    y
        Classification: int64 (N,), the class of each example. Regression: float32 (N, 1), in its own unit.
    task
        "classification" or "regression".
    classes
        The name of each class; empty for regression.
    features
        The name of each column of `x`; empty for pixels.
    description
        One line: what the examples are.
    image_shape
        (C, H, W) of one example where its columns are pixels: `x.reshape(-1, *image_shape)` are images.
    """

    x: Array
    y: Array
    task: Literal["classification", "regression"]
    description: str
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None

    @property
    def outputs(self) -> int:
        """How many numbers a model of this task gives for each example: one per class, or one per target."""
        return len(self.classes) if self.task == "classification" else self.y.shape[1]

    def split(self, test_size: float = 0.2, seed: int = 0) -> tuple[Pair, Pair]:
        """`(x, y), (x_test, y_test)`: a shuffled split that depends on `seed` only.

        Classes keep their shares in both parts. Measurements, and the targets of a regression, are standardised to mean 0 and
        variance 1 with the statistics of the training part; pixels stay in [0, 1].

        Parameters
        ----------
        test_size
            The share that is held out, above 0 and below 1.
        seed
            Another seed gives another split.

        Raises
        ------
        ArgumentError, DTypeError
            If `test_size` leaves a part empty or is no number, or `seed` is no whole number of at least 0.
        """
        seed = whole("seed", seed, 0)
        if number("test_size", test_size, 0, 1) in (0, 1):
            raise ArgumentError(f"test_size must lie above 0 and below 1, got {test_size}")
        held_out = _held_out(self.y if self.task == "classification" else np.zeros(len(self.y), np.int64), test_size, seed)
        order = np.random.default_rng(seed).permutation(len(self.x))
        train, test = order[~held_out[order]], order[held_out[order]]
        if not len(train) or not len(test):
            raise ArgumentError(f"test_size must leave examples on both sides of the split, got {test_size} of {len(self.x)} examples")
        x, x_test = self.x[train], self.x[test]
        y, y_test = self.y[train], self.y[test]
        if self.image_shape is None:
            x, x_test = _standardised(x, x_test)
        if self.task == "regression":
            y, y_test = _standardised(y, y_test)
        return (x, y), (x_test, y_test)


def _held_out(labels: Array, share: float, seed: int) -> Array:
    """A mask of the held-out examples: the same share of each class."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        mask[rng.permutation(members)[: round(share * len(members))]] = True
    return mask


def _standardised(train: Array, test: Array) -> Pair:
    """Both parts with the training part's mean taken off and divided by its standard deviation; a constant column becomes 0."""
    mean, deviation = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return ((train - mean) / deviation).astype(train.dtype), ((test - mean) / deviation).astype(test.dtype)
