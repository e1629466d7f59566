"""The schedule: workers meet where they must and only there, and never touch what another one works on."""

import itertools

import numpy as np
import pytest
from fastnn.kernels import Instruction
from schedules import assert_free_of_conflicts, phases

import fastnn
from fastnn import nn, optim
from fastnn.bench import nets
from fastnn.compile.passes import memory_plan, postpone_sums
from fastnn.compile.passes.schedule import divide
from fastnn.compile.recording import Recording
from fastnn.data import augment


def array(*shape):
    return np.zeros(shape, np.float32)


def convolutional():
    body = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return nn.Sequential(*body, nn.Dropout(0.25), nn.Linear(8 * 16, 5))


SMALL, MEDIUM, LARGE, WIDE, DEEP = nets.DENSE


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("net", [SMALL, MEDIUM, LARGE, DEEP], ids=lambda net: net.name)
def test_workers_do_not_touch_what_others_work_on(net, parts):
    model = net.model()
    step = fastnn.compile_training(model, net.loss, optim.Adam(model.parameters()), clip_norm=1.0)
    step.prepare(*net.data(net.batch))
    assert_free_of_conflicts(divide(step.program.program.instructions, net.batch, parts).workers)


def test_workers_do_not_touch_what_others_work_on_in_a_wide_net():
    model = WIDE.model()
    step = fastnn.compile_training(model, WIDE.loss, optim.SGD(model.parameters(), lr=0.1))
    step.prepare(*WIDE.data(WIDE.batch))
    assert_free_of_conflicts(divide(step.program.program.instructions, WIDE.batch, 2).workers)


@pytest.mark.parametrize("net", [SMALL, MEDIUM, LARGE, DEEP], ids=lambda net: net.name)
def test_no_two_live_buffers_overlap_in_programs_of_real_nets(net, monkeypatch):
    found, assign = [], memory_plan.assign_offsets

    def noted(placements):
        found.append((placements, assign(placements)))
        return found[-1][1]

    monkeypatch.setattr(memory_plan, "assign_offsets", noted)
    model = net.model()
    x, y = net.data(net.batch)
    fastnn.compile_training(model, net.loss, optim.Adam(model.parameters())).prepare(x, y)
    fastnn.compile_inference(model).plan(x)
    assert len(found) == 2
    for placements, needed in found:
        for p, q in itertools.combinations(placements, 2):
            assert not p.clashes(q) or p.offset + p.bytes <= q.offset or q.offset + q.bytes <= p.offset
        assert max(p.offset + p.bytes for p in placements) == needed


@pytest.mark.parametrize("parts", [2, 3])
def test_workers_do_not_touch_what_others_work_on_in_a_convolutional_net(parts):
    model = convolutional()
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1))
    step.prepare(array(24, 3, 8, 8), np.zeros(24, np.int64))
    assert_free_of_conflicts(divide(step.program.program.instructions, 24, parts).workers)


def test_a_small_net_meets_three_times_in_a_step():
    model = SMALL.model()
    step = fastnn.compile_training(model, SMALL.loss, optim.Adam(model.parameters()))
    step.prepare(*SMALL.data(SMALL.batch))
    workers = divide(step.program.program.instructions, SMALL.batch, 2).workers
    assert [turns.count(None) for turns in workers] == [3, 3]  # at the start, before the sums over the batch, before the update
    kernels = [[work.instruction.kernel for work in phase] for phase in phases(workers[0])]
    assert kernels[0].count("gemm") == 5
    assert set(kernels[2]) == {"adam"}


def marks(instructions, examples, parts=2):
    return divide([Instruction(*i) for i in instructions], examples, parts).marks


def test_changes_of_images_make_nobody_wait():
    changes = (augment.RandomCrop(8, padding=2), augment.RandomHorizontalFlip(), augment.Cutout(3))
    model = nn.Sequential(*changes, nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 5))
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1))
    step.prepare(array(24, 3, 8, 8), np.zeros(24, np.int64))
    division = divide(step.program.program.instructions, 24, 2)
    assert division.marks[:5] == ["|/", " /", " /", " /", " /"]
    assert_free_of_conflicts(division.workers)


def test_rows_are_cut_and_only_sums_over_them_make_workers_wait():
    x, a, b, total = array(4096, 16), array(4096, 16), array(4096, 16), array(1, 16)
    found = marks([("exp", (a, x)), ("multiply", (b, a, x)), ("reduce_sum", (total, b.reshape(1, 4096, 16))), ("add", (a, b, total))], 4096)
    assert found == ["|/", " /", "|*", "|/"]


