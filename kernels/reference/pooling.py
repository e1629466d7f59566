"""Pooling: the largest value or the mean of windows of planes. P counts the planes: channels times samples."""

import numpy as np

from .._signature import Floats, Int, Ints


def _offsets(length, count, kernel, stride, pad, dilation=1):
    """Where the items of each of `count` windows lie on an axis, shape (kernel, count); -1 for those beyond its ends."""
    at = np.arange(count) * stride - pad + np.arange(kernel)[:, None] * dilation
    return np.where((at >= 0) & (at < length), at, -1)


def _cells(length, count):
    """First and last + 1 item of each of `count` cells that cover an axis, as even as they can be."""
    i = np.arange(count)
    return i * length // count, -(-(i + 1) * length // count)


def _rows(x):
    """Planes (P, H, W) as rows (P, H W), of which there may be none."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2])


def _best(y, index, x, rows, columns):
    """The largest of the values at rows x columns and its position; rows and columns of -1 do not exist."""
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]
    position = np.where((rows < 0) | (columns < 0), -1, rows * x.shape[2] + columns)
    position = position.reshape(-1, *y.shape[1:])
    values = np.where(position < 0, -np.inf, _rows(x)[:, position])
    top = values.max(axis=1, keepdims=True)
    first = ((values == top) & (position >= 0)).argmax(axis=1)
    missing = np.isnan(values)
    last = len(position) - 1 - missing[:, ::-1].argmax(axis=1)
    which = np.where(missing.any(axis=1), last, first)
    np.copyto(index, np.take_along_axis(np.broadcast_to(position, values.shape), which[:, None], axis=1)[:, 0])
    np.copyto(y, top[:, 0])


def max_pool2d(
    y: Floats("P OH OW"),
    index: Ints("P OH OW"),
    /,
    x: Floats("P H W"),
    kernel_h: Int,
    kernel_w: Int,
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    dilation_h: Int,
    dilation_w: Int,
) -> None:
    """y_pij = max_kl x_p,(i stride_h - pad_h + k dilation_h),(j stride_w - pad_w + l dilation_w), over what lies in the plane; NaN wins.

    The index is row * W + column of the first item that has the maximum, of the last NaN if there is one, and -1 where a window holds
    nothing, whose maximum is -inf.
    """
    rows = _offsets(x.shape[1], y.shape[1], kernel_h, stride_h, pad_h, dilation_h)
    columns = _offsets(x.shape[2], y.shape[2], kernel_w, stride_w, pad_w, dilation_w)
    _best(y, index, x, rows, columns)


def largest_of_windows(
    y: Floats("P OH OW"),
    /,
    x: Floats("P H W"),
    kernel_h: Int,
    kernel_w: Int,
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    dilation_h: Int,
    dilation_w: Int,
) -> None:
    """`max_pool2d` without the positions, for those who need no gradient."""
    max_pool2d(y, np.empty(y.shape, np.int64), x, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w)


def adaptive_max_pool2d(y: Floats("P OH OW"), index: Ints("P OH OW"), /, x: Floats("P H W")) -> None:
    """y_pij = max of x over rows floor(i H / OH) to ceil((i + 1) H / OH) - 1, and columns alike; index as for max_pool2d."""
    spans = []
    for length, count in zip(x.shape[1:], y.shape[1:], strict=True):
        low, high = _cells(length, count)
        at = low + np.arange((high - low).max(initial=0))[:, None]
        spans.append(np.where(at < high, at, -1))
    _best(y, index, x, *spans)


def put_indices(dx: Floats("P H W"), /, dy: Floats("P OH OW"), index: Ints("P OH OW")) -> None:
    """dx_ps = sum of dy_pij over all i, j with index_pij = s, negative ones being nowhere: the gradient of a maximum."""
    dx[:] = 0
    planes, _, _ = there = np.nonzero(index >= 0)
    np.add.at(_rows(dx), (planes, index[there]), dy[there])


def take_indices(y: Floats("P OH OW"), /, x: Floats("P H W"), index: Ints("P OH OW")) -> None:
    """y_pij = x_p,index_pij, and 0 where the index is negative."""
    found = np.take_along_axis(_rows(x), np.maximum(_rows(index), 0), axis=1).reshape(y.shape)
    np.copyto(y, np.where(index < 0, 0, found))


def _means(y_shape, x_shape, kernel, stride, pad, count_include_pad, divisor, dtype):
    """For both axes, the matrix (OH, H) that sums up windows; and what each window's sum is divided by."""
    sums, inside, padded = [], [], []
    for axis in (0, 1):
        start = np.arange(y_shape[axis]) * stride[axis] - pad[axis]
        stop = np.minimum(start + kernel[axis], x_shape[axis] + pad[axis])
        padded.append(stop - start)
        low, high = np.maximum(start, 0), np.minimum(stop, x_shape[axis])
        inside.append(np.maximum(high - low, 0))
        at = np.arange(x_shape[axis])
        sums.append(((at >= low[:, None]) & (at < high[:, None])).astype(dtype))
    sizes = padded if count_include_pad else inside
    area = divisor or np.maximum(sizes[0][:, None] * sizes[1], 1)
    return *sums, area


def avg_pool2d(
    y: Floats("P OH OW"),
    /,
    x: Floats("P H W"),
    kernel_h: Int,
    kernel_w: Int,
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    count_include_pad: Int,
    divisor: Int,
) -> None:
    """y_pij = sum of x over a window / divisor.

    With divisor = 0 it is the size of the window: of what lies in the padded plane, or, without count_include_pad, in the plane itself.
    """
    geometry = (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w)
    down, across, area = _means(y.shape[1:], x.shape[1:], *geometry, count_include_pad, divisor, x.dtype)
    np.copyto(y, down @ x @ across.T / area)


def avg_pool2d_grad(
    dx: Floats("P H W"),
    /,
    dy: Floats("P OH OW"),
    kernel_h: Int,
    kernel_w: Int,
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    count_include_pad: Int,
    divisor: Int,
) -> None:
    """dx_pst = sum of dy_pij / divisor over all windows i, j that hold the item s, t."""
    geometry = (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w)
    down, across, area = _means(dy.shape[1:], dx.shape[1:], *geometry, count_include_pad, divisor, dx.dtype)
    np.copyto(dx, down.T @ (dy / area) @ across)


def _evenly(length, count, dtype):
    """The matrix (count, length) that takes the means of cells."""
    low, high = _cells(length, count)
    at = np.arange(length)
    return ((at >= low[:, None]) & (at < high[:, None])).astype(dtype) / (high - low)[:, None].astype(dtype)


def adaptive_avg_pool2d(y: Floats("P OH OW"), /, x: Floats("P H W")) -> None:
    """y_pij = mean of x over rows floor(i H / OH) to ceil((i + 1) H / OH) - 1, and columns alike."""
    np.copyto(y, _evenly(x.shape[1], y.shape[1], x.dtype) @ x @ _evenly(x.shape[2], y.shape[2], x.dtype).T)


def adaptive_avg_pool2d_grad(dx: Floats("P H W"), /, dy: Floats("P OH OW")) -> None:
    """dx_pst = sum of dy_pij / size of cell over all cells i, j that hold the item s, t."""
    np.copyto(dx, _evenly(dx.shape[1], dy.shape[1], dx.dtype).T @ dy @ _evenly(dx.shape[2], dy.shape[2], dx.dtype))
