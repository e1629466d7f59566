"""A program is recorded before there are values: code that looks at them is told its line; what cannot be recorded is refused."""

import pickle
import re
import signal
import sys
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.errors import DTypeError, ShapeError, StateError
from fastnn.nn import functional as F
from fastnn.tensor import Tensor, as_float, record, run

RNG = np.random.default_rng(0)
FEATURES, CLASSES = 12, 5
X = RNG.normal(size=(40, FEATURES))
LABELS = RNG.integers(0, CLASSES, len(X))


class Net(nn.Module):
    """Two layers and a forward pass of one's own."""

    def __init__(self, forward):
        super().__init__()
        fastnn.manual_seed(0)
        self.first, self.second = nn.Linear(FEATURES, CLASSES), nn.Linear(CLASSES, CLASSES)
        self.own = forward
        self.astype(np.float64)

    def forward(self, x):
        return self.own(self, x)


def compiled(forward, loss="cross_entropy"):
    model = Net(forward)
    return fastnn.compile_training(model, loss, optim.Adam(model.parameters(), lr=0.01))


def eager(forward, loss=F.cross_entropy, steps=3):
    model = Net(forward)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        value = loss(model(X), LABELS)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


LOOKS = {
    "item()": lambda y: y.sum().item(),
    "bool()": lambda y: 1.0 if y.sum() > 0 else 2.0,
    "float": lambda y: float(y.sum()),
    "int": lambda y: int(y.sum()),
    "numpy()": lambda y: y.numpy().max(),
    "np.asarray": lambda y: np.asarray(y).max(),
    "np.max": lambda y: np.max(y),
    "np.exp": lambda y: np.exp(y).max(),
    "np.concatenate": lambda y: np.concatenate([y, y]).max(),
    "data.max()": lambda y: y.data.max(),
    "data.mean()": lambda y: 1.0 if y.data.mean() > 0 else 2.0,
    "data[0, 0]": lambda y: y.data[0, 0],
    "data of a view": lambda y: y.data.T[:2].reshape(-1)[0],
    "float(data)": lambda y: float(y.sum().data),
    "data > 0": lambda y: (y.data > 0).sum(),
    "data.argmax()": lambda y: y.data.argmax(),
    "np.sort(data)": lambda y: np.sort(y.data)[0],
    "np.asarray(data)": lambda y: np.asarray(y.data).max(),
    "np.array(data)": lambda y: np.array(y.data).max(),
    "np.ascontiguousarray(data)": lambda y: np.ascontiguousarray(y.data).max(),
    "np.array([data])": lambda y: np.array([y.data]).max(),
    "np.float64(data)": lambda y: np.float64(y.sum().data),
    "np.asarray(data of a view)": lambda y: np.asarray(y.data[1:].T).max(),
    "data.view(np.ndarray)": lambda y: y.data.view(np.ndarray).max(),
    "data that is copied to be viewed": lambda y: y.data.T.reshape(-1),
    "data[[0, 1]]": lambda y: y.data[[0, 1]].shape[0],
    "data[data > 0]": lambda y: y.data[y.data > 0].size,
    "data + 1": lambda y: (y.data + 1).max(),
    "1 - data": lambda y: (1 - y.data).max(),
    "array @ data": lambda y: (np.ones((CLASSES, len(y))) @ y.data).max(),
    "-data": lambda y: (-y.data).max(),
    "data += 1": lambda y: y.data.__iadd__(1.0).max(),
    "for row in data": lambda y: max(row[0] for row in y.data),
    "list(data)": lambda y: len(list(y.data[0])),
    "data.flat": lambda y: y.data.flat[0],
    "data.base": lambda y: y.data.base.max(),
    "data.__array_interface__": lambda y: y.data.__array_interface__["data"][0],
    "data.copy()": lambda y: y.data.copy().max(),
    "pickle.dumps(data)": lambda y: len(pickle.dumps(y.data)),
    "fastnn.tensor": lambda y: fastnn.tensor(y),
    "fastnn.tensor(data)": lambda y: fastnn.tensor(y.data),
    "data of another dtype": lambda y: fastnn.tensor(np.ones(1, np.float32)) * y.data,
    "data.tolist()": lambda y: y.data.tolist()[0][0],
    "data of a comparison": lambda y: (y > 0).data.any(),
    "data of what is detached": lambda y: y.detach().data.max(),
    "data[...] = 0": lambda y: y.data.__setitem__(..., 0.0),
}


