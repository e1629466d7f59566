"""Each pass, with the program before and after it."""

import numpy as np
import pytest
from fastnn.kernels import CONVOLUTION_EPILOGUES, EPILOGUES, KERNELS, Instruction, _host

from fastnn import kernels as kernels_on_arrays
from fastnn.compile.constants import Constants
from fastnn.compile.memory import extent, overlap, root
from fastnn.compile.passes import (
    forward_copies,
    fuse,
    join_bias_sums,
    join_softmax_and_loss,
    pack_weights,
    plan_memory,
    remove_dead_code,
    reuse_in_place,
    transform_constant_convolutions,
    transform_convolutions,
    update_behind_gradients,
)
from fastnn.compile.passes.memory_plan import assign_offsets, lifetimes
from fastnn.compile.recording import Recording
from fastnn.tensor import Tensor


def array(*shape):
    return np.zeros(shape, np.float32)


def kernels(recording):
    return [i.kernel for i in recording.instructions]


def test_dead_code_goes_and_what_it_alone_needed():
    x, a, b, c, out = (array(4) for _ in range(5))
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", a, x)
    r.append("log", b, a)
    r.append("sin", c, x)
    r.append("cos", out, c)
    remove_dead_code(r)
    assert kernels(r) == ["sin", "cos"]


def test_positions_that_nobody_reads_are_not_looked_for():
    x, y, dx = array(2, 6, 6), array(2, 3, 3), array(2, 6, 6)
    index = np.zeros((2, 3, 3), np.int64)
    for read in (False, True):
        r = Recording(inputs=[x], outputs=[y, dx] if read else [y])
        r.append("max_pool2d", y, index, x, 2, 2, 2, 2, 0, 0, 1, 1)
        if read:
            r.append("put_indices", dx, y, index)
        remove_dead_code(r)
        assert kernels(r) == (["max_pool2d", "put_indices"] if read else ["largest_of_windows"])
    r = Recording(inputs=[x], outputs=[y, index])
    r.append("max_pool2d", y, index, x, 2, 2, 2, 2, 0, 0, 1, 1)
    remove_dead_code(r)
    assert kernels(r) == ["max_pool2d"]


def test_what_goes_past_a_normalisation_is_added_where_its_gradient_is_computed():
    def recorded(extra_comes_late):
        dx, dweights, dy, x, past, out = (array(8, 4) for _ in range(6))
        dbiases, weight, mean, dweight = array(8, 4), array(4), array(8), array(1, 4)
        r = Recording(inputs=[x, dy, past], outputs=[out, dweight])
        extra = array(8, 4)
        r.append("exp", extra, past)
        r.append("layer_norm_grad", dx, dweights, dbiases, dy, x, weight, mean, mean, 1)
        r.append("reduce_sum", dweight, dweights.reshape(1, 8, 4))
        if extra_comes_late:
            r.append("exp", extra, dweights)
        r.append("add", out, extra, dx)
        fuse(r)
        return r, extra, out

    r, extra, out = recorded(extra_comes_late=False)
    assert kernels(r) == ["exp", "layer_norm_grad_add", "reduce_sum"]
    fused = r.instructions[1].operands
    assert fused[0] is out or np.shares_memory(fused[0], out)
    assert np.shares_memory(fused[5], extra)
    assert kernels(recorded(extra_comes_late=True)[0]) == ["exp", "layer_norm_grad", "reduce_sum", "exp", "add"]


def test_writes_to_state_are_never_dead():
    x, state = array(4), array(4)
    r = Recording(inputs=[x], state=[state])
    r.append("exponential_average", state, x, 0.1, 1.0)
    remove_dead_code(r)
    assert kernels(r) == ["exponential_average"]


def test_a_result_that_is_only_copied_is_computed_in_place():
    x, gradient, flat = array(2, 3), array(2, 3), array(10)
    home = flat[2:8].reshape(2, 3)
    r = Recording(inputs=[x], state=[flat])
    r.append("exp", gradient, x)
    r.append("copy", home, gradient)
    forward_copies(r)
    assert kernels(r) == ["exp"]
    assert extent(r.instructions[0].operands[0]) == extent(home)


