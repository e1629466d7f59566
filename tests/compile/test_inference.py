"""Compiled inference gives what the model gives in evaluation mode."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from fastnn.kernels import Program

import fastnn
from fastnn import nn
from fastnn.compile import InferenceModel
from fastnn.compile.memory import address, root
from fastnn.errors import ShapeError
from fastnn.nn import functional as F

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
            b = i.operands[3]
            assert b.strides[2] == b.itemsize


def test_normalisation_before_a_linear_map_is_gone_too():
    fastnn.manual_seed(0)
    body = (nn.BatchNorm1d(12), nn.Linear(12, 18), nn.Unflatten(1, (2, 3, 3)), nn.BatchNorm2d(2), nn.Conv2d(2, 4, 2), nn.BatchNorm2d(4))
    model = nn.Sequential(*body, nn.Flatten(), nn.Linear(16, 3))
    x = X.astype(np.float32)
    for _ in range(3):
        model(x * 2 + 1)
    infer = fastnn.compile_inference(model)
    assert [i.kernel for i in infer.plan(x).program.instructions] == ["gemm", "conv2d", "gemm"]
    np.testing.assert_allclose(infer(x), evaluated(model, x), rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("pair", [True, False])
def test_a_call_inside_a_call_leaves_its_result_alone(monkeypatch, backend, pair):
    class Sum(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(64, 64)

        def forward(self, *inputs):
            return self.linear(sum(inputs))

    infer = fastnn.compile_inference(Sum())
    inputs = np.random.default_rng(0).standard_normal((2, 1000, 64)).astype(np.float32)
    outer, inner = (inputs, inputs[::-1] * 2) if pair else (inputs[:1], inputs[1:])
    nested, found, run = [], [], Program.run

    def interrupted(program, *arguments):  # by a signal handler, or by a finaliser that the collector runs
        run(program, *arguments)
        while nested:
            found.append(infer(*nested.pop()))

    monkeypatch.setattr(Program, "run", interrupted)
    with fastnn.use_backend(backend):
        expected = [infer(*outer), infer(*inner)]
        nested.append(inner)
        assert np.array_equal(infer(*outer), expected[0])
    assert np.array_equal(found[0], expected[1])


def wide_model():
    """Weights in panels, weights with a rest of columns, small ones, folded ones, and one that is computed from a parameter."""

    class Doubled(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight * 2.0, self.bias)

    fastnn.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(12, 512), nn.ReLU(), nn.Linear(512, 515), nn.BatchNorm1d(515), nn.ReLU(), Doubled(515, 512), nn.Linear(512, 4)),
        *(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 32, 2), nn.BatchNorm2d(32), nn.Flatten()),
    )


def weights(plan):
    """Where the weights of a program lie."""
    return {address(i.operands[3 if i.kernel == "gemm" else 2]) for i in plan.program.instructions if i.kernel in ("gemm", "conv2d")}


def test_all_batch_sizes_and_threads_share_the_weights_and_each_thread_has_an_arena():
    infer = fastnn.compile_inference(wide_model())
    found = {}

    def work(name):
        found[name] = [infer.plan(np.zeros((size, 12), np.float32)) for size in (300, 1, 7)]

    work("here")
    there = threading.Thread(target=work, args=("there",))
    there.start()
    there.join()
    assert len(weights(found["here"][0])) == 6  # three small ones, two in panels and what fills none of them
    for plans in found.values():
        assert all(weights(plan) == weights(found["here"][0]) for plan in plans)
        assert len({id(plan.arena) for plan in plans}) == 1
    assert found["here"][0].arena is not found["there"][0].arena


def test_a_new_batch_size_costs_no_weights_and_a_larger_arena_replaces_the_smaller_one():
    x = np.zeros((64, 12), np.float32)
    infer = fastnn.compile_inference(wide_model())
    infer(x[:1])
    small = weakref.ref(root(infer.plan(x[:1]).arena))
    gc.collect()
    tracemalloc.start()
    for size in range(2, 12):
        infer(x[:size])
    gc.collect()
    assert small() is None
    assert traced_arrays() < 512 * 512 * 4  # one of the weights
    assert len({id(infer.plan(x[:size]).arena) for size in (11, 3, 8)}) == 1


def traced_arrays():
    """Bytes of arrays that were allocated since tracing began and still are; it ends. What Python itself keeps is left out."""
    arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    tracemalloc.stop()
    return sum(found.size for found in arrays.statistics("filename"))


def held_by_compiling(make, *sizes):
    """Bytes that a compiled model holds when its model is gone, without its arena."""
    fastnn.compile_inference(make())(X[:40].astype(np.float32))  # which compiles what is not in the cache
    gc.collect()
    tracemalloc.start()
    infer = fastnn.compile_inference(make())
    for size in sizes:
        infer(X[:size].astype(np.float32))
    gc.collect()
    return traced_arrays() - infer._plans.arena.nbytes


def large_linear():
    return nn.Sequential(
        nn.Linear(12, 1024), nn.ReLU(), nn.Linear(1024, 1027), nn.Tanh(), nn.Linear(1027, 256), nn.ReLU(), nn.Linear(256, 3)
    )


def large_normalised():
    layers = [layer for _ in range(2) for layer in (nn.Linear(1024, 1024), nn.BatchNorm1d(1024), nn.ReLU())]
    return nn.Sequential(nn.Linear(12, 1024), nn.ReLU(), *layers, nn.Linear(1024, 3))


def large_convolutional():
    layers = [layer for _ in range(2) for layer in (nn.Conv2d(256, 256, 5, padding=2), nn.BatchNorm2d(256), nn.ReLU())]
    return nn.Sequential(nn.Unflatten(1, (3, 2, 2)), nn.Conv2d(3, 256, 1), *layers, nn.Flatten(), nn.Linear(1024, 3))


@pytest.mark.parametrize("make", [large_linear, large_normalised, large_convolutional])
def test_weights_are_held_once(make):
    weights = sum(p.data.nbytes for p in make().parameters())
    assert weights <= held_by_compiling(make, 40) < 1.1 * weights
    assert held_by_compiling(make, 1, 40, 7, 33) < 1.1 * weights


@pytest.mark.parametrize("make", [large_linear, large_normalised, large_convolutional])
def test_what_comes_later_is_that_of_weights_that_are_held_once(make):
    fastnn.manual_seed(0)
    model, x = make(), X.astype(np.float32)
    infer, others = fastnn.compile_inference(model), []
    expected = infer(x)
    np.testing.assert_allclose(expected, evaluated(model, x), rtol=1e-4, atol=1e-5)
    thread = threading.Thread(target=lambda: others.append(infer(x)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(others[0], expected)
    for size in (39, 3, 2, 1):
        np.testing.assert_array_equal(infer(x[:size]), fastnn.compile_inference(model)(x[:size]))


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_a_program_of_another_kind_finds_the_weights_that_the_first_one_did_not_read(scale):
    """Only one of them normalises, so that the other one needs weights that are not scaled."""

    class Uneven(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.norm = nn.Linear(12, 512), nn.Linear(512, 515), nn.BatchNorm1d(515)

        def forward(self, x):
            y = self.second(F.relu(self.first(x)))
            return self.norm(y) if len(x) > 9 else y

    fastnn.manual_seed(0)
    model, x = Uneven(), X.astype(np.float32)
    model(x * 2 + 1)
    model.norm.weight.data[::2] = scale
    infer = fastnn.compile_inference(model)
    for size in (40, 5, 20, 1):
        np.testing.assert_allclose(infer(x[:size]), evaluated(model, x[:size]), rtol=2e-5, atol=1e-5)


def replace_layer(model):
    model[2] = nn.Tanh()


def replace_parameter(model):
    model[0].weight = nn.Parameter(np.zeros((16, 12), np.float32))


def change_setting(model):
    model[6].negative_slope = 3.0


def change_statistics(model):
    model.train()(X.astype(np.float32) * 5)


def append_layer(model):
    model.append(nn.Softplus())


CHANGES = [replace_layer, replace_parameter, change_setting, change_statistics, append_layer]


def changing_model():
    fastnn.manual_seed(0)
    layers = (nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 8), nn.LayerNorm(8), nn.LeakyReLU(0.1))
    return nn.Sequential(*layers, nn.Linear(8, 3))


@pytest.mark.parametrize("change", CHANGES)
def test_what_becomes_of_the_model_later_changes_nothing_at_any_batch_size(change):
    model, x = changing_model(), X.astype(np.float32)
    expected = evaluated(model, x)
    infer = fastnn.compile_inference(model)
    infer(x[:4])
    change(model)
    assert abs(evaluated(model, x) - expected).max() > 1e-3
    for size in (4, 5):
        np.testing.assert_allclose(infer(x[:size]), expected[:size], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", CHANGES)
def test_a_live_program_follows_layers_and_values_at_all_batch_sizes(change):
    model, x = changing_model(), X.astype(np.float32)
    infer = InferenceModel(model, live=True)
    infer(x[:4])
    change(model)
    for size in (4, 5):
        np.testing.assert_allclose(infer(x[:size]), evaluated(model, x)[:size], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("live", [False, True])
def test_recording_leaves_the_model_alone(live):
    seen = []

    class Watching(nn.Sequential):
        def forward(self, x):
            seen.append((model.training, model[0].training, model[0].weight.data is weight, self.training))
            return super().forward(x)

    model = Watching(nn.Linear(12, 3))
    weight = model[0].weight.data
    infer = InferenceModel(model, live)
    for size in (1, 2):
        infer(X[:size])
    assert seen == [(True, True, True, False)] * 2


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
