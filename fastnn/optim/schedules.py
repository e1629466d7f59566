"""Learning-rate schedules, with the names and the values of `torch.optim.lr_scheduler`.

A schedule writes the learning rate of every group of its optimiser, at once and at each `step()`, usually once per epoch
(`OneCycleLR`: after every batch). The rate is a function of how many steps there were and of the rate that the group had at the start.

Building one raises DTypeError for an argument of a wrong type and ArgumentError for one out of its range; no rate has changed then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import cos, inf, pi
from typing import Any

from .._arguments import LARGEST, choice, instance, items, number, whole
from ..errors import ArgumentError, DTypeError, StateError, shown
from .optimizer import Group, Optimizer


def cosine(start: float, end: float, fraction: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) / 2 * (1 + cos(pi * fraction))


def linear(start: float, end: float, fraction: float) -> float:
    """From `start` to `end` along a line."""
    return start + (end - start) * fraction


class Attached:
    """What acts on the learning rates of an optimiser, and can be saved without it."""

    optimizer: Optimizer
    per_batch = False  # whether a trainer steps it after every batch, and not after every epoch

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned. Raises DTypeError for no mapping, StateError for one that lacks something."""
        instance("state_dict", state_dict, Mapping, "a mapping, as state_dict() returns it")
        missing = vars(self).keys() - {"optimizer"} - state_dict.keys()
        if missing:
            raise StateError(f"state_dict must have what {type(self).__name__} saves, missing: {', '.join(sorted(missing))}")
        vars(self).update({name: value for name, value in state_dict.items() if name != "optimizer"})


