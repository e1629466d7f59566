"""Losses of classifiers: cross entropy of scores, and negative log likelihood of log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arguments import number, whole
from ..errors import DTypeError, LabelError, ShapeError
from ..tensor import FLOATS, Array, Tensor, as_float, as_tensor, mode, record, run
from ._operands import block, constant, optional, vector
from ._rules import either
from ._targets import NOT_NEGATIVE, check_target
from .elementwise import exp
from .losses import reducer
from .reduce import sum
from .shape import astype, permute, reshape
from .softmax import log_softmax

IGNORED = -100  # PyTorch's label of samples that do not count


def labels(target: Any, classes: int, shape: tuple[int, ...], ignore_index: int = IGNORED, name: str = "target") -> Array:
    """`target` as a vector of int64 class labels.

    Raises
    ------
    LabelError
        If a label is NaN, negative or above `classes` - 1, and not `ignore_index`.
    DTypeError
        If they are not integers.
    ShapeError
        If they are not of `shape`.
    """
    t = as_tensor(target, name=name)
    if t.dtype in FLOATS and np.isnan(t.data).any():
        raise LabelError(f"{name}: class labels must be integers from 0 to {classes - 1}, got NaN")
    if t.dtype in FLOATS or t.dtype == np.bool_:
        raise DTypeError(f"{name}: class labels must be integers, got {t.dtype}")
    if t.shape != shape:
        raise ShapeError(f"{name} must have shape {shape}, one label for each sample, got {t.shape}")
    mode.guard(t.data, lambda values: _check_range(values, classes, ignore_index, name))
    return block(astype(t, np.int64).data, (t.size,))


def _check_range(values: Array, classes: int, ignore_index: int, name: str) -> None:
    flat = values.reshape(-1).astype(np.int64, copy=False)
    if flat.size and int(flat.view(np.uint64).max()) >= classes:  # as unsigned, negative labels are huge
        wrong = flat[((flat < 0) | (flat >= classes)) & (flat != ignore_index)]
        if wrong.size:
            raise LabelError(f"{name}: class labels must lie between 0 and {classes - 1}, got {wrong[0]}")


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Tensor:
    """-w_t ln softmax(x)_t for scores x and the label t of each sample.

    Parameters
    ----------
    input
        Scores (logits) of shape (C,), (N, C) or (N, C, d1, ...).
    target
        Integer labels in [0, C) of the input's shape without C, or probabilities of the input's shape and dtype.
    weight
        (C,), a weight for each class; a constant, which gets no gradient.
    ignore_index
        Samples with this label have neither loss nor gradient.
    reduction
        "none", "sum", or "mean": the sum divided by the sum of the samples' weights (with probabilities: by their number).
    label_smoothing
        s in [0, 1]: the target is mixed with the uniform distribution, (1 - s) target + s / C. Szegedy et al. 2016, section 7.
    sample_weight
        A weight for each sample, in the shape of the labels.

    Raises
    ------
    LabelError, DTypeError, ShapeError, ArgumentError, UnknownNameError
        If labels, dtypes, shapes, label_smoothing or reduction are not as above.
    """
    reducer(reduction)
    ignore_index = whole("cross_entropy: ignore_index", ignore_index)
    label_smoothing = number("cross_entropy: label_smoothing", label_smoothing, 0, 1)
    x, rows, shape = _by_class(input)
    classes = rows.shape[1]
    weight = optional(weight, x, "weight", (classes,))
    sample_weight = optional(sample_weight, x, "sample_weight", shape)
    given = as_tensor(target, name="target")
    if given.dtype in FLOATS and given.shape == x.shape:
        probabilities = as_tensor(target, x, "target")
        check_target(probabilities, NOT_NEGATIVE)
        t = _class_rows(probabilities) * (1 - label_smoothing) + label_smoothing / classes
        losses = -sum(log_softmax(rows) * (t if weight is None else t * weight), -1)
        return _reduced(losses, None, sample_weight, shape, reduction)
    flat = labels(target, classes, shape, ignore_index)
    w = vector(weight, classes, x, 1.0)
    losses = _cross_entropy(rows, flat, w, label_smoothing, ignore_index)
    return _reduced(losses, (flat, w, ignore_index), sample_weight, shape, reduction)


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = IGNORED, reduction: str = "mean") -> Tensor:
    """-w_t x_t for log-probabilities x and the label t of each sample.

    Parameters
    ----------
    input
        x, log-probabilities: (C,), (N, C) or (N, C, d1, ...), floats.
    target
        Labels, integers: (), (N,) or (N, d1, ...).
    weight, ignore_index, reduction
        As in `cross_entropy`.

    Raises
    ------
    LabelError, DTypeError, ShapeError, UnknownNameError
        If labels, dtypes, shapes or reduction are not as above.
    """
    reducer(reduction)
    ignore_index = whole("nll_loss: ignore_index", ignore_index)
    x, rows, shape = _by_class(input)
    classes = rows.shape[1]
    weight = optional(weight, x, "weight", (classes,))
    flat = labels(target, classes, shape, ignore_index)
    w = vector(weight, classes, x, 1.0)
    return _reduced(_nll(rows, flat, w, ignore_index), (flat, w, ignore_index), None, shape, reduction)


def _by_class(input: Any) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """The input, its scores as rows (samples, C), and the shape of its labels."""
    x = as_float(input)
    if not x.ndim or 0 in x.shape[min(1, x.ndim - 1) :]:
        raise ShapeError(f"input must have shape (C,), (N, C) or (N, C, d1, ...) with at least one class, got {x.shape}")
    return x, _class_rows(x), x.shape[:1] * (x.ndim > 1) + x.shape[2:]


def _class_rows(x: Tensor) -> Tensor:
    if x.ndim == 2:
        return x
    if x.ndim == 1:
        return reshape(x, 1, x.size)
    return reshape(permute(x, 0, *range(2, x.ndim), 1), -1, x.shape[1])


def _reduced(
    losses: Tensor, labelled: tuple[Array, Array, int] | None, sample_weight: Tensor | None, shape: tuple[int, ...], reduction: str
) -> Tensor:
    """The losses of the samples, weighted and reduced; a mean is divided by the weights of the samples."""
    if sample_weight is not None:
        sample_weight = reshape(sample_weight, losses.size)
        losses = losses * sample_weight
    if reduction == "none":
        return reshape(losses, shape)
    if reduction == "sum":
        return sum(losses)
    if labelled is not None:
        weight_of = _weight_of(*labelled)
        return sum(losses) / sum(weight_of if sample_weight is None else weight_of * sample_weight)
    return sum(losses) / (losses.size if sample_weight is None else sum(sample_weight))


def _weight_of(target: Array, weight: Array, ignore_index: int) -> Tensor:
    y = np.empty(target.shape, weight.dtype)
    run("target_weight", y, target, weight, ignore_index)
    return Tensor(y)


def _cross_entropy(x: Tensor, target: Array, weight: Array, smoothing: float, ignore_index: int) -> Tensor:
    N, C = x.shape
    scores = block(x.data, (N, C))
    loss, lse = np.empty(N, x.dtype), np.empty(N, x.dtype)
    run("cross_entropy", loss, lse, scores, target, weight, smoothing, ignore_index)

    def fast(y: Tensor, dy: Tensor) -> Tensor:
        dx = np.empty((N, C), x.dtype)
        run("cross_entropy_grad", dx, block(dy.data, (N,)), scores, lse, target, weight, smoothing, ignore_index)
        return Tensor(dx)

    def composed(y: Tensor, dy: Tensor) -> Tensor:
        kept = _weight_of(target, constant(C, x.dtype, 1.0), ignore_index)
        smooth = reshape(dy * kept, N, 1) * Tensor(weight) * (smoothing / C)
        dlog = (1 - smoothing) * _nll_grad(dy, (N, C), target, weight, ignore_index) - smooth
        return dlog - exp(log_softmax(x)) * sum(dlog, -1, keepdims=True)

    return record(loss, (x, either(fast, composed)))


def _nll(x: Tensor, target: Array, weight: Array, ignore_index: int) -> Tensor:
    loss = np.empty(x.shape[0], x.dtype)
    run("nll", loss, block(x.data, x.shape), target, weight, ignore_index)
    return record(loss, (x, lambda y, dy: _nll_grad(dy, x.shape, target, weight, ignore_index)))


def _nll_grad(dloss: Tensor, shape: tuple[int, ...], target: Array, weight: Array, ignore_index: int) -> Tensor:
    """dx = -w_t dloss where the class is t, else 0; as a function of dloss its own gradient is `_nll`."""
    dx = np.empty(shape, dloss.dtype)
    run("nll_grad", dx, block(dloss.data, shape[:1]), target, weight, ignore_index)
    return record(dx, (dloss, lambda _, ddx: _nll(ddx, target, weight, ignore_index)))