@pytest.mark.parametrize("name", LOOKS)
def test_looking_at_values_is_an_error_that_names_the_line(name):
    look = LOOKS[name]
    line = f"{re.escape(__file__)}:{look.__code__.co_firstlineno}: .*eager mode"
    step = compiled(lambda net, x: net.first(x) * look(net.first(x)))
    with pytest.raises(StateError, match=line):
        step(X, LABELS)
    with pytest.raises(StateError, match=line):
        compiled(lambda net, x: net.first(x), lambda output, target: F.cross_entropy(output, target) * look(output))(X, LABELS)
    with pytest.raises(StateError, match=line):
        fastnn.compile_inference(step.model)(X)


def test_inputs_have_no_values_either():
    with pytest.raises(StateError, match=re.escape(__file__)):
        compiled(lambda net, x: net.first(x) * x.data.max())(X, LABELS)


def test_values_are_there_in_eager_mode():
    y = fastnn.tensor([[1.0, 3.0], [2.0, 0.5]])
    assert np.max(y) == 3
    np.testing.assert_array_equal(np.concatenate([y, np.zeros((1, 2))]), [[1, 3], [2, 0.5], [0, 0]])
    np.testing.assert_allclose(y, y.numpy())
    assert type(y.data) is np.ndarray


def test_what_does_not_depend_on_values_is_recorded():
    def forward(net, x):
        y = net.first(x)
        shown.append(repr(y))
        shape = y.data.reshape(-1, 1).shape[0] + np.zeros_like(y.data).size
        return net.second(y) * (shape / y.size) + np.ones(CLASSES)

    shown = []
    step = compiled(forward)
    losses = [step(X, LABELS) for _ in range(3)]
    np.testing.assert_allclose(losses, eager(forward), rtol=1e-10)
    assert shown[0] == f"tensor(<no values yet>, shape=(40, {CLASSES}), dtype=float64)"


def test_data_is_what_it_is_in_eager_mode_as_long_as_nobody_looks():
    def forward(net, x):
        y = net.first(x)
        data = y.data
        assert isinstance(data, np.ndarray)
        assert not hasattr(data, "no_such_attribute")
        assert (data.shape, data.dtype, data.nbytes, len(data)) == ((40, CLASSES), np.float64, 40 * CLASSES * 8, 40)
        assert [row.shape for row in data] == [(CLASSES,)] * 40
        assert np.moveaxis(np.broadcast_to(data, (2, 40, CLASSES))[:, :0], 0, 1).T.shape == (CLASSES, 2, 0)
        return net.second(y + F.relu(data) + data * y + Tensor(data.T.swapaxes(0, 1)) + fastnn.tensor(data.shape, np.float64).sum())

    step = compiled(forward)
    np.testing.assert_allclose([step(X, LABELS) for _ in range(3)], eager(forward), rtol=1e-10)


def softsign(input):
    """An operation of one's own, as the documentation shows it."""
    x = as_float(input)
    y = np.empty(x.shape, x.dtype)
    run("softsign", y, x.data)

    def rule(y, dy):
        dx = np.empty(x.shape, x.dtype)
        run("softsign_grad", dx, dy.data, x.data)
        return Tensor(dx)

    return record(y, (x, rule))


def test_an_operation_of_ones_own_is_recorded():
    def forward(net, x):
        return net.second(softsign(net.first(x)))

    step = compiled(forward)
    np.testing.assert_allclose([step(X, LABELS) for _ in range(3)], eager(forward), rtol=1e-10)


