"""Pooling of images: the largest value or the mean of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import whole
from ..errors import ArgumentError, ShapeError
from ..tensor import Array, Tensor, as_float, record, run
from ._operands import block, count
from ._planes import Pair, Planes, Size, windows
from .reduce import mean

Shape = tuple[int, ...]
AdaptiveSize = int | None | Sequence[int | None]


def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[n, c, i, j] = the largest x[n, c, i stride + k dilation - padding, ...] of a window; NaN wins.

    The gradient goes to the first element of a window that has its maximum, or to the last NaN. The spread-out window of a dilation may
    miss the input altogether: it gives -inf.

    Parameters
    ----------
    input
        (N, C, H, W) or (C, H, W), floats.
    kernel_size, stride, padding, dilation
        An int, or one for height and one for width; stride None is kernel_size. What is padded is never the largest.
    ceil_mode
        Whether a last window may reach beyond the padding.
    return_indices
        Whether to return, beside y, where each maximum lies in its plane: row W + column, int64; -1 where there is none.

    Raises
    ------
    ShapeError
        If the input has another rank, or is smaller than a window.
    ArgumentError, DTypeError
        If padding is more than half of kernel_size, or another argument is not as above.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` of float sequences (N, C, L) or (C, L): arguments are ints, and errors those that `max_pool2d` raises.

    See `max_pool2d` for kernel_size, stride, padding, dilation, ceil_mode and return_indices. Raises ShapeError, ArgumentError, DTypeError.
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """y[n, c, i, j] = the mean of x[n, c, i stride + k - padding, ...] over a window.

    Parameters
    ----------
    input, kernel_size, stride, padding, ceil_mode
        As in `max_pool2d`; what is padded is 0.
    count_include_pad
        Whether padded elements count as elements of the mean; those beyond the padding never do.
    divisor_override
        What to divide sums by instead of the number of elements.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        As in `max_pool2d`.
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool1d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """`avg_pool2d` of float sequences (N, C, L) or (C, L), whose arguments are ints.

    See `avg_pool2d` for kernel_size, stride, padding, ceil_mode and count_include_pad. Raises ShapeError, ArgumentError, DTypeError.
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def adaptive_avg_pool2d(input: Any, output_size: AdaptiveSize) -> Tensor:
    """The means of cells that cover an image as evenly as can be: rows floor(i H / OH) to ceil((i + 1) H / OH) - 1, columns alike.

    Parameters
    ----------
    input
        (N, C, H, W) or (C, H, W), floats.
    output_size
        An int, or one for height and one for width; None keeps a size.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        If they are not as above.
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool1d(input: Any, output_size: AdaptiveSize) -> Tensor:
    """`adaptive_avg_pool2d` of the float sequences `input`, (N, C, L) or (C, L), to output_size, an int. Raises what that raises."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_max_pool2d(input: Any, output_size: AdaptiveSize, return_indices: bool = False) -> Any:
    """The largest values of the cells of `adaptive_avg_pool2d`, whose input and output_size it has; return_indices is that of `max_pool2d`.

    Raises ShapeError, ArgumentError or DTypeError as these do.
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool1d(input: Any, output_size: AdaptiveSize, return_indices: bool = False) -> Any:
    """`adaptive_max_pool2d` of the float sequences `input`, (N, C, L) or (C, L), to output_size, an int, with return_indices.

    Raises ShapeError, ArgumentError or DTypeError as `adaptive_max_pool2d` does.
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def _max_pool(
    owner: str,
    dims: int,
    input: Any,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    planes = Planes(owner, as_float(input), dims)
    dilations = planes.pair("dilation", dilation, 1, 1)
    kernel, strides, pad, size = _geometry(planes, kernel_size, stride, padding, dilations, ceil_mode)
    return _largest("max_pool2d", planes, size, return_indices, *kernel, *strides, *pad, *dilations)


def _avg_pool(
    owner: str,
    dims: int,
    input: Any,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    planes = Planes(owner, as_float(input), dims)
    kernel, strides, pad, size = _geometry(planes, kernel_size, stride, padding, (1, 1), ceil_mode)
    if divisor is not None and whole(f"{owner}: divisor_override", divisor) == 0:
        raise ArgumentError(f"{owner}: divisor_override must not be 0, got {divisor}")
    return planes.back(_linear("avg_pool2d", planes.images, size, *kernel, *strides, *pad, int(bool(count_include_pad)), divisor or 0))


def _adaptive_avg_pool(owner: str, dims: int, input: Any, output_size: AdaptiveSize) -> Tensor:
    planes = Planes(owner, as_float(input), dims)
    size = _cells(planes, output_size)
    one = size == (1, 1)
    return planes.back(mean(planes.images, (2, 3), keepdims=True) if one else _linear("adaptive_avg_pool2d", planes.images, size))


def _adaptive_max_pool(owner: str, dims: int, input: Any, output_size: AdaptiveSize, return_indices: bool) -> Any:
    planes = Planes(owner, as_float(input), dims)
    return _largest("adaptive_max_pool2d", planes, _cells(planes, output_size), return_indices)


def _geometry(
    planes: Planes, kernel_size: Size, stride: Size | None, padding: Size, dilation: Pair, ceil_mode: bool
) -> tuple[Pair, Pair, Pair, Pair]:
    """Kernel, stride, pad and the number of windows, each for height and width."""
    kernel = planes.pair("kernel_size", kernel_size, 1, 1)
    strides = kernel if stride is None else planes.pair("stride", stride, 1, 1)
    pad = planes.pair("padding", padding, 0, 0)
    shape = planes.images.shape[2:]
    for p, k in zip(pad, kernel, strict=True):
        if p > k // 2:
            raise ArgumentError(f"{planes.owner}: padding must be at most half of kernel_size, got {p} for a kernel of size {k}")
    size = windows(planes.owner, shape, kernel, strides, (2 * pad[0], 2 * pad[1]), dilation, ceil_mode)
    return kernel, strides, pad, size


def _cells(planes: Planes, output_size: AdaptiveSize) -> Pair:
    """The output size that was asked for, None replaced."""
    shape = planes.images.shape[4 - planes.dims :]
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * planes.dims
    if len(given) == planes.dims:
        given = tuple(length if n is None else n for n, length in zip(given, shape, strict=True))
    if 0 in shape:
        raise ShapeError(f"{planes.owner}: the planes of the input must not be empty, got shape {planes.images.shape}")
    return planes.pair("output_size", given, 1, 1)


def _stacked(x: Array) -> Array:
    """Images (N, C, H, W) as planes (N C, H, W)."""
    return block(x, (count(x.shape[:2]), *x.shape[2:]))


def _linear(kernel: str, x: Tensor, size: Pair, *numbers: int) -> Tensor:
    """A linear map of planes, which has a gradient kernel of the same numbers."""
    y = np.empty((*x.shape[:2], *size), x.dtype)
    run(kernel, _stacked(y), _stacked(x.data), *numbers)
    return record(y, (x, lambda y, dy: _linear_grad(kernel, dy, (x.shape[2], x.shape[3]), *numbers)))


def _linear_grad(kernel: str, dy: Tensor, size: Pair, *numbers: int) -> Tensor:
    dx = np.empty((*dy.shape[:2], *size), dy.dtype)
    run(f"{kernel}_grad", _stacked(dx), _stacked(dy.data), *numbers)
    return record(dx, (dy, lambda _, ddx: _linear(kernel, ddx, (dy.shape[2], dy.shape[3]), *numbers)))


def _largest(kernel: str, planes: Planes, size: Pair, return_indices: bool, *numbers: int) -> Any:
    """The maxima of windows, and where they lie."""
    x = planes.images
    y = np.empty((*x.shape[:2], *size), x.dtype)
    index = np.empty(y.shape, np.int64)
    run(kernel, _stacked(y), _stacked(index), _stacked(x.data), *numbers)
    result = planes.back(record(y, (x, lambda y, dy: _put(dy, index, x.shape))))
    return (result, planes.back(record(index))) if return_indices else result


def _put(dy: Tensor, index: Array, shape: Shape) -> Tensor:
    """Zeros of `shape` with each dy added where `index` points in its plane."""
    dx = np.empty(shape, dy.dtype)
    run("put_indices", _stacked(dx), _stacked(dy.data), _stacked(index))
    return record(dx, (dy, lambda _, ddx: _take(ddx, index)))


def _take(x: Tensor, index: Array) -> Tensor:
    """What lies where `index` points in the planes of x."""
    y = np.empty(index.shape, x.dtype)
    run("take_indices", _stacked(y), _stacked(x.data), _stacked(index))
    return record(y, (x, lambda y, dy: _put(dy, index, x.shape)))
