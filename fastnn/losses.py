"""Losses by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ._arguments import choice
from .nn import functional as F
from .tensor import Tensor

Loss: TypeAlias = Callable[[Any, Any], Tensor]

LOSSES: dict[str, Loss] = {
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
    "hinge": F.hinge_loss,
    "huber": F.huber_loss,
    "kl_div": F.kl_div,
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "nll": F.nll_loss,
    "smooth_l1": F.smooth_l1_loss,
}


def get(loss: str | Loss) -> Loss:
    """A loss from its name, or any function of (model output, target) that returns their mean loss. Raises UnknownNameError."""
    if callable(loss):
        return loss
    return LOSSES[choice("loss", loss, LOSSES)]
