import os
import signal
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.data import ArrayDataset, DataLoader
from fastnn.errors import ArgumentError, DTypeError, FastnnError, LabelError, ShapeError, UnknownNameError
from fastnn.losses import LOSSES
from fastnn.nn import functional as F
from fastnn.training import Callback, EarlyStopping, Trainer


@pytest.fixture(autouse=True)
def numpy_backend():
    with fastnn.use_backend("numpy"):
        yield


@pytest.fixture(scope="module")
def digits():
    return fastnn.datasets.load("digits").split()


def classifier(seed=0, dropout=0.0, dtype=None):
    fastnn.manual_seed(seed)
    return fastnn.models.mlp(64, [32], 10, dropout=dropout, dtype=dtype)


def state(model):
    return {k: v.copy() for k, v in model.state_dict().items()}


def same(a, b):
    return all(np.array_equal(a[k], b[k]) for k in a)


def test_training_on_digits_learns_and_records_each_epoch(digits):
    train, test = digits
    model = classifier()
    trainer = Trainer(model, optimizer=optim.Adam(model.parameters(), lr=0.01), metrics=["accuracy", "f1"])
    history = trainer.fit(*train, epochs=4, batch_size=64, validation_data=test)
    assert list(history) == ["loss", "accuracy", "f1", "val_loss", "val_accuracy", "val_f1", "lr", "seconds", "samples_per_second"]
    assert history.epochs == 4
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert history.val_accuracy[-1] > 0.85
    assert history.lr == [0.01] * 4
    result = trainer.evaluate(*test)
    assert result == {name: pytest.approx(history[f"val_{name}"][-1], rel=1e-6) for name in ("loss", "accuracy", "f1")}
    predicted = trainer.predict(test[0]).argmax(1)
    assert (predicted == test[1]).mean() == pytest.approx(result["accuracy"])


def test_an_epoch_equals_the_loop_written_by_hand(digits):
    (x, y), _ = digits
    model, by_hand = classifier(dtype=np.float64), classifier(dtype=np.float64)
    history = Trainer(model, optimizer=optim.SGD(model.parameters(), lr=0.1), metrics=["accuracy"], seed=5).fit(x, y, batch_size=100)
    opt, order, losses, right = optim.SGD(by_hand.parameters(), lr=0.1), np.random.default_rng(5).permutation(len(x)), [], 0
    for start in range(0, len(x), 100):
        rows = order[start : start + 100]
        scores = by_hand(x[rows].astype(np.float64))
        loss = F.cross_entropy(scores, y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append((loss.item(), len(rows)))
        right += (scores.numpy().argmax(1) == y[rows]).sum()
    assert len(rows) == len(x) % 100
    assert same(state(model), state(by_hand))
    assert history.loss == [pytest.approx(sum(v * n for v, n in losses) / len(x), rel=1e-12)]
    assert history.accuracy == [right / len(x)]


def test_the_same_seeds_give_the_same_run_and_another_seed_another(digits):
    train, _ = digits

    def run(seed):
        trainer = Trainer(classifier(dropout=0.2), seed=seed)
        return trainer.fit(*train, epochs=2, batch_size=200).loss

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_data_loader_feeds_training_and_validation(digits):
    (x, y), (xt, yt) = digits
    loader = DataLoader(ArrayDataset(x, y), 64, shuffle=True, generator=7)
    model, twin = classifier(), classifier()
    history = Trainer(model, metrics=["accuracy"]).fit(loader, epochs=2, validation_data=DataLoader(ArrayDataset(xt, yt), 100))
    assert history.epochs == 2
    trainer = Trainer(twin, metrics=["accuracy"])
    trainer._rng = np.random.default_rng(7)
    arrays = trainer.fit(x, y, epochs=2, batch_size=64, validation_data=(xt, yt))
    assert same(state(model), state(twin))
    assert history.accuracy == arrays.accuracy
    assert history.val_loss == pytest.approx(arrays.val_loss, rel=1e-5)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("part", "value", "error", "message"),
    [(1, 10, LabelError, "between 0 and 9, got 10"), (0, np.nan, ArgumentError, r"x of a batch must be finite, got nan at .*\[2, 0\]")],
)
def test_a_wrong_batch_of_a_loader_is_refused_before_its_step_changes_anything(digits, compiled, part, value, error, message):
    (x, y), _ = digits
    arrays = [x[:30].copy(), y[:30].copy()]

    def fitted(count):
        fastnn.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Linear(32, 10))
        opt = optim.Adam(model.parameters())
        loader = DataLoader(ArrayDataset(*(a[:count] for a in arrays)), 10)
        return model, opt, lambda: Trainer(model, optimizer=opt, compiled=compiled).fit(loader)

    model, opt, fit = fitted(20)
    fit()
    arrays[part][22, ...] = value  # in the third batch, which no trial sees
    refused, other, fit = fitted(30)
    with pytest.raises(error, match=message):
        fit()
    assert same(state(model), state(refused))
    np.testing.assert_equal(opt.state_dict(), other.state_dict())


