"""What row kernels do where inputs are extreme, tied, infinite, NaN, ignored or very many; on both backends."""

import math

import numpy as np
import pytest
from calls import central_differences, in_parts, outputs

from fastnn import kernels
from fastnn.ops.normalisation import rows_of_a_sum

DTYPES = (np.float32, np.float64)
IGNORED = -100


@pytest.fixture(params=("numba", "numpy"), autouse=True)
def backend(request):
    with kernels.use_backend(request.param), np.errstate(all="ignore"):
        yield request.param


def softmax(x):
    return outputs("softmax", x.shape, dtype=x.dtype, inputs=(x,))


def log_softmax(x):
    return outputs("log_softmax", x.shape, dtype=x.dtype, inputs=(x,))


def cross_entropy(x, target, weight=None, label_smoothing=0.0):
    weight = np.ones(x.shape[1], x.dtype) if weight is None else weight
    return outputs("cross_entropy", len(x), len(x), dtype=x.dtype, inputs=(x, target, weight, label_smoothing, IGNORED))


def cross_entropy_grad(dloss, x, target, weight=None, label_smoothing=0.0):
    weight = np.ones(x.shape[1], x.dtype) if weight is None else weight
    lse = cross_entropy(x, target, weight, label_smoothing)[1]
    return outputs("cross_entropy_grad", x.shape, dtype=x.dtype, inputs=(dloss, x, lse, target, weight, label_smoothing, IGNORED))


