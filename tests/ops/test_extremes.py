"""Activations and losses where their inputs are as large as they get: values and gradients are the limits, and finite where those are."""

import numpy as np
import pytest

import fastnn
from fastnn import kernels, nn
from fastnn.losses import LOSSES
from fastnn.nn import functional as F
from fastnn.nn.activation import ACTIVATIONS, SELU

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
LEFT, SAME = (0.0, 0.0), (1.0, 0.0)  # a line as (slope, intercept)

# activation -> the lines that it comes to on the far left and on the far right
LINES = {
    "sigmoid": (LEFT, (0.0, 1.0)),
    "tanh": ((0.0, -1.0), (0.0, 1.0)),
    "relu": (LEFT, SAME),
    "relu6": (LEFT, (0.0, 6.0)),
    "leaky_relu": ((0.01, 0.0), SAME),
    "prelu": ((0.25, 0.0), SAME),
    "elu": ((0.0, -1.0), SAME),
    "selu": ((0.0, -SELU_SCALE * SELU_ALPHA), (SELU_SCALE, 0.0)),
    "celu": ((0.0, -1.0), SAME),
    "gelu": (LEFT, SAME),
    "gelu, tanh": (LEFT, SAME),
    "silu": (LEFT, SAME),
    "mish": (LEFT, SAME),
    "softplus": (LEFT, SAME),
    "logsigmoid": (SAME, LEFT),
    "softsign": ((0.0, -1.0), (0.0, 1.0)),
    "hardtanh": ((0.0, -1.0), (0.0, 1.0)),
    "hardsigmoid": (LEFT, (0.0, 1.0)),
    "hardswish": (LEFT, SAME),
}
BOUNDED = ("sigmoid", "tanh", "relu6", "hardtanh", "hardsigmoid")
LAYERS = {**ACTIVATIONS, "gelu, tanh": lambda: nn.GELU("tanh")}

# loss -> (input, target, loss), each in units of the extreme value a or, as text, numbers as they are
ALONG_A_ROW = np.array([[1.0, -1.0, 0.0]])
EXTREMES = {
    "mse": [([[1.0]], [[0.0]], lambda a: a * a), ([[-1.0]], [[0.0]], lambda a: a * a)],
    "l1": [([[1.0]], [[0.0]], lambda a: a), ([[-1.0]], [[0.0]], lambda a: a)],
    "huber": [([[1.0]], [[0.0]], lambda a: a - 0.5), ([[-1.0]], [[0.0]], lambda a: a - 0.5)],
    "smooth_l1": [([[1.0]], [[0.0]], lambda a: a - 0.5), ([[-1.0]], [[0.0]], lambda a: a - 0.5)],
    "hinge": [([[-1.0]], [[1.0]], lambda a: 1 + a), ([[1.0]], [[1.0]], lambda a: 0.0), ([[1.0]], [[-1.0]], lambda a: 1 + a)],
    "bce_with_logits": [
        ([[1.0]], [[0.0]], lambda a: a),
        ([[1.0]], [[1.0]], lambda a: 0.0),
        ([[-1.0]], [[1.0]], lambda a: a),
        ([[-1.0]], [[0.0]], lambda a: 0.0),
        ([[-1.0]], [[0.5]], lambda a: a / 2),
    ],
    "cross_entropy": [
        (ALONG_A_ROW, [0], lambda a: 0.0),
        (ALONG_A_ROW, [1], lambda a: 2 * a),
        (ALONG_A_ROW, [2], lambda a: a),
        (ALONG_A_ROW, [[0.5, 0.25, 0.25]], lambda a: 0.75 * a),
    ],
    "nll": [([[-1.0, 0.0]], [0], lambda a: a), ([[-1.0, 0.0]], [1], lambda a: 0.0)],
    "kl_div": [([[-1.0]], [[1.0]], lambda a: a), ([[-1.0]], [[0.0]], lambda a: 0.0)],
    "bce": [],  # its inputs are probabilities: see below
}


@pytest.fixture(params=["numba", "numpy"])
def backend(request):
    with kernels.use_backend(request.param):
        yield request.param


