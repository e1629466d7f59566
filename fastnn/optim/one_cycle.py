"""The one-cycle schedule: learning rate up and down once, momentum the other way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .._arguments import LARGEST, choice, instance, number, whole
from ..errors import ArgumentError, StateError
from .optimizer import Group, Optimizer
from .schedules import Schedule, cosine, each, linear

ANNEALING = {"cos": cosine, "linear": linear}


class Phase(NamedTuple):
    """A part of a cycle: its last step, and the group's entries that the learning rate and the momentum go from and to."""

    last_step: float
    lr: tuple[str, str]
    momentum: tuple[str, str]


class OneCycleLR(Schedule):
    """Up from max_lr / div_factor to `max_lr` and down to a fraction of the start, while momentum goes the other way.

    Step it after every batch.

    Parameters
    ----------
    optimizer
        Whose learning rates, and `momentum` or first of `betas`, to set.
    max_lr
        The highest learning rate, or one for each group.
    total_steps, epochs, steps_per_epoch
        The length of the cycle: the first, or the product of the others.
    pct_start
        The share of the cycle in which the learning rate rises.
    anneal_strategy
        "cos" or "linear".
    cycle_momentum
        Whether to set momentum too.
    base_momentum, max_momentum
        Its lowest and highest value, or one for each group.
    div_factor
        max_lr / first learning rate.
    final_div_factor
        First / last learning rate.
    three_phase
        Whether to come back symmetrically to the first learning rate, and then fall to the last one.
    last_epoch
        How many steps were made before; -1 to begin anew.

    Raises
    ------
    ArgumentError, DTypeError
        If the length is not given or not positive, pct_start is not in [0, 1], a factor is not above 0, the optimiser has no momentum to
        cycle, or an argument is of another type.
    UnknownNameError
        If there is no such `anneal_strategy`.
    StateError
        From `step`, at the end of the cycle.

    Source: Smith & Topin 2018, "Super-convergence: very fast training of neural networks using large learning rates".
    """

    per_batch = True

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        instance("optimizer", optimizer, Optimizer, "an optimiser")
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("OneCycleLR: give total_steps, or epochs and steps_per_epoch; got None")
            total_steps = whole("epochs", epochs, 1) * whole("steps_per_epoch", steps_per_epoch, 1)
        last_epoch = whole("last_epoch", last_epoch, -1)
        total_steps = whole("total_steps", total_steps, 1)
        pct_start = number("pct_start", pct_start, 0, 1)
        choice("anneal_strategy", anneal_strategy, ANNEALING)
        div_factor, final_div_factor = (
            number(name, value, high=LARGEST, above=0)
            for name, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor))
        )
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ArgumentError(f"cycle_momentum: {type(optimizer).__name__} has neither momentum nor betas")
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.div_factor = div_factor
        peak = pct_start * total_steps - 1
        self.phases = [
            Phase(peak, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum")),
            Phase(total_steps - 1, ("max_lr", "min_lr"), ("base_momentum", "max_momentum")),
        ]
        if three_phase:
            self.phases[1:] = [
                Phase(2 * peak, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum")),
                Phase(total_steps - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
            ]
        if last_epoch == -1:
            n = len(optimizer.param_groups)
            ends = zip(
                each("max_lr", max_lr, n), each("base_momentum", base_momentum, n), each("max_momentum", max_momentum, n), strict=True
            )
            for group, (highest, base, most) in zip(optimizer.param_groups, ends, strict=True):
                group["max_lr"] = highest
                group["min_lr"] = highest / div_factor / final_div_factor
                if cycle_momentum:
                    group["base_momentum"], group["max_momentum"] = base, most
        super().__init__(optimizer, last_epoch)

    def start(self, group: Group) -> float:
        return float(group["max_lr"] / self.div_factor)

    def _phase(self, t: int) -> tuple[Phase, float]:
        """The phase that step `t` lies in, and the fraction of it that is over."""
        begin = 0.0
        for phase in self.phases[:-1]:
            if t <= phase.last_step:
                break
            begin = phase.last_step
        else:
            phase = self.phases[-1]
        length = phase.last_step - begin
        return phase, (t - begin) / length if length else 1.0

    def _between(self, group: Group, ends: tuple[str, str], fraction: float) -> float:
        return ANNEALING[self.anneal_strategy](group[ends[0]], group[ends[1]], fraction)

    def lr(self, group: Group, t: int) -> float:
        if t > self.total_steps:
            raise StateError(f"OneCycleLR: the cycle has {self.total_steps} steps, this is step {t}")
        phase, fraction = self._phase(t)
        return self._between(group, phase.lr, fraction)

    def step(self) -> None:
        super().step()
        if not self.cycle_momentum:
            return
        phase, fraction = self._phase(self.last_epoch)
        for group in self.optimizer.param_groups:
            momentum = self._between(group, phase.momentum, fraction)
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