class Schedule(Attached):
    """Base: `lr(group, t)` is the learning rate of a group after `t` steps.

    Parameters
    ----------
    optimizer
        Whose learning rates to set.
    last_epoch
        How many steps were made before; -1 to begin anew.

    Raises
    ------
    StateError
        If it is to go on from a step and a group has no "initial_lr".
    DTypeError, ArgumentError
        If the optimizer is none, or last_epoch no whole number of at least -1.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = instance("optimizer", optimizer, Optimizer, "an optimiser")
        last_epoch = whole("last_epoch", last_epoch, -1)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group["initial_lr"] = self.start(group)
            elif "initial_lr" not in group:
                raise StateError(f'last_epoch={last_epoch}: param_groups[{i}] has no "initial_lr"; load the state of its optimiser first')
        self.last_epoch = last_epoch
        self.step()

    def start(self, group: Group) -> float:
        """The learning rate that a group begins with."""
        return float(group["lr"])

    def lr(self, group: Group, t: int) -> float:
        """The learning rate of `group` after `t` steps."""
        raise NotImplementedError(f"{type(self).__name__} defines no lr()")

    def step(self) -> None:
        """Go on to the next learning rate."""
        rates = [self.lr(group, self.last_epoch + 1) for group in self.optimizer.param_groups]
        self.last_epoch += 1
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


class StepLR(Schedule):
    """Multiplied by `gamma` every `step_size` steps: lr_t = lr_0 gamma^(t // step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = whole("step_size", step_size, 1)
        self.gamma = number("gamma", gamma, 0, LARGEST)
        super().__init__(optimizer, last_epoch)

    def lr(self, group: Group, t: int) -> float:
        return float(group["initial_lr"] * self.gamma ** (t // self.step_size))


class MultiStepLR(Schedule):
    """Multiplied by `gamma` at each of the `milestones`: lr_t = lr_0 gamma^(number of milestones <= t)."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones = sorted(items("milestones", milestones, whole, "whole numbers"))
        self.gamma = number("gamma", gamma, 0, LARGEST)
        super().__init__(optimizer, last_epoch)

    def lr(self, group: Group, t: int) -> float:
        return float(group["initial_lr"] * self.gamma ** bisect_right(self.milestones, t))


class ExponentialLR(Schedule):
    """Multiplied by `gamma` at every step: lr_t = lr_0 gamma^t."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = number("gamma", gamma, 0, LARGEST)
        super().__init__(optimizer, last_epoch)

    def lr(self, group: Group, t: int) -> float:
        return float(group["initial_lr"] * self.gamma**t)


class CosineAnnealingLR(Schedule):
    """Half a cosine from lr_0 down to `eta_min` in `T_max` steps: lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2.

    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = whole("T_max", T_max, 1)
        self.eta_min = number("eta_min", eta_min, 0, LARGEST)
        super().__init__(optimizer, last_epoch)

    def lr(self, group: Group, t: int) -> float:
        return float(cosine(group["initial_lr"], self.eta_min, t / self.T_max))


class LinearLR(Schedule):
    """From start_factor lr_0 to end_factor lr_0 in `total_iters` equal steps, then constant: a warm-up."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.start_factor = number("start_factor", start_factor, high=1, above=0)
        self.end_factor = number("end_factor", end_factor, 0, 1)
        self.total_iters = whole("total_iters", total_iters, 1)
        super().__init__(optimizer, last_epoch)

    def lr(self, group: Group, t: int) -> float:
        return float(group["initial_lr"] * linear(self.start_factor, self.end_factor, min(t / self.total_iters, 1.0)))


class ReduceLROnPlateau(Attached):
    """Learning rates multiplied by `factor` when a metric has not improved for more than `patience` steps.

    Parameters
    ----------
    optimizer
        Whose learning rates to set.
    mode
        "min" if a lower metric is better, "max" if a higher one is.
    factor
        What the learning rate is multiplied by, < 1.
    patience
        How many steps without improvement are borne.
    threshold, threshold_mode
        An improvement is by more than threshold |best| ("rel"), or by more than threshold ("abs").
    cooldown
        How many steps after a reduction are not counted.
    min_lr
        The lowest learning rate, or one for each group.
    eps
        Smaller reductions are not made.

    Raises
    ------
    DTypeError, ArgumentError
        If a number is none, factor is not above 0 and below 1, or patience, cooldown or eps are negative.
    UnknownNameError
        If there is no such `mode` or `threshold_mode`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.factor = number("factor", factor, high=1, above=0)
        if self.factor == 1:
            raise ArgumentError("factor must lie below 1, got 1: it would reduce nothing")
        self.patience = whole("patience", patience, 0)
        self.cooldown = whole("cooldown", cooldown, 0)
        self.eps = number("eps", eps, 0)
        self.optimizer = instance("optimizer", optimizer, Optimizer, "an optimiser")
        self.min_lrs = each("min_lr", min_lr, len(optimizer.param_groups))
        self.sign = 1.0 if choice("mode", mode, ("min", "max")) == "min" else -1.0
        self.threshold = number("threshold", threshold)
        self.relative = choice("threshold_mode", threshold_mode, ("rel", "abs")) == "rel"
        self.best = self.sign * inf
        self.bad_steps = 0
        self.cooldown_left = 0

    def step(self, metric: float) -> None:
        """Take note of the metric, and reduce the learning rates if it stagnates. Raises DTypeError unless it is a number."""
        try:
            metric = float(metric)
        except (TypeError, ValueError):
            raise DTypeError(f"metric must be a number, got {type(metric).__name__}") from None
        margin = self.sign * self.threshold
        # PyTorch's relative margin is a share of the best value itself, whatever its sign.
        goal = self.best * (1 - margin) if self.relative else self.best - margin
        if self.sign * metric < self.sign * goal:
            self.best = metric
            self.bad_steps = 0
        else:
            self.bad_steps += 1
        if self.cooldown_left:
            self.cooldown_left -= 1
            self.bad_steps = 0
        if self.bad_steps > self.patience:
            for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                reduced = max(group["lr"] * self.factor, lowest)
                if group["lr"] - reduced > self.eps:
                    group["lr"] = reduced
            self.cooldown_left = self.cooldown
            self.bad_steps = 0


def check_schedule(scheduler: Any) -> None:
    """Raise DTypeError unless the argument `scheduler` can be stepped."""
    if isinstance(scheduler, type) or not callable(getattr(scheduler, "step", None)):
        raise DTypeError(f"scheduler must be a learning-rate schedule, got {shown(scheduler)}")


def each(name: str, value: float | Sequence[float], n: int) -> list[float]:
    """`value`, or the values, for each of `n` parameter groups."""
    values = list(items(name, value, number, "a number, or numbers")) if isinstance(value, (tuple, list)) else [number(name, value)] * n
    if len(values) != n:
        raise ArgumentError(f"{name} must be one number or one for each of {n} parameter groups, got {len(values)}")
    return values
