"""Which values the hyperparameters of optimisers may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, DTypeError


class Constraint(NamedTuple):
    """What a value must be, for the message, and whether it is."""

    wanted: str
    holds: Callable[[Any], bool]


NON_NEGATIVE = Constraint("a number >= 0", lambda x: 0 <= x < inf)
FINITE = Constraint("a finite number", isfinite)
FRACTION = Constraint("a number in [0, 1]", lambda x: 0 <= x <= 1)
PAIR = Constraint("two numbers in [0, 1)", lambda pair: len(pair) == 2 and all(0 <= x < 1 for x in pair))
FLAG = Constraint("True or False", lambda x: x in (0, 1))

CONSTRAINTS = {
    "lr": NON_NEGATIVE,
    "betas": PAIR,
    "alpha": NON_NEGATIVE,
    "rho": FRACTION,
    "eps": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
    "momentum": NON_NEGATIVE,
    "dampening": FINITE,
    "momentum_decay": NON_NEGATIVE,
    "lr_decay": NON_NEGATIVE,
    "initial_accumulator_value": NON_NEGATIVE,
    "nesterov": FLAG,
    "amsgrad": FLAG,
    "centered": FLAG,
    "maximize": FLAG,
    "decoupled_weight_decay": FLAG,
}


def check(optimizer: str, group: Mapping[str, Any]) -> None:
    """Raise ArgumentError for a value outside its range and DTypeError for one of the wrong type."""
    for name, constraint in CONSTRAINTS.items():
        if name not in group:
            continue
        message = f"{optimizer}: {name} must be {constraint.wanted}, got {group[name]!r}"
        try:
            holds = np.size(group[name]) > 0 and constraint.holds(group[name])  # before NumPy 2.2 an empty array was false, with a warning
        except (TypeError, ValueError):  # arrays have no truth value
            raise DTypeError(message) from None
        if not holds:
            raise ArgumentError(message)
