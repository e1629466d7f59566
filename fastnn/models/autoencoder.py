"""The autoencoder: a network that learns to reproduce its input through a narrow middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from ._parts import Part
from .mlp import mlp


class Autoencoder(nn.Module):
    """x' = decoder(encoder(x)): trained to make x' equal x, it finds in its hidden code what tells the samples apart.

    Parameters
    ----------
    encoder
        From the input to the code.
    decoder
        From the code back to the shape of the input.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, x: Any) -> Tensor:
        """The hidden code of x."""
        code: Tensor = self.encoder(x)
        return code

    def decode(self, code: Any) -> Tensor:
        """The sample that a hidden code stands for."""
        x: Tensor = self.decoder(code)
        return x

    def forward(self, x: Any) -> Tensor:
        return self.decode(self.encode(x))


def autoencoder(in_features: int, hidden: Sequence[int], code: int, activation: Part = "relu", dtype: Any = None) -> Autoencoder:
    """A fully connected autoencoder, its decoder the mirror image of its encoder.

    Parameters
    ----------
    in_features
        Size of the last dimension of input and output.
    hidden
        The width of each hidden layer of the encoder.
    code
        The size of the hidden code, which is linear.
    activation, dtype
        As for `mlp`.
    """
    return Autoencoder(
        mlp(in_features, hidden, code, activation, dtype=dtype), mlp(code, list(reversed(hidden)), in_features, activation, dtype=dtype)
    )
