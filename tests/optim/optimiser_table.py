"""The optimiser configurations that every test goes through, and a small problem to run them on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn import optim
from fastnn.tensor import Tensor, tensor

SHAPES = ((3, 5), (7,), (), (2, 3, 4), (1,), (0, 3), (17,))


class Configuration(NamedTuple):
    optimizer: str
    arguments: dict[str, Any]


CONFIGURATIONS = [
    Configuration(name, arguments)
    for name, variants in {
        "sgd": [
            {},
            {"lr": 0.1, "weight_decay": 0.1},
            {"lr": 0.1, "momentum": 0.9},
            {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
            {"lr": 0.1, "momentum": 0.5, "maximize": True},
        ],
        "adam": [
            {},
            {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
            {"lr": 0.1, "amsgrad": True},
            {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1, "maximize": True},
            {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
            {"betas": (0.0, 0.0)},
        ],
        "adamw": [{}, {"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.1, "amsgrad": True, "maximize": True}],
        "nadam": [
            {},
            {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1},
            {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
            {"maximize": True},
        ],
        # With beta2 = 0.999 the rectification begins at the sixth step, with 0.5 it never does.
        "radam": [
            {},
            {"lr": 0.1, "betas": (0.8, 0.99), "weight_decay": 0.1},
            {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
            {"betas": (0.9, 0.5), "maximize": True},
        ],
        "adamax": [{}, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
        "rmsprop": [
            {},
            {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1},
            {"lr": 0.01, "momentum": 0.9},
            {"lr": 0.01, "centered": True, "eps": 1e-2},
            {"lr": 0.01, "centered": True, "momentum": 0.5, "eps": 1e-2, "maximize": True},
        ],
        "adagrad": [
            {},
            {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3},
            {"maximize": True},
        ],
        "adadelta": [{}, {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
        "lion": [{}, {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1}, {"maximize": True}],
    }.items()
    for arguments in variants
]


def label(configuration: Configuration) -> str:
    settings = [f"{k}={v}" for k, v in configuration.arguments.items()]
    return " ".join([configuration.optimizer, *settings]).replace("/", "")


def values(dtype: Any, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES]


def parameters(dtype: Any = np.float64) -> list[Tensor]:
    return [tensor(value, requires_grad=True) for value in values(dtype)]


def set_gradients(params: list[Tensor], seed: int) -> None:
    """Gradients that depend on `seed` alone, written where the optimiser wants them, as backward() does."""
    for p, g in zip(params, values(params[0].dtype, 100 + seed), strict=True):
        p.grad = None
        p.accumulate_grad(Tensor(g))


def train(params: list[Tensor], optimizer: optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        set_gradients(params, seed)
        optimizer.step()


def copies(params: list[Tensor]) -> list[Any]:
    return [p.data.copy() for p in params]