def test_small_instructions_that_cannot_be_cut_go_to_whoever_has_least_to_do():
    x, y, u, v = array(1, 500, 3), array(1, 3), array(1, 500, 3), array(1, 3)
    assert marks([("reduce_sum", (y, x)), ("reduce_sum", (v, u)), ("exp", (v, v))], 500) == ["|0", " 1", " 1"]


def test_tiny_instructions_are_done_by_everybody_unless_they_depend_on_somebody():
    x, y, out = array(8, 4), array(8, 4), array(8, 4)
    scale, number = array(1), array(1)
    found = marks([("multiply", (scale, number, number)), ("multiply", (y, x, scale)), ("sgd", (number, scale, scale, scale, scale))], 8)
    assert found[0] == "|="
    assert found[1] in (" =", " /")
    assert marks([("exp", (y, x)), ("exp", (out, y))], 8) == ["|/", " /"]


def test_an_update_is_done_by_whoever_computed_the_gradient():
    rows, cols, batch = 64, 96, 32
    param, grad = array(rows * cols), array(rows * cols)
    dy, x, one = array(batch, rows), array(batch, cols), array(1)
    c = grad.reshape(1, rows, cols)
    gradient = ("gemm", (c, array(1, 0), dy.T[None], x[None], c, c, 1.0, 0.0, 0))
    assert marks([gradient, ("sgd", (param, grad, one, one, one))], batch) == ["|/", "|+"]


def test_gradients_of_one_shape_are_done_whole_and_neighbours_are_updated_in_one_go():
    rows, cols, batch, layers = 64, 96, 32, 5
    param, grad = array(layers, rows, cols), array(layers, rows, cols)
    one, dy, x = array(1), array(layers, batch, rows), array(layers, batch, cols)
    c = [grad[i : i + 1] for i in range(layers)]
    gradients = [("gemm", (c[i], array(1, 0), dy[i].T[None], x[i][None], c[i], c[i], 1.0, 0.0, 0)) for i in range(layers)]
    update = ("sgd", (param.reshape(-1), grad.reshape(-1), one, one, one))
    assert marks([*gradients, update], batch) == ["|0", " 0", " 1", " 1", " /", "|+"]
    update = ("sgd", (param[:4].reshape(-1), grad[:4].reshape(-1), one, one, one))
    assert marks([*gradients[:4], update], batch) == ["|0", " 0", " 1", " 1", " +"]
    workers = divide([Instruction(*i) for i in (*gradients[:4], update)], batch, 2).workers
    assert [[len(work.instruction.operands[0]) for work in turns[1:] if work.instruction.kernel == "sgd"] for turns in workers] == [
        [2 * rows * cols],
        [2 * rows * cols],
    ]
    assert marks([*gradients[:1], ("exp", (x, x)), *gradients[1:2]], batch) == ["|/", "|*", "|/"]