@pytest.mark.parametrize("made", [Tensor, lambda dx: record(dx), as_float])
def test_gradients_have_no_values_either(made):
    """A rule of one's own may look at what another one has made."""

    def doubled(x, look):
        def rule(y, dy):
            dx = np.empty(x.shape, x.dtype)
            run("multiply", dx, dy.data, np.full(1, np.asarray(look(dy)) * 0 + 2.0))
            return made(dx)

        y = np.empty(x.shape, x.dtype)
        run("multiply", y, x.data, np.full(1, 2.0))
        return record(y, (x, rule))

    def forward(look):
        return lambda net, x: doubled(doubled(net.first(x), look), lambda dy: 0.0)

    step = compiled(forward(lambda dy: 0.0))
    np.testing.assert_allclose([step(X, LABELS) for _ in range(3)], eager(forward(lambda dy: np.max(dy.data))), rtol=1e-10)
    for look in (lambda dy: dy.data, lambda dy: dy.data.max(), lambda dy: dy.numpy()):
        with pytest.raises(StateError, match=f"{re.escape(__file__)}:.*eager mode"):
            compiled(forward(look))(X, LABELS)


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda net, x: {"scores": net.first(x)}, "got a dict"),
        (lambda net, x: (net.first(x), (net.first(x), x)), "got a tuple that holds a tuple"),
        (lambda net, x: [net.first(x), None], "got a list that holds a NoneType"),
    ],
)
def test_a_model_that_returns_no_tensors_is_refused(forward, found):
    with pytest.raises(DTypeError, match=f"must return a tensor.*{found}"):
        compiled(forward, lambda output, target: F.mse_loss(target, target))(X, LABELS)
    with pytest.raises(DTypeError, match=f"must return a tensor.*{found}"):
        fastnn.compile_inference(Net(forward))(X)


def test_a_loss_that_returns_no_tensor_is_refused():
    with pytest.raises(DTypeError, match="loss must be a function that returns a tensor, got"):
        compiled(lambda net, x: net.first(x), lambda output, target: 1.0)(X, LABELS)


def test_a_batch_without_examples_is_refused():
    step = compiled(lambda net, x: net.first(x))
    with pytest.raises(ShapeError, match=r"input must hold at least one example, got shape \(0, 12\)"):
        step(X[:0], LABELS[:0])
    assert step.run_epoch(X[:0], LABELS[:0], 8).shape == (0,)


def test_several_outputs_are_trained_and_the_first_one_is_kept():
    def forward(net, x):
        first = net.first(x)
        return first, net.second(F.tanh(first))

    def loss(output, target):
        return F.cross_entropy(output[0], target) + 0.5 * F.cross_entropy(output[1], target)

    step = compiled(forward, loss)
    outputs = np.zeros((len(X), CLASSES))
    expected = step.model(X)[0].numpy()
    losses = [step.run_epoch(X, LABELS, len(X), outputs=outputs)[0]]
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)
    losses += [step(X, LABELS) for _ in range(2)]
    np.testing.assert_allclose(losses, eager(forward, loss), rtol=1e-10)


def test_parameters_that_are_used_in_two_places_are_trained_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            fastnn.manual_seed(0)
            self.encoder, self.decoder, self.out = (
                nn.Linear(FEATURES, FEATURES),
                nn.Linear(FEATURES, FEATURES),
                nn.Linear(FEATURES, CLASSES),
            )
            self.decoder.weight = self.encoder.weight
            self.astype(np.float64)

        def forward(self, x):
            return self.out(F.relu(self.decoder(F.relu(self.encoder(x)))) + x)

    models = Tied(), Tied()
    optimizers = [optim.Adam(model.parameters(), lr=0.01) for model in models]
    step = fastnn.compile_training(models[0], "cross_entropy", optimizers[0])
    for _ in range(4):
        loss = F.cross_entropy(models[1](X), LABELS)
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        assert step(X, LABELS) == pytest.approx(loss.item(), rel=1e-10)
    assert models[0].decoder.weight is models[0].encoder.weight
    for value, other in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-9, atol=1e-12)


def branching(net, x):
    y = net.first(x)
    return y if y.sum().item() > 0 else -y


def branching_in_evaluation(net, x):
    y = net.first(x)
    return 2 * y if not net.training and y.sum().item() > 0 else y


@pytest.mark.parametrize(
    ("forward", "message"), [(branching, "training runs eagerly"), (branching_in_evaluation, "evaluation runs eagerly")]
)
def test_a_trainer_goes_on_eagerly_and_says_so(forward, message):
    def fit(compiled):
        model = Net(forward)
        trainer = fastnn.Trainer(model, optimizer=optim.Adam(model.parameters(), lr=0.01), metrics=["accuracy"], compiled=compiled)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = trainer.fit(X, LABELS, epochs=3, batch_size=8, validation_data=(X, LABELS))
        return history, [str(w.message) for w in caught]

    expected, none = fit(compiled=False)
    history, warned = fit(compiled=True)
    assert none == []
    assert len(warned) == 1
    assert re.search(f"{message}, which is slower: item.. at {re.escape(__file__)}", warned[0])
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-9)


