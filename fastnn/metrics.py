"""Metrics: how good predictions are, in numbers for people. A few lines each, equal to scikit-learn's.

Predictions of a classifier are `scores` (N, C), of which the largest names the class; logits (N,) or (N, 1) of two classes, positive
for class 1; or classes themselves, of an integer dtype. `labels` are int64 (N,), or (N, 1) for two classes. Predictions and targets of
a regression, `predicted` and `y`, have the same shape.

Each follows from sums over the examples, which a kernel adds up batch by batch: a training step counts them in its program.

A metric raises DTypeError for what is no array of numbers, ShapeError for shapes that do not fit each other or hold no example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ._arguments import choice, whole
from .errors import ArgumentError, DTypeError, ShapeError, StateError
from .kernels import KERNELS
from .ops._operands import block
from .tensor import Array, Tensor, as_array, run

Function: TypeAlias = Callable[[Array, Array], float]


class Metric(NamedTuple):
    """A metric.

    Attributes
    ----------
    name
        What it is called in a history.
    function
        Its function of (predictions, targets).
    higher_is_better
        Which direction is better.
    kernel
        The kernel that adds up a batch, of which `count_classes`, `count_ranks` and `add_errors` are known; empty if it needs all
        predictions at once.
    value
        What it is, as a function of the kernel's sums.
    scores
        How many scores of each example it needs at least.
    """

    name: str
    function: Function
    higher_is_better: bool = True
    kernel: str = ""
    value: Callable[[Array], float] = lambda sums: float("nan")
    scores: int = 1


def accuracy(scores: Array, labels: Array) -> float:
    """The share of examples whose class is predicted right."""
    return _accuracy(_class_counts(scores, labels))


def top_k_accuracy(scores: Array, labels: Array, k: int = 5) -> float:
    """The share of examples whose class is among the `k` highest scores (N, C); of equal scores, the higher class goes first."""
    scores, labels = _arrays(scores=scores, labels=labels)
    if scores.ndim != 2 or not 1 <= whole("top_k_accuracy: k", k) <= scores.shape[1]:
        raise ArgumentError(f"top_k_accuracy needs scores (N, C) with C >= k >= 1, got shape {scores.shape} and k {k}")
    if labels.size != len(scores):
        raise ShapeError(f"labels must name one class for each of {len(scores)} examples, got shape {labels.shape}")
    counts = np.zeros(scores.shape[1] + 1)
    KERNELS["count_ranks"].twin(counts, scores, labels.reshape(-1))
    return _share_of_ranks(k)(counts)


def precision(scores: Array, labels: Array) -> float:
    """Of the examples predicted to be of a class, the share that is: TP / (TP + FP). Class 1 of two, else the mean over classes."""
    return _precision(_class_counts(scores, labels))


def recall(scores: Array, labels: Array) -> float:
    """Of the examples of a class, the share that is found: TP / (TP + FN). Class 1 of two, else the mean over classes."""
    return _recall(_class_counts(scores, labels))


def f1(scores: Array, labels: Array) -> float:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN). Class 1 of two, else the mean over classes."""
    return _f1(_class_counts(scores, labels))


def mae(predicted: Array, y: Array) -> float:
    """Mean absolute error, in the unit of y."""
    return _mae(_error_sums(predicted, y))


def rmse(predicted: Array, y: Array) -> float:
    """Root of the mean squared error, in the unit of y."""
    return _rmse(_error_sums(predicted, y))


def r2(predicted: Array, y: Array) -> float:
    """Coefficient of determination 1 - sum (y - p)^2 / sum (y - mean y)^2, averaged over targets: 1 is perfect, 0 the mean's own."""
    return _r2(_error_sums(predicted, y))


def _accuracy(counts: Array) -> float:
    right, _, actual = counts.sum(1)
    return float(right / actual)


def _share_of_ranks(k: int) -> Callable[[Array], float]:
    return lambda counts: float(counts[:k].sum() / counts.sum())


def _precision(counts: Array) -> float:
    right, predicted, _ = _relevant(counts)
    return _mean_share(right, predicted)


def _recall(counts: Array) -> float:
    right, _, actual = _relevant(counts)
    return _mean_share(right, actual)


def _f1(counts: Array) -> float:
    right, predicted, actual = _relevant(counts)
    return _mean_share(2 * right, predicted + actual)


def _relevant(counts: Array) -> Array:
    """The columns of the classes that are predicted or there. Of two classes, only class 1."""
    two = counts.shape[1] == 3 and not counts[:, 2].any()
    return counts[:, 1:2] if two else counts[:, counts[1:].any(0)]


def _mean_share(part: Array, whole: Array) -> float:
    """The mean of part / whole, where 0 / 0 counts as 0."""
    return float((part / np.maximum(whole, 1)).mean())


def _mae(sums: Array) -> float:
    return float(sums[1].sum() / sums[0].sum())


def _rmse(sums: Array) -> float:
    return float(np.sqrt(sums[2].sum() / sums[0].sum()))


def _r2(sums: Array) -> float:
    residual, total = sums[2], sums[4]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(total > 0, 1 - residual / total, residual == 0).mean())


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, True, "count_classes", _accuracy),
        *(
            Metric(f"top_{k}_accuracy", partial(top_k_accuracy, k=k), True, "count_ranks", _share_of_ranks(k), scores=k)
            for k in (2, 3, 5, 10)
        ),
        Metric("precision", precision, True, "count_classes", _precision),
        Metric("recall", recall, True, "count_classes", _recall),
        Metric("f1", f1, True, "count_classes", _f1),
        Metric("mae", mae, False, "add_errors", _mae),
        Metric("rmse", rmse, False, "add_errors", _rmse),
        Metric("r2", r2, True, "add_errors", _r2),
    )
}


