"""The tape: what is recorded, how gradients add up, and what is let go of."""

import gc
import math
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import kernels
from fastnn.errors import StateError
from fastnn.nn import functional as F
from fastnn.tensor import Tensor, grad, mode, no_grad, tensor, value_and_grad


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def backend(request):
    with kernels.use_backend(request.param):
        yield


def variable(*values, dtype=np.float64):
    return tensor(np.array(values, dtype), requires_grad=True)


def test_derivative_of_sin_of_square_is_cos_of_square_times_2x():
    for x in (-1.5, 0.0, 0.7, 3.0):
        assert grad(lambda x: F.sin(x**2))(np.float64(x)).item() == pytest.approx(math.cos(x * x) * 2 * x, abs=1e-14)


def test_third_derivative_of_sin_of_square():
    x = 1.3
    expected = -12 * x * math.sin(x * x) - 8 * x**3 * math.cos(x * x)
    assert grad(grad(grad(lambda x: F.sin(x**2))))(np.float64(x)).item() == pytest.approx(expected, rel=1e-13)


def test_backward_adds_to_the_gradient():
    x = variable(1.0, 2.0)
    for times in (1, 2, 3):
        (x * x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), times * np.array([2.0, 4.0]))


def test_backward_twice_through_one_graph_gives_the_same_gradients_again():
    x, w, b = variable(1.0, -2.0, 0.5), variable(1.0, 2.0, 3.0), variable(0.0, 0.0, 0.0)
    loss = (F.layer_norm(x * 2.0, (3,), w, b) * np.array([1.0, 2.0, -1.0])).sum()
    loss.backward()
    first = [t.grad.numpy().copy() for t in (x, w, b)]
    loss.backward()
    for t, once in zip((x, w, b), first, strict=True):
        np.testing.assert_allclose(t.grad.numpy(), 2 * once)


def test_uses_of_one_tensor_add_up():
    x = variable(3.0)
    y = x * 2.0
    (y * y + y + x).sum().backward()
    assert x.grad.item() == 2 * 2 * 6 + 2 + 1


def test_backward_of_more_than_one_element_takes_the_gradient_that_is_given():
    x = variable(1.0, 2.0)
    (x * x).backward(np.array([1.0, 10.0]))
    np.testing.assert_allclose(x.grad.numpy(), [2.0, 40.0])


def test_nothing_is_recorded_without_grad():
    x = variable(1.0)
    with no_grad():
        assert not fastnn.is_grad_enabled()
        y = x * 2.0
    assert fastnn.is_grad_enabled()
    assert not y.requires_grad
    with pytest.raises(StateError, match="requires a gradient"):
        y.sum().backward()


def test_constants_get_no_gradient():
    x, c = variable(1.0), tensor(np.array([2.0]))
    (x * c).sum().backward()
    assert c.grad is None
    assert (x * c.detach()).requires_grad
    assert not (c * c).requires_grad


def kernels_of(call):
    """The names of the kernels that `call` runs."""
    names = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mode, "run", lambda name, *operands: (names.append(name), kernels.run(name, *operands)))
        call()
    return names


@pytest.mark.parametrize("operation", ["linear", "batch_norm"])
def test_the_gradient_of_an_input_that_needs_none_is_not_computed(operation):
    x, w, b = np.random.default_rng(0).normal(size=(4, 3)), variable(1.0, 2.0, 3.0), variable(0.0, 0.0, 0.0)
    losses = {
        "linear": lambda: F.linear(x, tensor(np.eye(3), requires_grad=True), b),
        "batch_norm": lambda: F.batch_norm(x, None, None, w, b, training=True),
    }
    names = kernels_of(losses[operation]().sum().backward)
    assert "batch_norm_input_grad" not in names
    assert names.count("gemm") == (operation == "linear")


@pytest.mark.parametrize("operation", ["layer_norm", "batch_norm"])
def test_one_kernel_call_serves_the_gradients_of_weight_and_bias(operation):
    x, w, b = tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True), variable(1.0, 2.0, 3.0), variable(0.0, 0.0, 0.0)
    losses = {"layer_norm": lambda: F.layer_norm(x, (3,), w, b), "batch_norm": lambda: F.batch_norm(x, None, None, w, b, training=True)}
    names = kernels_of(losses[operation]().sum().backward)
    kernel = {"layer_norm": "layer_norm_grad", "batch_norm": "batch_norm_weight_grad"}[operation]
    assert names.count(kernel) == 1
    np.testing.assert_allclose(b.grad.numpy(), [4.0, 4.0, 4.0])


