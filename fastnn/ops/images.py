"""Images made larger or smaller: padding and interpolation.

Both replace each axis by weighted sums of a few of its items, and differ only in which items and which weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._arguments import LARGEST, choice, items, number, whole
from ..errors import ArgumentError, ShapeError
from ..tensor import Array, Tensor, as_float, record, run
from ._operands import block, count, filled
from .shape import window


def resample(x: Tensor, axis: int, position: Array, weight: Array) -> Tensor:
    """y[..., q, ...] = sum_t weight[q, t] x[..., position[q, t], ...] along one axis."""
    O, S, I = count(x.shape[:axis]), x.shape[axis], count(x.shape[axis + 1 :])
    Q = len(position)
    y = np.empty((*x.shape[:axis], Q, *x.shape[axis + 1 :]), x.dtype)
    run("resample", y.reshape(O, Q, I), block(x.data, (O, S, I)), position, weight)
    return record(y, (x, lambda y, dy: _resample_grad(dy, axis, S, position, weight)))


def _resample_grad(dy: Tensor, axis: int, size: int, position: Array, weight: Array) -> Tensor:
    O, Q, I = count(dy.shape[:axis]), dy.shape[axis], count(dy.shape[axis + 1 :])
    dx = np.empty((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
    run("resample_grad", dx.reshape(O, size, I), block(dy.data, (O, Q, I)), position, weight)
    return record(dx, (dy, lambda _, ddx: resample(ddx, axis, position, weight)))


def _picked(x: Tensor, axis: int, position: Array) -> Tensor:
    """The items of x at these positions of an axis."""
    return resample(x, axis, position.reshape(-1, 1), np.ones((len(position), 1), x.dtype))


# What lies beyond the edges: for an axis of `size` items, the position that stands for position i.
BEYOND: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda i, size: size - 1 - np.abs(size - 1 - np.abs(i)),
    "replicate": lambda i, size: np.clip(i, 0, size - 1),
    "circular": lambda i, size: i % size,
}
MODES_OF_PAD = ("constant", *BEYOND)


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """x with something around it, or without some of its edges.

    Parameters
    ----------
    input
        Floats of any shape.
    pad
        How many elements to put before and after: of the last dimension first, then of the one before it, and so on. So many are cut off
        where it is negative.
    mode
        "constant" puts `value` there, "replicate" the nearest element of x, "reflect" its mirror image (without the edge itself),
        "circular" its other end, of what is left where one is cut off.
    value
        For "constant"; None is 0.

    Raises
    ------
    ShapeError
        If `pad` has an odd length, more sizes than x, or cuts off more than there is; or a mirror image would be larger than x.
    ArgumentError
        If a value is given for another mode.
    DTypeError, UnknownNameError
        If the input holds no floats, `pad` no ints, `value` is no number, or there is no such mode.
    """
    x = as_float(input)
    choice("mode of pad", mode, MODES_OF_PAD)
    pad = items("pad", pad, whole, "a sequence of ints")
    constant = 0.0 if value is None else number("pad: value", value)
    if mode != "constant" and constant:
        raise ArgumentError(f"pad: value has no meaning for mode {mode!r}, got {value}")
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ShapeError(f"pad must hold two sizes for each of at most {x.ndim} dimensions, got {tuple(pad)}")
    around = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    cut_first = mode in ("constant", "circular")  # mirror images are those of the whole
    for size, (before, after) in zip(x.shape, around, strict=True):
        if size + (min(before, after, before + after) if cut_first else before + after) < 0:
            raise ShapeError(f"pad: at most {size} can be cut off from a dimension of size {size}, got {(before, after)}")
    if cut_first:
        x = _cropped(x, around)
        around = [(max(before, 0), max(after, 0)) for before, after in around]
    if mode == "constant":
        return _surrounded(x, around, constant)
    for axis, (before, after) in enumerate(around):
        size = x.shape[axis]
        most = {"reflect": size - 1, "circular": size}.get(mode, max(before, after) if size else 0)
        if max(before, after) > most:
            raise ShapeError(f"pad: mode {mode!r} can put at most {most} around a dimension of size {size}, got {(before, after)}")
        if before or after:
            x = _picked(x, axis, BEYOND[mode](np.arange(-before, size + after), size))
    return x


def _cropped(x: Tensor, around: Sequence[tuple[int, int]]) -> Tensor:
    """x without as many elements as the negative sizes say."""
    if all(min(sizes) >= 0 for sizes in around):
        return x
    return window(x, tuple(slice(max(0, -before), n - max(0, -after)) for n, (before, after) in zip(x.shape, around, strict=True)))


def _surrounded(x: Tensor, around: Sequence[tuple[int, int]], value: float) -> Tensor:
    if not any(map(any, around)):
        return x
    index: tuple[Any, ...] = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, around, strict=True))
    y = filled(tuple(n + before + after for n, (before, after) in zip(x.shape, around, strict=True)), x.dtype, value)
    run("copy", y[(*index, ...)], x.data)
    return record(y, (x, lambda y, dy: window(dy, index)))


RANKS = {"nearest": (3, 4, 5), "linear": (3,), "bilinear": (4,)}  # how many dimensions the input of each mode has


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images in another size.

    Parameters
    ----------
    input
        (N, C, L), (N, C, H, W) or (N, C, D, H, W), as the mode allows; floats.
    size
        That of the result behind N and C: an int, or one for each dimension.
    scale_factor
        Instead of `size`: what to multiply sizes by, rounded down.
    mode
        "nearest" takes the element floor(i / scale); "linear" and "bilinear" weigh the nearest ones along each dimension, the place of i
        being (i + 1/2) / scale - 1/2, held inside the image. A dimension of an image (N, C, H, W), or of a sequence in the mode
        "linear", that keeps its size stays as it is, whatever the scale.
    align_corners
        For "linear" and "bilinear": True makes the centres of the elements in the corners the corners, so that the place of i is
        i (old size - 1) / (new size - 1).
    recompute_scale_factor
        Whether the scale is new size / old size, as for a given size, instead of scale_factor, which need not make a whole size.
    antialias
        Accepted as in PyTorch, if it is False.

    Raises
    ------
    ShapeError
        If the input has another rank, or the result would be empty.
    ArgumentError
        Unless just one of size and scale_factor is given; if align_corners is given for "nearest", recompute_scale_factor for a size, or
        antialias is True.
    DTypeError, UnknownNameError
        If the input holds no floats, size no ints or scale_factor no numbers, or there is no such mode.
    """
    x = as_float(input)
    choice("mode of interpolation", mode, RANKS)
    if x.ndim not in RANKS[mode]:
        ranks = " or ".join(map(str, RANKS[mode]))
        raise ShapeError(f"interpolate: input must have {ranks} dimensions for mode {mode!r}, got shape {x.shape}")
    if mode == "nearest" and align_corners is not None:
        raise ArgumentError(f"interpolate: align_corners has no meaning for mode 'nearest', got {align_corners}")
    if antialias:
        raise ArgumentError(f"interpolate: antialias must be False, no mode has it here, got {antialias}")
    if recompute_scale_factor and size is not None:
        raise ArgumentError(f"interpolate: recompute_scale_factor has no meaning for a given size, got {recompute_scale_factor}")
    sizes, scales = _target(x.shape[2:], size, scale_factor)
    if recompute_scale_factor:
        scales = [old / new for old, new in zip(x.shape[2:], sizes, strict=True)]
    for axis, (length, scale) in enumerate(zip(sizes, scales, strict=True), start=2):
        if length == x.shape[axis] and (mode != "nearest" or x.ndim == 4):
            continue
        if mode == "nearest":
            x = _picked(x, axis, _nearest(x.shape[axis], length, scale))
        else:
            x = resample(x, axis, *_linear(x.shape[axis], length, scale, bool(align_corners), x.dtype))
    return x


