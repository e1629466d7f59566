"""Convolutions.

A convolution is linear in its input and in its weight, and so are both of its gradients: each of the three is differentiated by
means of the other two, as often as one likes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError, unknown_name
from ..tensor import Tensor, record, run
from ._operands import block, inputs, nothing, optional, vector
from ._planes import Pair, Planes, Size, windows
from ._rules import if_given
from .reduce import sum
from .shape import reshape

PADDINGS = ("same", "valid")
Shape = tuple[int, ...]


class Steps(NamedTuple):
    """How windows move over an image, as the kernels take it; the pad is that above and on the left."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:
    """y[n, o, i, j] = bias[o] + sum_ckl weight[o, c, k, l] x[n, c, i stride + k dilation - padding, j stride + l dilation - padding].

    Parameters
    ----------
    input
        x (N, I, H, W) or (I, H, W), floats; zero beyond its edges.
    weight
        (O, I / groups, KH, KW)
    bias
        (O,) or None; both have the input's dtype.
    stride, dilation
        An int, or one for height and one for width.
    padding
        The same, "valid" for none, or "same" for as much as keeps the size (with stride 1; an odd zero goes below and to the right).
    groups
        Into how many groups of channels input and output are divided; each output sees the inputs of its group only.

    Raises
    ------
    ShapeError
        If a shape is not as above, or no window fits into the input.
    ArgumentError, DTypeError, UnknownNameError
        If another argument is not as above.
    """
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:
    """`conv2d` of float sequences: input (N, I, L) or (I, L), weight (O, I / groups, K), bias (O,) or None.

    The others, stride, padding, dilation and groups, are those of `conv2d`, as ints. Raises what `conv2d` raises.
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of the linear map `conv2d`, plus a bias: each input adds a copy of the kernel to the output.

    An output has (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1 rows, and columns alike.

    Parameters
    ----------
    input
        (N, I, H, W) or (I, H, W), floats.
    weight
        (I, O / groups, KH, KW)
    bias
        (O,) or None; both have the input's dtype.
    output_padding
        How many rows and columns to add below and on the right, less than stride or dilation: it picks one of the sizes that a
        convolution with this stride maps to the input's.
    stride, padding, groups, dilation
        As in `conv2d`, where they make the map that this one is the transpose of.

    Raises
    ------
    ShapeError
        If a shape is not as above, or there would be less than no rows or columns.
    ArgumentError, DTypeError
        If another argument is not as above.
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """`conv_transpose2d` of float sequences: input (N, I, L) or (I, L), weight (I, O / groups, K), bias (O,) or None.

    The others, stride, padding, output_padding, groups and dilation, are those of `conv_transpose2d`, as ints. Raises what it raises.
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _operands(owner: str, dims: int, input: Any, weight: Any, groups: int) -> tuple[Planes, Tensor]:
    x, weight = inputs(weight, input=input)
    planes = Planes(owner, x, dims)
    if weight.ndim != dims + 2 or 0 in weight.shape:
        raise ShapeError(f"{owner}: weight must have {dims + 2} dimensions, channels twice and then the kernel, got shape {weight.shape}")
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)):
        raise DTypeError(f"{owner}: groups must be an int, got {groups!r}")
    if groups < 1 or weight.shape[0] % groups:
        raise ArgumentError(f"{owner}: groups must divide the first size of weight {weight.shape}, got {groups}")
    return planes, reshape(weight, *weight.shape[:2], 1, weight.shape[2]) if dims == 1 else weight


def _convolution(
    owner: str, dims: int, input: Any, weight: Any, bias: Any, stride: Size, padding: Size | str, dilation: Size, groups: int
) -> Tensor:
    planes, w = _operands(owner, dims, input, weight, groups)
    x = planes.images
    if x.shape[1] != w.shape[1] * groups:
        raise ShapeError(
            f"{owner}: input must have {w.shape[1] * groups} channels for a weight of shape {weight.shape} and {groups} groups, "
            f"got {x.shape[1]}"
        )
    bias = optional(bias, x, "bias", w.shape[:1])
    strides, dilations = planes.pair("stride", stride, 1, 1), planes.pair("dilation", dilation, 1, 1)
    kernel = (w.shape[2], w.shape[3])
    if isinstance(padding, str):
        front, around = _named_padding(owner, padding, kernel, strides, dilations)
    else:
        front = planes.pair("padding", padding, 0, 0)
        around = (2 * front[0], 2 * front[1])
    size = windows(owner, x.shape[2:], kernel, strides, around, dilations)
    return planes.back(_forward(x, w, bias, size, Steps(*strides, *front, *dilations, groups)))