def test_every_activation_and_loss_is_in_the_tables():
    assert set(LAYERS) == set(LINES)
    assert set(LOSSES) == set(EXTREMES)
    assert isinstance(ACTIVATIONS["selu"](), SELU)


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LINES)
@pytest.mark.usefixtures("backend")
def test_activations_become_lines_far_out(name, dtype, size):
    layer, x = LAYERS[name]().astype(dtype), np.array([-size, size], dtype)
    value, slope = fastnn.value_and_grad(lambda x: layer(x).sum())(x)
    (left, below), (right, above) = LINES[name]
    ends = np.array([-left * size + below, right * size + above])
    np.testing.assert_allclose(layer(x).numpy(), ends, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(slope.numpy(), [left, right], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(value.item(), ends.sum(), rtol=2e-4, atol=1e-6 * size)


@pytest.mark.parametrize("name", [name for name in LINES if name != "prelu"])
@pytest.mark.usefixtures("backend")
def test_activations_are_straight_far_out(name):
    layer = LAYERS[name]()
    bend = fastnn.grad(lambda x: fastnn.grad(lambda x: layer(x).sum())(x).sum())
    np.testing.assert_allclose(bend(np.array([-1e4, 1e4])).numpy(), 0, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.usefixtures("backend")
def test_bounded_activations_reach_their_bounds_at_infinity(name, dtype):
    layer, x = LAYERS[name](), np.array([-np.inf, np.inf], dtype)
    np.testing.assert_array_equal(layer(x).numpy(), [end for _, end in LINES[name]])
    np.testing.assert_array_equal(fastnn.grad(lambda x: layer(x).sum())(x).numpy(), [0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in LINES if name != "softsign"])
def test_compiled_activations_are_their_limits_at_the_largest_numbers_and_at_infinity(name, dtype):
    layer, largest = LAYERS[name]().astype(dtype), np.finfo(dtype).max
    for size in (largest / 2, largest, dtype(np.inf)):
        x = np.array([-size, size], dtype)
        with np.errstate(over="ignore"):
            ends = [slope * end + level if slope else level for (slope, level), end in zip(LINES[name], x, strict=True)]
        slope = fastnn.grad(lambda x: layer(x).sum())(x).numpy()
        np.testing.assert_allclose(layer(x).numpy(), ends, rtol=1e-6)
        np.testing.assert_allclose(slope, [line[0] for line in LINES[name]], rtol=1e-6)


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("backend")
def test_shares_far_out_are_0_and_1(dtype, size):
    x = np.array([[size, -size, 0.0], [-size, -size, -size], [size, size, -size]], dtype)
    np.testing.assert_allclose(F.softmax(x).numpy(), [[1, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]], rtol=1e-6)
    logs = np.array([[0, -2 * size, -size], [-np.log(3)] * 3, [-np.log(2), -np.log(2), -2 * size - np.log(2)]])
    np.testing.assert_allclose(F.log_softmax(x).numpy(), logs, rtol=1e-6)
    np.testing.assert_array_equal(F.maxout(x, 3).numpy(), x.max(1, keepdims=True))
    for function in (F.softmax, F.log_softmax, lambda x: F.maxout(x, 3)):

        def weighted(x, function=function):
            return (function(x) * np.array([[1.0], [2.0], [3.0]], dtype)).sum()

        assert np.isfinite(fastnn.grad(weighted)(x).numpy()).all()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name, rows in EXTREMES.items() if rows])
@pytest.mark.usefixtures("backend")
def test_losses_far_out_are_finite_and_right(name, dtype, size, reduction):
    if name == "mse" and size > 1e19 and dtype == np.float32:
        pytest.skip("the square of 1e30 is no float32")
    for x, target, wanted in EXTREMES[name]:
        x = size * np.asarray(x, dtype)
        target = np.asarray(target) if isinstance(target[0], int) else np.asarray(target, dtype)
        loss = LOSSES[name](x, target, reduction=reduction).numpy().sum()
        slope = fastnn.grad(lambda x, t=target: LOSSES[name](x, t, reduction=reduction).sum())(x).numpy()
        np.testing.assert_allclose(loss, wanted(size), rtol=1e-6, atol=1e-6)
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() <= (2 * size if name == "mse" else 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("backend")
def test_the_binary_cross_entropy_of_certain_errors_is_100(dtype):
    x, t = np.array([0.0, 1.0, 0.0, 1.0], dtype), np.array([0.0, 1.0, 1.0, 0.0], dtype)
    np.testing.assert_allclose(F.binary_cross_entropy(x, t, reduction="none").numpy(), [0, 0, 100, 100], rtol=1e-6)
    assert np.isfinite(fastnn.grad(lambda x: F.binary_cross_entropy(x, t))(x).numpy()).all()
