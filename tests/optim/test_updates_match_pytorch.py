"""Ten steps of every optimiser are those of PyTorch; Lion, which PyTorch does not have, is compared with its paper."""

import numpy as np
import pytest
from fastnn.kernels._registry import BACKENDS
from optimiser_table import CONFIGURATIONS, copies, label, parameters, set_gradients, train, values

from fastnn import kernels, optim
from fastnn.tensor import Tensor

torch = pytest.importorskip("torch")
IN_PYTORCH = [c for c in CONFIGURATIONS if c.optimizer != "lion"]
TOLERANCE = {np.float64: {"rtol": 1e-11, "atol": 1e-12}, np.float32: {"rtol": 2e-6, "atol": 2e-6}}


class PaperLion:
    """Chen et al. 2023, alg. 2, line by line on arrays."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        self.params, self.lr, self.betas, self.weight_decay, self.maximize = params, lr, betas, weight_decay, maximize
        self.averages = [torch.zeros_like(p) for p in params]

    def step(self):
        with torch.no_grad():
            for p, m in zip(self.params, self.averages, strict=True):
                g = -p.grad if self.maximize else p.grad
                update = torch.sign(self.betas[0] * m + (1 - self.betas[0]) * g)
                p -= self.lr * (update + self.weight_decay * p)
                m.copy_(self.betas[1] * m + (1 - self.betas[1]) * g)


def reference(name, params, **arguments):
    if name == "lion":
        return PaperLion(params, **arguments)
    return getattr(torch.optim, optim.get(name).__name__)(params, **arguments)


@pytest.fixture(autouse=True)
def _double_precision():
    """PyTorch keeps NAdam's product of momenta in its default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def torch_parameters(dtype):
    return [torch.tensor(value, requires_grad=True) for value in values(dtype)]


def set_torch_gradients(params, dtype, seed):
    for p, g in zip(params, values(dtype, 100 + seed), strict=True):
        p.grad = torch.tensor(g)


def assert_equal(ours, theirs, dtype):
    for i, (p, t) in enumerate(zip(ours, theirs, strict=True)):
        np.testing.assert_allclose(p.data, t.detach().numpy(), **TOLERANCE[dtype], err_msg=f"parameter {i}")


def test_every_optimiser_has_a_configuration():
    assert {c.optimizer for c in CONFIGURATIONS} == set(optim.OPTIMIZERS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=label)
def test_ten_steps(configuration, dtype, backend):
    ours, theirs = parameters(dtype), torch_parameters(dtype)
    a = optim.get(configuration.optimizer)(ours, **configuration.arguments)
    b = reference(configuration.optimizer, theirs, **configuration.arguments)
    with kernels.use_backend(backend):
        for seed in range(10):
            set_gradients(ours, seed)
            a.step()
            set_torch_gradients(theirs, dtype, seed)
            b.step()
            assert_equal(ours, theirs, dtype)


@pytest.mark.parametrize("configuration", IN_PYTORCH, ids=label)
def test_groups_gradients_that_come_and_go_and_a_learning_rate_that_changes(configuration):
    ours, theirs = parameters(), torch_parameters(np.float64)
    a = optim.get(configuration.optimizer)(
        [{"params": ours[:4]}, {"params": ours[4:], "lr": 0.05, "weight_decay": 0.2}], **configuration.arguments
    )
    b = reference(
        configuration.optimizer,
        [{"params": theirs[:4]}, {"params": theirs[4:], "lr": 0.05, "weight_decay": 0.2}],
        **configuration.arguments,
    )
    with kernels.use_backend("numpy"):
        for seed in range(12):
            set_gradients(ours, seed)
            set_torch_gradients(theirs, np.float64, seed)
            # Parameter 1 is out at steps 2 and 3, 3 at steps 6 and 7, 6 from the start until step 5.
            for i, away in ((1, (2, 3)), (3, (6, 7)), (6, range(5))):
                if seed in away:
                    ours[i].grad = theirs[i].grad = None
            for groups in (a.param_groups, b.param_groups):
                groups[0]["lr"] *= 0.9
            a.step()
            b.step()
    assert_equal(ours, theirs, np.float64)
    assert [p.grad is None for p in ours] == [t.grad is None for t in theirs]


