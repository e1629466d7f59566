"""Compiled inference gives what the model gives in evaluation mode."""

import threading

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.errors import ShapeError

RNG = np.random.default_rng(1)
X = RNG.normal(size=(40, 12))


def model_with_everything(dtype):
    fastnn.manual_seed(2)
    model = nn.Sequential(
        nn.Linear(12, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(16, 16, bias=False),
        nn.BatchNorm1d(16),
        nn.Residual(nn.LayerNorm(16), nn.Linear(16, 16), nn.GELU()),
        nn.Linear(16, 3),
        nn.Softmax(dim=1),
    ).astype(dtype)
    for _ in range(3):  # so that the running statistics are not those of a new layer
        model(X.astype(dtype) * 2 + 1)
    return model


def evaluated(model, x):
    model.eval()
    with fastnn.no_grad():
        return model(x).numpy().copy()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_the_model_in_evaluation_mode_at_any_batch_size(dtype, backend):
    with fastnn.use_backend(backend):
        model = model_with_everything(dtype)
        infer = fastnn.compile_inference(model)
        for size in (1, 7, 40, 0, 7):
            x = X[:size].astype(dtype)
            np.testing.assert_allclose(infer(x), evaluated(model, x), rtol=2e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


def test_normalisation_and_dropout_are_gone_and_weights_lie_as_they_are_read():
    plan = fastnn.compile_inference(model_with_everything(np.float32)).plan(X.astype(np.float32))
    kernels = [i.kernel for i in plan.program.instructions]
    assert "batch_norm" not in kernels
    assert "dropout" not in kernels
    for i in plan.program.instructions:
        if i.kernel == "gemm":
            b = i.operands[2]
            assert b.strides[2] == b.itemsize


def test_the_weights_are_those_of_the_moment_of_compiling():
    model = model_with_everything(np.float32)
    x = X.astype(np.float32)
    infer = fastnn.compile_inference(model)
    before = infer(x)
    model[0].weight.data *= 2
    np.testing.assert_array_equal(infer(x), before)
    assert abs(fastnn.compile_inference(model)(x) - before).max() > 1e-4


def test_the_model_keeps_its_mode():
    model = model_with_everything(np.float32).train()
    model[3].eval()
    fastnn.compile_inference(model)(X.astype(np.float32))
    assert model.training
    assert model[0].training
    assert not model[3].training


def test_several_threads_may_call_at_once():
    infer = fastnn.compile_inference(model_with_everything(np.float32))
    inputs = [X.astype(np.float32) * k for k in range(1, 5)]
    expected = [infer(x) for x in inputs]
    wrong = []

    def work(k):
        for _ in range(50):
            if not np.array_equal(infer(inputs[k]), expected[k]):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong


def test_several_inputs_and_outputs():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(12, 4)

        def forward(self, a, b):
            return self.layer(a), self.layer(b) * 2.0

    model = Pair()
    a, b = X[:5].astype(np.float32), X[5:9].astype(np.float32)
    found = fastnn.compile_inference(model)(a, b)
    np.testing.assert_allclose(found[0], model(a, b)[0].numpy(), rtol=1e-6)
    np.testing.assert_allclose(found[1], model(a, b)[1].numpy(), rtol=1e-6)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError):
        fastnn.compile_inference(model_with_everything(np.float32))(X[:, :5].astype(np.float32))


def test_a_live_program_follows_training_and_moved_parameters():
    from fastnn.compile import InferenceModel

    model = model_with_everything(np.float32)
    x = X.astype(np.float32)
    live = InferenceModel(model, live=True)
    np.testing.assert_allclose(live(x), evaluated(model, x), rtol=1e-5, atol=1e-6)
    model[0].weight.data *= 2
    np.testing.assert_allclose(live(x), evaluated(model, x), rtol=1e-5, atol=1e-6)
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    fastnn.compile_training(model, lambda output, target: (output**2).mean(), optimizer)(x, x)
    np.testing.assert_allclose(live(x), evaluated(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_large_inputs_are_read_where_they_are(threads):
    fastnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 40), nn.ReLU(), nn.Residual(nn.Linear(40, 40)), nn.Linear(40, 3))
    infer = fastnn.compile_inference(model)
    rng = np.random.default_rng(0)
    with fastnn.threads(threads):
        infer(np.zeros((2000, 40), np.float32))
        place = infer.plan(np.zeros((2000, 40), np.float32)).inputs[0]
        for x in (rng.normal(size=(2000, 40)), rng.normal(size=(40, 2000)).T, rng.normal(size=(4000, 40))[::2]):
            x = np.asarray(x, np.float32) if x.flags.c_contiguous else x.astype(np.float32, order="K")
            place[...] = np.nan
            with fastnn.no_grad():
                expected = model(np.ascontiguousarray(x)).numpy()
            np.testing.assert_allclose(infer(x), expected, rtol=1e-5, atol=1e-6)
            assert np.isnan(place).all() == x.flags.c_contiguous
            with fastnn.use_backend("numpy"):
                np.testing.assert_allclose(infer(x), expected, rtol=1e-5, atol=1e-5)


def test_an_input_that_is_the_output_is_copied():
    infer = fastnn.compile_inference(nn.Flatten())
    for value in (1.0, 2.0):
        x = np.full((300, 10, 10), value, np.float32)
        np.testing.assert_array_equal(infer(x), x.reshape(300, 100))


def test_small_calls_see_what_they_are_given():
    fastnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    infer = fastnn.compile_inference(model)
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=(2, 5)), rng.normal(size=(4, 5))[::2], rng.normal(size=(5, 2)).T, rng.normal(size=(2, 10))[:, ::2]) * 3:
        values = np.empty_like(x, np.float32, order="K", subok=False)
        values[...] = x
        expected = model(np.ascontiguousarray(values)).numpy()
        first = infer(values)
        np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-6)
        infer(values + 1)
        np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-6)  # results are the caller's own
    with pytest.raises(ShapeError):
        infer(np.zeros((2, 6), np.float32))
