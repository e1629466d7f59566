"""Saved states, data sets and parameter groups that are wrong somewhere inside are refused as a whole, by a typed error."""

import copy

import numpy as np
import pytest

import fastnn
from fastnn import data, nn, optim
from fastnn.errors import DTypeError, FastnnError, ShapeError, StateError

X = np.ones((4, 3), np.float32)
WRONG = [None, "abc", [], [1], {"a": 1}, np.ones(3), object(), float("nan"), -1]
PLACES = {  # where in the state of an optimiser, and what may stand there all the same
    ("state",): [{"a": 1}],
    ("param_groups",): [],
    ("param_groups", 0): [],
    ("param_groups", 0, "params"): [[1]],
    ("param_groups", 0, "lr"): [],
    ("param_groups", 0, "betas"): [],
    ("state", 0): [],
    ("state", 0, "exp_avg"): [],
    ("state", 0, "step"): [],
}


def trained():
    parameter = nn.Parameter(X.copy())
    opt = optim.Adam([parameter])
    parameter.grad = fastnn.tensor(X)
    opt.step()
    return opt


def changed(state, place, value):
    state = copy.deepcopy(state)
    inner = state
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return state


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_state_that_is_wrong_inside_changes_nothing(place):
    opt = trained()
    before = opt.state_dict()
    for value in WRONG:
        if any(value is right or (type(value) is type(right) and value == right) for right in PLACES[place]):
            continue
        if value is None and place[-1] in ("exp_avg", "step"):
            continue  # as good as absent: see below
        with pytest.raises(FastnnError, match=r"got|missing|has"):
            opt.load_state_dict(changed(before, place, value))
        np.testing.assert_equal(opt.state_dict(), before)


def test_a_state_that_lacks_something_changes_nothing():
    opt = trained()
    before = opt.state_dict()
    for lacking in ({"state": {}}, {"param_groups": []}, changed(before, ("state", 0, "exp_avg"), None)):
        with pytest.raises(StateError):
            opt.load_state_dict(lacking)
        np.testing.assert_equal(opt.state_dict(), before)


@pytest.mark.parametrize("wrong", [None, 3, "abc", {}, {"gamma": 0.5}])
def test_the_state_of_a_schedule_is_a_whole_one(wrong):
    schedule = optim.lr_scheduler.StepLR(trained(), 2)
    before = schedule.state_dict()
    with pytest.raises((StateError, DTypeError), match=r"state_dict must"):
        schedule.load_state_dict(wrong)
    assert schedule.state_dict() == before


@pytest.mark.parametrize(
    ("examples", "error", "message"),
    [
        ([(X[0], 1), (X[0, :2], 1)], ShapeError, r"one shape .*got \(3,\) and \(2,\)"),
        ([(X[0], 1), (X[0],)], ShapeError, "as many parts .*got 2 and 1"),
        ([([1.0, [2.0]], 1)] * 2, ShapeError, "rows of one length"),
        ([1, 2], DTypeError, "a tuple of its parts, got 1"),
    ],
)
def test_examples_that_make_no_batch_are_refused(examples, error, message):
    class Listed(data.Dataset):
        def __len__(self):
            return len(examples)

        def __getitem__(self, index):
            return examples[index]

    with pytest.raises(error, match=message):
        next(iter(data.DataLoader(Listed(), 2)))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([{"params": [nn.Parameter(X)], "lr": "a"}], DTypeError, "lr must be a number >= 0, got 'a'"),
        ([{"params": None}], DTypeError, "iterable of tensors, got None"),
        ([{"params": [1]}], DTypeError, r"params\[0\] must be a tensor, got int"),
        ([("a",)], DTypeError, r"a tensor or a pair \(name, tensor\), got \('a',\)"),
        ([(1, 2, 3)], DTypeError, r"got \(1, 2, 3\)"),
        ([("a", nn.Parameter(X)), ("b", 3)], DTypeError, r"params\[1\] must be a tensor, got int"),
    ],
)
def test_parameter_groups_that_are_none_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(params)


@pytest.mark.parametrize(
    "held_out", [(X,), (X, [0, 1, 2]), (X, None), {"a": 1}, (X[:0], np.zeros(0, int)), (X, [0, 1, 2, 9]), (X * np.nan, [0, 1, 2, 0])]
)
def test_validation_data_that_do_not_fit_are_refused_before_training(held_out):
    model = nn.Linear(3, 3)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(FastnnError, match="got"):
        fastnn.Trainer(model).fit(X, np.array([0, 1, 2, 0]), validation_data=held_out)
    np.testing.assert_equal(model.state_dict(), before)
