"""Adam and its relatives: an average of gradients, divided by the root of an average of their squares."""

from __future__ import annotations

from .block import Rule
from .optimizer import Group, Optimizer, Parameters


class Adam(Optimizer):
    """Adaptive moment estimation.

    g = grad + weight_decay param; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    param = param - lr m / (1 - beta1^t) / ((v / (1 - beta2^t))^(1/2) + eps).

    Parameters
    ----------
    params
        Tensors, pairs (name, tensor), or groups; see `Optimizer`.
    lr
        Learning rate.
    betas
        What the averages of g and of g^2 keep of themselves per step.
    eps
        Keeps the divisor away from zero.
    weight_decay
        L2 penalty, or weight decay if it is decoupled.
    amsgrad
        Whether the largest v so far takes the place of v (Reddi et al. 2018).
    maximize
        Whether to go up instead of down.
    decoupled_weight_decay
        Whether param = (1 - lr weight_decay) param takes the place of the penalty; then this is AdamW.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", alg. 1.
    """

    _plain = Rule("adam_factors", "adam")
    _amsgrad = Rule("adam_factors", "adam_amsgrad")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def rule(self, group: Group) -> Rule:
        return self._amsgrad if group["amsgrad"] else self._plain


class AdamW(Adam):
    """Adam with decoupled weight decay: param = (1 - lr weight_decay) param, and no penalty in the gradient.

    Parameters are those of `Adam`. Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", alg. 2.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum.

    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2); g, m, v as in `Adam`;
    param = param - lr ((1 - mu_t) g / (1 - prod mu_1..t) + mu_(t+1) m / (1 - prod mu_1..t+1)) / ((v / (1 - beta2^t))^(1/2) + eps).

    Parameters
    ----------
    momentum_decay
        How fast mu_t approaches beta1.
    params, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize
        As in `Adam`.

    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", alg. 2.
    """

    _rule = Rule("nadam_factors", "nadam")

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def rule(self, group: Group) -> Rule:
        return self._rule


class RAdam(Optimizer):
    """Rectified Adam: momentum alone until the average of squares rests on enough gradients, then Adam, scaled for its variance.

    rho_inf = 2 / (1 - beta2) - 1; rho = rho_inf - 2 t beta2^t / (1 - beta2^t); m, v as in `Adam`.
    If rho > 5: param = param - lr m / (1 - beta1^t) r (1 - beta2^t)^(1/2) / (v^(1/2) + eps) with
    r = ((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))^(1/2); else param = param - lr m / (1 - beta1^t).

    Parameters are those of `Adam`. Source: Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", alg. 2.
    """

    _rule = Rule("radam_factors", "adam")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def rule(self, group: Group) -> Rule:
        return self._rule


class Adamax(Optimizer):
    """Adam with the largest gradient, slowly forgotten, in the place of the root mean square.

    m as in `Adam`; u = max(beta2 u, |g| + eps); param = param - lr m / (1 - beta1^t) / u.

    Parameters are those of `Adam`; weight_decay is an L2 penalty. Source: Kingma & Ba 2015, alg. 2.
    """

    _rule = Rule("adamax_factors", "adamax")

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def rule(self, group: Group) -> Rule:
        return self._rule
