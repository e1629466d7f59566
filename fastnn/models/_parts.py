"""The parts of a model that are chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import nn
from .._arguments import items, number, whole
from ..errors import DTypeError, unknown_name
from ..nn.activation import ACTIVATIONS

NORMS: dict[str, type[nn.Module]] = {"layer_norm": nn.LayerNorm, "rms_norm": nn.RMSNorm, "batch_norm": nn.BatchNorm1d}

Part = str | Callable[..., nn.Module]  # a name in a table, or what is called to build one: a class such as nn.ReLU


def activation_layer(choice: Part, dtype: Any) -> nn.Module:
    """A new activation. Raises UnknownNameError for a name that is not in `nn.activation.ACTIVATIONS`."""
    layer = build("activation", choice, ACTIVATIONS)
    return layer if dtype is None else layer.astype(dtype)


def norm_layers(choice: Part | None, features: int, dtype: Any) -> list[nn.Module]:
    """A new normalisation of that many features, or nothing for None. Raises UnknownNameError for a name that is not in `NORMS`."""
    return [] if choice is None else [build("norm", choice, NORMS, features, dtype=dtype)]


def dropout_layers(p: float) -> list[nn.Module]:
    """A new dropout, or nothing for p = 0. Raises DTypeError or ArgumentError unless p is a number from 0 to 1."""
    return [] if number("dropout", p, 0, 1) == 0 else [nn.Dropout(p)]


def widths(name: str, sizes: Any) -> tuple[int, ...]:
    """A sequence of sizes, each at least 1. Raises DTypeError or ArgumentError."""
    return items(name, sizes, lambda each, size: whole(each, size, 1), "a sequence of sizes such as [128, 64]")


def build(kind: str, choice: Part, table: Mapping[str, Callable[..., nn.Module]], *args: Any, **kwargs: Any) -> nn.Module:
    """The module that `choice`, a name in `table` or a class, stands for. Raises UnknownNameError or DTypeError."""
    if isinstance(choice, str):
        if choice not in table:
            raise unknown_name(kind, choice, table)
        choice = table[choice]
    if isinstance(choice, type) and not issubclass(choice, nn.Module):
        raise DTypeError(f"{kind} must be a name or a class such as {next(iter(table.values())).__name__}, got {choice.__name__}")
    module = choice(*args, **kwargs) if callable(choice) and not isinstance(choice, nn.Module) else None
    if not isinstance(module, nn.Module):
        raise DTypeError(f"{kind} must be a name or a class such as {next(iter(table.values())).__name__}, got {choice!r}")
    return module
