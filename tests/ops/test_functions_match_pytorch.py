"""Every row that PyTorch knows has its value and its gradients, in float32."""

import numpy as np
import pytest
from op_cases import CASES, Fastnn

import fastnn
from fastnn import errors
from fastnn.tensor import Tensor

torch = pytest.importorskip("torch")

# Sums in another order and other polynomials for exp, log, ...: a few units in the last place of values around 1 to 10.
RTOL, ATOL = 2e-5, 4e-6


class Torch:
    """PyTorch under the names of `fastnn.nn.functional`."""

    OTHER_NAMES = {"max": "amax", "min": "amin"}  # noqa: RUF012

    def __getattr__(self, name):
        return getattr(torch.nn.functional, name, None) or getattr(torch, name)

    def ints(self, values):
        return torch.tensor(values, dtype=torch.int64)

    def floats(self, values, like):
        return torch.tensor(values, dtype=like.dtype)

    def reduce(self, name, x, axis, keepdims):
        axes = tuple(range(x.ndim)) if axis is None else axis
        return getattr(torch, self.OTHER_NAMES.get(name, name))(x, dim=axes, keepdim=keepdims)


@pytest.mark.filterwarnings("ignore:reduction", "ignore:Using padding=.same. with even kernel")  # PyTorch on kl_div and conv2d
@pytest.mark.parametrize("name", [name for name, row in CASES.items() if row.in_torch])
def test_value_and_gradients_equal_those_of_pytorch(name):
    row = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    inputs = [np.asarray(make(rng), np.float32) for make in row.inputs]

    ours = [Tensor(x, requires_grad=True) for x in inputs]
    y = row.function(Fastnn(), *ours)
    theirs = [torch.tensor(x.copy(), requires_grad=True) for x in inputs]
    expected = row.function(Torch(), *theirs)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=RTOL, atol=ATOL)

    dy = rng.normal(size=y.shape).astype(np.float32)
    y.backward(dy)
    expected.backward(torch.tensor(dy))
    for x, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4), (2, 3, 2, 2)])
def test_batch_norm_keeps_the_running_statistics_of_pytorch(shape):
    rng = np.random.default_rng(0)
    mean, var = np.zeros(3, np.float32), np.ones(3, np.float32)
    their_mean, their_var = torch.zeros(3), torch.ones(3)
    for _ in range(3):
        x = rng.normal(2.0, 3.0, shape).astype(np.float32)
        fastnn.nn.functional.batch_norm(x, mean, var, training=True, momentum=0.3)
        torch.nn.functional.batch_norm(torch.tensor(x), their_mean, their_var, training=True, momentum=0.3)
    np.testing.assert_allclose(mean, their_mean.numpy(), rtol=1e-5)
    np.testing.assert_allclose(var, their_var.numpy(), rtol=1e-5)


EXTREME = {
    "cross_entropy": lambda F, x: F.cross_entropy(x, F.ints([0, 1])),
    "cross_entropy, smoothed": lambda F, x: F.cross_entropy(x, F.ints([1, 2]), label_smoothing=0.1),
    "binary_cross_entropy_with_logits": lambda F, x: F.binary_cross_entropy_with_logits(x, F.floats([[0.0, 1, 1], [1, 0, 0.5]], x)),
    "log_softmax": lambda F, x: F.log_softmax(x, dim=-1).sum(),
    "softmax": lambda F, x: (F.softmax(x, dim=-1) * F.floats([1.0, 2.0, 3.0], x)).sum(),
    "logsigmoid": lambda F, x: F.logsigmoid(x).sum(),
    "softplus": lambda F, x: F.softplus(x).sum(),
    "sigmoid": lambda F, x: F.sigmoid(x).sum(),
    "silu": lambda F, x: F.silu(x).sum(),
    "mish": lambda F, x: F.mish(x).sum(),
    "elu": lambda F, x: F.elu(x).sum(),
    "gelu": lambda F, x: F.gelu(x).sum(),
    "huber_loss": lambda F, x: F.huber_loss(x, x * 0.0),
}


@pytest.mark.parametrize("name", EXTREME)
def test_extreme_inputs_give_the_finite_values_of_pytorch(name):
    scores = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, -1e4]], np.float32)
    x, t = Tensor(scores, requires_grad=True), torch.tensor(scores, requires_grad=True)
    y, expected = EXTREME[name](Fastnn(), x), EXTREME[name](Torch(), t)
    y.backward()
    expected.backward()
    assert np.isfinite(x.grad.numpy()).all()
    np.testing.assert_allclose(y.item(), expected.item(), rtol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("shape", "scale"), [((2, 1, 3), 1.3), ((1, 5, 9), 2.1), ((1, 2, 3, 4, 2), (1.3, 1.1, 2.4))])
