"""Losses as modules: each holds its settings and calls the function of the same meaning in `functional`.

`reduction` is "mean", "sum" or "none". Class weights and the like are buffers, as in PyTorch.

Building a loss raises DTypeError, ArgumentError or UnknownNameError for a setting that makes no sense. Calling it raises what the
function raises, LabelError for wrong targets above all.
"""

from __future__ import annotations

from typing import Any

from .._arguments import number, whole
from ..ops.losses import reducer
from ..tensor import Tensor
from . import functional as F
from ._check import within
from .module import Module


class Loss(Module):
    """Base of the losses. Raises UnknownNameError for an unknown reduction."""

    def __init__(self, reduction: str = "mean") -> None:
        reducer(reduction)
        self.reduction = reduction


class MSELoss(Loss):
    """(input - target)^2."""

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """|input - target|."""

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(Loss):
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = input - target. Huber 1964."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = number("HuberLoss: delta", delta, above=0)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = input - target. Girshick 2015, eq. 3."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = within("SmoothL1Loss", "beta", beta, 0)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HingeLoss(Loss):
    """max(0, margin - target input) for targets of -1 and 1."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = within("HingeLoss", "margin", margin)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.hinge_loss(input, target, margin=self.margin, reduction=self.reduction)


class CrossEntropyLoss(Loss):
    """-ln softmax(input)[target], for scores (N, C) and int64 labels (N).

    Parameters
    ----------
    weight
        A weight for each class, shape (C).
    ignore_index
        Samples with this label count nothing.
    reduction
        The mean is weighted by the class weights.
    label_smoothing
        The share of the target, from 0 to 1, that is spread evenly over the classes. Szegedy et al. 2016.
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = whole("CrossEntropyLoss: ignore_index", ignore_index)
        self.label_smoothing = within("CrossEntropyLoss", "label_smoothing", label_smoothing, 0, 1)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction, label_smoothing=self.label_smoothing
        )


class NLLLoss(Loss):
    """-input[target], for log-probabilities (N, C) and int64 labels (N); arguments as for `CrossEntropyLoss`."""

    weight: Tensor | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = whole("NLLLoss: ignore_index", ignore_index)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(Loss):
    """-(target ln input + (1 - target) ln(1 - input)), times a weight that broadcasts."""

    weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """The binary cross entropy of sigmoid(input), stable at any input.

    weight multiplies the loss of each element, pos_weight the part of the positive targets; both broadcast.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.binary_cross_entropy_with_logits(input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight)


class KLDivLoss(Loss):
    """target (ln target - input) for log-probabilities input, the target being one, too, with log_target.

    reduction="batchmean", the divergence of the distributions per sample, is known here beside the others.
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__("sum" if isinstance(reduction, str) and reduction == "batchmean" else reduction)
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
