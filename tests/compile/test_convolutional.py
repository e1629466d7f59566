"""Convolutional nets as compiled programs: training and inference give what eager code gives."""

import numpy as np
import pytest
from fastnn.kernels import _program

import fastnn
from fastnn import models, nn, optim
from fastnn.nn import functional as F

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(12, 2, 8, 8))
LABELS = RNG.integers(0, 4, 12)


def small_net():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Residual(nn.Conv2d(6, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 6, 1), activation=nn.ReLU()),
        nn.AvgPool2d(3, 2, 1),
        nn.ConvTranspose2d(6, 4, 2, 2),
        nn.InstanceNorm2d(4),
        nn.Upsample(scale_factor=1.5, mode="bilinear"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 4),
    )


class Factors(nn.Module):
    """x times what is trained."""

    def __init__(self, shape):
        self.factors = nn.Parameter(RNG.uniform(1, 2, shape))

    def forward(self, x):
        return self.factors * x


MODELS = {
    "all layers": small_net,
    "resnet": lambda: models.cifar_resnet(8, 4, 2),
    "preactivated resnet": lambda: models.cifar_resnet(8, 4, 2, shortcut="projection", preactivation=True),
}


def build(name, dtype):
    fastnn.manual_seed(3)
    model = MODELS[name]().astype(dtype)
    return model, optim.Adam(model.parameters(), lr=0.01)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_step_equals_eager_training(name, backend):
    with fastnn.use_backend(backend):
        model, opt = build(name, np.float64)
        expected = []
        for _ in range(3):
            loss = F.cross_entropy(model(IMAGES), LABELS)
            opt.zero_grad()
            loss.backward()
            opt.step()
            expected.append(loss.item())
        compiled_model, opt = build(name, np.float64)
        step = fastnn.compile_training(compiled_model, "cross_entropy", opt)
        losses = [step(IMAGES, LABELS) for _ in range(3)]
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    for (key, value), other in zip(compiled_model.state_dict().items(), model.state_dict().values(), strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=1e-6, atol=1e-8, err_msg=key)


def test_training_is_bitwise_the_same_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(_program, "SHARING_PAYS", 0)
    monkeypatch.setattr(_program, "TRYING_PAYS", 0)
    images = RNG.normal(size=(40, 2, 16, 16)).astype(np.float32)
    labels = RNG.integers(0, 4, 40)
    found = []
    for count in (1, 2, 3):
        model, opt = build("all layers", np.float32)
        with fastnn.threads(count):
            losses = fastnn.compile_training(model, "cross_entropy", opt).run_epoch(images, labels, 20)
        found.append((losses.tobytes(), [np.asarray(v).tobytes() for v in model.state_dict().values()]))
    assert all(f == found[0] for f in found)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", MODELS)
def test_compiled_inference_equals_the_model_in_evaluation_mode(name, backend):
    with fastnn.use_backend(backend):
        model, _ = build(name, np.float32)
        images = IMAGES.astype(np.float32)
        for _ in range(3):  # so that the running statistics are not those of a new layer
            model(2 * images + 1)
        infer = fastnn.compile_inference(model)
        model.eval()
        for size in (1, 5):
            with fastnn.no_grad():
                expected = model(images[:size]).numpy()
            np.testing.assert_allclose(infer(images[:size]), expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_moves_into_the_convolution_before_it():
    for name, left in (("all layers", 0), ("resnet", 0), ("preactivated resnet", 4)):
        model, _ = build(name, np.float32)
        plan = fastnn.compile_inference(model).plan(IMAGES.astype(np.float32))
        kernels = [i.kernel for i in plan.program.instructions]
        assert kernels.count("batch_norm") == left, name  # what follows a sum or a shortcut has no convolution before it
        assert "conv2d" in kernels


def test_dropout_of_channels_draws_a_new_mask_at_every_step():
    fastnn.manual_seed(1)
    model = nn.Sequential(nn.Dropout2d(0.5), nn.Conv2d(2, 4, 8), nn.Flatten())
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.0))
    losses = [step(IMAGES, LABELS) for _ in range(4)]
    assert len(set(losses)) == 4


def test_dropout_of_channels_passes_the_gradient_of_those_that_are_left():
    mask = F.dropout2d(np.ones((30, 20, 2, 3)), 0.25).numpy()
    assert set(np.unique(mask)) == {0, 1 / 0.75}
    assert (mask == mask[:, :, :1, :1]).all()
    assert (mask == 0).mean() == pytest.approx(0.25, abs=0.07)
    x = fastnn.tensor(1.0 + RNG.uniform(size=(30, 20, 2, 3)), requires_grad=True)
    y, dy = F.dropout2d(x, 0.25), RNG.normal(size=x.shape)
    y.backward(dy)
    np.testing.assert_allclose(x.grad.numpy(), dy * y.numpy() / x.numpy(), rtol=1e-12)

    model = nn.Sequential(Factors((30, 20, 2, 3)), nn.Dropout2d(0.25))
    before = model[0].factors.numpy().copy()
    step = fastnn.compile_training(model, lambda y, t: (y * t).sum(), optim.SGD(model.parameters(), lr=1.0))
    step(x.numpy(), dy)
    assert 0.1 < (step.output == 0).mean() < 0.4
    np.testing.assert_allclose(before - model[0].factors.numpy(), dy * step.output / before, rtol=1e-9, atol=1e-12)


def test_a_convolution_takes_no_memory_but_that_of_its_images():
    """An im2col matrix of a 3x3 convolution would be nine times the input."""
    images = np.zeros((16, 64, 56, 56), np.float32)
    one = nn.Conv2d(64, 64, 3, padding=1)
    assert fastnn.compile_inference(one).plan(images).arena.nbytes < 2.1 * images.nbytes  # input and output
    two = nn.Sequential(one, nn.Conv2d(64, 64, 3, padding=1))
    step = fastnn.compile_training(two, "mse", optim.SGD(two.parameters(), lr=0.1))
    step.prepare(images, images)
    assert step.program.arena.nbytes < 6.1 * images.nbytes  # input, target, two results and their gradients
