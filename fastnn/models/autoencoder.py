"""Autoencoders: networks that learn to reproduce their input through a narrow middle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .. import nn
from .._arguments import instance, iterable, whole
from ..errors import ArgumentError
from ..random import unless_it_fails
from ..tensor import Tensor
from ._parts import Part, activation_layer, widths
from .mlp import mlp


class Autoencoder(nn.Module):
    """x' = decoder(encoder(x)): trained to make x' equal x, it finds in its hidden code what tells the samples apart.

    Parameters
    ----------
    encoder
        From the input to the code.
    decoder
        From the code back to the shape of the input.

    Raises
    ------
    DTypeError
        If one of them is no module.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        self.encoder = instance("encoder", encoder, nn.Module, "a module")
        self.decoder = instance("decoder", decoder, nn.Module, "a module")

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


@unless_it_fails()
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

    Raises
    ------
    DTypeError, ArgumentError, UnknownNameError
        If an argument is not as above.
    """
    hidden, code = widths("hidden", hidden), whole("autoencoder: code", code, 1)
    return Autoencoder(
        mlp(in_features, hidden, code, activation, dtype=dtype), mlp(code, list(reversed(hidden)), in_features, activation, dtype=dtype)
    )


@unless_it_fails()
def conv_autoencoder(
    image_shape: tuple[int, int, int] = (1, 28, 28),
    channels: Sequence[int] = (16, 32),
    code: int = 32,
    activation: Part = "relu",
    dtype: Any = None,
) -> Autoencoder:
    """A convolutional autoencoder: its encoder halves the size at each step, its decoder doubles it by transposed convolutions.

    Parameters
    ----------
    image_shape
        (C, H, W) of input and output.
    channels
        The channels after each step of the encoder.
    code
        The size of the hidden code, which is linear.
    activation, dtype
        As for `mlp`.

    Raises
    ------
    ArgumentError
        If H or W cannot be halved as often, or there is no step.
    DTypeError, UnknownNameError
        If a size is no whole number, or there is no such activation.
    """
    if len(iterable("image_shape", image_shape, "(C, H, W)")) != 3:
        raise ArgumentError(f"conv_autoencoder: image_shape must be (C, H, W), got {image_shape}")
    (C, H, W), channels = widths("image_shape", image_shape), widths("channels", channels)
    code = whole("conv_autoencoder: code", code, 1)
    shrinkage = 2 ** len(channels)
    if not channels or H % shrinkage or W % shrinkage:
        raise ArgumentError(
            f"conv_autoencoder: channels must name a step at least, and H and W be multiples of {shrinkage} for {len(channels)} steps, "
            f"got {H} and {W}"
        )
    middle = (channels[-1], H // shrinkage, W // shrinkage)
    features = middle[0] * middle[1] * middle[2]
    steps = [C, *channels]
    encoder: list[nn.Module] = []
    for before, after in pairwise(steps):
        encoder += [nn.Conv2d(before, after, 3, 2, 1, dtype=dtype), activation_layer(activation, dtype)]
    encoder += [nn.Flatten(), nn.Linear(features, code, dtype=dtype)]
    decoder: list[nn.Module] = [nn.Linear(code, features, dtype=dtype), nn.Unflatten(1, middle)]
    for before, after in pairwise(reversed(steps)):
        decoder += [activation_layer(activation, dtype), nn.ConvTranspose2d(before, after, 3, 2, 1, 1, dtype=dtype)]
    return Autoencoder(nn.Sequential(*encoder), nn.Sequential(*decoder))
