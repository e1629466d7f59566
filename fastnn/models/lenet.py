"""LeNet-5."""

from __future__ import annotations

from typing import Any

from .. import nn
from .._arguments import whole
from ..random import unless_it_fails
from ._parts import Part, activation_layer, build

POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


@unless_it_fails()
def lenet5(
    num_classes: int = 10, in_channels: int = 1, activation: Part = "relu", pooling: Part = "max", dtype: Any = None
) -> nn.Sequential:
    """The convolutional net for 28x28 images of LeCun et al. 1998, section II.B, with 61,706 parameters.

    Two 5x5 convolutions to 6 and 16 channels, each followed by an activation and a 2x2 pooling, then dense layers of 120, 84 and
    num_classes. The original has activation="tanh" and pooling="avg".

    Parameters
    ----------
    num_classes, in_channels
        Sizes of dimension 1 of the output (N, num_classes) and of the input (N, in_channels, 28, 28).
    activation
        A name in `nn.activation.ACTIVATIONS`, or a class.
    pooling
        "max", "avg", or what is called with the size of the windows to build one.
    dtype
        float32 (the default) or float64.

    Raises
    ------
    DTypeError, ArgumentError, UnknownNameError
        If an argument is not as above.
    """

    num_classes, in_channels = whole("lenet5: num_classes", num_classes, 1), whole("lenet5: in_channels", in_channels, 1)

    def act() -> nn.Module:
        return activation_layer(activation, dtype)

    def pool() -> nn.Module:
        return build("pooling", pooling, POOLINGS, 2)

    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5, padding=2, dtype=dtype),
        act(),
        pool(),
        nn.Conv2d(6, 16, 5, dtype=dtype),
        act(),
        pool(),
        nn.Flatten(),
        nn.Linear(400, 120, dtype=dtype),
        act(),
        nn.Linear(120, 84, dtype=dtype),
        act(),
        nn.Linear(84, num_classes, dtype=dtype),
    )