@pytest.mark.parametrize(("argnums", "expected"), [(0, 12.0), (1, 4.0), ((0, 1), (12.0, 4.0)), (-1, 4.0), ((1, 0), (4.0, 12.0))])
def test_grad_and_value_and_grad_by_any_arguments(argnums, expected):
    def function(a, b):
        return a * a * b

    value, found = value_and_grad(function, argnums)(np.float64(2.0), np.float64(3.0))
    assert value.item() == 12.0
    again = grad(function, argnums)(np.float64(2.0), np.float64(3.0))
    for grads in (found, again):
        assert (tuple(map(float, grads)) if isinstance(grads, tuple) else float(grads)) == expected


def test_grad_works_inside_no_grad_and_leaves_no_graph():
    with no_grad():
        assert grad(lambda x: x * x)(np.float64(3.0)).item() == 6.0
    value, dx = value_and_grad(lambda x: x * x)(np.float64(3.0))
    assert not value.requires_grad
    assert not dx.requires_grad


def test_gradient_of_a_gradient_by_another_variable():
    assert grad(lambda w: grad(lambda x: x * x * w)(np.float64(3.0)))(np.float64(2.0)).item() == 6.0


def test_a_gradient_taken_by_a_tensor_on_a_tape_can_be_part_of_a_loss():
    x = variable(3.0)
    slope = grad(lambda x: (x**3).sum())(x)  # 3 x^2
    (slope * slope).sum().backward()  # 9 x^4
    assert x.grad.item() == pytest.approx(36 * 27)


def test_argument_without_influence_has_gradient_zero():
    np.testing.assert_array_equal(grad(lambda a, b: b.sum())(np.ones(2), tensor(np.ones(3))).numpy(), [0.0, 0.0])


def test_deep_graph_does_not_overflow_the_stack():
    x = variable(1.0)
    y = x
    for _ in range(5000):
        y = y + 1e-3
    y.sum().backward()
    assert x.grad.item() == 1.0
    assert y.item() == pytest.approx(6.0)
    del y


def network(x, labels):
    w1, b1 = tensor(np.full((4, 3), 0.1), requires_grad=True), variable(0.1, 0.2, 0.3, 0.4)
    scale, shift = variable(1.0, 1.0, 1.0, 1.0), variable(0.0, 0.0, 0.0, 0.0)
    h = F.dropout(F.layer_norm(F.gelu(F.linear(x, w1, b1)), (4,), scale, shift), 0.5)
    h = h + F.batch_norm(h, None, None, scale, shift, training=True)
    return F.cross_entropy(F.softmax(h[:, :3] * F.max(h, 1, keepdims=True)), labels, label_smoothing=0.1)


def test_a_loss_that_is_dropped_takes_its_graph_with_it():
    x = tensor(np.random.default_rng(0).normal(size=(5, 3)), requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        loss = network(x, np.array([0, 1, 2, 0, 1]))
        nodes, pending = [], [loss]
        while pending:
            node = pending.pop()
            nodes.append(weakref.ref(node))
            pending.extend(parent for parent, _ in node._parents if parent is not x)
        del node
        loss.backward()
        assert len(nodes) > 15
        del loss
        assert [ref() for ref in nodes if ref() is not None] == []
        before = sum(type(o) is Tensor for o in gc.get_objects())
        network(x, np.array([0, 1, 2, 0, 1])).backward()
        assert sum(type(o) is Tensor for o in gc.get_objects()) == before
    finally:
        gc.enable()


def test_gradients_of_broadcast_operands_have_the_shape_of_the_operands():
    a, b = tensor(np.ones((3, 1)), requires_grad=True), tensor(np.ones((2, 1, 4)), requires_grad=True)
    (a * b).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), np.full((3, 1), 8.0))
    np.testing.assert_array_equal(b.grad.numpy(), np.full((2, 1, 4), 3.0))


def test_equal_operands_of_maximum_share_the_gradient():
    a, b = variable(1.0, 2.0), variable(1.0, 1.0)
    F.maximum(a, b).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [0.5, 1.0])
    np.testing.assert_array_equal(b.grad.numpy(), [0.5, 0.0])


def test_powers_at_zero_have_finite_gradients():
    for exponent, slope in ((0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 0.0)):
        assert grad(lambda x, e=exponent: x**e)(np.float64(0.0)).item() == slope
    assert grad(lambda p: np.float64(0.0) ** p)(np.float64(2.0)).item() == 0.0
