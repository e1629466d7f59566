"""One program, two executors; any number of threads; and other Python threads that go on meanwhile."""

import threading
import time

import numpy as np
import pytest
from fastnn.kernels import _program

import fastnn
from fastnn import nn, optim
from fastnn.bench import nets

NETS = {"784-256-128-10": nets.DENSE[2], "residual blocks with LayerNorm": nets.DENSE[4]}


def compiled(net):
    model = net.model()
    return fastnn.compile_training(model, net.loss, optim.Adam(model.parameters(), lr=1e-3))


def state(step):
    """All arrays that training changes."""
    entries = [entry for _, entry in sorted(step.optimizer.state_dict()["state"].items())]
    return [np.array(v) for v in [*step.model.state_dict().values(), *[v for entry in entries for v in entry.values()]]]


@pytest.mark.parametrize("name", NETS)
def test_both_executors_run_the_same_program_to_the_same_results(name):
    net = NETS[name]
    x, y = net.data(net.batch)
    step = compiled(net)
    step(x, y)  # the program, with the batch in place and a state to begin from
    program, arrays = step.program.program, [*step.model.state_dict().values(), *step.optimizer.arrays()]
    before = [np.array(a) for a in arrays]
    found = {}
    for backend in ("numpy", "numba"):
        for array, value in zip(arrays, before, strict=True):
            array[...] = value
        with fastnn.use_backend(backend):
            program.run(2)
        assert step.program.program is program
        found[backend] = [*(np.array(a) for a in step.program.outputs), *state(step)]
    for ours, twin in zip(found["numba"], found["numpy"], strict=True):
        np.testing.assert_allclose(ours, twin, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", NETS)
def test_whole_epochs_are_bitwise_the_same_for_any_number_of_threads(name, monkeypatch):
    monkeypatch.setattr(_program, "SHARING_PAYS", 0)
    monkeypatch.setattr(_program, "TRYING_PAYS", 0)
    net = NETS[name]
    x, y = net.data(3 * net.batch + net.batch // 3 + 1)
    found = []
    for count in (1, 2, 4, 1):
        step = compiled(net)
        with fastnn.threads(count):
            losses = [step.run_epoch(x, y, net.batch, np.random.default_rng(epoch)) for epoch in range(2)]
        found.append([a.tobytes() for a in [*losses, *state(step)]])
    assert all(f == found[0] for f in found)


def dense(*layers):
    return nn.Sequential(nn.Linear(108, 64), *layers, nn.Linear(64, 7))


def block():
    return nn.Residual(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Dropout(0.2), nn.Linear(64, 64))


MODELS = {
    "mlp": lambda: dense(nn.Tanh(), nn.Dropout(0.3), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1)),
    "residual": lambda: dense(*[block() for _ in range(3)], nn.LayerNorm(64)),
    "normalised": lambda: dense(nn.BatchNorm1d(64), nn.SiLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.RMSNorm(64), nn.Dropout(0.1)),
    "convolutional": lambda: nn.Sequential(
        *(nn.Unflatten(1, (3, 6, 6)), nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout2d(0.2)),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 7)),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_whole_epochs_of_bytes_with_dropout_are_bitwise_the_same_for_any_number_of_threads(name, tmp_path, monkeypatch):
    """From a memory map, with a ragged last batch, a schedule, clipping and metrics."""
    monkeypatch.setattr(_program, "SHARING_PAYS", 0)
    monkeypatch.setattr(_program, "TRYING_PAYS", 0)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (333, 108), dtype=np.uint8))
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), rng.integers(0, 7, 333)
    found = []
    for count in (1, 2, 4, 1):
        fastnn.manual_seed(3)
        model = MODELS[name]()
        optimizer = optim.AdamW(model.parameters(), lr=0.01)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=100)
        step = fastnn.compile_training(model, "cross_entropy", optimizer, clip_norm=1.0, metrics=["accuracy"])
        order = np.random.default_rng(1)
        with fastnn.threads(count):
            losses = [step.run_epoch(x, y, 50, order, scheduler=schedule) for _ in range(3)]
        found.append([a.tobytes() for a in [*losses, *state(step), np.array(step.meter.values()["accuracy"])]])
    assert all(f == found[0] for f in found)


def test_other_threads_go_on_while_a_program_runs():
    net = nets.DENSE[0]
    step = compiled(net)
    step(*net.data(net.batch))
    program = step.program.program
    program.run()
    counted, stop = [0], threading.Event()

    def count():
        while not stop.wait(0.001):
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        start = time.perf_counter()
        with fastnn.threads(1):
            program.run(100)
            steps = int(0.5 * 100 / (time.perf_counter() - start))
            before = counted[0]
            program.run(steps)  # half a second or so, in one call
            meanwhile = counted[0] - before
    finally:
        stop.set()
        thread.join()
    assert meanwhile > 10
