"""Metrics: how good predictions are, in numbers for people. A few lines each, equal to scikit-learn's.

Predictions of a classifier are `scores` (N, C), of which the largest names the class; logits (N,) or (N, 1) of two classes, positive
for class 1; or classes themselves, of an integer dtype. `labels` are int64 (N,), or (N, 1) for two classes. Predictions and targets of
a regression, `predicted` and `y`, have the same shape.

A metric raises DTypeError for what is no array of numbers, ShapeError for shapes that do not fit each other or hold no example.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .._arguments import choice, whole
from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import as_array

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Function: TypeAlias = Callable[[Array, Array], float]


class Metric(NamedTuple):
    """A metric: its name, its function of (predictions, targets), and which direction is better."""

    name: str
    function: Function
    higher_is_better: bool = True


def accuracy(scores: Array, labels: Array) -> float:
    """The share of examples whose class is predicted right."""
    predicted, labels = _classes(scores, labels)
    return float((predicted == labels).mean())


def top_k_accuracy(scores: Array, labels: Array, k: int = 5) -> float:
    """The share of examples whose class is among the `k` highest scores (N, C); of equal scores, the higher class goes first."""
    scores, labels = _arrays(scores=scores, labels=labels)
    if scores.ndim != 2 or not 1 <= whole("top_k_accuracy: k", k) <= scores.shape[1]:
        raise ArgumentError(f"top_k_accuracy needs scores (N, C) with C >= k >= 1, got shape {scores.shape} and k {k}")
    if labels.size != len(scores):
        raise ShapeError(f"labels must name one class for each of {len(scores)} examples, got shape {labels.shape}")
    best = np.argsort(scores, axis=1, kind="stable")[:, -k:]
    return float((best == labels.reshape(-1, 1)).any(1).mean())


def precision(scores: Array, labels: Array) -> float:
    """Of the examples predicted to be of a class, the share that is: TP / (TP + FP). Class 1 of two, else the mean over classes."""
    true, predicted, _ = _counts(scores, labels)
    return _share(true, predicted)


def recall(scores: Array, labels: Array) -> float:
    """Of the examples of a class, the share that is found: TP / (TP + FN). Class 1 of two, else the mean over classes."""
    true, _, actual = _counts(scores, labels)
    return _share(true, actual)


def f1(scores: Array, labels: Array) -> float:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN). Class 1 of two, else the mean over classes."""
    true, predicted, actual = _counts(scores, labels)
    return _share(2 * true, predicted + actual)


def mae(predicted: Array, y: Array) -> float:
    """Mean absolute error, in the unit of y."""
    return float(np.abs(_differences(predicted, y)).mean())


def rmse(predicted: Array, y: Array) -> float:
    """Root of the mean squared error, in the unit of y."""
    return float(np.sqrt(np.square(_differences(predicted, y)).mean()))


def r2(predicted: Array, y: Array) -> float:
    """Coefficient of determination 1 - sum (y - p)^2 / sum (y - mean y)^2, averaged over targets: 1 is perfect, 0 the mean's own."""
    predicted, y = _arrays(predicted=predicted, y=y)
    residual = np.square(_differences(predicted, y)).sum(0)
    total = np.square(y - y.mean(0, dtype=np.float64)).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(total > 0, 1 - residual / total, residual == 0).mean())


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy),
        *(Metric(f"top_{k}_accuracy", partial(top_k_accuracy, k=k)) for k in (2, 3, 5, 10)),
        Metric("precision", precision),
        Metric("recall", recall),
        Metric("f1", f1),
        Metric("mae", mae, higher_is_better=False),
        Metric("rmse", rmse, higher_is_better=False),
        Metric("r2", r2),
    )
}


def get(metric: str | Metric | Function) -> Metric:
    """A metric from its name, or from a function of (predictions, targets). Raises UnknownNameError."""
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    return METRICS[choice("metric", metric, METRICS)]


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


def _counts(scores: Array, labels: Array) -> tuple[Array, Array, Array]:
    """For each class: how many were predicted rightly, were predicted, are there. Of two classes, only class 1."""
    predicted, labels = _classes(scores, labels)
    scores = np.asarray(scores)
    present = np.union1d(predicted, labels)
    two = (scores.ndim < 2 or scores.shape[1] <= 2) and set(present.tolist()) <= {0, 1}
    present = np.array([1]) if two else present
    is_predicted, is_label = predicted == present[:, None], labels == present[:, None]
    return (is_predicted & is_label).sum(1), is_predicted.sum(1), is_label.sum(1)


def _share(part: Array, whole: Array) -> float:
    """The mean of part / whole, where 0 / 0 counts as 0."""
    return float((part / np.maximum(whole, 1)).mean())


def _differences(predicted: Array, y: Array) -> Array:
    predicted, y = _arrays(predicted=predicted, y=y)
    if predicted.shape != y.shape:
        raise ShapeError(f"predicted and y must have the same shape, got {predicted.shape} and {y.shape}")
    return predicted.astype(np.float64) - y