def layer_norm_grad(dy, x, weight, mean, rstd, rows):
    sums = (-(-len(x) // rows), x.shape[1])
    return outputs("layer_norm_grad", x.shape, sums, sums, dtype=x.dtype, inputs=(dy, x, weight, mean, rstd, rows))


def extremum(kernel, x):
    """Values and indices of reduce_max or reduce_min over the middle dimension of x."""
    y, index = np.empty((x.shape[0], x.shape[2]), x.dtype), np.empty((x.shape[0], x.shape[2]), np.int64)
    getattr(kernels, kernel)(y, index, x)
    return y, index


def layouts(rows):
    """The same rows as reduced along the last dimension, and, thirteen times side by side, down columns."""
    return rows[:, :, None], np.ascontiguousarray(np.repeat(rows[:, :, None], 13, axis=2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [2, 10, 64, 1000])
def test_huge_logits_give_finite_rows_that_sum_to_one(dtype, classes):
    x = np.random.default_rng(0).choice([-1e4, 0, 1e4], (17, classes)).astype(dtype)
    y = softmax(x)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(log_softmax(x)).all()
    np.testing.assert_allclose(np.exp(log_softmax(x)), y, atol=2e-3 if dtype is np.float32 else 1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits_give_finite_losses_and_gradients(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype)
    target = np.array([1, 0, 2])
    loss, lse = cross_entropy(x, target, label_smoothing=0.1)
    assert np.isfinite(loss).all()
    np.testing.assert_allclose(lse, [1e4, -1e4 + math.log(3), 1e4 + math.log(2)], rtol=1e-6)
    dx = cross_entropy_grad(np.ones(3, dtype), x, target)
    np.testing.assert_allclose(dx, [[1, -1, 0], [-2 / 3, 1 / 3, 1 / 3], [0.5, 0.5, -1]], atol=1e-3 if dtype is np.float32 else 1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_logits_give_equal_probabilities(dtype):
    np.testing.assert_array_equal(softmax(np.full((3, 8), 1e4, dtype)), np.full((3, 8), 0.125, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_logit_of_minus_infinity_has_no_probability_and_no_gradient(dtype):
    x = np.array([[0, -np.inf, 0, -np.inf, 0, 0, -np.inf, -np.inf, -np.inf]], dtype)
    np.testing.assert_allclose(softmax(x), [[0.25, 0, 0.25, 0, 0.25, 0.25, 0, 0, 0]], rtol=1e-6)
    assert (log_softmax(x)[0, [1, 3, 6, 7, 8]] == -np.inf).all()
    loss, _ = cross_entropy(x, np.array([2]))
    np.testing.assert_allclose(loss, math.log(4), rtol=1e-6)
    dx = cross_entropy_grad(np.ones(1, dtype), x, np.array([2]))
    np.testing.assert_allclose(dx, [[0.25, 0, -0.75, 0, 0.25, 0.25, 0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("payload", [0, 1, 0x7A2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, 7, 31, 40])
def test_nan_reaches_the_whole_row_and_no_other_whatever_its_bits(place, dtype, payload):
    x = np.random.default_rng(0).standard_normal((3, 41)).astype(dtype)
    x[1, place] = np.nan
    x.view(f"u{x.itemsize}")[1, place] |= payload
    for y in (softmax(x), log_softmax(x), cross_entropy(x, np.zeros(3, np.int64))[0]):
        assert np.isnan(y[1]).all()
        assert np.isfinite(y[[0, 2]]).all()


@pytest.mark.parametrize("kernel", ["reduce_max", "reduce_min"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("places", [(0,), (5,), (20, 3), (32, 40)])
def test_the_first_nan_wins_an_extremum(kernel, dtype, places):
    rows = np.random.default_rng(0).standard_normal((2, 41)).astype(dtype)
    rows[1, list(places)] = np.nan
    for x in layouts(rows):
        y, index = extremum(kernel, x)
        assert np.isnan(y[1]).all()
        assert (index[1] == min(places)).all()
        assert not np.isnan(y[0]).any()


@pytest.mark.parametrize("kernel", ["reduce_max", "reduce_min"])
@pytest.mark.parametrize("places", [(0, 1), (3, 17, 40), (32, 33), (8, 7)])
def test_the_first_of_equal_extrema_wins(kernel, places):
    rows = np.zeros((3, 41), np.float32)
    rows[:, list(places)] = 5 if kernel == "reduce_max" else -5
    for x in layouts(rows):
        assert (extremum(kernel, x)[1] == min(places)).all()


@pytest.mark.parametrize("kernel", ["reduce_max", "reduce_min"])
def test_infinities_have_a_place_among_extrema(kernel):
    for rows in (np.full((2, 11), -np.inf), np.full((2, 11), np.inf)):
        for x in layouts(rows):
            y, index = extremum(kernel, x)
            assert (y == rows[0, 0]).all()
            assert (index == 0).all()


def test_ignored_targets_cost_nothing_and_pass_no_gradient_even_beside_nan():
    x = np.array([[1.0, 2, 3], [np.nan, np.inf, 0], [3, 2, 1]])
    target = np.array([0, IGNORED, 2])
    assert cross_entropy(x, target, label_smoothing=0.2)[0][1] == 0
    np.testing.assert_array_equal(cross_entropy_grad(np.ones(3), x, target, label_smoothing=0.2)[1], 0)
    weight = np.array([0.5, 1, 2])
    np.testing.assert_array_equal(outputs("nll", 3, inputs=(x, target, weight, IGNORED)), [-0.5, 0, -2])
    np.testing.assert_array_equal(outputs("target_weight", 3, inputs=(target, weight, IGNORED)), [0.5, 0, 2])
    dx = outputs("nll_grad", (3, 3), inputs=(np.full(3, 10.0), target, weight, IGNORED))
    np.testing.assert_array_equal(dx, [[-5, 0, 0], [0, 0, 0], [0, 0, -20]])


@pytest.mark.parametrize("columns", [1, 3, 40])
def test_embedding_gradients_add_up_and_skip_the_padding_row(columns):
    index = np.array([2, 0, 2, 1, 2])
    dy = np.arange(5.0)[:, None] * np.ones(columns) + 1
    for padding, wanted in ((-1, [2, 4, 9]), (2, [2, 4, 0])):
        dweight = outputs("embedding_grad", (3, columns), inputs=(dy, index, padding))
        np.testing.assert_array_equal(dweight, np.array(wanted)[:, None] * np.ones(columns))


@pytest.mark.parametrize("shape", [(1, 1_000_000, 1), (1, 1_000_000, 3)])
def test_float32_sums_over_a_million_items_stay_accurate(shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    flat = (shape[0], shape[2])
    exact = x.sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(outputs("reduce_sum", flat, dtype=np.float32, inputs=(x,)), exact, rtol=2e-7)
    np.testing.assert_allclose(outputs("reduce_mean", flat, dtype=np.float32, inputs=(x,)), exact / shape[1], rtol=2e-7)
    var, _ = outputs("reduce_var", flat, flat, dtype=np.float32, inputs=(x, 1.0))
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=1, ddof=1), rtol=1e-6)


def test_float32_weight_gradients_over_a_million_rows_stay_accurate():
    rng = np.random.default_rng(0)
    dy, x = rng.random((1_000_000, 2), np.float32), rng.random((1_000_000, 2), np.float32)
    mean, rstd = np.zeros(len(x), np.float32), np.ones(len(x), np.float32)
    dweights, dbiases = layer_norm_grad(dy, x, np.ones(2, np.float32), mean, rstd, rows_of_a_sum(len(x)))[1:]
    dweight, dbias = (outputs("reduce_sum", (1, 2), dtype=np.float32, inputs=(sums[None],))[0] for sums in (dweights, dbiases))
    np.testing.assert_allclose(dweight, (dy.astype(np.float64) * x).sum(axis=0), rtol=5e-7)
    np.testing.assert_allclose(dbias, dy.sum(axis=0, dtype=np.float64), rtol=5e-7)


def test_a_large_mean_does_not_spoil_the_variance():
    x = (1e4 + np.random.default_rng(0).standard_normal((4, 1000))).astype(np.float32)
    exact = x.astype(np.float64).var(axis=1)
    var, _ = outputs("reduce_var", (4, 1), (4, 1), dtype=np.float32, inputs=(x[:, :, None], 0.0))
    np.testing.assert_allclose(var[:, 0], exact, rtol=1e-4)
    _, _, rstd = outputs(
        "layer_norm", x.shape, 4, 4, dtype=np.float32, inputs=(x, np.ones(1000, np.float32), np.zeros(1000, np.float32), 0.0)
    )
    np.testing.assert_allclose(rstd, exact**-0.5, rtol=1e-4)


@pytest.mark.parametrize("columns", [15, 64, 1000])
def test_layer_norm_of_rows_far_from_zero_is_as_exact_as_near_it(columns):
    """The mean's rounding error, which a small variance would make large, is taken out: a row of one number becomes 0."""
    weight, bias = np.ones(columns, np.float32), np.zeros(columns, np.float32)
    level = np.float32([[3.5], [100.1], [1234.567], [1e5]])
    for spread in (0, 1):
        x = level + spread * np.random.default_rng(0).standard_normal((4, columns)).astype(np.float32)
        y, mean, _ = outputs("layer_norm", x.shape, 4, 4, dtype=np.float32, inputs=(x, weight, bias, 1e-5))
        exact = x.astype(np.float64)
        centred = exact - exact.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(y, centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5), rtol=0, atol=2e-6)
        np.testing.assert_allclose(mean, exact.mean(axis=1), rtol=1e-7)
    assert np.isfinite(outputs("layer_norm", x.shape, 4, 4, dtype=np.float32, inputs=(0 * x + level, weight, bias, 1e-20))[0]).all()


def test_gradients_of_softmax_equal_central_differences():
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 19))
    for forward, backward in ((softmax, "softmax_grad"), (log_softmax, "log_softmax_grad")):
        dx = outputs(backward, x.shape, inputs=(dy, forward(x)))
        np.testing.assert_allclose(dx, central_differences(forward, x, dy), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
def test_gradients_of_cross_entropy_equal_central_differences(label_smoothing):
    rng = np.random.default_rng(0)
    x, weight, dloss = rng.standard_normal((4, 11)), rng.random(11), rng.standard_normal(4)
    target = np.array([0, 10, IGNORED, 4])
    dx = cross_entropy_grad(dloss, x, target, weight, label_smoothing)
    slope = central_differences(lambda x: cross_entropy(x, target, weight, label_smoothing)[0][:, None], x, dloss[:, None])
    np.testing.assert_allclose(dx, slope, rtol=1e-6, atol=1e-8)


def test_gradients_of_layer_norm_equal_central_differences():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 13))
    weight, bias = rng.standard_normal((2, 13))

    def forward(x=x, weight=weight, bias=bias):
        return outputs("layer_norm", x.shape, 3, 3, inputs=(x, weight, bias, 1e-5))

    _, mean, rstd = forward()
    dx, (dweight,), (dbias,) = layer_norm_grad(dy, x, weight, mean, rstd, 3)
    np.testing.assert_allclose(dx, central_differences(lambda x: forward(x=x)[0], x, dy), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dweight, central_differences(lambda w: forward(weight=w)[0], weight, dy), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dbias, central_differences(lambda b: forward(bias=b)[0], bias, dy), rtol=1e-6, atol=1e-8)


def test_gradients_of_rms_norm_equal_central_differences():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 13))
    weight = rng.standard_normal(13)

    def forward(x=x, weight=weight):
        return outputs("rms_norm", x.shape, 3, inputs=(x, weight, 1e-5))

    rstd = forward()[1]
    dx, (dweight,) = outputs("rms_norm_grad", x.shape, (1, 13), inputs=(dy, x, weight, rstd, 3))
    np.testing.assert_allclose(dx, central_differences(lambda x: forward(x=x)[0], x, dy), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dweight, central_differences(lambda w: forward(weight=w)[0], weight, dy), rtol=1e-6, atol=1e-8)


def row_kernels(rows, columns):
    """Each row kernel's name, the shapes of its outputs and its inputs."""
    rng = np.random.default_rng(0)
    shape, wide, sums = (rows, columns), (1, columns), (-(-rows // 16), columns)
    x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
    mean, rstd = rng.standard_normal((2, rows)).astype(np.float32)
    weight, bias = rng.standard_normal((2, columns)).astype(np.float32)
    index = rng.integers(0, 5, rows)
    return {
        "softmax": ([shape], (x,)),
        "softmax_grad": ([shape], (dy, x)),
        "log_softmax": ([shape], (x,)),
        "log_softmax_grad": ([shape], (dy, x)),
        "cross_entropy": ([rows, rows], (x, index, np.abs(weight), 0.1, -1)),
        "cross_entropy_grad": ([shape], (rstd, x, mean, index, np.abs(weight), 0.1, -1)),
        "layer_norm": ([shape, rows, rows], (x, weight, bias, 1e-5)),
        "layer_norm_grad": ([shape, sums, sums], (dy, x, weight, mean, rstd, 16)),
        "rms_norm": ([shape, rows], (x, weight, 1e-5)),
        "rms_norm_grad": ([shape, sums], (dy, x, weight, rstd, 16)),
        "reduce_var": ([wide, wide], (x[None], 1.0)),
        "embedding_grad": ([(5, columns)], (dy, index, -1)),
    }


@pytest.mark.parametrize("backend", ["numba"], indirect=True)
@pytest.mark.parametrize("shape", [(1, 1000), (37, 100), (300, 33), (133, 10), (70, 64)])
def test_results_do_not_depend_on_the_number_of_workers(shape):
    for name, (shapes, inputs) in row_kernels(*shape).items():
        results = []
        for parts in (1, 2, 3, 7):
            arrays = [np.full(s, 7, np.float32) for s in shapes]
            in_parts(name, (*arrays, *inputs), parts)
            results.append(arrays)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("backend", ["numba"], indirect=True)
@pytest.mark.parametrize("shape", [(1, 65), (70, 100), (37, 1000), (5, 1001), (3, 9001)])
def test_results_do_not_depend_on_where_rows_begin(shape):
    def placed(array, first):
        """A copy of an array that begins `first` items behind a cache line."""
        room = np.empty(array.nbytes + 128, np.uint8)
        start = -room.ctypes.data % 64 + first * array.itemsize
        copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    for name, (shapes, inputs) in row_kernels(*shape).items():
        found = set()
        for first in (0, 4, 7, 15):
            arrays = [placed(np.full(s, 7, np.float32), first) for s in shapes]
            in_parts(name, (*arrays, *(placed(x, first) if getattr(x, "ndim", 0) == 2 else x for x in inputs)), 1)
            found.add(b"".join(a.tobytes() for a in arrays))
        assert len(found) == 1, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_rows_and_batches_are_no_trouble(dtype):
    for rows, columns in ((0, 4), (4, 0), (0, 0)):
        x = np.empty((rows, columns), dtype)
        weight = np.empty(columns, dtype)
        assert softmax(x).shape == log_softmax(x).shape == x.shape
        _, mean, rstd = outputs("layer_norm", x.shape, rows, rows, dtype=dtype, inputs=(x, weight, weight, 1e-5))
        assert np.isnan(mean).all()
        assert layer_norm_grad(x, x, weight, mean, rstd, 16)[0].shape == x.shape
        assert (outputs("reduce_sum", (rows, 1), dtype=dtype, inputs=(x[:, :, None],)) == 0).all()
        assert np.isnan(outputs("reduce_mean", (1, columns), dtype=dtype, inputs=(x[None],))).all() == (rows == 0 or columns == 0)