def test_a_copy_stays_where_the_result_is_needed_again_or_the_target_is_in_use():
    x, a, b, flat = array(4), array(4), array(4), array(4)
    r = Recording(inputs=[x], outputs=[b], state=[flat])
    r.append("exp", a, x)
    r.append("copy", flat, a)
    r.append("log", b, a)
    forward_copies(r)
    assert kernels(r) == ["exp", "copy", "log"]
    r = Recording(inputs=[x], outputs=[b], state=[flat])
    r.append("exp", a, x)
    r.append("add", b, flat, x)
    r.append("copy", flat, a)
    forward_copies(r)
    assert kernels(r) == ["exp", "add", "copy"]


def test_elementwise_results_take_the_memory_of_operands_that_die():
    x, a, b, out = (array(8) for _ in range(4))
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", a, x)
    r.append("log", b, a)
    r.append("add", out, b, x)
    reuse_in_place(r)
    (first, second, third) = r.instructions
    assert root(first.operands[0]) is root(second.operands[0])
    assert not overlap(second.operands[0], x)
    assert extent(third.operands[0]) == extent(second.operands[0])


def test_an_operand_that_broadcasts_is_not_written_over():
    x, row, out = array(3, 8), array(1, 8), array(3, 8)
    r = Recording(inputs=[x], outputs=[out])
    r.append("exp", row, x[:1])
    r.append("add", out, x, row)
    reuse_in_place(r)
    assert not overlap(r.instructions[1].operands[0], r.instructions[1].operands[2])


def chain(length, size=100):
    x = array(size)
    r = Recording(inputs=[x])
    values = [x]
    for _ in range(length):
        values.append(array(size))
        r.append("exp", values[-1], values[-2])
    r.outputs = [values[-1]]
    return r


def test_no_two_live_buffers_overlap_and_a_long_chain_needs_few():
    rng = np.random.default_rng(0)
    x = array(64_000)
    r = Recording(inputs=[x])
    values = [x]
    for _ in range(60):
        a, b = (values[rng.integers(max(0, len(values) - 6), len(values))] for _ in range(2))
        size = int(rng.integers(1, 64_000))
        values.append(array(size))
        r.append("add", values[-1], a[:1], b[:1])
    r.outputs = [values[-1]]
    placements = lifetimes(r)
    needed = assign_offsets(placements)
    for p in placements:
        for q in placements:
            if p is not q and p.clashes(q):
                assert p.offset + p.bytes <= q.offset or q.offset + q.bytes <= p.offset
    assert needed < sum(p.bytes for p in placements)
    arena, needed = plan_memory(chain(50, size=10_000))
    assert arena.nbytes == needed == 3 * 40_000


def test_small_programs_use_no_memory_twice():
    arena, needed = plan_memory(chain(50))
    assert arena.nbytes == needed == 51 * 448


def test_everything_lies_in_the_arena_afterwards():
    r = chain(5)
    arena, _ = plan_memory(r)
    low, high = extent(arena)
    for instruction in r.instructions:
        for a in instruction.operands:
            assert low <= extent(a)[0]
            assert extent(a)[1] <= high


def product(c, a, b, base=None, epilogue=0):
    nothing = np.broadcast_to(np.float32(0), (1, *c.shape))
    base_now = nothing if base is None else np.broadcast_to(base, (1, *c.shape))
    return ("gemm", c[None], array(1, 0), a[None], b[None], base_now, nothing, 1.0, 0.0 if base is None else 1.0, epilogue)


def results(recording):
    for name, operands in recording.instructions:
        KERNELS[name].twin(*operands)
    return [a.copy() for a in recording.outputs]


