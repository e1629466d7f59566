"""Learning rates (and momenta) over thirty steps are those of PyTorch."""

import warnings

import numpy as np
import pytest

from fastnn import optim
from fastnn.errors import ArgumentError, StateError, UnknownNameError
from fastnn.optim import lr_scheduler
from fastnn.tensor import tensor

SCHEDULES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("MultiStepLR", {"milestones": [12, 3, 3, 20], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("CosineAnnealingLR", {"T_max": 30}),
    ("CosineAnnealingLR", {"T_max": 8, "eta_min": 1e-3}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 13}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 31}),
    ("OneCycleLR", {"max_lr": [0.5, 0.3], "epochs": 4, "steps_per_epoch": 8, "pct_start": 0.45, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 40, "three_phase": True, "div_factor": 10, "final_div_factor": 100}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 40, "base_momentum": [0.7, 0.6], "max_momentum": 0.99}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 40, "cycle_momentum": False}),
]
OPTIMIZERS = [("SGD", {"lr": 0.1, "momentum": 0.9}), ("AdamW", {"lr": 0.1})]


def optimizer(name="SGD", **arguments):
    arguments = arguments or {"lr": 0.1, "momentum": 0.9}
    groups = [{"params": [tensor([1.0], requires_grad=True)]}, {"params": [tensor([1.0], requires_grad=True)], "lr": 0.02}]
    return optim.get(name)(groups, **arguments)


def torch_optimizer(torch, name, **arguments):
    groups = [{"params": [torch.zeros(1, requires_grad=True)]}, {"params": [torch.zeros(1, requires_grad=True)], "lr": 0.02}]
    return getattr(torch.optim, name)(groups, **arguments)


def settings(opt):
    return [[group["lr"], group["betas"][0] if "betas" in group else group["momentum"]] for group in opt.param_groups]


@pytest.mark.parametrize(("name", "arguments"), OPTIMIZERS)
@pytest.mark.parametrize(("schedule", "options"), SCHEDULES)
def test_thirty_steps(schedule, options, name, arguments):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizer(name, **arguments), torch_optimizer(torch, name, **arguments)
    a = getattr(lr_scheduler, schedule)(ours, **options)
    b = getattr(torch.optim.lr_scheduler, schedule)(theirs, **options)
    for _ in range(30):
        np.testing.assert_allclose(settings(ours), settings(theirs), rtol=1e-12, atol=1e-17)
        np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-12, atol=1e-17)
        a.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no optimiser step came in between
            b.step()


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"mode": "max", "patience": 1, "factor": 0.5},
        {"threshold_mode": "abs", "threshold": 0.3, "patience": 1, "cooldown": 2},
        {"mode": "max", "threshold_mode": "abs", "threshold": 0.3, "patience": 0, "factor": 0.7, "min_lr": [0.05, 0.001]},
        {"patience": 0, "factor": 0.5, "eps": 0.01},
    ],
)
def test_plateaus(options):
    torch = pytest.importorskip("torch")
    arguments = {"lr": 0.1, "momentum": 0.9}
    ours, theirs = optimizer(**arguments), torch_optimizer(torch, "SGD", **arguments)
    a, b = lr_scheduler.ReduceLROnPlateau(ours, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for metric in np.random.default_rng(0).normal(size=30).cumsum() * 0.2:
        a.step(metric)
        b.step(metric)
        np.testing.assert_allclose(settings(ours), settings(theirs), rtol=1e-12)


@pytest.mark.parametrize(("schedule", "options"), SCHEDULES)
def test_a_schedule_goes_on_from_a_saved_state(schedule, options):
    whole, half, rest = optimizer(), optimizer(), optimizer()
    a, b = (getattr(lr_scheduler, schedule)(opt, **options) for opt in (whole, half))
    for _ in range(6):
        a.step()
        b.step()
    rest.load_state_dict(half.state_dict())
    c = getattr(lr_scheduler, schedule)(optimizer(), **options)
    c.load_state_dict(b.state_dict())
    c.optimizer = rest
    d_optimizer = optimizer()
    d_optimizer.load_state_dict(half.state_dict())
    getattr(lr_scheduler, schedule)(d_optimizer, **options, last_epoch=b.last_epoch - 1)
    assert settings(d_optimizer) == settings(half)
    for _ in range(6):
        a.step()
        c.step()
    assert settings(rest) == settings(whole)


def test_the_cycle_ends():
    schedule = lr_scheduler.OneCycleLR(optimizer(), max_lr=1.0, total_steps=3)
    for _ in range(3):
        schedule.step()
    rates = schedule.get_last_lr()
    with pytest.raises(StateError, match="3 steps"):
        schedule.step()
    assert schedule.get_last_lr() == rates
    assert schedule.last_epoch == 3


WRONG = [
    ("StepLR", {"step_size": 0}, ArgumentError, "step_size"),
    ("CosineAnnealingLR", {"T_max": 0}, ArgumentError, "T_max"),
    ("LinearLR", {"start_factor": 0.0}, ArgumentError, "start_factor"),
    ("LinearLR", {"end_factor": 1.5}, ArgumentError, "end_factor"),
    ("LinearLR", {"total_iters": 0}, ArgumentError, "total_iters"),
    ("OneCycleLR", {"max_lr": 1.0}, ArgumentError, "total_steps"),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 0}, ArgumentError, "total_steps must be at least 1"),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 9, "pct_start": 2.0}, ArgumentError, "pct_start"),
    ("OneCycleLR", {"max_lr": [1.0], "total_steps": 9}, ArgumentError, "max_lr"),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 9, "anneal_strategy": "cosine"}, UnknownNameError, "'cos'"),
    ("ReduceLROnPlateau", {"factor": 1.0}, ArgumentError, "factor"),
    ("ReduceLROnPlateau", {"mode": "least"}, UnknownNameError, "mode"),
    ("ReduceLROnPlateau", {"threshold_mode": "relative"}, UnknownNameError, "threshold_mode"),
    ("ExponentialLR", {"gamma": 0.9, "last_epoch": 3}, StateError, "initial_lr"),
]


@pytest.mark.parametrize(("schedule", "options", "error", "message"), WRONG)
def test_wrong_arguments_change_nothing(schedule, options, error, message):
    opt = optimizer()
    before = [dict(group) for group in opt.param_groups]
    with pytest.raises(error, match=message):
        getattr(lr_scheduler, schedule)(opt, **options)
    assert opt.param_groups == before


def test_momentum_can_only_be_cycled_where_there_is_some():
    with pytest.raises(ArgumentError, match="Adagrad"):
        lr_scheduler.OneCycleLR(optimizer("adagrad", lr=0.1), max_lr=1.0, total_steps=10)
