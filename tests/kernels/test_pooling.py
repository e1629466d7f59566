"""Pooling kernels equal their twins for every kind of window, the vectorised ones among them."""

import numpy as np
import pytest
from fastnn.kernels import KERNELS

from fastnn import kernels

# kernel, stride, pad, dilation, each for height and width
WINDOWS = {
    "squares": (2, 2, 2, 2, 0, 0, 1, 1),
    "overlapping squares": (2, 2, 1, 1, 0, 0, 1, 1),
    "squares with a border": (2, 2, 2, 2, 1, 1, 1, 1),
    "3x3": (3, 3, 1, 1, 1, 1, 1, 1),
    "3x3, stride 2": (3, 3, 2, 2, 1, 1, 1, 1),
    "3x2, stride 1x2, dilated": (3, 2, 1, 2, 1, 0, 2, 3),
    "5x4, stride 3x2": (5, 4, 3, 2, 2, 2, 1, 1),
    "stride 3": (3, 4, 2, 3, 0, 2, 1, 1),
}
SIZES = [(2, 5, 5), (3, 8, 8), (1, 9, 17), (2, 7, 34), (1, 6, 67), (5, 12, 16)]


def outputs(size, kernel, stride, pad, dilation, ceil):
    count = (size + 2 * pad - dilation * (kernel - 1) - 1 + (stride - 1 if ceil else 0)) // stride + 1
    return count - 1 if ceil and (count - 1) * stride >= size + pad else count


def shapes(window, size, ceil):
    kh, kw, sh, sw, ph, pw, dh, dw = WINDOWS[window]
    return (size[0], outputs(size[1], kh, sh, ph, dh, ceil), outputs(size[2], kw, sw, pw, dw, ceil))


def run(name, outs, *operands):
    """What the twin and the compiled kernel, whole and in three parts, leave in the outputs."""
    found = []
    kernel = KERNELS[name]
    for parts in (0, 1, 3):
        mine = [np.full_like(o, 7) for o in outs]
        if parts == 0:
            kernel.twin(*mine, *operands)
        else:
            operands_of_call = (*mine, *operands)
            record = np.array(kernel.signature.encode(operands_of_call), np.int64)
            for part in range(parts):
                kernel.entry(kernel.signature.dtypes(operands_of_call))(record.ctypes.data, part, parts)
        found.append(mine)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
def test_the_largest_value_and_its_place(window, ceil, dtype):
    rng = np.random.default_rng(0)
    for size in SIZES:
        x = np.round(rng.normal(size=size), 1).astype(dtype)  # equal values among neighbours: the first one counts
        x[0, 0, 0], x[0, 2, 3], x[-1, -2:, -3:] = -np.inf, np.nan, -np.inf
        shape = shapes(window, size, ceil)
        twin, whole, parts = run("max_pool2d", (np.empty(shape, dtype), np.empty(shape, np.int64)), x, *WINDOWS[window])
        alone = run("largest_of_windows", (np.empty(shape, dtype),), x, *WINDOWS[window])
        for (found,) in alone:
            np.testing.assert_array_equal(found, twin[0])
        for found in (whole, parts):
            np.testing.assert_array_equal(found[0], twin[0])
            np.testing.assert_array_equal(found[1], twin[1])
        assert 0 <= twin[1].min() <= twin[1].max() < size[1] * size[2]
        twin, whole, parts = run("put_indices", (x,), rng.normal(size=shape).astype(dtype), twin[1])
        np.testing.assert_allclose(whole[0], twin[0], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(whole[0], parts[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [(0, 0), (1, 0), (1, 3)])
@pytest.mark.parametrize("window", [w for w in WINDOWS if "dilated" not in w])
def test_means_and_their_gradients(window, settings, dtype):
    rng = np.random.default_rng(0)
    for size in SIZES:
        for ceil in (False, True):
            x = rng.normal(size=size).astype(dtype)
            y = rng.normal(size=shapes(window, size, ceil)).astype(dtype)
            for name, out, operand in (("avg_pool2d", y, x), ("avg_pool2d_grad", x, y)):
                twin, whole, parts = run(name, (out,), operand, *WINDOWS[window][:6], *settings)
                np.testing.assert_allclose(whole[0], twin[0], rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)
                np.testing.assert_array_equal(whole[0], parts[0])


def test_pooling_reads_nothing_beyond_the_last_row():
    """The last item of the memory is the last item of the image: what lies behind it must not matter."""
    memory = np.full(4 * 9 + 8, np.nan, np.float32)
    x = memory[: 4 * 9].reshape(1, 4, 9)
    x[...] = np.arange(36).reshape(x.shape)
    y, index = np.empty((1, 2, 5), np.float32), np.empty((1, 2, 5), np.int64)
    kernels.run("max_pool2d", y, index, x, 3, 3, 2, 2, 1, 1, 1, 1)
    np.testing.assert_array_equal(y[0], [[10, 12, 14, 16, 17], [28, 30, 32, 34, 35]])