def filled(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_linear_bias_and_activation_become_one_product():
    x, w, bias, c, y = filled(4, 3), filled(3, 5), filled(5), array(4, 5), array(4, 5)
    r = Recording(inputs=[x], outputs=[y], state=[w, bias])
    r.append(*product(c, x, w, bias))
    r.append("tanh", y, c)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["gemm"]
    assert EPILOGUES[r.instructions[0].operands[-1]] == "tanh"
    np.testing.assert_array_equal(results(r), expected)


@pytest.mark.parametrize("name", EPILOGUES[1:])
def test_every_epilogue_goes_into_the_product_before_it_with_its_numbers(name):
    x, w, extra, c, y = filled(4, 3), filled(3, 5), filled(4, 5, seed=1), array(4, 5), array(4, 5)
    signature = KERNELS[name].signature
    numbers = (-0.5, 0.75)[: len(signature.kinds) - len(signature.arrays)]
    r = Recording(inputs=[x, extra], outputs=[y], state=[w])
    r.append(*product(c, x, w))
    r.append(name, y, c, *[extra] * (len(signature.arrays) - 2), *numbers)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["gemm"]
    number = EPILOGUES.index(name)
    assert r.instructions[0].operands[-1] == ((number, *numbers) if numbers else number)
    np.testing.assert_array_equal(results(r), expected)


def test_an_activation_stays_where_its_argument_is_needed_too():
    x, w, c, y = filled(4, 3), filled(3, 5), array(4, 5), array(4, 5)
    r = Recording(inputs=[x], outputs=[y, c], state=[w])
    r.append(*product(c, x, w))
    r.append("relu", y, c)
    fuse(r)
    assert kernels(r) == ["gemm", "relu"]


@pytest.mark.parametrize("kernel", ["add", "multiply", "relu_grad"])
def test_a_product_with_itself_stays_apart(kernel):
    x, w, c, y = filled(4, 3), filled(3, 5), array(4, 5), array(4, 5)
    r = Recording(inputs=[x], outputs=[y], state=[w])
    r.append(*product(c, x, w))
    r.append(kernel, y, c, c)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["gemm", kernel]
    np.testing.assert_array_equal(results(r), expected)


def test_a_result_that_is_written_over_an_operand_of_the_product_stays_apart():
    x, w, c = filled(4, 3), filled(3, 3), array(4, 3)
    r = Recording(inputs=[x], outputs=[x], state=[w])
    r.append(*product(c, x, w))
    r.append("relu", x, c)
    fuse(r)
    assert kernels(r) == ["gemm", "relu"]


@pytest.mark.parametrize("depth", [3, 600])  # of the second, partial sums are stored
def test_what_is_added_to_in_place_stays_apart(depth):
    x, w, c, total = filled(4, depth), filled(depth, 32), array(4, 32), filled(4, 32, seed=1)
    r = Recording(inputs=[x], outputs=[total], state=[w, total])
    r.append(*product(c, x, w))
    r.append("add", total, total, c)
    before = total.copy()
    fuse(r)
    assert kernels(r) == ["gemm", "add"]
    for name, operands in r.instructions:
        kernels_on_arrays.run(name, *operands)
    np.testing.assert_allclose(total, before + x @ w, rtol=1e-5, atol=1e-4)


def test_the_derivative_goes_into_the_product_before_it():
    dy, w, y, dx, dz = filled(4, 5), filled(5, 3), filled(4, 3, seed=1), array(4, 3), array(4, 3)
    r = Recording(inputs=[dy, y], outputs=[dz], state=[w])
    r.append(*product(dx, dy, w))
    r.append("relu_grad", dz, dx, y)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["gemm"]
    np.testing.assert_array_equal(results(r), expected)


def test_a_residual_addition_and_its_activation_go_into_the_product_before_them():
    x, w, s, c, y = filled(4, 3), filled(3, 3), array(4, 3), array(4, 3), array(4, 3)
    r = Recording(inputs=[x], outputs=[y], state=[w])
    r.append(*product(c, x, w))
    r.append("add", s, c, x)
    r.append("relu", y, s)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["gemm"]
    assert EPILOGUES[r.instructions[0].operands[-1]] == "add_relu"
    np.testing.assert_array_equal(results(r), expected)


def test_a_convolution_adds_and_activates_before_it_stores():
    x, weight, bias, extra = filled(2, 3, 8, 8), filled(4, 3, 3, 3, seed=1), filled(4, seed=2), filled(2, 4, 6, 6, seed=3)
    nothing, c, out = (array(2, 4, 6, 6) for _ in range(3))
    r = Recording(inputs=[x, extra], outputs=[out], state=[weight, bias, nothing])
    r.append("conv2d", c, x, weight, bias, nothing, 1, 1, 0, 0, 1, 1, 1, 0)
    r.append("add_relu", out, extra, c)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["conv2d"]
    np.testing.assert_allclose(results(r), expected, rtol=1e-5, atol=1e-6)
    assert CONVOLUTION_EPILOGUES[r.instructions[0].operands[-1]] == "add_relu"
    assert r.instructions[0].operands[0] is not c
    assert extent(r.instructions[0].operands[4]) == extent(extra)


def test_a_gradient_is_added_to_the_one_beside_it():
    dy, weight, beside = filled(2, 4, 6, 6), filled(4, 3, 3, 3, seed=1), filled(2, 3, 8, 8, seed=2)
    nothing, dx, out = (array(2, 3, 8, 8) for _ in range(3))
    r = Recording(inputs=[dy, beside], outputs=[out], state=[weight, nothing])
    r.append("conv2d_input_grad", dx, dy, weight, nothing, 1, 1, 0, 0, 1, 1, 1, 0)
    r.append("add", out, dx, beside)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["conv2d_input_grad"]
    np.testing.assert_allclose(results(r), expected, rtol=1e-5, atol=1e-6)
    assert extent(r.instructions[0].operands[3]) == extent(beside)


@pytest.mark.parametrize("beside", [False, True])
def test_normalisation_and_what_follows_it_become_one(beside):
    x, extra, y, z = filled(2, 3, 8), filled(2, 3, 8, seed=1), array(2, 3, 8), array(2, 3, 8)
    weight, bias, mean, var = (filled(3, seed=s) ** 2 for s in range(4))
    r = Recording(inputs=[x, extra], outputs=[z], state=[weight, bias, mean, var])
    r.append("batch_norm", y, x, mean, var, weight, bias, x, 1e-5, 0)
    r.append("add_relu", z, extra, y) if beside else r.append("relu", z, y)
    expected = results(r)
    fuse(r)
    np.testing.assert_allclose(results(r), expected, rtol=1e-5, atol=1e-6)
    assert kernels(r) == ["batch_norm"]
    assert CONVOLUTION_EPILOGUES[r.instructions[0].operands[-1]] == ("add_relu" if beside else "relu")
    assert extent(r.instructions[0].operands[6]) == extent(extra if beside else x)


def test_normalisation_whose_result_is_needed_stays_apart_from_relu():
    x, y, z, out = (array(2, 3, 8) for _ in range(4))
    weight, bias, mean, var = (array(3) for _ in range(4))
    r = Recording(inputs=[x], outputs=[out], state=[weight, bias, mean, var])
    r.append("batch_norm", y, x, mean, var, weight, bias, x, 1e-5, 0)
    r.append("relu", z, y)
    r.append("multiply", out, y, z)
    fuse(r)
    assert kernels(r) == ["batch_norm", "relu", "multiply"]


def test_an_addition_and_its_activation_become_one():
    a, b, s, y = filled(6), filled(6, seed=1), array(6), array(6)
    r = Recording(inputs=[a, b], outputs=[y])
    r.append("add", s, a, b)
    r.append("relu", y, s)
    expected = results(r)
    fuse(r)
    assert kernels(r) == ["add_relu"]
    np.testing.assert_array_equal(results(r), expected)


def test_large_parameters_are_updated_right_behind_their_gradients():
    size = 1 << 17
    param, grad, x, out = filled(2 * size), array(2 * size), filled(size), array(size)
    one, zero, rate, lr = (np.full(1, v, np.float32) for v in (1, 0, 0, 0.5))
    r = Recording(inputs=[x], outputs=[out], state=[param, grad, rate, lr])
    r.append("exp", grad[:size], x)
    r.append("sin", grad[size:], x)
    r.append("cos", out, x)
    r.append("copy", rate, lr)
    r.append("sgd", param, grad, rate, zero, one)
    before = param.copy()
    results(r)
    expected = param.copy()
    param[:] = before
    update_behind_gradients(r)
    assert kernels(r) == ["copy", "exp", "sgd", "sin", "sgd", "cos"]
    results(r)
    np.testing.assert_array_equal(param, expected)


def test_a_parameter_is_not_updated_before_its_last_use():
    size = 1 << 17
    param, grad, x, out = filled(size), array(size), filled(size), array(size)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    r = Recording(inputs=[x], outputs=[out], state=[param, grad])
    r.append("exp", grad[: size // 2], x[: size // 2])
    r.append("exp", grad[size // 2 :], x[size // 2 :])
    r.append("multiply", out, param, x)
    r.append("sgd", param, grad, one, zero, one)
    update_behind_gradients(r)
    assert kernels(r) == ["exp", "exp", "multiply", "sgd", "sgd"]


def test_softmax_and_likelihood_become_cross_entropy():
    x, w, target = filled(6, 4), np.ones(4, np.float32), np.array([0, 1, 2, 3, 1, -100])
    y, loss, dy, dloss, dx = array(6, 4), array(6), array(6, 4), filled(6, seed=1), array(6, 4)
    r = Recording(inputs=[x, target, dloss], outputs=[loss, dx], state=[w])
    r.append("log_softmax", y, x)
    r.append("nll", loss, y, target, w, -100)
    r.append("nll_grad", dy, dloss, target, w, -100)
    r.append("log_softmax_grad", dx, dy, y)
    expected = results(r)
    join_softmax_and_loss(r)
    assert kernels(r) == ["cross_entropy", "cross_entropy_grad"]
    for found, wanted in zip(results(r), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_log_probabilities_that_are_read_elsewhere_stay():
    x, w, target = filled(6, 4), np.ones(4, np.float32), np.zeros(6, np.int64)
    y, loss = array(6, 4), array(6)
    r = Recording(inputs=[x, target], outputs=[loss, y], state=[w])
    r.append("log_softmax", y, x)
    r.append("nll", loss, y, target, w, -100)
    join_softmax_and_loss(r)
    assert kernels(r) == ["log_softmax", "nll"]


def linear_gradients(dy, x, late=False):
    """dw = dy' x and db = the sum of dy over its rows, and what they are."""
    dw, db = array(dy.shape[1], x.shape[1]), array(1, dy.shape[1])
    r = Recording(inputs=[dy, x], outputs=[dw, db])
    both = [product(dw, dy.T, x), ("reduce_sum", db, dy[None])]
    for call in both[::-1] if late else both:
        r.append(*call)
    return r


@pytest.mark.parametrize("late", [False, True])
def test_the_product_of_a_weight_gradient_sums_the_gradient_of_the_bias(late):
    r = linear_gradients(filled(6, 5), filled(6, 3, seed=1), late)
    expected = results(r)
    join_bias_sums(r)
    assert kernels(r) == ["gemm"]
    for found, wanted in zip(results(r), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_bias_sums_stay_where_they_are_not_of_what_is_multiplied_or_where_the_order_matters():
    dy, x, other = filled(6, 5), filled(6, 3, seed=1), filled(6, 5, seed=2)
    r = linear_gradients(dy, x)
    r.instructions[1] = Instruction("reduce_sum", (r.outputs[1], other[None]))
    join_bias_sums(r)
    assert kernels(r) == ["gemm", "reduce_sum"]
    r = linear_gradients(dy, x)
    r.instructions.insert(1, Instruction("exp", (dy, other)))
    join_bias_sums(r)
    assert kernels(r) == ["gemm", "exp", "reduce_sum"]
    r = linear_gradients(dy, x)
    r.append("reduce_sum", array(1, 5), dy[None])
    join_bias_sums(r)
    assert kernels(r) == ["gemm", "reduce_sum"]


@pytest.mark.parametrize("over", [1, 3])
def test_large_constant_weights_lie_in_panels_and_what_fills_none_is_a_product_of_its_own(over):
    rng = np.random.default_rng(0)
    width = _host.panel_columns(4)
    M, N, K = 5, 8 * width + over, 1 + (1 << 18) // (8 * width * 4)
    x, weight = rng.normal(size=(1, M, K)).astype(np.float32), rng.normal(size=(1, K, N)).astype(np.float32)
    bias = np.broadcast_to(rng.normal(size=N).astype(np.float32), (1, M, N))
    unread = np.broadcast_to(np.float32(0), (1, M, N))
    y, small = array(1, M, N), array(1, M, 2)
    r = Recording(inputs=[x], outputs=[y, small])
    r.append("gemm", y, array(1, 0), x, weight, bias, unread, 1.0, 1.0, 1)
    r.append("gemm", small, array(1, 0), x, weight[:, :, :2], small, unread[:, :, :2], 1.0, 0.0, 0)
    pack_weights(r)
    assert [i.operands[0].shape for i in r.instructions] == [(8, M, width), (1, M, over), (1, M, 2)]
    panels = r.instructions[0].operands[3]
    assert panels.shape == (8, K, width)
    assert panels.flags.c_contiguous
    assert root(r.instructions[0].operands[0]) is y
    for product in (KERNELS["gemm"].twin, kernels_on_arrays.gemm):
        y[:] = np.nan
        for i in r.instructions:
            product(*i.operands)
        np.testing.assert_allclose(y, np.maximum(x @ weight + bias, 0), rtol=1e-4, atol=1e-4)


def test_weights_that_the_program_computes_stay_as_they_are():
    width = _host.panel_columns(4)
    x, weight, y = array(1, 4, 512), array(1, 512, 8 * width), array(1, 4, 8 * width)
    r = Recording(inputs=[x], outputs=[y])
    r.append("exp", weight, weight[:, :1])
    r.append("gemm", y, array(1, 0), x, weight, y, y, 1.0, 0.0, 0)
    pack_weights(r)
    assert r.instructions[1].operands[3] is weight


def convolution(dtype=np.float32, I=16, O=24, size=12, kernel=3, pad=1, batch=4, stride=1):
    rng = np.random.default_rng(0)
    out = (size + 2 * pad - kernel) // stride + 1
    shapes = (batch, O, out, out), (batch, I, size, size), (O, I, kernel, kernel), (O,)
    y, x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return y, x, weight, bias, (stride, stride, pad, pad, 1, 1, 1)


@pytest.mark.parametrize("constant", [False, True])
def test_convolutions_that_repay_it_go_by_winograd(constant):
    y, x, weight, bias, steps = convolution()
    dx, dy = np.empty_like(x), np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    r = Recording(inputs=[x, dy], outputs=[y, dx], state=[weight, bias])
    r.append("conv2d", y, x, weight, bias, x, *steps, CONVOLUTION_EPILOGUES.index("relu"))
    r.append("conv2d_input_grad", dx, dy, weight, x, *steps, CONVOLUTION_EPILOGUES.index("add"))
    results = []
    for _ in range(2):
        for i in r.instructions:
            KERNELS[i.kernel].twin(*i.operands)
        results.append((y.copy(), dx.copy()))
        (transform_constant_convolutions if constant else transform_convolutions)(r)
    for got, wanted in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    transforms = ["winograd_weight", "winograd_weight_back"] if not constant else []
    assert [k for k in kernels(r) if k != "winograd_conv2d"] == transforms
    assert kernels(r).count("winograd_conv2d") == 2


def test_gradients_of_weights_that_repay_it_go_by_winograd():
    y, x, weight, _, steps = convolution(I=32, O=40)
    dy, dweight = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32), np.empty_like(weight)
    r = Recording(inputs=[x, dy], outputs=[dweight])
    r.append("conv2d_weight_grad", dweight, dy, x, *steps)
    results = []
    for _ in range(2):
        KERNELS[r.instructions[0].kernel].twin(*r.instructions[0].operands)
        results.append(dweight.copy())
        transform_convolutions(r)
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-3)
    assert kernels(r) == ["winograd_conv2d_weight_grad"]


@pytest.mark.parametrize("case", [{"dtype": np.float64}, {"I": 31}, {"O": 31}, {"kernel": 5}, {"stride": 2}, {"batch": 1}, {"size": 5}])
def test_other_gradients_of_weights_stay_sums_of_products(case):
    y, x, weight, _, steps = convolution(**{"I": 32, "O": 40, **case})
    r = Recording(inputs=[x, y], outputs=[weight])
    r.append("conv2d_weight_grad", weight, y, x, *steps)
    transform_convolutions(r)
    assert kernels(r) == ["conv2d_weight_grad"]


def test_weights_that_do_not_change_are_transformed_once_for_all_programs():
    _, _, weight, bias, steps = convolution()
    constants = Constants([Tensor(weight), Tensor(bias)])
    found = []
    for batch in (4, 8):
        y, x, *_ = convolution(batch=batch)
        r = Recording(inputs=[x], outputs=[y], state=[weight, bias], constants=constants)
        r.append("conv2d", y, x, weight, bias, x, *steps, 0)
        transform_constant_convolutions(r)
        found.append(r.instructions[0].operands[2])
    assert found[0] is found[1]


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": np.float64},
        {"I": 8},
        {"O": 8},
        {"I": 512},
        {"kernel": 5},
        {"kernel": 1},
        {"stride": 2},
        {"batch": 1},  # too few tiles for a transform of the weights
        {"size": 3, "batch": 40},  # tiles of which 7 of 16 results are not wanted
    ],
    ids=str,
)
def test_convolutions_that_do_not_repay_it_stay_sums_of_products(other):
    y, x, weight, bias, steps = convolution(**other)
    r = Recording(inputs=[x], outputs=[y], state=[weight, bias])
    r.append("conv2d", y, x, weight, bias, x, *steps, 0)
    transform_convolutions(r)
    assert kernels(r) == ["conv2d"]
    r = Recording(inputs=[x], outputs=[y], state=[weight, bias])
    dilated, grouped = (1, 1, 1, 1, 2, 2, 1), (1, 1, 1, 1, 1, 1, 2)
    for steps in (dilated, grouped):
        r.append("conv2d", *convolution()[:4], x, *steps, 0)
    transform_convolutions(r)
    assert kernels(r) == ["conv2d", "conv2d"]