def _target(shape: tuple[int, ...], size: Any, scale_factor: Any) -> tuple[list[int], list[float]]:
    """The new sizes, and how far apart the new elements lie in units of the old ones."""
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"interpolate: give either size or scale_factor, got size={size} and scale_factor={scale_factor}")
    name, given = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    many = given if isinstance(given, (tuple, list)) else (given,) * len(shape)
    values: tuple[float, ...] = items(
        f"interpolate: {name}", many, _size if scale_factor is None else _scale, "a number for each dimension"
    )
    if len(values) != len(shape):
        raise ArgumentError(f"interpolate: {name} must be a number or {len(shape)} numbers, got {given}")
    sizes = [int(v) if scale_factor is None else math.floor(n * v) for n, v in zip(shape, values, strict=True)]
    if min(sizes) < 1 or 0 in shape:
        raise ShapeError(f"interpolate: {name} must leave something of {shape}, got {given}, which makes it {tuple(sizes)}: empty")
    return sizes, [n / m if scale_factor is None else 1 / v for n, m, v in zip(shape, sizes, values, strict=True)]


def _size(name: str, value: Any) -> int:
    return whole(name, value, 1)


def _scale(name: str, value: Any) -> float:
    return number(name, value, above=0, high=LARGEST)


def _nearest(size: int, length: int, scale: float) -> Array:
    # float32, as PyTorch computes it: where a place is a whole number, rounding decides
    places = np.floor(np.arange(length, dtype=np.float32) * np.float32(scale)).astype(np.int64)
    nearest: Array = np.minimum(places, size - 1)
    return nearest


def _linear(size: int, length: int, scale: float, align_corners: bool, dtype: Any) -> tuple[Array, Array]:
    """The two items next to each new one, and their weights."""
    steps = np.arange(length)
    place = steps * ((size - 1) / max(length - 1, 1)) if align_corners else np.maximum((steps + 0.5) * scale - 0.5, 0)
    left = np.minimum(place.astype(np.int64), size - 1)
    share = np.clip(place - left, 0, 1)
    return np.stack([left, np.minimum(left + 1, size - 1)], axis=1), np.stack([1 - share, share], axis=1).astype(dtype)
