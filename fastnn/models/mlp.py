"""Multi-layer perceptrons, plain and residual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from .._arguments import whole
from ..random import unless_it_fails
from ._parts import Part, activation_layer, dropout_layers, norm_layers, widths


@unless_it_fails()
def mlp(
    in_features: int,
    hidden: Sequence[int],
    out_features: int,
    activation: Part = "relu",
    dropout: float = 0.0,
    norm: Part | None = None,
    dtype: Any = None,
) -> nn.Sequential:
    """A fully connected network: `Linear, norm, activation, dropout` for each hidden layer, and a `Linear` at the end.

    Parameters
    ----------
    in_features, out_features
        Sizes of the last dimension of input and output.
    hidden
        The width of each hidden layer; none for a linear model.
    activation
        A name in `nn.activation.ACTIVATIONS`, or a class.
    dropout
        The probability of a zero behind each activation; 0 leaves the layer out.
    norm
        None, "layer_norm", "rms_norm", "batch_norm", or a class.
    dtype
        float32 (the default) or float64.

    Raises
    ------
    DTypeError, ArgumentError, UnknownNameError
        If a size is no whole number of at least 1, dropout is not between 0 and 1, a name is in no table, or a dtype is not as above.
    """
    layers: list[nn.Module] = []
    for width in widths("hidden", hidden):
        layers += [nn.Linear(in_features, width, dtype=dtype), *norm_layers(norm, width, dtype), activation_layer(activation, dtype)]
        layers += dropout_layers(dropout)
        in_features = width
    return nn.Sequential(*layers, nn.Linear(in_features, out_features, dtype=dtype))


@unless_it_fails()
def residual_mlp(
    in_features: int,
    width: int,
    depth: int,
    out_features: int,
    activation: Part = "relu",
    dropout: float = 0.1,
    norm: Part | None = "layer_norm",
    dtype: Any = None,
) -> nn.Sequential:
    """A fully connected residual network: `Linear`, then the blocks, then `norm, Linear`.

    A block computes x + body(x) with the body `norm, Linear, activation, dropout, Linear`.

    Parameters
    ----------
    in_features, out_features
        Sizes of the last dimension of input and output.
    width
        The size that all blocks share.
    depth
        The number of blocks, 0 or more; each holds two `Linear` layers.
    activation, dropout, norm, dtype
        As for `mlp`.

    Raises
    ------
    DTypeError, ArgumentError, UnknownNameError
        If an argument is not as above.
    """
    width, depth = whole("residual_mlp: width", width, 1), whole("residual_mlp: depth", depth, 0)

    def block() -> nn.Residual:
        return nn.Residual(
            *norm_layers(norm, width, dtype),
            nn.Linear(width, width, dtype=dtype),
            activation_layer(activation, dtype),
            *dropout_layers(dropout),
            nn.Linear(width, width, dtype=dtype),
        )

    return nn.Sequential(
        nn.Linear(in_features, width, dtype=dtype),
        *(block() for _ in range(depth)),
        *norm_layers(norm, width, dtype),
        nn.Linear(width, out_features, dtype=dtype),
    )