def test_labels_that_a_loss_computes_are_trained_with_eagerly(digits):
    (x, y), _ = digits

    def loss(output, target):
        return F.cross_entropy(output, F.argmax(target, -1))

    trainer = Trainer(classifier(), loss)
    with pytest.warns(UserWarning, match="labels or indices that the program itself computes"):
        history = trainer.fit(x[:40], np.eye(10, dtype=np.float32)[y[:40]], epochs=2, batch_size=20)
    assert history.loss[1] < history.loss[0]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_of_the_table_can_be_trained_with(loss):
    rng = np.random.default_rng(0)
    x, classes = rng.normal(size=(40, 5)).astype(np.float32), loss in ("cross_entropy", "nll")
    head = {"nll": nn.LogSoftmax(dim=1), "kl_div": nn.LogSoftmax(dim=1), "bce": nn.Sigmoid()}.get(loss, nn.Identity())
    fastnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3), head)
    if classes:
        y = x[:, :3].argmax(1)
    else:
        y = np.eye(3, dtype=np.float32)[x[:, :3].argmax(1)]
        y = 2 * y - 1 if loss == "hinge" else y
    history = Trainer(model, loss, optim.Adam(model.parameters(), lr=0.05)).fit(x, y, epochs=15, batch_size=16)
    assert history.loss[-1] < 0.8 * history.loss[0]


def test_a_regression_reaches_a_high_r2():
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x @ [[1.0], [-2.0], [0.5]] + 3
    model = nn.Linear(3, 1)
    trainer = Trainer(model, "mse", optim.Adam(model.parameters(), lr=0.1), metrics=["r2", "mae", "rmse"])
    trainer.fit(x, y, epochs=60, batch_size=32)
    result = trainer.evaluate(x, y)
    assert result["r2"] > 0.999
    assert result["rmse"] == pytest.approx(np.sqrt(result["loss"]), rel=1e-4)


@pytest.mark.parametrize("compiled", [True, False])
def test_functions_see_all_outputs_and_named_metrics_keep_none(digits, compiled, monkeypatch):
    def share_right(scores, labels):
        assert len(scores) == len(labels)
        return float((scores.argmax(1) == labels).mean())

    (x, y), test = digits
    histories = []
    for asked in ([share_right, "accuracy", "recall"], ["accuracy", "recall"]):
        fastnn.manual_seed(0)
        trainer = Trainer(classifier(), metrics=asked, compiled=compiled)
        kept = []
        run_epoch = trainer._step.run_epoch
        monkeypatch.setattr(trainer._step, "run_epoch", lambda *a, run_epoch=run_epoch, kept=kept: (kept.append(a[4]), run_epoch(*a))[1])
        histories.append(trainer.fit(x[:200], y[:200], epochs=2, batch_size=32, validation_data=test))
        assert all((outputs is None) == (asked[0] == "accuracy") for outputs in kept)
        assert list(trainer.evaluate(*test)) == ["loss", *(m.name for m in trainer.metrics)]
    both, named = histories
    assert both.share_right == both.accuracy == named.accuracy
    assert both.val_share_right == both.val_accuracy == named.val_accuracy
    assert both.recall == named.recall


