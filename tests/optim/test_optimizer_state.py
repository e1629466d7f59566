"""What an optimiser does besides its update: flat buffers, groups, programs, saving, and complaints."""

import copy

import numpy as np
import pytest
from optimiser_table import CONFIGURATIONS, SHAPES, copies, label, parameters, set_gradients, train, values

from fastnn import kernels, optim
from fastnn.errors import ArgumentError, DTypeError, ShapeError, StateError, UnknownNameError
from fastnn.optim.flat import spans
from fastnn.optim.hyperparameters import CONSTRAINTS
from fastnn.tensor import Tensor, mode, tensor

each_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=label)


@pytest.fixture(autouse=True)
def _numpy_backend():
    with kernels.use_backend("numpy"):
        yield


def build(configuration, params):
    return optim.get(configuration.optimizer)(params, **configuration.arguments)


def address(array):
    return array.__array_interface__["data"][0]


def test_parameters_and_gradients_lie_end_to_end_at_cache_lines_and_keep_their_values():
    params = parameters(np.float32)
    before = copies(params)
    optim.Adam(params)
    set_gradients(params, 0)
    for p, value, shape in zip(params, before, SHAPES, strict=True):
        assert p.shape == shape
        np.testing.assert_array_equal(p.data, value)
        assert address(p.data) % 64 == 0
        assert address(p._home) % 64 == 0
        assert p.grad.data is p._home
    for arrays in ([p.data for p in params], [p.grad.data for p in params]):
        (flat,) = spans(arrays)
        assert flat.size == 16 * sum(-(-int(np.prod(shape)) // 16) for shape in SHAPES)
        assert np.count_nonzero(flat) == sum(np.count_nonzero(a) for a in arrays)


@each_configuration
def test_one_call_updates_a_whole_group_and_another_one_computes_its_factors(configuration):
    params = parameters()
    optimizer = build(configuration, params)
    calls = []
    set_gradients(params, 0)
    optimizer.sync()
    mode.run = lambda *call: calls.append(call)
    try:
        optimizer.update()
    finally:
        mode.run = kernels.run
    rule = optimizer.rule(optimizer.param_groups[0])
    assert [call[0] for call in calls] == [rule.factor_kernel, rule.update_kernel]


@each_configuration
def test_calls_recorded_once_can_be_replayed_while_hyperparameters_change(configuration):
    eager, replayed = parameters(), parameters()
    a, b = build(configuration, eager), build(configuration, replayed)
    set_gradients(replayed, 0)
    program = []
    b.sync()
    mode.run = lambda *call: program.append(call)
    try:
        b.update()
    finally:
        mode.run = kernels.run
    serial = b.serial
    for seed in range(8):
        for optimizer in (a, b):
            optimizer.param_groups[0]["lr"] = 0.1 / (seed + 1)
        train(eager, a, range(seed, seed + 1))
        set_gradients(replayed, seed)
        b.sync()
        for call in program:
            kernels.run(*call)
    assert b.serial == serial
    for p, q in zip(eager, replayed, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    ours, theirs = a.state_dict()["state"], b.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    for i, entry in ours.items():
        for name, value in entry.items():
            np.testing.assert_array_equal(value, theirs[i][name])


@each_configuration
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_training_goes_on_bitwise_from_a_saved_state(configuration, dtype):
    params = parameters(dtype)
    optimizer = build(configuration, params)
    train(params, optimizer, range(5))
    saved, data = optimizer.state_dict(), copies(params)
    train(params, optimizer, range(5, 9))

    resumed = [tensor(value, requires_grad=True) for value in data]
    other = optim.get(configuration.optimizer)(resumed, lr=7.0)
    train(resumed, other, range(2))
    for p, value in zip(resumed, data, strict=True):
        p.data[...] = value
    other.load_state_dict(copy.deepcopy(saved))
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    train(resumed, other, range(5, 9))
    for p, q in zip(params, resumed, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_saved_state_is_a_snapshot_that_knows_the_steps_of_each_parameter():
    params = parameters()
    optimizer = optim.Adam(params)
    for seed in range(3):
        set_gradients(params, seed)
        params[1].grad = None
        if seed == 1:
            params[3].grad = None
        optimizer.step()
    saved = optimizer.state_dict()
    assert {i: entry["step"] for i, entry in saved["state"].items()} == {0: 3, 2: 3, 3: 2, 4: 3, 5: 3, 6: 3}
    assert saved["param_groups"] == [{**optimizer.defaults, "params": list(range(7))}]
    before = copy.deepcopy(saved)
    train(params, optimizer, range(3, 5))
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], before["state"][0]["exp_avg"])
    assert optimizer.state[params[3]]["step"] == 4
    optimizer.load_state_dict(before)
    assert params[1] not in optimizer.state
    assert optimizer.state[params[3]]["step"] == 2


def test_calls_recorded_before_are_not_to_be_replayed_once_gradients_came_or_went_or_buffers_changed():
    params = parameters()
    optimizer = optim.Adam(params)
    serials = [optimizer.serial]

    def changed():
        serials.append(optimizer.serial)
        return serials[-1] != serials[-2]

    train(params, optimizer, range(2))
    assert not changed()
    set_gradients(params, 2)
    params[1].grad = None
    optimizer.step()
    assert changed()
    optimizer.load_state_dict(optimizer.state_dict())
    assert changed()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.sync()
    assert changed()
    optimizer.add_param_group({"params": [tensor([1.0], requires_grad=True)]})
    assert changed()
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.sync()
    assert not changed()


def test_amsgrad_can_be_switched_on_between_steps():
    params = parameters()
    optimizer = optim.Adam(params)
    train(params, optimizer, range(2))
    moment = optimizer.state[params[0]]["exp_avg"].copy()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.sync()
    np.testing.assert_array_equal(optimizer.state[params[0]]["exp_avg"], moment)
    np.testing.assert_array_equal(optimizer.state[params[0]]["max_exp_avg_sq"], 0)


def test_float32_and_float64_parameters_share_a_group():
    mixed = [tensor(v, dtype=np.float32 if i % 2 else np.float64, requires_grad=True) for i, v in enumerate(values(np.float64))]
    alone = parameters()
    a, b = optim.Adam(mixed), optim.Adam(alone)
    for seed in range(3):
        for p, g in zip(mixed, values(np.float64, 100 + seed), strict=True):
            p.grad = None
            p.accumulate_grad(Tensor(g))
        a.step()
    train(alone, b, range(3))
    for p, q in zip(mixed, alone, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-6 if p.dtype == np.float32 else 1e-15, atol=1e-7)
    assert list(a.state_dict()["state"]) == list(range(7))
    assert [entry["exp_avg"].shape for entry in a.state_dict()["state"].values()] == list(SHAPES)


def test_a_second_optimiser_takes_over_the_buffers_of_the_first():
    params = parameters()
    first = optim.SGD(params, lr=0.1)
    data, homes = [p.data for p in params], [p._home for p in params]
    serial = first.serial
    second = optim.Adam(params)
    assert all(p.data is d and p._home is h for p, d, h in zip(params, data, homes, strict=True))
    set_gradients(params, 0)
    second.step()
    expected = copies(params)
    first.step()
    first.step()
    assert first.serial == serial
    for p, value, g in zip(params, expected, values(np.float64, 100), strict=True):
        np.testing.assert_allclose(p.data, value - 2 * 0.1 * g, rtol=1e-12, atol=1e-15)


def test_buffers_that_a_second_optimiser_made_are_taken_over():
    params = parameters()
    first = optim.SGD(params, lr=0.1)
    for p in params:
        p.data = p.data.copy()
    optim.SGD(params)
    data = [p.data for p in params]
    set_gradients(params, 0)
    first.step()
    assert all(p.data is d for p, d in zip(params, data, strict=True))
    for p, value, g in zip(params, values(np.float64), values(np.float64, 100), strict=True):
        np.testing.assert_allclose(p.data, value - 0.1 * g, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_threads_share_large_updates_without_a_trace(name):
    found = []
    for number in (1, 2):
        rng = np.random.default_rng(0)
        p = tensor(rng.normal(size=100_003), requires_grad=True)
        optimizer = optim.get(name)([p], lr=0.1)
        with kernels.use_backend("numba"), kernels.threads(number):
            for _ in range(2):
                p.grad = Tensor(rng.normal(size=p.shape))
                optimizer.step()
        found.append(p.data)
    np.testing.assert_array_equal(*found)


def test_two_optimisers_may_train_overlapping_parameters_by_turns():
    params, lone = parameters(), parameters()
    a, b = optim.SGD(params, lr=0.1), optim.SGD(params[::2], lr=0.01)
    for seed in range(4):
        set_gradients(params, seed)
        (a, b)[seed % 2].step()
        for i, (q, g) in enumerate(zip(lone, values(np.float64, 100 + seed), strict=True)):
            q.data[...] -= (0.1, 0.01 if i % 2 == 0 else 0.0)[seed % 2] * g
    for p, q in zip(params, lone, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12, atol=1e-15)


def test_data_and_gradients_that_were_replaced_by_hand_are_used():
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    view = params[1].data
    for p, value, g in zip(params, values(np.float64, 5), values(np.float64, 6), strict=True):
        p.data = value.copy()
        p.grad = Tensor(g)
    optimizer.step()
    assert params[1].data is view
    for p, value, g in zip(params, values(np.float64, 5), values(np.float64, 6), strict=True):
        np.testing.assert_array_equal(p.data, value - g)


def test_parameters_of_one_shape_may_swap_their_data():
    a, b = tensor([1.0, 2.0], requires_grad=True), tensor([3.0, 4.0], requires_grad=True)
    optimizer = optim.SGD([a, b])
    a.data, b.data = b.data, a.data
    optimizer.step()
    assert (a.data.tolist(), b.data.tolist()) == ([3.0, 4.0], [1.0, 2.0])


def test_zero_grad_forgets_gradients_or_fills_them_with_zeros():
    params = parameters()
    optimizer = optim.SGD(params)
    set_gradients(params, 0)
    params[0].grad = None
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad is None
    assert all(not p.grad.data.any() for p in params[1:])
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_step_returns_the_loss_of_its_closure():
    p = tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0)

    def closure():
        optimizer.zero_grad()
        p.accumulate_grad(Tensor(np.ones(2, np.float32)))
        return 3.5

    assert optimizer.step(closure) == 3.5
    np.testing.assert_array_equal(p.data, [0.0, 1.0])
    assert optimizer.step() is None


def test_groups_named_pairs_and_groups_added_later():
    a, b, c = (tensor([1.0], requires_grad=True) for _ in range(3))
    optimizer = optim.SGD([("a", a), ("b", b)], lr=0.5)
    optimizer.add_param_group({"params": c, "lr": 0.25})
    for p in (a, b, c):
        p.grad = Tensor(np.ones(1, np.float32))
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [0.5, 0.5, 0.75]
    assert optimizer.param_groups[0]["param_names"] == ["a", "b"]
    assert [group["params"] for group in optimizer.state_dict()["param_groups"]] == [[0, 1], [2]]
    assert "Parameter Group 1\n    dampening: 0.0\n    lr: 0.25" in repr(optimizer)


P = tensor([1.0], requires_grad=True)
WRONG_PARAMETERS = {
    "none at all": ([], ArgumentError, "at least one parameter"),
    "a tensor alone": (P, DTypeError, "iterable"),
    "not a tensor": ([P, 3], DTypeError, r"params\[1\] must be a tensor, got int"),
    "integers": ([tensor([1])], DTypeError, "int64"),
    "one twice": ([P, P], ArgumentError, "twice"),
    "one in two groups": ([{"params": [P]}, {"params": [P]}], ArgumentError, "twice"),
    "a group without parameters": ([{"lr": 1.0}], ArgumentError, '"params"'),
    "names for some": ([("a", P), tensor([1.0])], ArgumentError, "all pairs"),
}


@pytest.mark.parametrize(("params", "error", "message"), WRONG_PARAMETERS.values(), ids=WRONG_PARAMETERS)
def test_wrong_parameters(params, error, message):
    data = P.data
    with pytest.raises(error, match=message):
        optim.SGD(params)
    assert P.data is data


WRONG_HYPERPARAMETERS = [
    ("sgd", {"lr": -1.0}, ArgumentError),
    ("sgd", {"lr": float("nan")}, ArgumentError),
    ("sgd", {"lr": "fast"}, DTypeError),
    ("sgd", {"momentum": -0.1}, ArgumentError),
    ("sgd", {"weight_decay": -0.1}, ArgumentError),
    ("sgd", {"nesterov": True}, ArgumentError),
    ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ArgumentError),
    ("adam", {"betas": (0.9, 1.0)}, ArgumentError),
    ("adam", {"betas": (-0.1, 0.9)}, ArgumentError),
    ("adam", {"betas": 0.9}, DTypeError),
    ("adam", {"eps": -1e-8}, ArgumentError),
    ("adam", {"amsgrad": "yes"}, ArgumentError),
    ("nadam", {"momentum_decay": -1.0}, ArgumentError),
    ("rmsprop", {"alpha": -1.0}, ArgumentError),
    ("adagrad", {"lr_decay": -1.0}, ArgumentError),
    ("adagrad", {"initial_accumulator_value": -1.0}, ArgumentError),
    ("adadelta", {"rho": 1.5}, ArgumentError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), WRONG_HYPERPARAMETERS)
def test_wrong_hyperparameters(name, arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        optim.get(name)([tensor([1.0], requires_grad=True)], **arguments)


def test_results_of_operations_cannot_be_optimised():
    with pytest.raises(ArgumentError, match="leaves"):
        optim.SGD([P + P])


def test_unknown_names():
    assert optim.get("AdamW") is optim.AdamW
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        optim.get("adm")


def test_gradients_and_data_of_another_shape_or_dtype():
    p = tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([p])
    p.grad = Tensor(np.ones(3, np.float32))
    with pytest.raises(ShapeError, match=r"shape \(2,\).*shape \(3,\)"):
        optimizer.step()
    p.data = np.ones(2)
    with pytest.raises(StateError, match="is now float64"):
        optimizer.step()


def wrong_states():
    params = parameters()
    optimizer = optim.Adam(params)
    train(params, optimizer, range(1))
    good = optimizer.state_dict()

    def entry(**changes):
        return {**good, "state": {**good["state"], 1: {**good["state"][1], **changes}}}

    return good, {
        "no groups": ({"state": good["state"]}, "'param_groups'.* is missing"),
        "another number of parameters": ({**good, "param_groups": [{**good["param_groups"][0], "params": [0]}]}, r"\[1\] parameters"),
        "another shape": (entry(exp_avg=np.zeros(3)), r"exp_avg must hold numbers of shape \(7,\), got .*\(3,\)"),
        "state of another optimiser": (entry(square_avg=np.zeros(7)), "square_avg"),
        "a moment is missing": (entry(exp_avg=None), "must have the state exp_avg, exp_avg_sq, step, got exp_avg_sq, step"),
        "steps are missing": (entry(step=None), "must have the state"),
    }


@pytest.mark.parametrize("case", wrong_states()[1])
def test_states_that_do_not_fit_change_nothing(case):
    good, cases = wrong_states()
    state, message = cases[case]
    optimizer = optim.Adam(parameters(), lr=0.5)
    with pytest.raises(StateError, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.state_dict()["state"] == {}
    optimizer.load_state_dict(good)
    assert optimizer.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_optimiser_goes_downhill(name):
    """f(x) = |x|^2 / 2, whose gradient is x."""
    p = tensor(values(np.float64)[3], requires_grad=True)
    optimizer = optim.get(name)([p], lr=1.0 if name == "adadelta" else 0.02)
    start = np.sum(p.data**2)
    for _ in range(200):
        p.grad = Tensor(p.data.copy())
        optimizer.step()
    assert np.sum(p.data**2) < 0.8 * start


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_hyperparameter_is_checked(name):
    assert optim.get(name)([P]).defaults.keys() <= CONSTRAINTS.keys()