@pytest.mark.parametrize("configuration", IN_PYTORCH, ids=label)
def test_training_goes_on_from_a_state_of_pytorch(configuration):
    theirs = torch_parameters(np.float64)
    b = reference(configuration.optimizer, theirs, **configuration.arguments)
    for seed in range(4):
        set_torch_gradients(theirs, np.float64, seed)
        b.step()
    ours = parameters()
    for p, t in zip(ours, theirs, strict=True):
        p.data[...] = t.detach().numpy()
    a = optim.get(configuration.optimizer)(ours)
    with kernels.use_backend("numpy"):
        a.load_state_dict(b.state_dict())
        for seed in range(4, 8):
            set_gradients(ours, seed)
            a.step()
            set_torch_gradients(theirs, np.float64, seed)
            b.step()
    assert_equal(ours, theirs, np.float64)


@pytest.mark.parametrize("configuration", IN_PYTORCH, ids=label)
def test_a_saved_state_has_the_layout_of_pytorch(configuration):
    ours, theirs = parameters(np.float32), torch_parameters(np.float32)
    a = optim.get(configuration.optimizer)(ours, **configuration.arguments)
    with kernels.use_backend("numpy"):
        train(ours, a, range(3))
    saved = a.state_dict()
    b = reference(configuration.optimizer, theirs, **configuration.arguments)
    for seed in range(3):
        set_torch_gradients(theirs, np.float32, seed)
        b.step()
    expected = b.state_dict()
    assert saved["param_groups"][0]["params"] == expected["param_groups"][0]["params"]
    for key, entry in expected["state"].items():
        for name, value in entry.items():
            if value is not None:
                np.testing.assert_allclose(saved["state"][key][name], np.asarray(value), rtol=1e-5, atol=1e-6, err_msg=name)


SHORT_MEMORY = [
    ("adam", {"betas": (0.0, 0.0)}),
    ("adam", {"betas": (0.3, 0.5)}),
    ("adamax", {"betas": (0.0, 0.0)}),
    ("nadam", {"betas": (0.0, 0.0)}),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize(("name", "arguments"), SHORT_MEMORY)
def test_a_small_gradient_after_a_large_one_is_not_lost_by_averages_of_short_memory(name, arguments, dtype, backend):
    ours, theirs = parameters(dtype), torch_parameters(dtype)
    a, b = optim.get(name)(ours, lr=0.1, **arguments), reference(name, theirs, lr=0.1, **arguments)
    with kernels.use_backend(backend):
        for seed, size in enumerate((1e9, 1.0, 1e-6, 1e-9)):
            for p, t, g in zip(ours, theirs, values(dtype, 100 + seed), strict=True):
                p.grad = None
                p.accumulate_grad(Tensor(g * dtype(size)))
                t.grad = torch.tensor(g * dtype(size))
            a.step()
            b.step()
            for p, t in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=0, atol=1e-5 if dtype is np.float32 else 1e-10)


def test_sgd_keeps_its_velocity_while_momentum_is_off():
    ours, theirs = parameters(), torch_parameters(np.float64)
    a = optim.SGD(ours, lr=0.1, momentum=0.9, dampening=0.5)
    b = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, dampening=0.5)
    with kernels.use_backend("numpy"):
        for seed, momentum in enumerate([0, 0, 0.9, 0.9, 0, 0.9]):
            for optimizer in (a, b):
                optimizer.param_groups[0]["momentum"] = momentum
            train(ours, a, range(seed, seed + 1))
            set_torch_gradients(theirs, np.float64, seed)
            b.step()
            assert_equal(ours, theirs, np.float64)


def test_both_backends_take_the_same_steps():
    found = []
    for backend in BACKENDS:
        params = parameters(np.float32)
        with kernels.use_backend(backend):
            train(params, optim.AdamW(params, lr=0.1), range(20))
        found.append(copies(params))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