def get(metric: str | Metric | Function) -> Metric:
    """A metric from its name, or from a function of (predictions, targets). Raises UnknownNameError."""
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    return METRICS[choice("metric", metric, METRICS)]


class Meter:
    """The sums of some metrics over the examples since its last reset.

    Parameters
    ----------
    metrics
        Metrics that have a kernel.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self._sums: dict[str, Array] = {}

    @property
    def arrays(self) -> list[Array]:
        """The sums, which live as long as the meter."""
        return list(self._sums.values())

    def reset(self) -> None:
        """Forget all examples."""
        for sums in self.arrays:
            sums[...] = 0

    def add(self, output: Tensor, target: Tensor) -> None:
        """Count a batch: now, or, while a program is being recorded, when that program runs.

        Raises ShapeError if outputs and targets do not fit each other, or have not as many columns as those before them.
        """
        for metric in self.metrics:
            if metric.scores > output.size // max(len(output.data), 1):
                raise ShapeError(f"{metric.name} needs {metric.scores} scores for each example, got outputs of shape {output.shape}")
        for kernel in dict.fromkeys(metric.kernel for metric in self.metrics):
            predicted, wanted, shape = _operands(kernel, output, target)
            sums = self._sums.setdefault(kernel, np.zeros(shape))
            if sums.shape != shape:
                raise ShapeError(f"metrics need outputs of as many columns as before, got shape {output.shape}")
            run(kernel, sums, predicted, wanted)

    def values(self) -> dict[str, float]:
        """Each metric by name. Raises StateError if no example has been counted."""
        if self.metrics and not all(sums.any() for sums in self.arrays or [np.zeros(1)]):
            raise StateError("there are no metrics yet: no example has been counted")
        return {metric.name: metric.value(self._sums[metric.kernel]) for metric in self.metrics}


def _operands(kernel: str, output: Tensor, target: Tensor) -> tuple[Array, Array, tuple[int, ...]]:
    """A batch as a kernel takes it, and the shape of its sums."""
    N = len(output.data)
    if kernel == "add_errors":
        if output.shape != target.shape:
            raise ShapeError(f"predicted and y must have the same shape, got {output.shape} and {target.shape}")
        columns = output.size // max(N, 1)
        return block(output.data, (N, columns)), block(target.data, (N, columns)), (5, columns)
    if output.ndim > 2 or target.size != N:
        raise ShapeError(f"labels must name one class for each example, got outputs of shape {output.shape} and labels {target.shape}")
    columns = output.size // max(N, 1)
    shape = (columns + 1,) if kernel == "count_ranks" else (3, max(columns, 2) + 1)
    return block(output.data, (N, columns)), block(target.data, (N,)), shape


def _arrays(**given: Any) -> tuple[Array, ...]:
    """The arguments as arrays of numbers with at least one example."""
    arrays = []
    for name, value in given.items():
        array = as_array(value, name) if isinstance(value, list) or hasattr(value, "__array__") else None
        if array is None or array.dtype.kind not in "biuf":
            raise DTypeError(f"{name} must be an array of numbers, got {type(value).__name__ if array is None else array.dtype}")
        if not array.ndim or not array.size:
            raise ShapeError(f"{name} must hold at least one example, got shape {array.shape}")
        arrays.append(array)
    return tuple(arrays)


def _classes(scores: Array, labels: Array) -> tuple[Array, Array]:
    """The predicted classes and the labels, both (N,)."""
    scores, labels = _arrays(scores=scores, labels=labels)
    labels = labels.reshape(-1)
    if scores.dtype.kind not in "iub":
        scores = scores.argmax(1) if scores.ndim == 2 and scores.shape[1] > 1 else scores > 0
    if scores.size != labels.size:
        raise ShapeError(f"scores must name one class for each of {labels.size} labels, got {scores.size}")
    return scores.reshape(-1), labels


def _class_counts(scores: Array, labels: Array) -> Array:
    """What `count_classes` counts: columns for the classes, and for labels that are none. Without scores, classes may be any numbers."""
    predicted, labels = _classes(scores, labels)
    scores = np.asarray(scores)
    present, none = np.arange(scores.shape[1] if scores.ndim == 2 and scores.shape[1] > 1 else 2), 1
    if not np.isin(predicted, present).all() or not np.isin(labels, present).all():
        present, none = np.union1d(predicted, labels), 0
    is_predicted, is_label = predicted == present[:, None], labels == present[:, None]
    counts = np.stack([(is_predicted & is_label).sum(1), is_predicted.sum(1), is_label.sum(1)]).astype(np.float64)
    return np.pad(counts, ((0, 0), (0, none)))


def _error_sums(predicted: Array, y: Array) -> Array:
    """What `add_errors` adds up."""
    predicted, y = _arrays(predicted=predicted, y=y)
    if predicted.shape != y.shape:
        raise ShapeError(f"predicted and y must have the same shape, got {predicted.shape} and {y.shape}")
    sums = np.zeros((5, y[0].size))
    KERNELS["add_errors"].twin(sums, predicted.reshape(len(y), -1), y.reshape(len(y), -1))
    return sums
