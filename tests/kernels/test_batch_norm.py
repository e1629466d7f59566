"""Batch normalisation in steps: together they are what the formula says, for planes of any length and each epilogue."""

import numpy as np
import pytest
from calls import central_differences, in_parts, outputs
from fastnn.kernels import CONVOLUTION_EPILOGUES

from fastnn import kernels

EPS = 1e-5
SHAPES = [(6, 3, 1), (6, 3, 5), (2, 17, 64), (3, 2, 1000)]


@pytest.fixture(params=("numba", "numpy"), autouse=True)
def backend(request):
    with kernels.use_backend(request.param):
        yield request.param


def moments(x):
    """The mean and variance of each channel, from those of its planes."""
    N, C, L = x.shape
    means, squares = outputs("plane_moments", (N, C), (N, C), dtype=x.dtype, inputs=(x,))
    return outputs("batch_moments", C, C, dtype=x.dtype, inputs=(means, squares, L))


def normalised(x, weight, bias):
    return outputs("batch_norm", x.shape, dtype=x.dtype, inputs=(x, *moments(x), weight, bias, x, EPS, 0))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_moments_of_planes_make_those_of_channels(shape):
    x = 100 + np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    mean, var = moments(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 2)), rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("epilogue", range(len(CONVOLUTION_EPILOGUES)), ids=lambda n: CONVOLUTION_EPILOGUES[n] or "none")
def test_an_epilogue_is_applied_to_what_comes_out(shape, epilogue):
    rng = np.random.default_rng(0)
    x, extra = rng.standard_normal((2, *shape))
    x[0, 0, 0] = np.nan
    mean, weight, bias = rng.standard_normal((3, shape[1]))
    var = rng.uniform(0.5, 2.0, shape[1])
    expected = (x - mean[:, None]) / np.sqrt(var + EPS)[:, None] * weight[:, None] + bias[:, None]
    if "add" in CONVOLUTION_EPILOGUES[epilogue]:
        expected += extra
    if "relu" in CONVOLUTION_EPILOGUES[epilogue]:
        expected = np.maximum(expected, 0)
    y = outputs("batch_norm", shape, inputs=(x, mean, var, weight, bias, extra, EPS, epilogue))
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 3, 1), (6, 3, 5)], ids=str)
def test_gradients_equal_central_differences(shape):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape))
    weight, bias = rng.standard_normal((2, 3))
    mean, var = moments(x)
    if shape[2] == 1:
        slopes = outputs("batch_norm_weight_grad", 3, 3, inputs=(dy[:, :, 0].copy(), x[:, :, 0].copy(), mean, var, EPS))
    else:
        of_planes = outputs("plane_slopes", shape[:2], shape[:2], inputs=(dy, x, mean))
        slopes = outputs("batch_slopes", 3, 3, inputs=(*of_planes, var, EPS))
    dx = outputs("batch_norm_input_grad", shape, inputs=(dy, x, weight, mean, var, *slopes, EPS, shape[0] * shape[2]))
    np.testing.assert_allclose(dx, central_differences(lambda x: normalised(x, weight, bias), x, dy), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(slopes[0], central_differences(lambda w: normalised(x, w, bias), weight, dy), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(slopes[1], central_differences(lambda b: normalised(x, weight, b), bias, dy), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("backend", ["numba"], indirect=True)
@pytest.mark.parametrize("shape", [(37, 100, 1), (5, 33, 7), (1, 600, 4)], ids=str)
def test_results_do_not_depend_on_the_number_of_workers(shape):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
    mean, weight, bias = rng.standard_normal((3, shape[1])).astype(np.float32)
    var, planes, channels = np.abs(weight), shape[:2], shape[1]
    cases = {
        "plane_moments": ([planes, planes], (x,)),
        "batch_moments": ([channels, channels], (x[:, :, 0].copy(), np.abs(dy[:, :, 0]), 7)),
        "batch_norm": ([shape], (x, mean, var, weight, bias, dy, EPS, 3)),
        "plane_slopes": ([planes, planes], (dy, x, mean)),
        "batch_slopes": ([channels, channels], (x[:, :, 0].copy(), dy[:, :, 0].copy(), var, EPS)),
        "batch_norm_weight_grad": ([channels, channels], (dy[:, :, 0].copy(), x[:, :, 0].copy(), mean, var, EPS)),
        "batch_norm_input_grad": ([shape], (dy, x, weight, mean, var, bias, mean, EPS, 99)),
        "batch_norm_inference_grad": ([shape], (dy, var, weight, EPS)),
    }
    for name, (shapes, inputs) in cases.items():
        results = []
        for parts in (1, 2, 3, 7):
            arrays = [np.full(s, 7, np.float32) for s in shapes]
            in_parts(name, (*arrays, *inputs), parts)
            results.append(arrays)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=name)
