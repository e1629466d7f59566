"""A compiled step does what the same eager code does, for any model made of the library's operations."""

import copy
import tracemalloc

import numpy as np
import pytest
from fastnn.kernels import _program

import fastnn
from fastnn import metrics, nn, optim
from fastnn.compile import profile as _profile
from fastnn.compile import staging
from fastnn.compile.memory import address
from fastnn.errors import ArgumentError, DTypeError, LabelError, ShapeError, StateError
from fastnn.nn import functional as F

RNG = np.random.default_rng(0)
FEATURES, CLASSES = 12, 5
X = RNG.normal(size=(50, FEATURES))
LABELS = RNG.integers(0, CLASSES, 50)
VALUES = RNG.normal(size=(50, CLASSES))


class Branches(nn.Module):
    """Two paths that share a layer, joined by arithmetic in forward."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(FEATURES, FEATURES)
        self.out = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        a = F.tanh(self.shared(x))
        b = self.shared(a * 0.5 + x)
        return self.out(a * b + b.exp() / 10.0)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(FEATURES, 8), nn.Linear(FEATURES, 8)
        self.out = nn.Bilinear(8, 8, CLASSES)

    def forward(self, a, b):
        return self.out(F.relu(self.left(a)), F.sigmoid(self.right(b)))


def mlp():
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, CLASSES))


def residual():
    block = nn.Residual(nn.LayerNorm(16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    return nn.Sequential(nn.Linear(FEATURES, 16), block, nn.RMSNorm(16), nn.GELU(), nn.Linear(16, CLASSES))


def batch_normalised():
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Linear(16, CLASSES))


def dropping():
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 15), nn.Dropout(0.2), nn.Linear(15, CLASSES))


MODELS = {"mlp": mlp, "residual": residual, "batch_norm": batch_normalised, "branches": Branches}
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
}


def build(make, optimizer, dtype):
    fastnn.manual_seed(3)
    model = make().astype(dtype)
    return model, OPTIMIZERS[optimizer](model.parameters())


def eager_losses(model, optimizer, batches, loss=F.cross_entropy, clip_norm=None):
    losses = []
    for x, y in batches:
        value = loss(model(*x) if isinstance(x, tuple) else model(x), y)
        optimizer.zero_grad()
        value.backward()
        if clip_norm is not None:
            optim.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        losses.append(value.item())
    return losses


def batches_of(dtype, size=16):
    x = X.astype(dtype)
    return [(x[i : i + size], LABELS[i : i + size]) for i in range(0, len(x), size)]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_equals_eager_training(name, optimizer, dtype, backend):
    with fastnn.use_backend(backend):
        expected_model, expected_optimizer = build(MODELS[name], optimizer, dtype)
        expected = eager_losses(expected_model, expected_optimizer, 2 * batches_of(dtype), clip_norm=0.5)
        model, opt = build(MODELS[name], optimizer, dtype)
        step = fastnn.compile_training(model, "cross_entropy", opt, clip_norm=0.5)
        losses = [step(x, y) for x, y in 2 * batches_of(dtype)]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(losses, expected, rtol=tolerance)
    for (key, value), other in zip(model.state_dict().items(), expected_model.state_dict().values(), strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=10 * tolerance, atol=tolerance, err_msg=key)


def test_an_epoch_equals_its_steps_in_the_same_order():
    model, opt = build(residual, "adam", np.float64)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    order = np.random.default_rng(5).permutation(len(X))
    one_by_one = [step(X[rows], LABELS[rows]) for rows in np.split(order, [16, 32, 48])]
    model, opt = build(residual, "adam", np.float64)
    outputs = np.full((len(X), CLASSES), np.nan)
    reported = []
    at_once = fastnn.compile_training(model, "cross_entropy", opt).run_epoch(
        X, LABELS, 16, np.random.default_rng(5), outputs, lambda rows, loss: reported.append(rows)
    )
    np.testing.assert_array_equal(at_once, one_by_one)
    assert np.isfinite(outputs).all()
    assert sum(reported) == len(X)


def test_eager_calls_and_compiled_steps_may_alternate():
    batches = batches_of(np.float64)
    model, opt = build(mlp, "adam", np.float64)
    expected = eager_losses(model, opt, batches)
    model, opt = build(mlp, "adam", np.float64)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    losses = []
    for i, batch in enumerate(batches):
        losses += [step(*batch)] if i % 2 else eager_losses(model, opt, [batch])
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert opt.state_dict()["state"][0]["step"] == len(batches)


def test_states_that_are_loaded_between_steps_are_gone_on_from():
    """As the same step went on from there, and as a new one does."""
    model, opt = build(residual, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    step.run_epoch(X, LABELS, 20)
    kept = {k: np.array(v) for k, v in model.state_dict().items()}, copy.deepcopy(opt.state_dict())
    expected = step.run_epoch(X, LABELS, 20).tolist(), step(X[:20], LABELS[:20])
    model.load_state_dict(kept[0])
    opt.load_state_dict(kept[1])
    assert (step.run_epoch(X, LABELS, 20).tolist(), step(X[:20], LABELS[:20])) == expected
    other, other_opt = build(residual, "adam", np.float32)
    other.load_state_dict(kept[0])
    other_opt.load_state_dict(kept[1])
    new = fastnn.compile_training(other, "cross_entropy", other_opt)
    assert (new.run_epoch(X, LABELS, 20).tolist(), new(X[:20], LABELS[:20])) == expected


def test_learning_rates_and_modes_need_no_new_recording_when_they_come_back(monkeypatch):
    model, opt = build(batch_normalised, "sgd", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    recorded = []
    record = type(step)._record
    monkeypatch.setattr(type(step), "_record", lambda self, *a: recorded.append(a) or record(self, *a))
    batch = batches_of(np.float32)[0]
    for mode in (True, False, True, False):
        model.train(mode)
        for lr in (0.1, 0.0, 0.2):
            opt.param_groups[0]["lr"] = lr
            before = model[0].weight.numpy().copy()
            step(*batch)
            assert np.array_equal(before, model[0].weight.numpy()) == (lr == 0.0)
    assert len(recorded) == 2


def test_a_layer_that_is_replaced_is_seen():
    model, opt = build(mlp, "sgd", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    opt.param_groups[0]["lr"] = 0.0
    before = step(X, LABELS)
    model[1] = nn.Tanh()
    assert step(X, LABELS) != before
    assert step(X, LABELS) == pytest.approx(F.cross_entropy(model(X.astype(np.float32)), LABELS).item(), rel=1e-5)


@pytest.mark.parametrize("name", [*MODELS, "dropping"])
def test_results_are_bitwise_the_same_for_any_number_of_threads(name, monkeypatch):
    monkeypatch.setattr(_program, "SHARING_PAYS", 0)
    monkeypatch.setattr(_program, "TRYING_PAYS", 0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(700, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, 700)
    found = []
    for count in (1, 2, 4, 1):
        model, opt = build({**MODELS, "dropping": dropping}[name], "adam", np.float32)
        with fastnn.threads(count):
            step = fastnn.compile_training(model, "cross_entropy", opt)
            losses = [step.run_epoch(x, y, 256, np.random.default_rng(e)) for e in range(2)]
        found.append((np.concatenate(losses).tobytes(), [np.asarray(v).tobytes() for v in model.state_dict().values()]))
    assert all(f == found[0] for f in found)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_metrics_are_counted_in_the_program(backend):
    names, x, outputs = ["accuracy", "f1", "top_2_accuracy"], X.astype(np.float32), np.empty((50, CLASSES), np.float32)
    with fastnn.use_backend(backend):
        fastnn.manual_seed(0)
        model = mlp()
        step = fastnn.compile_training(model, "cross_entropy", optim.Adam(model.parameters()), metrics=names)
        for rng in (None, np.random.default_rng(1)):  # each epoch begins anew; its last batch is a smaller one
            step.run_epoch(x, LABELS, 16, rng, outputs)
            assert step.meter.values() == {name: metrics.get(name).function(outputs, LABELS) for name in names}
        step.meter.reset()
        step(x[:8], LABELS[:8])
        step(x[8:20], LABELS[8:20])
        assert step.meter.values().keys() == set(names)
    kernels = [i.kernel for i in step.program.program.instructions]
    assert kernels.count("count_classes") == kernels.count("count_ranks") == 1  # one for all metrics that follow from it
    assert "count_classes" in str(step.program)


def test_metrics_of_a_regression_are_the_same_for_any_number_of_threads():
    found = []
    for threads in (1, 2, 4):
        fastnn.manual_seed(0)
        model = mlp()
        step = fastnn.compile_training(model, "mse", optim.Adam(model.parameters()), metrics=["r2", "mae", "rmse"])
        with fastnn.threads(threads):
            losses = step.run_epoch(X, VALUES, 16, np.random.default_rng(0))
        assert step.meter.values()["rmse"] == pytest.approx(np.sqrt(np.average(losses, weights=[16, 16, 16, 2])))
        found.append(step.meter.values())
    assert found[0] == found[1] == found[2]


def test_metrics_that_need_all_predictions_at_once_or_do_not_fit_are_refused():
    model = mlp()
    opt = optim.SGD(model.parameters(), lr=0.1)

    def worst(predicted, y):
        return float(np.abs(predicted - y).max())

    with pytest.raises(ArgumentError, match="worst"):
        fastnn.compile_training(model, "mse", opt, metrics=[worst])
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(ShapeError, match="labels must name one class"):
        fastnn.compile_training(model, "mse", opt, metrics=["accuracy"])(X, VALUES)
    assert all((p.data == b).all() for p, b in zip(model.parameters(), before, strict=True))


def test_several_inputs_and_a_loss_of_ones_own():
    def make():
        fastnn.manual_seed(0)
        model = TwoInputs().astype(np.float64)
        return model, optim.SGD(model.parameters(), lr=0.05)

    def loss(output, target):
        values, weights = target
        return (((output - values) ** 2).sum(axis=1) * weights).mean()

    weights = np.linspace(0, 1, len(X))
    model, opt = make()
    batch = ((X, X[::-1].copy()), (VALUES, weights))
    expected = eager_losses(model, opt, [batch] * 3, lambda o, t: loss(o, tuple(map(fastnn.tensor, t))))
    model, opt = make()
    step = fastnn.compile_training(model, loss, opt)
    np.testing.assert_allclose([step(*batch) for _ in range(3)], expected, rtol=1e-12)


def test_bytes_are_scaled_and_memory_maps_are_read_in_place(tmp_path):
    images = RNG.integers(0, 256, (50, FEATURES), dtype=np.uint8)
    model, opt = build(mlp, "sgd", np.float32)
    expected = fastnn.compile_training(model, "cross_entropy", opt).run_epoch((images / 255).astype(np.float32), LABELS, 20)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    model, opt = build(mlp, "sgd", np.float32)
    losses = fastnn.compile_training(model, "cross_entropy", opt).run_epoch(mapped, LABELS, 20)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


@pytest.mark.parametrize("order", ["rows", "columns", "every other row"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ">f4", ">f8"])
def test_maps_of_floats_are_read_and_checked_a_few_rows_at_a_time(dtype, order, tmp_path):
    rows = 400_000
    data = np.random.default_rng(0).normal(size=(rows, FEATURES)).astype(np.float16)
    data = data.astype(dtype, order="F" if order == "columns" else "C")
    data.ravel("K").tofile(tmp_path / "data")
    mapped = np.memmap(tmp_path / "data", dtype, "r", shape=data.shape, order="F" if order == "columns" else "C")
    if order == "every other row":
        mapped, data = mapped[::2], data[::2]

    def losses(x, y):
        fastnn.manual_seed(0)
        model = nn.Linear(FEATURES, FEATURES)
        step = fastnn.compile_training(model, "mse", optim.SGD(model.parameters(), lr=0.1))
        step.run_epoch(x[:1000], y[:1000], 1000)  # which compiles what is not in the cache
        tracemalloc.start()
        found = step.run_epoch(x, y, 1000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found, most

    found, most = losses(mapped, mapped)
    np.testing.assert_array_equal(found, losses(*[data.astype(np.float32)] * 2)[0])
    assert most < 4 * data.size  # bytes of all in float32; the order of the rows and a part of them that is looked at are less


@pytest.mark.parametrize("batch_size", [7, 100_000])
def test_data_of_any_dtype_are_those_that_they_become_one_step_after_the_other(batch_size, monkeypatch):
    monkeypatch.setattr(staging, "STAGED_BYTES", 16 * FEATURES * 4)  # two steps of the small ones at a time
    rows = 101
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(rows, FEATURES)).astype(np.float16), rng.integers(0, CLASSES, rows).astype(np.int16)
    images = rng.integers(0, 256, (rows, 2 * FEATURES), dtype=np.uint8)[:, ::2]

    def trained(x, y):
        fastnn.manual_seed(0)
        model = nn.Linear(FEATURES, CLASSES)
        opt = optim.Adam(model.parameters())
        step, order = fastnn.compile_training(model, "cross_entropy", opt), np.random.default_rng(1)
        schedule = optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=300)
        losses = [step.run_epoch(x, y, batch_size, order, scheduler=schedule) for _ in range(3)]
        return [*losses, step(x[:5], y[:5]), model.weight.data.tobytes()]

    for given in (x, images):
        kept = given.astype(np.float32) if given is x else np.ascontiguousarray(given)
        for found, expected in zip(trained(given, labels), trained(kept, labels.astype(np.int64)), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_inputs_of_any_integer_dtype_are_indices():
    fastnn.manual_seed(0)
    model = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(12, CLASSES))
    x = np.random.default_rng(0).integers(0, 50, (50, 3))
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.0))
    expected = step.run_epoch(x, LABELS, 20)
    for dtype in (np.int16, np.uint16, np.uint32, ">i4"):
        np.testing.assert_array_equal(step.run_epoch(x.astype(dtype), LABELS.astype(dtype), 20), expected)
        with pytest.raises((ArgumentError, LabelError), match="between 0 and 49, got 60"):
            step.run_epoch(np.full_like(x, 60).astype(dtype), LABELS, 20)


@pytest.mark.parametrize("wrong", [np.zeros((50, FEATURES), complex), np.full((50, FEATURES), "a"), np.zeros((50, FEATURES), "M8[s]")])
def test_what_is_no_number_is_refused(wrong):
    model, opt = build(mlp, "sgd", np.float32)
    with pytest.raises(DTypeError, match="input must"):
        fastnn.compile_training(model, "cross_entropy", opt).run_epoch(wrong, LABELS, 20)


def test_a_wrong_target_is_named_by_its_place_among_all_rows():
    targets = np.zeros((50_000, CLASSES))
    targets[40_001, 2] = np.nan
    model, opt = build(mlp, "sgd", np.float32)
    with pytest.raises(LabelError, match=r"got nan at target\[40001, 2\]"):
        fastnn.compile_training(model, "mse", opt).run_epoch(np.zeros((50_000, FEATURES)), targets, 100)


def test_dropout_draws_a_new_mask_at_every_step_and_repeats_from_a_seed():
    def run():
        fastnn.manual_seed(1)
        model = nn.Sequential(nn.Dropout(0.5), nn.Linear(FEATURES, CLASSES))
        step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.0))
        return [step(X[:16], LABELS[:16]) for _ in range(4)]

    losses = run()
    assert len(set(losses)) == 4
    assert losses == run()


def test_bad_batches_change_nothing():
    model, opt = build(mlp, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    step(X[:16], LABELS[:16])
    before = {k: np.array(v) for k, v in model.state_dict().items()}
    with pytest.raises(LabelError, match="between 0 and 4, got 7"):
        step(X[:16], np.full(16, 7))
    with pytest.raises(ShapeError):
        step(X[:16, :3], LABELS[:16])
    with pytest.raises(ShapeError, match="50 and 3"):
        step.run_epoch(X, LABELS[:3], 16)
    with pytest.raises(LabelError):
        step.run_epoch(X, np.where(np.arange(50) == 49, -1, LABELS), 16)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), before[key])
    assert opt.state_dict()["state"][0]["step"] == 1


def test_control_flow_on_values_is_an_error_that_names_the_line():
    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(FEATURES, CLASSES)

        def forward(self, x):
            y = self.layer(x)
            return y if y.sum().item() > 0 else -y

    model = Looks()
    F.cross_entropy(model(X.astype(np.float32)), LABELS).backward()
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(StateError, match=r"item\(\) at .*test_training_step\.py:\d+.*eager mode"):
        step(X, LABELS)


def test_all_batch_sizes_share_one_arena():
    model, opt = build(residual, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    for size in (50, 7, 50):
        step(X[:size], LABELS[:size])
    assert len({id(plan.arena) for plan in step._plans.values()}) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_steps_allocate_nothing(count, monkeypatch):
    monkeypatch.setattr(_program, "SHARING_PAYS", 0)
    monkeypatch.setattr(_program, "TRYING_PAYS", 0)
    model, opt = build(residual, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    step(X, LABELS)
    program = step.program.program

    def allocated(steps):
        """Bytes that are left behind, and most at a time."""
        tracemalloc.start()
        program.run(steps)
        found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    with fastnn.threads(count):
        allocated(1)  # the first run for this many threads makes the program ready for them
        kept, most = min(allocated(1000) for _ in range(5))  # a worker that is woken, now and then, has Python allocate
    assert kept < 1000  # less than a byte a step: what a call of Python's holds
    assert most < 2000


def test_the_program_prints_as_a_table():
    model, opt = build(mlp, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    step(X, LABELS)
    header, *lines, totals, _ = str(step.program).splitlines()
    instructions = step.program.program.instructions
    assert header.split() == ["kernel", "fused", "MFLOP", "KiB", "operands"]
    assert len(lines) == len(instructions)
    for n, (line, instruction) in enumerate(zip(lines, instructions, strict=True)):
        assert line.split()[0] == str(n)
        assert f" {instruction.kernel} " in line
        for a in instruction.operands:
            if isinstance(a, np.ndarray):
                place = address(a) - address(step.program.arena)
                where = f"@{place}" if 0 <= place < step.program.arena.nbytes else "$"
                assert f"[{'x'.join(map(str, a.shape)) or '1'}]{where}" in line
    first = next(line for line in lines if " gemm " in line).split()
    assert first[first.index("gemm") + 1 :][:3] == ["base", "relu", f"{2 * len(X) * FEATURES * 16 / 1e6:.3f}"]
    assert any(" tanh_grad " in line for line in lines)
    products = 2 * len(X) * (3 * (FEATURES * 16 + 16 * 16 + 16 * CLASSES) - FEATURES * 16)  # no gradient of the input is needed
    used = f"peak of {step.program.needed:,} bytes in an arena of {step.program.arena.nbytes:,} bytes"
    assert totals == f"{len(lines)} instructions, {products / 1e6:.3f} MFLOP in products, {used}"


@pytest.mark.parametrize("sizes", [(256, 1), (1, 256, 1)])
def test_a_plan_reports_what_it_needs_itself_and_keeps_no_arena_that_was_too_small(sizes):
    model, opt = build(mlp, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    x, y = np.zeros((256, FEATURES), np.float32), np.zeros(256, np.int64)
    needed = {}
    for size in sizes:
        step(x[:size], y[:size])
        assert needed.setdefault(size, step.program.needed) == step.program.needed
        assert f"peak of {needed[size]:,} bytes in an arena of {step.program.arena.nbytes:,} bytes" in str(step.program)
    assert 20 * needed[1] < needed[256] == step.program.arena.nbytes
    assert {id(plan.arena) for plan in step._plans.values()} == {id(step.program.arena)}


def test_a_profile_times_every_instruction_and_changes_nothing():
    model, opt = build(mlp, "adam", np.float32)
    step = fastnn.compile_training(model, "cross_entropy", opt)
    twin, twin_opt = build(mlp, "adam", np.float32)
    fastnn.compile_training(twin, "cross_entropy", twin_opt)(X, LABELS)
    profile = step.profile(X, LABELS)
    assert [line.kernel for line in profile.lines] == [i.kernel for i in step.program.program.instructions]
    assert all(line.seconds > 0 for line in profile.lines)
    header, *rows, totals = str(profile).splitlines()
    assert header.split() == ["kernel", "us", "share", "GFLOP/s", "GB/s", "of", "peak"]
    for n, (row, line) in enumerate(zip(rows, profile.lines, strict=True)):
        flops, moved = line.cost.flops / line.seconds, line.cost.bytes / line.seconds
        rates = [f"{flops / 1e9:.1f}"] * bool(flops) + [f"{moved / 1e9:.1f}"]
        best = max(flops / profile.peak_flops, moved / profile.peak_bandwidth)
        times = [f"{line.seconds * 1e6:.2f}", f"{line.seconds / profile.seconds:.1%}"]
        assert row.split() == [str(n), line.kernel, *times, *rates, f"{best:.1%}"]
    assert sum(line.cost.flops > 0 for line in profile.lines) == 8  # three layers forward, three weights, two inputs
    assert totals.startswith(f"{profile.seconds * 1e6:.1f} us in all; peak {profile.peak_flops / 1e9:.1f} GFLOP/s")
    for value, other in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        np.testing.assert_array_equal(np.asarray(value), np.asarray(other))


def test_the_peak_is_the_best_that_was_ever_measured(monkeypatch):
    seconds = iter([2.0, 2.0, 1.0, 4.0, *[3.0] * 6, *[5.0] * 10])
    monkeypatch.setattr(_profile, "_least_seconds", lambda call: next(seconds))
    monkeypatch.setattr(_profile, "_peaks", {})
    monkeypatch.setattr(_profile, "products_in_registers", lambda dtype, count: (None, 8.0))
    monkeypatch.setattr(_profile, "large_copy", lambda: (None, 16.0))
    assert [_profile.machine_peaks("float32", 1) for _ in range(2)] == [(8.0, 8.0)] * 2


@pytest.mark.parametrize("loss", ["mse", lambda output, target: ((output - target) ** 2).mean()])
def test_targets_that_are_no_numbers_change_nothing(loss):
    model, opt = build(mlp, "adam", np.float32)
    before = {k: np.array(v) for k, v in model.state_dict().items()}
    step = fastnn.compile_training(model, loss, opt)
    wrong = VALUES.copy()
    wrong[3, 1] = np.nan
    with pytest.raises(LabelError, match=r"got nan at target\[3, 1\]"):
        step(X, wrong)
    with pytest.raises(LabelError, match=r"got nan at target\[3, 1\]"):
        step.run_epoch(X, wrong, 16)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), before[key])


@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        (np.zeros((len(X) - 1, CLASSES), np.float32), ShapeError),
        (np.zeros((len(X), CLASSES + 1), np.float32), ShapeError),
        (np.zeros((CLASSES, len(X)), np.float32).T, ShapeError),
        (np.zeros((len(X), CLASSES)), DTypeError),
        (np.broadcast_to(np.float32(0), (len(X), CLASSES)), ShapeError),
    ],
)
def test_outputs_that_cannot_hold_the_model_s_are_refused(outputs, error):
    model, opt = build(mlp, "adam", np.float32)
    before, rng = {k: np.array(v) for k, v in model.state_dict().items()}, np.random.default_rng(0)
    drawn = rng.bit_generator.state
    with pytest.raises(error, match=r"outputs must be .* got"):
        fastnn.compile_training(model, "cross_entropy", opt).run_epoch(X, LABELS, 16, rng, outputs)
    assert rng.bit_generator.state == drawn
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), before[key])


def test_what_is_no_model_or_no_optimiser_is_refused():
    model, opt = build(mlp, "adam", np.float32)
    with pytest.raises(DTypeError, match="model must be a module, got int"):
        fastnn.compile_training(3, "mse", opt)
    with pytest.raises(DTypeError, match="got str"):
        fastnn.compile_training(model, "mse", "adam")
    with pytest.raises(DTypeError, match="model must be a module, got int"):
        fastnn.compile_inference(3)