def test_evaluation_uses_evaluation_mode_and_each_module_keeps_its_own(digits):
    train, test = digits
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, 10))
    model.train()
    model[1].eval()
    trainer = Trainer(model)
    assert trainer.evaluate(*test) == trainer.evaluate(*test)
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
    before = state(model)
    trainer.predict(test[0])
    assert same(before, state(model))
    trainer.fit(*train, epochs=1)
    assert [m.training for m in model.modules()] == [True, True, False, True, True]


class Scripted(Callback):
    """Replaces the validation loss by given values, so that early stopping can be followed by hand."""

    def __init__(self, values):
        self.values = values
        self.states = []

    def on_epoch_end(self, trainer, epoch):
        epoch["val_loss"] = self.values[trainer.history.epochs - 1]
        self.states.append(state(trainer.model))


def test_early_stopping_waits_for_its_patience_and_restores_the_best(digits):
    train, test = digits
    script, stopping = Scripted([3, 1, 2, 1.5, 1.2, 0]), EarlyStopping(patience=3)
    trainer = Trainer(classifier(), callbacks=[script])
    history = trainer.fit(*train, epochs=6, batch_size=500, validation_data=test, early_stopping=stopping)
    assert history.epochs == 5
    assert (stopping.best, stopping.best_epoch) == (1, 2)
    assert same(state(trainer.model), script.states[1])
    assert not same(script.states[1], script.states[4])


def test_early_stopping_may_keep_the_last_and_ask_for_a_margin(digits):
    train, test = digits
    script, stopping = Scripted([3, 2.95, 2.92, 2.85]), EarlyStopping(patience=2, min_delta=0.1, restore_best=False)
    trainer = Trainer(classifier(), callbacks=[script, stopping])
    history = trainer.fit(*train, epochs=4, batch_size=500, validation_data=test)
    assert history.epochs == 3
    assert same(state(trainer.model), script.states[2])


def test_early_stopping_follows_metrics_upwards(digits):
    train, test = digits
    stopping = EarlyStopping(patience=1, monitor="val_accuracy")
    trainer = Trainer(classifier(), metrics=["accuracy"])
    history = trainer.fit(*train, epochs=3, batch_size=100, validation_data=test, early_stopping=stopping)
    assert stopping.best == max(history.val_accuracy)
    assert trainer.evaluate(*test)["accuracy"] == stopping.best


def test_early_stopping_by_a_column_that_is_not_there_is_an_error(digits):
    model = classifier()
    before = state(model)
    with pytest.raises(UnknownNameError, match="val_loss"):
        Trainer(model).fit(*digits[0], batch_size=500, early_stopping=2)
    assert same(before, state(model))
    for wrong, error in (({"patience": 0}, ArgumentError), ({"patience": 2.5}, DTypeError), ({"min_delta": -1}, ArgumentError)):
        with pytest.raises(error, match=next(iter(wrong))):
            EarlyStopping(**wrong)


def test_schedules_are_stepped_by_batch_or_by_epoch(digits):
    train, _ = digits
    lr = optim.lr_scheduler

    def rates(make):
        model = classifier()
        opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return Trainer(model, optimizer=opt, scheduler=make(opt)).fit(*train, epochs=3, batch_size=500).lr

    assert rates(lambda opt: lr.StepLR(opt, 1, gamma=0.5)) == [0.1, 0.05, 0.025]
    one_cycle = rates(lambda opt: lr.OneCycleLR(opt, max_lr=0.1, total_steps=9))
    assert one_cycle[-1] == pytest.approx(0.1 / 25 / 1e4)  # the rate of the last step
    assert rates(lambda opt: lr.ReduceLROnPlateau(opt, factor=0.5, patience=0, threshold=1e9)) == [0.1, 0.05, 0.025]


