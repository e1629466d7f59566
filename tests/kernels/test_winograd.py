"""Winograd's convolutions equal convolutions, forward and backward, whatever the shape, and workers never change a bit."""

from itertools import product

import numpy as np
import pytest
from calls import in_parts
from fastnn.kernels import CONVOLUTION_EPILOGUES, KERNELS

# N, I, O, H, W, pad_h, pad_w
SHAPES = [
    *[(2, 3, 5, size, size, pad, pad) for size, pad in product((3, 4, 7, 8), (0, 1, 2))],
    *[(1, 2, 11, 5, width, 1, 1) for width in (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70)],
    (3, 7, 21, 6, 40, 0, 2),
    (33, 4, 10, 2, 2, 1, 1),  # many images in a register
    (2, 300, 3, 4, 5, 1, 1),  # channels in several parts
    (1, 40, 12, 41, 30, 1, 1),  # tiles in several blocks
    (0, 2, 3, 5, 5, 1, 1),
]
DTYPES = {"f4": (np.float32, 2.0**-23), "f8": (np.float64, 2.0**-52)}


def operands(shape, dtype, rng):
    """(y, x, weight, bias, extra), y full of NaN."""
    N, I, O, H, W, pad_h, pad_w = shape
    y = np.full((N, O, H + 2 * pad_h - 2, W + 2 * pad_w - 2), np.nan, dtype)
    return y, *[rng.standard_normal(s).astype(dtype) for s in ((N, I, H, W), (O, I, 3, 3), (O,), y.shape)]


def compute(name, y, inputs, numbers, parts=1):
    """The compiled kernel's result, written to y."""
    in_parts(name, (y, *inputs, *numbers), parts)
    return y


@pytest.mark.parametrize("dtype", DTYPES)
def test_winograd_equals_the_convolution_for_any_number_of_workers(dtype):
    item, precision = DTYPES[dtype]
    for seed, shape in enumerate(SHAPES):
        y, x, weight, bias, extra = operands(shape, item, np.random.default_rng(seed))
        pads, epilogue = shape[-2:], seed % len(CONVOLUTION_EPILOGUES)
        wanted = np.zeros(y.shape)
        doubles = [a.astype(np.float64) for a in (x, weight, bias, extra)]
        KERNELS["conv2d"].twin(wanted, *doubles, 1, 1, *pads, 1, 1, 1, epilogue)
        u = compute("winograd_weight", np.full((16, *weight.shape[:2]), np.nan, item), [weight], ())
        got = compute("winograd_conv2d", y.copy(), [x, u, bias, extra], (*pads, epilogue))
        error = np.max(np.abs(got - wanted), initial=0) / (precision * (1 + np.max(np.abs(wanted), initial=0)))
        assert error <= 8 + (9 * shape[1]) ** 0.5, f"{shape}: {error:.1f} units off"
        for parts in (2, 5):
            assert u.tobytes() == compute("winograd_weight", u.copy(), [weight], (), parts).tobytes(), f"{shape} in {parts} parts"
            again = compute("winograd_conv2d", y.copy(), [x, u, bias, extra], (*pads, epilogue), parts)
            assert got.tobytes() == again.tobytes(), f"{shape} in {parts} parts"


@pytest.mark.parametrize("shape", [(2, 3, 5, 9, 8, 1, 0), (1, 70, 66, 6, 33, 2, 1), (2, 12, 7, 4, 4, 1, 1)])
def test_with_weights_turned_round_winograd_gives_the_gradient_of_the_input(shape):
    dy, x, weight, _, _ = operands(shape, np.float64, np.random.default_rng(1))
    dy[...] = np.random.default_rng(2).standard_normal(dy.shape)
    pads = shape[-2:]
    wanted = np.empty_like(x)
    KERNELS["conv2d_input_grad"].twin(wanted, dy, weight, wanted, 1, 1, *pads, 1, 1, 1, 0)
    O, I = weight.shape[:2]
    u = compute("winograd_weight_back", np.empty((16, I, O)), [weight], ())
    got = compute("winograd_conv2d", np.empty_like(x), [dy, u, np.zeros(I), x], (2 - pads[0], 2 - pads[1], 0))
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_the_weight_is_that_of_the_convolution_for_any_number_of_workers(dtype):
    item, precision = DTYPES[dtype]
    shapes = [*SHAPES, (3, 20, 40, 9, 7, 1, 1), (9, 33, 65, 6, 7, 1, 1), (1, 130, 17, 6, 140, 1, 1)]  # several panels, blocks, images
    for seed, shape in enumerate(shapes):
        dy, x, weight, _, _ = operands(shape, item, np.random.default_rng(seed))
        dy[...] = np.random.default_rng(seed + 1).standard_normal(dy.shape)
        pads, wanted = shape[-2:], np.zeros(weight.shape)
        KERNELS["conv2d_weight_grad"].twin(wanted, dy.astype(np.float64), x.astype(np.float64), 1, 1, *pads, 1, 1, 1)
        got = compute("winograd_conv2d_weight_grad", np.full(weight.shape, np.nan, item), [dy, x], pads)
        error = np.max(np.abs(got - wanted), initial=0) / (precision * (1 + np.max(np.abs(wanted), initial=0)))
        assert error <= 8, f"{shape}: {error:.1f} units off"
        twin = np.empty(weight.shape)
        KERNELS["winograd_conv2d_weight_grad"].twin(twin, dy.astype(np.float64), x.astype(np.float64), *pads)
        np.testing.assert_allclose(twin, wanted, rtol=1e-10, atol=1e-10)
        for parts in (2, 3, 5, 16):
            again = compute("winograd_conv2d_weight_grad", np.full(weight.shape, np.nan, item), [dy, x], pads, parts)
            assert got.tobytes() == again.tobytes(), f"{shape} in {parts} parts"


def test_errors_of_winograd_are_no_larger_than_those_of_sums_of_products():
    """Sixteen sums, each over channels only, round less than one over channels and places; transforms add a little."""
    shape = (1, 64, 64, 16, 16, 1, 1)
    y, x, weight, bias, extra = operands(shape, np.float32, np.random.default_rng(0))
    doubles = [a.astype(np.float64) for a in (x, weight, bias, extra)]
    exact = np.empty(y.shape)
    KERNELS["conv2d"].twin(exact, *doubles, 1, 1, 1, 1, 1, 1, 1, 0)
    direct = compute("conv2d", y.copy(), [x, weight, bias, extra], (1, 1, 1, 1, 1, 1, 1, 0))
    u = compute("winograd_weight", np.empty((16, 64, 64), np.float32), [weight], ())
    tiled = compute("winograd_conv2d", y.copy(), [x, u, bias, extra], (1, 1, 0))
    assert np.abs(tiled - exact).max() <= np.abs(direct - exact).max()
