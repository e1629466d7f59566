"""Convolutions of images (N C H W) and their gradients, taken apart into one matrix product for each place in the kernel.

The pads are those in front (above and left); how far the last window reaches beyond the image follows from the size of the output.
In `groups` groups, the g-th share of the output channels sees the g-th share of the input channels only.
"""

from collections.abc import Iterator

import numpy as np

from .._signature import Floats, Int, Strided
from ._finish import OF_TWO, finish


def conv2d(
    y: Floats("N O OH OW"),
    /,
    x: Floats("N I H W"),
    weight: Floats("O IG KH KW"),
    bias: Floats("O"),
    extra: Strided("N O OH OW", apart=OF_TWO),
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    dilation_h: Int,
    dilation_w: Int,
    groups: Int,
    epilogue: Int,
) -> None:
    """y[n, o, i, j] = f(bias[o] + sum_{c, k, l} weight[o, c, k, l] x[n, c, i stride_h + k dilation_h - pad_h, ...], extra[n, o, i, j]).

    x is 0 outside; f is `_finish.EPILOGUES[epilogue]`; `extra` is contiguous and in memory of its own, or it is not read.
    """
    steps = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    total = np.zeros_like(y)
    for kh, kw, window in _windows(_padded(x, y, weight, *steps), y, weight, *steps):
        total += (_tap(weight, kh, kw, groups) @ _grouped(window, groups)).reshape(y.shape)
    np.add(total, bias[:, None, None], out=y)
    finish(y, extra, epilogue)


def conv2d_input_grad(
    dx: Floats("N I H W"),
    /,
    dy: Floats("N O OH OW"),
    weight: Floats("O IG KH KW"),
    extra: Strided("N I H W", apart=OF_TWO),
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    dilation_h: Int,
    dilation_w: Int,
    groups: Int,
    epilogue: Int,
) -> None:
    """dx: each dy[n, o, i, j] goes back, times the weight, to every x that it was made of; as a map of dy, the transposed convolution.

    The result is f(dx, extra), as that of `conv2d` is.
    """
    steps = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    padded = _padded(np.zeros_like(dx), dy, weight, *steps)
    for kh, kw, window in _windows(padded, dy, weight, *steps):
        window += (_tap(weight, kh, kw, groups).swapaxes(1, 2) @ _grouped(dy, groups)).reshape(window.shape)
    np.copyto(dx, padded[:, :, pad_h : pad_h + dx.shape[2], pad_w : pad_w + dx.shape[3]])
    finish(dx, extra, epilogue)


def conv2d_weight_grad(
    dweight: Floats("O IG KH KW"),
    /,
    dy: Floats("N O OH OW"),
    x: Floats("N I H W"),
    stride_h: Int,
    stride_w: Int,
    pad_h: Int,
    pad_w: Int,
    dilation_h: Int,
    dilation_w: Int,
    groups: Int,
) -> None:
    """dweight[o, c, k, l] = sum_{n, i, j} dy[n, o, i, j] x[n, c, i stride_h + k dilation_h - pad_h, ...]."""
    steps = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    for kh, kw, window in _windows(_padded(x, dy, dweight, *steps), dy, dweight, *steps):
        products = _grouped(dy, groups) @ _grouped(window, groups).swapaxes(2, 3)
        dweight[:, :, kh, kw] = products.sum(axis=0).reshape(dweight.shape[:2])


Pair = tuple[int, int]


def _padded(x: np.ndarray, y: np.ndarray, weight: np.ndarray, stride: Pair, pad: Pair, dilation: Pair) -> np.ndarray:
    """x with zeros around it, as far as the windows reach."""
    widths = [(0, 0), (0, 0)]
    for axis in range(2):
        reach = (y.shape[2 + axis] - 1) * stride[axis] + (weight.shape[2 + axis] - 1) * dilation[axis] + 1
        widths.append((pad[axis], max(0, reach - pad[axis] - x.shape[2 + axis])))
    return np.pad(x, widths)


def _windows(
    padded: np.ndarray, y: np.ndarray, weight: np.ndarray, stride: Pair, pad: Pair, dilation: Pair
) -> Iterator[tuple[int, int, np.ndarray]]:
    """For each place in the kernel the view of `padded`, as large as y, that it is multiplied with."""
    OH, OW = y.shape[2:]
    for kh, kw in np.ndindex(weight.shape[2:]):
        yield kh, kw, padded[:, :, kh * dilation[0] :: stride[0], kw * dilation[1] :: stride[1]][:, :, :OH, :OW]


def _tap(weight: np.ndarray, kh: int, kw: int, groups: int) -> np.ndarray:
    """One place of the kernel as a matrix (outputs, inputs) for each group."""
    return weight[:, :, kh, kw].reshape(groups, weight.shape[0] // groups, weight.shape[1])


def _grouped(images: np.ndarray, groups: int) -> np.ndarray:
    """Images as a matrix (channels, pixels) for each group."""
    N, C, H, W = images.shape
    return images.reshape(N, groups, C // groups, H * W)