def test_clipping_bounds_the_step(digits):
    (x, y), _ = digits
    model = classifier()
    before = state(model)
    Trainer(model, optimizer=optim.SGD(model.parameters(), lr=1.0), clip_norm=1e-3).fit(x, y, batch_size=len(x))
    moved = np.sqrt(sum(((state(model)[k] - before[k]) ** 2).sum() for k in before))
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_hyperparameters_and_parameters_are_two_lists(digits):
    model = classifier()
    trainer = Trainer(model, optimizer=optim.Adam(model.parameters(), lr=0.01), metrics=["accuracy"], seed=3)
    trainer.fit(*digits[0], epochs=2, batch_size=500)
    settings = trainer.hyperparameters
    assert (settings["loss"], settings["optimizer"], settings["lr"], settings["seed"]) == ("cross_entropy", "Adam", 0.01, 3)
    assert (settings["epochs"], settings["batch_size"]) == (2, 500)
    assert trainer.parameters == {"0.weight": (32, 64), "0.bias": (32,), "2.weight": (10, 32), "2.bias": (10,)}
    assert "parameters, trained: 2,410" in trainer.report()
    assert "  lr: 0.01" in trainer.report()


def broken(**changes):
    rng = np.random.default_rng(0)
    good = {"x": rng.normal(size=(20, 64)).astype(np.float32), "y": rng.integers(0, 10, 20)}
    return {**good, **{k: v(good) for k, v in changes.items()}}


def with_value(name, value):
    def change(good):
        array = good[name].astype(np.float64)
        array.reshape(-1)[7] = value
        return array

    return change


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (broken(y=lambda g: g["y"][:-1]), ShapeError, r"\(20, 64\), \(19,\)"),
        (broken(x=lambda g: g["x"][:, :-1]), ShapeError, "63"),
        (broken(x=with_value("x", np.nan)), ArgumentError, r"x must be finite, got nan at x\[0, 7\]"),
        (broken(x=with_value("x", np.inf)), ArgumentError, "inf"),
        (broken(y=with_value("y", np.nan)), LabelError, r"nan at y\[7\]"),
        (broken(y=lambda g: g["y"] + 1 - g["y"].min() + 9), LabelError, r"0 and 9, got 1\d"),
        (broken(y=lambda g: np.where(np.arange(20) == 3, -1, g["y"])), LabelError, "-1"),
        (broken(y=lambda g: g["y"].astype(np.float32)), FastnnError, "float32"),
        (broken(x=lambda g: g["x"].astype(str)), DTypeError, "numbers"),
        (broken(x=lambda g: g["x"][:0], y=lambda g: g["y"][:0]), ArgumentError, "at least one example"),
        (broken(y=lambda g: None), ArgumentError, "y must be given"),
        (broken(batch_size=lambda g: 0), ArgumentError, "batch_size"),
        (broken(epochs=lambda g: -1), ArgumentError, "epochs"),
        (broken(epochs=lambda g: 1.5), DTypeError, "epochs"),
        (broken(validation_data=lambda g: g["x"]), ArgumentError, "validation_data"),
        (broken(validation_data=lambda g: (g["x"], g["y"] + 90)), LabelError, "9"),
        (broken(x=lambda g: DataLoader(ArrayDataset(g["x"], g["y"]), 5)), ArgumentError, "y must be left out"),
        (broken(x=lambda g: DataLoader(ArrayDataset(g["x"]), 5), y=lambda g: None), ArgumentError, "pairs"),
        (broken(x=lambda g: DataLoader(ArrayDataset(g["x"][:0], g["y"][:0]), 5), y=lambda g: None), ArgumentError, "at least one batch"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_anything_changes(arguments, error, message):
    model = classifier()
    opt = optim.Adam(model.parameters())
    trainer = Trainer(model, optimizer=opt)
    before, random = state(model), trainer._rng.bit_generator.state
    with pytest.raises(error, match=message):
        trainer.fit(**arguments)
    assert same(before, state(model))
    assert not opt.state_dict()["state"]
    assert trainer._rng.bit_generator.state == random
    assert trainer.history.epochs == 0


def test_a_metric_that_does_not_fit_is_refused_before_anything_changes(digits):
    model = classifier()
    before = state(model)
    with pytest.raises(ShapeError, match="same shape"):
        Trainer(model, metrics=["mae"]).fit(*digits[0])
    assert same(before, state(model))


def test_unknown_names_are_refused():
    for wrong in ({"loss": "cross_entropi"}, {"optimizer": "adamm"}, {"metrics": ["acc"]}, {"metrics": "acc"}):
        with pytest.raises(UnknownNameError):
            Trainer(classifier(), **wrong)
    with pytest.raises(ArgumentError, match="clip_norm"):
        Trainer(classifier(), clip_norm=0)


class Interrupting:
    """A loss in whose 5th call Ctrl-C is pressed."""

    def __init__(self, times=1):
        self.calls = 0
        self.times = times

    def __call__(self, output, y):
        self.calls += 1
        if self.calls == 5:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)
        return F.cross_entropy(output, y)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread only")
