"""What programs are fed: bytes, as which images are stored, mean numbers from 0 to 1; floats take on the dtype of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import DTYPES, Array

UNIT = 1 / 255  # what one step of a byte is worth


def tensor_dtype(given: np.dtype[Any], dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that tensors of a model of this dtype have for numbers of the `given` one."""
    if given.kind == "f":
        return dtype
    return given if given in DTYPES else np.dtype(np.int64)


def fed_dtype(x: Array, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which a model of this dtype sees the inputs x."""
    return dtype if x.dtype == np.uint8 else tensor_dtype(x.dtype, dtype)


def as_fed(x: Array, dtype: np.dtype[Any]) -> Array:
    """The inputs x as a model of this dtype sees them."""
    if x.dtype == fed_dtype(x, dtype):
        return x
    y = np.empty(x.shape, dtype)
    feed(y, x)
    return y


def as_target(y: Array, dtype: np.dtype[Any]) -> Array:
    """The targets y as a loss for a model of this dtype sees them."""
    return y.astype(tensor_dtype(y.dtype, dtype), copy=False)


def feed(place: Array, x: Array) -> None:
    """Write the inputs x to their place in a program."""
    place[...] = x
    if x.dtype == np.uint8 and place.dtype.kind == "f":  # targets stay bytes
        place *= place.dtype.type(UNIT)