class Recurrent(Net):
    """Gives each batch something of the one before."""

    def __init__(self, start):
        super().__init__(None)
        self.state, self.kept = start, []

    def forward(self, x):
        y = self.first(x)
        before = self.state if self.state is not None else fastnn.tensor(np.zeros((1, CLASSES)))
        self.state = (y + 0.5 * before).mean(axis=0, keepdims=True).detach()
        return y + self.state


STARTS = {"nothing": None, "a tensor": Tensor(np.ones((1, CLASSES)))}


@pytest.mark.parametrize("start", STARTS)
def test_a_state_that_a_program_would_not_carry_on_is_an_error(start):
    model = Recurrent(STARTS[start])
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1))
    for _ in range(2):
        with pytest.raises(StateError, match=re.escape(__file__) + ".*recorded program"):
            step(X, LABELS)
        with pytest.raises(StateError, match="recorded program"):
            fastnn.compile_inference(model)(X)
        assert model.state is STARTS[start]


@pytest.mark.parametrize("start", STARTS)
def test_a_trainer_carries_a_state_on_eagerly(start):
    def fit(compiled):
        fastnn.manual_seed(0)
        model = Recurrent(STARTS[start])
        trainer = fastnn.Trainer(model, optimizer=optim.SGD(model.parameters(), lr=0.1), compiled=compiled)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return trainer.fit(X, LABELS, epochs=2, batch_size=8)["loss"], model.state.numpy(), [str(w.message) for w in caught]

    *expected, none = fit(compiled=False)
    *found, warned = fit(compiled=True)
    assert none == []
    assert [("training runs eagerly" in w, "recorded program" in w) for w in warned] == [(True, True)]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_what_a_recorded_call_has_kept_has_no_values():
    def forward(net, x):
        net.last, net.history = net.first(x), [x]
        return net.second(net.last)

    step = compiled(forward)
    np.testing.assert_allclose([step(X, LABELS) for _ in range(3)], eager(forward), rtol=1e-10)
    model = step.model
    assert repr(model.last) == f"tensor(<no values yet>, shape=(40, {CLASSES}), dtype=float64)"
    for look in (lambda: F.relu(model.last), lambda: model.last + 1.0, lambda: model.history[0].numpy(), lambda: model.last.data.max()):
        with pytest.raises(StateError, match=re.escape(__file__)):
            look()
    with pytest.raises(StateError, match="recorded program"):
        compiled(lambda net, x: net.first(x) + model.last)(X, LABELS)
    np.testing.assert_allclose(fastnn.compile_inference(model)(X), model(X).numpy(), rtol=1e-10)
    assert model.last.numpy().shape == (40, CLASSES)


class Interrupted(nn.Module):
    """relu(x), in the middle of which something else comes."""

    def __init__(self, comes):
        super().__init__()
        self.comes = comes

    def forward(self, x):
        y = F.relu(x)
        self.comes()
        return y


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs a signal to spare")
@pytest.mark.parametrize("handler", [lambda number, frame: F.exp(fastnn.tensor(1.0)), lambda *_: run("exp", np.ones(3), np.ones(3))])
def test_operations_of_a_signal_handler_become_no_part_of_a_program(handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        model = Interrupted(lambda: signal.raise_signal(signal.SIGUSR1))
        with pytest.raises(StateError, match=r"exp at .*test_values.py:[0-9]+: a signal handler or finaliser has come between"):
            fastnn.compile_inference(model)(np.ones((2, 3), np.float32))
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        assert (fastnn.compile_inference(model)(np.ones((2, 3), np.float32)) == 1).all()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_operations_of_a_finaliser_become_no_part_of_a_program(monkeypatch):
    class Dying:
        def __del__(self):
            run("exp", np.ones(3), np.ones(3))

    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    step = fastnn.compile_inference(Interrupted(Dying))
    assert (step(np.ones((2, 3), np.float32)) == 1).all()
    assert [type(what.exc_value) for what in said] == [StateError]


def test_a_program_may_be_recorded_in_a_signal_handler():
    found = []

    def handler(number, frame):
        found.append(fastnn.compile_inference(nn.ReLU())(np.ones((2, 3), np.float32)))

    handler(signal.SIGINT, sys._getframe())
    assert (found[0] == 1).all()