def test_the_nearest_items_of_sequences_and_volumes_are_those_of_pytorch(shape, scale):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=scale)
    np.testing.assert_array_equal(fastnn.nn.functional.interpolate(x, scale_factor=scale).numpy(), expected.numpy())


def outcome(F, name, x, settings):
    """Values, places and gradient of a pooling; nothing if it is refused.

    Values alone if a window misses the image: there PyTorch has places beyond it, and writes gradients to them.
    """
    try:
        y = getattr(F, name)(x, **settings)
    except (errors.ShapeError, errors.ArgumentError, RuntimeError):
        return None
    y, *index = y if isinstance(y, tuple) else (y,)
    values = np.asarray(y.detach())
    if np.isneginf(values).any():
        return [values]
    y.backward(F.floats(np.linspace(-1, 2, values.size).reshape(values.shape), y))
    return [values, *map(np.asarray, (x.grad, *index))]


def drawn_pooling(rng, kind, dims):
    """The name of a pooling, a shape and arguments, which need not fit each other."""

    def each(low, high):
        numbers = tuple(int(n) for n in rng.integers(low, high + 1, dims))
        return numbers[0] if rng.uniform() < 0.3 else numbers

    shape = tuple(int(n) for n in rng.integers(1, 4, 2)) + tuple(int(n) for n in rng.integers(1, 10, dims))
    if kind.startswith("adaptive"):
        size = each(1, 6)
        return f"{kind}_pool{dims}d", shape, {"output_size": size, **({"return_indices": True} if "max" in kind else {})}
    settings = {"kernel_size": each(1, 4), "padding": each(0, 2), "ceil_mode": bool(rng.integers(2))}
    settings |= {"stride": each(1, 4)} if rng.integers(3) else {}
    if kind == "max":
        return f"max_pool{dims}d", shape, settings | {"dilation": each(1, 3), "return_indices": True}
    settings["count_include_pad"] = bool(rng.integers(2))
    return f"avg_pool{dims}d", shape, settings | ({"divisor_override": int(rng.integers(1, 5))} if dims == 2 and rng.integers(2) else {})


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", ["max", "avg", "adaptive_max", "adaptive_avg"])
def test_poolings_drawn_at_random_are_those_of_pytorch(kind, dims):
    rng = np.random.default_rng(dims)
    fitting = 0
    for _ in range(100):
        name, shape, settings = drawn_pooling(rng, kind, dims)
        x = np.round(rng.normal(size=shape), 1)  # equal values among neighbours
        found = outcome(Fastnn(), name, Tensor(x, requires_grad=True), settings)
        expected = outcome(Torch(), name, torch.tensor(x, requires_grad=True), settings)
        assert (found is None) == (expected is None), (name, shape, settings)
        fitting += found is not None
        for ours, theirs in zip(found or [], expected or [], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12, err_msg=f"{name} {shape} {settings}")
    assert fitting > 20


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_of_the_nan_in_a_window_the_last_one_counts(backend):
    x = np.array([[1.0, np.nan, 2.0, np.nan, 0.0, 7.0, 5.0, np.nan], [3.0, 4.0, 9.0, 1.0, np.nan, np.nan, np.nan, np.nan]] * 2)
    with fastnn.use_backend(backend):
        for name, settings in (
            ("max_pool2d", {"kernel_size": 2}),
            ("max_pool2d", {"kernel_size": (1, 3), "stride": 1}),
            ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
            ("max_pool2d", {"kernel_size": 2, "stride": 3, "dilation": 2}),
            ("adaptive_max_pool2d", {"output_size": (2, 3)}),
        ):
            y, index = getattr(Fastnn(), name)(x[None], return_indices=True, **settings)
            expected, place = getattr(Torch(), name)(torch.tensor(x[None]), return_indices=True, **settings)
            np.testing.assert_array_equal(y.numpy(), expected.numpy())
            np.testing.assert_array_equal(index.numpy(), place.numpy())


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_window_that_misses_the_image_gives_minus_infinity_and_no_gradient(backend):
    settings = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": (3, 2)}
    values = np.arange(1.0, 9.0).reshape(1, 1, 2, 4)
    with fastnn.use_backend(backend):
        x = Tensor(values, requires_grad=True)
        y, index = fastnn.nn.functional.max_pool2d(x, return_indices=True, **settings)
        y.backward(np.ones(y.shape))
        assert (index.numpy() == -1).all()
        assert (x.grad.numpy() == 0).all()
        infer = fastnn.compile_inference(fastnn.nn.MaxPool2d(**settings))
        for found in (y.numpy(), infer(values.astype(np.float32))):
            np.testing.assert_array_equal(found, torch.nn.functional.max_pool2d(torch.tensor(values), **settings).numpy())