def test_small_pieces_of_an_update_go_to_the_worker_before_them():
    rows, cols, batch = 64, 96, 32
    size = rows * cols + rows
    param, grad, one = array(size), array(size), array(1)
    c, sums = grad[: rows * cols].reshape(1, rows, cols), grad[rows * cols :].reshape(1, rows)
    dy, x = array(batch, rows), array(batch, cols)
    gradient = Instruction("gemm", (c, sums, dy.T[None], x[None], c, c, 1.0, 0.0, 0))
    workers = divide([gradient, Instruction("sgd", (param, grad, one, one, one))], batch, 2).workers
    pieces = [turns[-1].instruction for turns in workers]
    assert [(i.kernel, len(i.operands[0])) for i in pieces] == [("sgd", rows * cols // 2), ("sgd", rows * cols // 2 + rows)]
    assert_free_of_conflicts(workers)


def test_sums_over_the_batch_wait_until_they_are_needed_or_have_become_many():
    x, a, b, total, out = array(8, 4), array(8, 4), array(8, 4), array(1, 4), array(8, 4)
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", a, x)
    r.append("reduce_sum", total, a.reshape(1, 8, 4))
    r.append("sin", b, x)
    r.append("add", out, b, total)
    postpone_sums(r)
    assert [i.kernel for i in r.instructions] == ["exp", "sin", "reduce_sum", "add"]
    large, weight, c = array(8, 1 << 16), array(1, 4, 4), array(1, 8, 4)
    r = Recording(inputs=[x], outputs=[c])
    r.append("reduce_sum", array(1, 1 << 16), large.reshape(1, 8, 1 << 16))
    r.append("sin", out, x)
    r.append("gemm", c, array(1, 0), out[None], weight, c, c, 1.0, 0.0, 0)
    postpone_sums(r)
    assert [i.kernel for i in r.instructions] == ["sin", "reduce_sum", "gemm"]


def test_a_large_gradient_and_its_update_are_done_piece_by_piece():
    rows, cols, batch = 256, 512, 64
    param, grad = array(rows * cols), array(rows * cols)
    c = grad.reshape(1, rows, cols)
    dy, x, one = array(batch, rows), array(batch, cols), array(1)
    gradient = Instruction("gemm", (c, array(1, 0), dy.T[None], x[None], c, c, 1.0, 0.0, 0))
    workers = divide([gradient, Instruction("sgd", (param, grad, one, one, one))], batch, 2).workers
    kernels = [work.instruction.kernel for work in workers[0][1:]]
    assert kernels == ["gemm", "sgd"] * 2
    assert_free_of_conflicts(workers)


def test_normalisation_of_channels_makes_workers_wait_for_its_sums_only():
    model = convolutional()
    step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1))
    step.prepare(array(64, 3, 8, 8), np.zeros(64, np.int64))
    instructions = step.program.program.instructions
    found = {i.kernel: mark for i, mark in zip(instructions, divide(instructions, 64, 2).marks, strict=True)}
    assert {found[name] for name in ("plane_moments", "plane_slopes", "max_pool2d")} == {" /"}
    assert found["batch_norm"] == "|/"


def test_what_needs_other_rows_of_a_large_product_is_not_done_piece_by_piece_with_it():
    c, a, b, y = array(1, 256, 256), array(1, 256, 16), array(1, 16, 256), array(256, 256)
    product = Instruction("gemm", (c, array(1, 0), a, b, c, c, 1.0, 0.0, 0))
    rows_alone = divide([product, Instruction("exp", (y, c[0]))], 256, 2)
    assert rows_alone.marks == ["|/", " /"]
    columns = divide([product, Instruction("exp", (y, c[0].T))], 256, 2)
    assert columns.marks[0] == "|/"
    assert columns.marks[1].startswith("|")
    over_its_right_side = divide([product, Instruction("exp", (b.reshape(16, 256), c[0, :16]))], 256, 2)
    assert over_its_right_side.marks[1].startswith("|")
    for division in (rows_alone, columns, over_its_right_side):
        assert_free_of_conflicts(division.workers)


def test_a_row_for_several_examples_is_no_place_of_a_single_one():
    dx, dy, x, dweights = array(64, 32), array(64, 32), array(64, 32), array(64, 32)
    weight, rstd = array(32), array(64)
    reading = Instruction("add", (array(64, 32), dweights, x))
    sums = Instruction("rms_norm_grad", (dx, dweights[:4], dy, x, weight, rstd, 16))  # over what has just been read
    division = divide([reading, sums], 64, 2)
    assert division.marks == ["|/", "|/"]
    assert_free_of_conflicts(division.workers)


@pytest.mark.parametrize(("batch", "width"), [(9, 1904), (256, 700)])
def test_large_normalised_nets_are_the_same_for_any_number_of_threads(batch, width):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, 16)), rng.integers(0, 7, batch)

    def trained(backend, threads):
        fastnn.manual_seed(0)
        layers = (nn.Linear(16, width), nn.RMSNorm(width), nn.Residual(nn.LayerNorm(width), nn.ReLU()), nn.LayerNorm(width))
        model = nn.Sequential(*layers, nn.Linear(width, 7)).double()
        step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1), clip_norm=1.0)
        with fastnn.use_backend(backend), fastnn.threads(threads):
            losses = step(x, y), step(x, y)
            assert_free_of_conflicts(divide(step.program.program.instructions, batch, threads).workers)
            return [losses, fastnn.compile_inference(model)(x), *(p.numpy() for p in model.parameters())]

    reference, one, *others = trained("numpy", 1), *(trained("numba", n) for n in (1, 2, 4))
    for got, wanted in zip(one, reference, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-11)
    for several in others:
        for got, wanted in zip(several, one, strict=True):
            np.testing.assert_array_equal(got, wanted)
