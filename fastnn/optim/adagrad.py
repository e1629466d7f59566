"""Adagrad and its relatives: each parameter's step is divided by the size that its gradients have had."""

from __future__ import annotations

from typing import ClassVar

from .block import Rule
from .optimizer import Group, Optimizer, Parameters


class Adagrad(Optimizer):
    """Steps that shrink with the sum of all squared gradients.

    g = grad + weight_decay param; s = s + g^2; param = param - lr / (1 + (t - 1) lr_decay) g / (s^(1/2) + eps).

    Parameters
    ----------
    params
        Tensors, pairs (name, tensor), or groups; see `Optimizer`.
    lr
        Learning rate.
    lr_decay
        How fast it falls besides.
    weight_decay
        L2 penalty.
    initial_accumulator_value
        What s starts at.
    eps
        Keeps the divisor away from zero.
    maximize
        Whether to go up instead of down.

    Source: Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization".
    """

    _rule = Rule("adagrad_factors", "adagrad")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def rule(self, group: Group) -> Rule:
        return self._rule

    def initial(self, group: Group, name: str) -> float:
        return float(group["initial_accumulator_value"])


class RMSprop(Optimizer):
    """Steps divided by the root of a running average of squared gradients.

    g = grad + weight_decay param; v = alpha v + (1 - alpha) g^2; d = g / (v^(1/2) + eps), where v - a^2 takes the place of v if
    centered, a being the same average of g; param = param - lr d, or with momentum b = momentum b + d; param = param - lr b.

    Parameters
    ----------
    params
        Tensors, pairs (name, tensor), or groups; see `Optimizer`.
    lr
        Learning rate.
    alpha
        What the averages keep of themselves per step.
    eps
        Keeps the divisor away from zero.
    weight_decay
        L2 penalty.
    momentum
        What is kept of the velocity b per step.
    centered
        Whether to divide by the gradient's standard deviation instead.
    maximize
        Whether to go up instead of down.

    Source: Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5; centered: Graves 2013, arXiv:1308.0850, eq. 38-41.
    """

    _rules: ClassVar[dict[tuple[bool, bool], Rule]] = {  # (centered, with momentum) -> kernels
        (False, False): Rule("rmsprop_factors", "rmsprop"),
        (False, True): Rule("rmsprop_factors", "rmsprop_momentum"),
        (True, False): Rule("rmsprop_factors", "rmsprop_centered"),
        (True, True): Rule("rmsprop_factors", "rmsprop_centered_momentum"),
    }

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def rule(self, group: Group) -> Rule:
        return self._rules[bool(group["centered"]), group["momentum"] > 0]


class Adadelta(Optimizer):
    """Steps in the units of the parameters: the root mean square of past steps over that of the gradients.

    g = grad + weight_decay param; v = rho v + (1 - rho) g^2; d = ((a + eps) / (v + eps))^(1/2) g; a = rho a + (1 - rho) d^2;
    param = param - lr d.

    Parameters
    ----------
    params
        Tensors, pairs (name, tensor), or groups; see `Optimizer`.
    lr
        Learning rate.
    rho
        What the averages keep of themselves per step.
    eps
        Keeps the divisor away from zero, and gets the first step going.
    weight_decay
        L2 penalty.
    maximize
        Whether to go up instead of down.

    Source: Zeiler 2012, "ADADELTA: an adaptive learning rate method", alg. 1.
    """

    _rule = Rule("adadelta_factors", "adadelta")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def rule(self, group: Group) -> Rule:
        return self._rule
