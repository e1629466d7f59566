"""Optimisers that follow the gradient, or the sign of it, with momentum."""

from __future__ import annotations

from ..errors import ArgumentError
from .block import Rule
from .optimizer import Group, Optimizer, Parameters


class SGD(Optimizer):
    """Gradient descent, with momentum where it is not 0.

    g = grad + weight_decay param; b = momentum b + (1 - dampening) g, but b = g at the first step;
    param = param - lr (g + momentum b if nesterov else b).

    Parameters
    ----------
    params
        Tensors, pairs (name, tensor), or groups; see `Optimizer`.
    lr
        Learning rate.
    momentum
        What is kept of the velocity b per step.
    dampening
        What is held back of a new gradient.
    weight_decay
        L2 penalty.
    nesterov
        Whether to look ahead; needs momentum > 0 and no dampening.
    maximize
        Whether to go up instead of down.

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", in PyTorch's form.
    """

    step_is_saved = False
    _plain = Rule("sgd_factors", "sgd")
    _momentum = Rule("sgd_momentum_factors", "sgd_momentum")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ArgumentError(
                f"SGD: nesterov needs momentum > 0 and dampening = 0, got momentum={group['momentum']} and dampening={group['dampening']}"
            )

    def rule(self, group: Group) -> Rule:
        return self._momentum if group["momentum"] else self._plain


class Lion(Optimizer):
    """The sign of an average of gradients.

    param = (1 - lr weight_decay) param - lr sgn(beta1 m + (1 - beta1) grad); then m = beta2 m + (1 - beta2) grad.

    Parameters
    ----------
    params
        Tensors, pairs (name, tensor), or groups; see `Optimizer`.
    lr
        Learning rate: how far every parameter moves per step. Three to ten times smaller than Adam's does well.
    betas
        What the mixture keeps of the average, and what the average keeps of itself.
    weight_decay
        Decoupled weight decay.
    maximize
        Whether to go up instead of down.

    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", alg. 2.
    """

    _rule = Rule("lion_factors", "lion")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def rule(self, group: Group) -> Rule:
        return self._rule