def _named_padding(owner: str, padding: str, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """The pad in front, and that on both sides together."""
    if padding not in PADDINGS:
        raise unknown_name(f"{owner} padding", padding, PADDINGS)
    if padding == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        raise ArgumentError(f"{owner}: padding 'same' needs a stride of 1, got {stride}")
    around = (dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1))
    return (around[0] // 2, around[1] // 2), around


def _transposed(
    owner: str,
    dims: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Tensor:
    planes, w = _operands(owner, dims, input, weight, groups)
    x = planes.images
    if x.shape[1] != w.shape[0]:
        raise ShapeError(f"{owner}: input must have {w.shape[0]} channels for a weight of shape {weight.shape}, got {x.shape[1]}")
    O = w.shape[1] * groups
    bias = optional(bias, x, "bias", (O,))
    strides, dilations = planes.pair("stride", stride, 1, 1), planes.pair("dilation", dilation, 1, 1)
    front, extra = planes.pair("padding", padding, 0, 0), planes.pair("output_padding", output_padding, 0, 0)
    size = []
    for length, k, s, p, more, d in zip(x.shape[2:], w.shape[2:], strides, front, extra, dilations, strict=True):
        if more and more >= s and more >= d:
            raise ArgumentError(f"{owner}: output_padding must be less than stride or dilation, got {more} for stride {s} and dilation {d}")
        size.append((length - 1) * s - 2 * p + d * (k - 1) + more + 1)
    if min(size) < 0 or 0 in x.shape[2:]:
        raise ShapeError(f"{owner}: the output would have {size[0]} rows and {size[1]} columns for an input of shape {x.shape}")
    y = _to_input(x, w, (x.shape[0], O, *size), Steps(*strides, *front, *dilations, groups))
    return planes.back(y if bias is None else y + reshape(bias, O, 1, 1))


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, size: Pair, steps: Steps) -> Tensor:
    """The convolution of x with the weight, plus the bias; of so many rows and columns."""
    O = weight.shape[0]
    y = np.empty((x.shape[0], O, *size), x.dtype)
    run("conv2d", y, block(x.data, x.shape), block(weight.data, weight.shape), vector(bias, O, x, 0.0), nothing(y), *steps, 0)
    return record(
        y,
        (x, lambda y, dy: _to_input(dy, weight, x.shape, steps)),
        (weight, lambda y, dy: _to_weight(dy, x, weight.shape, steps)),
        *if_given(bias, lambda y, dy: sum(dy, (0, 2, 3))),
    )


def _to_input(dy: Tensor, weight: Tensor, shape: Shape, steps: Steps) -> Tensor:
    """The gradient of the input, which has this shape."""
    dx = np.empty(shape, dy.dtype)
    run("conv2d_input_grad", dx, block(dy.data, dy.shape), block(weight.data, weight.shape), nothing(dx), *steps, 0)
    return record(
        dx,
        (dy, lambda _, ddx: _forward(ddx, weight, None, (dy.shape[2], dy.shape[3]), steps)),
        (weight, lambda _, ddx: _to_weight(dy, ddx, weight.shape, steps)),
    )


def _to_weight(dy: Tensor, x: Tensor, shape: Shape, steps: Steps) -> Tensor:
    """The gradient of the weight, which has this shape."""
    dweight = np.empty(shape, dy.dtype)
    run("conv2d_weight_grad", dweight, block(dy.data, dy.shape), block(x.data, x.shape), *steps)
    return record(
        dweight,
        (dy, lambda _, ddweight: _forward(x, ddweight, None, (dy.shape[2], dy.shape[3]), steps)),
        (x, lambda _, ddweight: _to_input(dy, ddweight, x.shape, steps)),
    )
