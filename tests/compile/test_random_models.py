"""Models drawn at random are the same model in every way of running them: eagerly, compiled, on twins, on any number of threads."""

import itertools

import numpy as np
import pytest
from random_models import drawn
from schedules import assert_free_of_conflicts

import fastnn
from fastnn import losses, optim
from fastnn.compile.passes.schedule import divide

THREADS = (2, 3, 4, 8)


def optimizer(model):
    return optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def eagerly(seed, large):
    """Losses of an epoch of eager steps on the twins in float64, and what the trained model gives afterwards."""
    model, loss, batch, x, y = drawn(seed, large)
    model.double()
    opt = optimizer(model)
    found = []
    with fastnn.use_backend("numpy"):
        for start in range(0, len(x), batch):
            rows = slice(start, start + batch)
            value = losses.get(loss)(model(fastnn.tensor(x[rows])), y[rows])
            opt.zero_grad()
            value.backward()
            optim.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            found.append(value.item())
        model.eval()
        return [found, model(fastnn.tensor(x)).numpy(), *model.state_dict().values()]


def compiled(seed, large, backend, threads, dtype=np.float64):
    """The same from compiled steps and compiled inference; no two workers of any team get into each other's way."""
    model, loss, batch, x, y = drawn(seed, large)
    model.astype(dtype)
    with fastnn.use_backend(backend), fastnn.threads(threads):
        step = fastnn.compile_training(model, loss, optimizer(model), clip_norm=1.0)
        found = step.run_epoch(x.astype(dtype), y, batch_size=batch)
        infer = fastnn.compile_inference(model)
        scores = infer(x.astype(dtype))
    for plan, parts in itertools.product((step.program, infer.plan(x.astype(dtype))), THREADS):
        assert_free_of_conflicts(divide(plan.program.instructions, plan.examples, parts).workers)
    return [found, scores, *model.state_dict().values()]


def check(seed, large):
    reference = eagerly(seed, large)
    for backend in ("numpy", "numba"):
        for got, wanted in zip(compiled(seed, large, backend, 1), reference, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-8)
    one, *others = (compiled(seed, large, "numba", threads, np.float32) for threads in (1, 2, 4))
    np.testing.assert_allclose(one[0], reference[0], rtol=1e-3, atol=1e-3)
    for several in others:
        for got, wanted in zip(several, one, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("seed", range(60))
def test_small_models_are_the_same_however_they_run(seed):
    check(seed, large=False)


@pytest.mark.parametrize("seed", range(25))
def test_large_models_are_the_same_however_they_run(seed):
    check(1000 + seed, large=True)


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True])
def test_hundreds_of_models_are_the_same_however_they_run(large):
    for seed in range(2000, 2400):
        check(seed, large)
