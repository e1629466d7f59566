"""Targets that no loss can mean: NaN, and values outside what a loss is defined for. They are refused before anything has changed."""

import re

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.errors import ArgumentError, FastnnError, LabelError
from fastnn.losses import LOSSES
from fastnn.nn import functional as F

N, D = 12, 3
NAN = float("nan")
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
P = 1 / (1 + np.exp(-X))
CLASSES = np.arange(N) % D

# loss -> targets that it takes, and wrong ones to put among them with the words of the message
TARGETS = {
    "mse": (X, [(NAN, "a number, got nan")]),
    "l1": (X, [(NAN, "a number, got nan")]),
    "huber": (X, [(NAN, "a number, got nan")]),
    "smooth_l1": (X, [(NAN, "a number, got nan")]),
    "bce": (P, [(NAN, "between 0 and 1, got nan"), (1.25, "between 0 and 1, got 1.25"), (-0.5, "between 0 and 1, got -0.5")]),
    "bce_with_logits": (P, [(NAN, "between 0 and 1, got nan"), (2, "between 0 and 1, got 2.0"), (-1, "between 0 and 1, got -1.0")]),
    "kl_div": (P, [(NAN, "at least 0, got nan"), (-0.5, "at least 0, got -0.5")]),
    "hinge": (np.sign(X), [(NAN, "-1 or 1, got nan"), (0, "-1 or 1, got 0.0"), (0.5, "-1 or 1, got 0.5")]),
    "cross_entropy": (CLASSES, [(3, "0 and 2, got 3"), (-1, "0 and 2, got -1")]),
    "nll": (CLASSES, [(3, "0 and 2, got 3"), (-1, "0 and 2, got -1")]),
}
CASES = [(loss, right, value, message) for loss, (right, wrong) in TARGETS.items() for value, message in wrong]


def spoilt(right, value):
    """The targets with one wrong value that is neither the first nor the last, nor in the first batch of 5."""
    y = np.array(right)
    y.reshape(N, -1)[7, -1] = value
    return y


def net(loss):
    fastnn.manual_seed(3)
    model = nn.Sequential(nn.Linear(D, D), nn.Dropout(0.5), nn.Linear(D, D), nn.BatchNorm1d(D))
    if loss == "bce":
        model.append(nn.Sigmoid())
    opt = optim.Adam(model.parameters())
    fastnn.compile_training(model, loss, opt)(X, TARGETS[loss][0])  # so that there are moments that could change
    return model, opt


def everything(model, opt):
    """All that training changes, as arrays and numbers."""
    state = opt.state_dict()
    moments = [v for entry in state["state"].values() for v in entry.values()]
    return [*(v.copy() for v in model.state_dict().values()), *moments, fastnn.random.generator().bit_generator.state]


def test_every_loss_of_the_table_is_tried():
    assert set(TARGETS) == set(LOSSES)


@pytest.mark.parametrize(("loss", "right", "value", "message"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_eager_losses_refuse_wrong_targets(loss, right, value, message, dtype):
    x = (P if loss == "bce" else X).astype(dtype)
    y = spoilt(right, value)
    y = y.astype(dtype) if y.dtype.kind == "f" else y
    assert np.isfinite(LOSSES[loss](x, np.asarray(right, y.dtype)).item())
    with pytest.raises(LabelError, match=re.escape(message)):
        LOSSES[loss](x, y)


@pytest.mark.parametrize(("loss", "right", "value", "message"), CASES)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_compiled_steps_and_epochs_refuse_them_and_change_nothing(loss, right, value, message, backend):
    with fastnn.use_backend(backend):
        model, opt = net(loss)
        step = fastnn.compile_training(model, loss, opt)
        y, rng = spoilt(right, value), np.random.default_rng(5)
        before = everything(model, opt), rng.bit_generator.state
        for call in (lambda: step(X, y), lambda: step.run_epoch(X, y, 5, rng)):
            with pytest.raises(LabelError, match=re.escape(message) if value == value else "nan|NaN"):
                call()
            np.testing.assert_equal((everything(model, opt), rng.bit_generator.state), before)


@pytest.mark.parametrize(("loss", "right", "value", "message"), CASES)
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("held_out", [False, True])
def test_a_trainer_looks_at_all_targets_before_it_starts(loss, right, value, message, compiled, held_out):
    with fastnn.use_backend("numpy"):
        model, opt = net(loss)
        trainer = fastnn.Trainer(model, loss, opt, compiled=compiled)
        before = everything(model, opt), trainer._rng.bit_generator.state
        y = spoilt(right, value)
        with pytest.raises(LabelError, match=re.escape(message) if value == value else "nan"):
            trainer.fit(X, right if held_out else y, batch_size=5, validation_data=(X, y) if held_out else None)
        np.testing.assert_equal((everything(model, opt), trainer._rng.bit_generator.state), before)
        with pytest.raises(LabelError):
            trainer.evaluate(X, y, batch_size=5)


@pytest.mark.parametrize("value", [NAN, 1.5, -0.1])
def test_probabilities_outside_0_and_1_are_refused_as_inputs_of_a_binary_cross_entropy(value):
    with pytest.raises(ArgumentError, match=rf"input must be between 0 and 1, got {value} at input\[7, 2\]"):
        F.binary_cross_entropy(spoilt(P, value), P)


@pytest.mark.parametrize(("value", "message"), [(NAN, "nan"), (-0.5, "-0.5")])
def test_class_probabilities_are_not_negative(value, message):
    with pytest.raises(LabelError, match=f"at least 0, got {message}"):
        F.cross_entropy(X, spoilt(P, value))


def test_mixtures_may_be_off_by_rounding():
    y = np.full((N, D), 1 + 5e-7, np.float32)
    assert np.isfinite(F.binary_cross_entropy_with_logits(X, y).item())


def test_targets_that_a_program_computes_are_no_data():
    model = nn.Linear(D, D)
    opt = optim.SGD(model.parameters(), lr=0.0)
    step = fastnn.compile_training(model, lambda output, y: F.hinge_loss(output, y * 0.5), opt)
    assert np.isfinite(step(X, X))


def test_two_losses_look_at_their_own_columns_of_the_targets():
    y = np.column_stack([5 + P[:, 0], P[:, 1], np.sign(X[:, 2])]).astype(np.float32)

    def loss(output, y):
        parts = F.mse_loss(output[:, 0], y[:, 0]), F.binary_cross_entropy_with_logits(output[:, 1], y[:, 1])
        return parts[0] + parts[1] + F.hinge_loss(output[:, 2], y[:, 2])

    model = nn.Linear(D, D)
    opt = optim.SGD(model.parameters(), lr=0.0)
    step = fastnn.compile_training(model, loss, opt)
    np.testing.assert_allclose(step(X, y), loss(model(X), fastnn.tensor(y)).item(), rtol=1e-5)
    fastnn.Trainer(model, loss, opt).fit(X, y, batch_size=5)
    for column, value, message in ((1, 1.5, "between 0 and 1, got 1.5 at target[7]"), (2, 0, "-1 or 1, got 0.0 at target[7]")):
        wrong = y.copy()
        wrong[7, column] = value
        for call in (lambda y=wrong: step.run_epoch(X, y, 5), lambda y=wrong: fastnn.Trainer(model, loss, opt).fit(X, y, batch_size=5)):
            with pytest.raises(FastnnError, match=re.escape(message)):
                call()