def test_ctrl_c_takes_effect_between_two_steps(digits):
    (x, y), _ = digits
    model, twin = classifier(), classifier()
    opt = optim.Adam(model.parameters())
    trainer = Trainer(model, loss=Interrupting(), optimizer=opt, compiled=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, epochs=3, batch_size=500)  # one trial, then 3 steps in each epoch: the second step of epoch 2 is interrupted
    assert trainer.history.epochs == 1
    assert int(opt.state_dict()["state"][0]["step"]) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    other = optim.Adam(twin.parameters())
    rng, step = np.random.default_rng(0), fastnn.training.trainer.EagerStep(twin, F.cross_entropy, other)
    step.run_epoch(x, y, 500, rng)
    rows = rng.permutation(len(x))[:500]
    step(x[rows], y[rows])
    assert same(state(model), state(twin))
    assert model.training


def test_a_second_ctrl_c_does_not_wait(digits):
    trainer = Trainer(classifier(), loss=Interrupting(times=2), compiled=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*digits[0], epochs=3, batch_size=500)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_map_of_float16_and_its_labels_are_never_converted_as_a_whole(compiled, tmp_path):
    rows, features = 40_000, 50
    rng = np.random.default_rng(0)
    rng.normal(size=(rows, features)).astype(np.float16).tofile(tmp_path / "x")
    rng.integers(0, 3, rows).astype(np.int32).tofile(tmp_path / "y")
    x = np.memmap(tmp_path / "x", np.float16, "r", shape=(rows, features))
    y = np.memmap(tmp_path / "y", np.int32, "r", shape=(rows,))

    def fit(x, y):
        fastnn.manual_seed(0)
        with fastnn.use_backend("numba"):
            trainer = Trainer(nn.Linear(features, 3), optimizer="sgd", metrics=["accuracy"], compiled=compiled)
            trainer.fit(x[:2000], y[:2000], batch_size=1000)
            tracemalloc.start()
            history = trainer.fit(x, y, epochs=2, batch_size=1000, validation_data=(x[:5000], y[:5000]))
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return [history[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")], most

    found, most = fit(x, y)
    assert found == fit(x.astype(np.float32), y.astype(np.int64))[0]
    assert most < 4 * x.size


def test_training_works_in_other_threads_than_the_main_one(digits):
    found = []
    thread = threading.Thread(target=lambda: found.append(run_in_thread(digits)))
    thread.start()
    thread.join()
    assert found == [1]


def run_in_thread(digits):
    with fastnn.use_backend("numpy"):
        return Trainer(classifier()).fit(*digits[0], batch_size=500).epochs


def test_callbacks_see_every_epoch_and_may_stop(digits):
    calls = []

    class Recorder(Callback):
        def on_fit_start(self, trainer):
            calls.append("start")

        def on_epoch_end(self, trainer, epoch):
            calls.append(trainer.history.epochs)
            trainer.stop_training = trainer.history.epochs == 2

        def on_fit_end(self, trainer):
            calls.append("end")

    Trainer(classifier(), callbacks=[Recorder(), Callback()]).fit(*digits[0], epochs=5, batch_size=500)
    assert calls == ["start", 1, 2, "end"]


def test_ctrl_c_stops_compiled_steps_within_moments(digits):
    model = classifier()
    opt = optim.Adam(model.parameters())
    trainer = Trainer(model, optimizer=opt)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*digits[0], epochs=10**6, batch_size=64)
    timer.join()
    assert trainer.history.epochs > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len({float(entry["step"]) for entry in opt.state_dict()["state"].values()}) == 1
    assert model.training


INTERRUPTED = """
import os, signal, threading, time
import numpy as np
import fastnn
from fastnn import nn, optim

rng = np.random.default_rng(0)
x, y = rng.normal(size=(20_000, 12)).astype(np.float32), rng.integers(0, 5, 20_000)

def build():
    fastnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 5))
    return model, optim.Adam(model.parameters())

def press():
    while not trainer.history.epochs:
        time.sleep(0.001)
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

model, opt = build()
trainer = fastnn.Trainer(model, optimizer=opt, metrics=["accuracy"])
threading.Thread(target=press, daemon=True).start()
try:
    trainer.fit(x, y, epochs=10**6, batch_size=16)
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("there was no interrupt")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
steps = {int(entry["step"]) for entry in opt.state_dict()["state"].values()}
assert len(steps) == 1, steps
epochs, in_all = trainer.history.epochs, len(x) // 16
rest = steps.pop() - epochs * in_all
assert 0 <= rest <= in_all, rest  # an epoch counts when it has been evaluated, too

twin, twin_opt = build()
step, order = fastnn.compile_training(twin, "cross_entropy", twin_opt), np.random.default_rng(0)
for _ in range(epochs):
    step.run_epoch(x, y, 16, order)
rows = order.permutation(len(x))[: 16 * rest]
step.run_epoch(x[rows], y[rows], 16)
for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
entries, twin_entries = opt.state_dict()["state"], twin_opt.state_dict()["state"]
for key, entry in entries.items():
    assert {k: np.asarray(v).tobytes() for k, v in entry.items()} == {k: np.asarray(v).tobytes() for k, v in twin_entries[key].items()}
trainer.fit(x, y, epochs=1, batch_size=16)
assert trainer.history.epochs == 1
print("done")
"""


def test_ctrl_c_leaves_what_as_many_whole_steps_leave():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "done\n", done.stderr


def test_a_last_batch_that_the_model_cannot_take_is_found_before_anything_changes():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    trainer = Trainer(model, optimizer=optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ShapeError, match="more than one value"):
        trainer.fit(np.ones((4, 3), np.float32), np.zeros(4, np.int64), batch_size=3)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), before[name])


def test_what_is_no_optimiser_is_refused():
    with pytest.raises(DTypeError, match="got NoneType"):
        Trainer(nn.Linear(3, 2), optimizer=None)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"seed": -1}, ArgumentError, "seed must be at least 0, got -1"),
        ({"seed": 0.5}, DTypeError, "seed must be a whole number, got 0.5"),
        ({"clip_norm": "1"}, DTypeError, "clip_norm must be a number, got '1'"),
        ({"clip_norm": 0}, ArgumentError, "clip_norm must be above 0, got 0"),
        ({"loss": ["mse"]}, UnknownNameError, "unknown loss"),
        ({"metrics": [["accuracy"]]}, UnknownNameError, "unknown metric"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        Trainer(nn.Linear(3, 2), **wrong)
