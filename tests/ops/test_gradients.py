"""Every operation's gradient, and the gradient of that, equals central differences in float64."""

import numpy as np
import pytest
from op_cases import CASES, Fastnn

import fastnn
from fastnn import kernels
from fastnn.nn import functional as F
from fastnn.tensor import Tensor, no_grad

STEP = 1e-5
PADDED = "embedding, padding"  # its gradient leaves out a row on purpose


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    with kernels.use_backend(request.param):
        yield request.param


@pytest.fixture
def numpy_backend():
    with kernels.use_backend("numpy"):
        yield


def problem(name):
    """A scalar function of the operation's inputs, and float64 inputs for it."""
    row = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    inputs = [np.asarray(make(rng), np.float64) for make in row.inputs]
    with no_grad():
        shape = row.function(Fastnn(), *map(Tensor, inputs)).shape
    weights = rng.uniform(0.5, 1.5, shape)
    return lambda *xs: (row.function(Fastnn(), *xs) * weights.astype(xs[0].dtype)).sum(), inputs


def differences(function, inputs):
    """d function / d inputs by central differences."""
    grads = []
    for i, x in enumerate(inputs):
        grad = np.empty_like(x)
        for position in np.ndindex(x.shape):
            ends = []
            for step in (STEP, -STEP):
                moved = x.copy()
                moved[position] += step
                with no_grad():
                    ends.append(float(function(*[Tensor(moved if j == i else z) for j, z in enumerate(inputs)])))
            grad[position] = (ends[0] - ends[1]) / (2 * STEP)
        grads.append(grad)
    return grads


@pytest.mark.parametrize("name", CASES)
def test_gradient_equals_central_differences(name, backend):
    function, inputs = problem(name)
    _, grads = fastnn.value_and_grad(function, range(len(inputs)))(*inputs)
    expected = differences(function, inputs)
    if name == PADDED:
        expected[0][2] = 0
    for found, wanted in zip(grads, expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("backend")
def test_the_gradient_of_hinge_targets_is_their_input_where_the_margin_is_missed():
    x, t = np.array([0.3, -2.0, 1.5, 0.5]), np.array([1.0, 1.0, 1.0, -1.0])
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    slope = fastnn.grad(lambda t: (F.hinge_loss(x, t, margin=0.8, reduction="none") * weights).sum())
    np.testing.assert_allclose(slope(t).numpy(), [-0.3, 4.0, 0.0, -2.0], rtol=1e-15)


@pytest.mark.parametrize("name", [name for name, row in CASES.items() if row.twice])
@pytest.mark.usefixtures("numpy_backend")
def test_gradient_of_gradient_equals_central_differences(name):
    function, inputs = problem(name)
    first = fastnn.value_and_grad(function, range(len(inputs)))
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=x.shape) for x in inputs]

    def slope(*xs):
        return sum(((dx * d).sum() for dx, d in zip(first(*xs)[1], directions, strict=True)), start=Tensor(np.zeros(())))

    on_tape = first(*[Tensor(x, requires_grad=True) for x in inputs])[1]
    for composed, fused in zip(on_tape, first(*inputs)[1], strict=True):
        np.testing.assert_allclose(composed.numpy(), fused.numpy(), rtol=1e-9, atol=1e-12)
    _, grads = fastnn.value_and_grad(slope, range(len(inputs)))(*inputs)
    for found, wanted in zip(grads, differences(slope, inputs), strict=True):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 1e-5)])
def test_backends_agree(name, dtype, tolerance):
    function, inputs = problem(name)
    inputs = [x.astype(dtype) for x in inputs]
    results = []
    for backend in ("numba", "numpy"):
        with kernels.use_backend(backend):
            value, grads = fastnn.value_and_grad(function, range(len(inputs)))(*inputs)
            results.append([value.numpy(), *(dx.numpy() for dx in grads)])
    for compiled, twin in zip(*results, strict=True):
        assert compiled.dtype == twin.dtype == dtype
        np.testing.assert_allclose(compiled, twin, rtol=tolerance, atol=tolerance)


def lying_otherwise(x, layout):
    """The same numbers in other memory, which nobody may write to."""
    if layout == "strided":
        memory = np.full([2 * n + 1 for n in x.shape], np.nan, x.dtype)
        view = memory[(*[slice(1, None, 2)] * x.ndim, ...)]
    elif layout == "reversed":
        view = np.empty_like(x)[(*[slice(None, None, -1)] * x.ndim, ...)]
    else:
        view = np.empty_like(x.T).T
    view[...] = x
    view.flags.writeable = False
    return view


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("layout", ["strided", "reversed", "transposed"])
@pytest.mark.usefixtures("backend")
def test_inputs_may_lie_anyhow_and_are_only_read(name, layout):
    function, inputs = problem(name)
    value, grads = fastnn.value_and_grad(function, range(len(inputs)))(*inputs)
    others = [lying_otherwise(x, layout) for x in inputs]
    same_value, same_grads = fastnn.value_and_grad(function, range(len(inputs)))(*others)
    np.testing.assert_allclose(same_value.numpy(), value.numpy(), rtol=1e-12)
    for found, wanted in zip(same_grads, grads, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-11, atol=1e-12)
