"""What programs are fed: bytes, as which images are stored, mean numbers from 0 to 1; floats take on the dtype of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Array

UNIT = 1 / 255  # what one step of a byte is worth


def fed_dtype(x: Array, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which a model of this dtype sees the inputs x."""
    return dtype if x.dtype.kind in "uf" else x.dtype  # uint8 is the only unsigned dtype of tensors


def as_fed(x: Array, dtype: np.dtype[Any]) -> Array:
    """The inputs x as a model of this dtype sees them."""
    if x.dtype == fed_dtype(x, dtype):
        return x
    y = np.empty(x.shape, dtype)
    feed(y, x)
    return y


def feed(place: Array, x: Array) -> None:
    """Write the inputs x to their place in a program."""
    place[...] = x
    if x.dtype.kind == "u" and place.dtype.kind == "f":  # targets stay bytes
        place *= place.dtype.type(UNIT)
