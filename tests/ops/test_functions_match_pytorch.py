"""Every row that PyTorch knows has its value and its gradients, in float32."""

import numpy as np
import pytest
from op_cases import CASES, Fastnn

import fastnn
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
