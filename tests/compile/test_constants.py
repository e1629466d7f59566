"""What depends on weights alone is computed once: the program before and after, and where it must stay as it is."""

import numpy as np
import pytest
from fastnn.kernels import KERNELS

from fastnn.compile.memory import root
from fastnn.compile.passes import fold_constants, pack_weights
from fastnn.compile.recording import Recording

EPS = 1e-5


def filled(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def empty(*shape):
    return np.zeros(shape, np.float32)


def kernels(recording):
    return [i.kernel for i in recording.instructions]


def results(recording):
    for name, operands in recording.instructions:
        KERNELS[name].twin(*operands)
    return [a.copy() for a in recording.outputs]


def statistics(channels):
    """Mean, variance, weight and bias of a normalisation."""
    mean, var, weight, bias = (filled(channels, seed=s) for s in range(4))
    return mean, var**2 + 0.5, weight, bias


def product(c, a, b, base):
    unread = np.broadcast_to(np.float32(0), (1, *c.shape))
    return ("gemm", c[None], empty(1, 0), a[None], b[None], np.broadcast_to(base, (1, *c.shape)), unread, 1.0, 1.0, 0)


def normalisation(y, x, statistics):
    shape = (*x.shape[:2], x.size // (x.shape[0] * x.shape[1]))
    return ("batch_norm", y.reshape(shape), x.reshape(shape), *statistics, x.reshape(shape), EPS, 0)


def linear_then_norm(transpose=False):
    """y = norm(x w + bias), and its arrays."""
    x, bias, c, y = filled(4, 3), filled(5, seed=2), empty(4, 5), empty(4, 5)
    w = filled(5, 3, seed=1).T if transpose else filled(3, 5, seed=1)
    r = Recording(inputs=[x], outputs=[y], state=[w, bias])
    r.append(*product(c, x, w, bias))
    r.append(*normalisation(y, c, statistics(5)))
    return r, c


def test_what_reads_weights_only_is_computed_now():
    x, w, doubled, root_of_it, y = filled(6), abs(filled(6, seed=1)), empty(6), empty(6), empty(6)
    r = Recording(inputs=[x], outputs=[y], state=[w])
    r.append("add", doubled, w, w)
    r.append("sqrt", root_of_it, doubled)
    r.append("multiply", y, x, root_of_it)
    expected = results(r)
    fold_constants(r)
    assert kernels(r) == ["multiply"]
    np.testing.assert_array_equal(results(r), expected)


def test_what_an_input_has_a_part_in_is_not_computed_now():
    x, w, buffer, y = filled(6), filled(6, seed=1), empty(6), empty(6)
    r = Recording(inputs=[x], outputs=[y], state=[w])
    r.append("exp", buffer, w)
    r.append("multiply", y, x, buffer)
    r.append("exp", buffer, x)  # the same memory once more
    fold_constants(r)
    assert kernels(r) == ["exp", "multiply", "exp"]


def test_equal_constants_of_several_programs_are_one_array():
    w, first = filled(6), Recording()
    found = []
    for recording in (first, Recording(constants=first.constants)):
        x, doubled, y = filled(6), empty(6), empty(6)
        recording.inputs, recording.outputs, recording.state = [x], [y], [w]
        recording.append("add", doubled, w, w)
        recording.append("multiply", y, x, doubled)
        fold_constants(recording)
        found.append(root(recording.instructions[0].operands[2]))
    assert found[0] is found[1]


def test_normalisation_goes_into_the_product_before_it():
    r, _ = linear_then_norm()
    expected = results(r)
    fold_constants(r)
    assert kernels(r) == ["gemm"]
    np.testing.assert_allclose(results(r), expected, rtol=1e-5, atol=1e-6)


def test_normalisation_goes_into_the_convolution_before_it():
    x, weight, bias, unread = filled(2, 3, 6, 6), filled(4, 3, 3, 3, seed=1), filled(4, seed=2), empty(2, 4, 6, 6)
    c, y = empty(2, 4, 6, 6), empty(2, 4, 6, 6)
    r = Recording(inputs=[x], outputs=[y], state=[weight, bias, unread])
    r.append("conv2d", c, x, weight, bias, unread, 1, 1, 1, 1, 1, 1, 1, 0)
    r.append(*normalisation(y, c, statistics(4)))
    expected = results(r)
    fold_constants(r)
    assert kernels(r) == ["conv2d"]
    np.testing.assert_allclose(results(r), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 4])
def test_normalisation_goes_into_the_product_behind_it(length):
    x, w, bias, y, c = filled(4, 3, length), filled(3 * length, 5, seed=1), filled(5, seed=2), empty(4, 3, length), empty(4, 5)
    r = Recording(inputs=[x], outputs=[c], state=[w, bias])
    r.append(*normalisation(y, x, statistics(3)))
    r.append(*product(c, y.reshape(4, -1), w, bias))
    expected = results(r)
    fold_constants(r)
    assert kernels(r) == ["gemm"]
    np.testing.assert_allclose(results(r), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1])
def test_normalisation_goes_into_the_convolution_behind_it_unless_zeros_are_put_around_its_result(padding):
    x, weight, bias, y = filled(2, 3, 6, 6), filled(4, 3, 3, 3, seed=1), filled(4, seed=2), empty(2, 3, 6, 6)
    unread, c = empty(2, 4, 4 + 2 * padding, 4 + 2 * padding), empty(2, 4, 4 + 2 * padding, 4 + 2 * padding)
    r = Recording(inputs=[x], outputs=[c], state=[weight, bias, unread])
    r.append(*normalisation(y, x, statistics(3)))
    r.append("conv2d", c, y, weight, bias, unread, 1, 1, padding, padding, 1, 1, 1, 0)
    expected = results(r)
    fold_constants(r)
    assert kernels(r) == (["batch_norm", "conv2d"] if padding else ["conv2d"])
    np.testing.assert_allclose(results(r), expected, rtol=1e-4, atol=1e-5)


def test_normalisation_of_what_is_overwritten_before_it_is_needed_stays():
    x, w, bias, y, c, v = filled(4, 3), filled(3, 5, seed=1), filled(5, seed=2), empty(4, 3), empty(4, 5), empty(4, 3)
    r = Recording(inputs=[x], outputs=[c], state=[w, bias])
    r.append("exp", v, x)
    r.append(*normalisation(y, v, statistics(3)))
    r.append("sin", v, x)
    r.append(*product(c, y, w, bias))
    fold_constants(r)
    assert kernels(r) == ["exp", "batch_norm", "sin", "gemm"]


def test_normalisation_stays_where_its_argument_is_needed_too():
    r, c = linear_then_norm()
    r.outputs.append(c)
    fold_constants(r)
    assert kernels(r) == ["gemm", "batch_norm"]


def test_normalisation_whose_statistics_are_those_of_the_batch_stays():
    r, c = linear_then_norm()
    instruction = r.instructions[1]
    mean = empty(5)
    r.instructions[1:] = []
    r.append("reduce_mean", mean[None], c[None])
    r.append("batch_norm", *instruction.operands[:2], mean, *instruction.operands[3:])
    fold_constants(r)
    assert kernels(r) == ["gemm", "reduce_mean", "batch_norm"]


def test_weights_lie_row_by_row():
    r, _ = linear_then_norm(transpose=True)
    r.instructions[1:] = []
    r.outputs = [r.instructions[0].operands[0]]
    before = r.instructions[0].operands[3]
    expected = results(r)
    pack_weights(r)
    after = r.instructions[0].operands[3]
    assert not before.flags.c_contiguous
    assert after.flags.c_contiguous
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(results(r), expected)
