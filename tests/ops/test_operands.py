"""What operations take and give: dtypes, plain arrays and numbers, views, empty and single-element tensors."""

import numpy as np
import pytest

import fastnn
from fastnn import kernels
from fastnn.nn import functional as F
from fastnn.tensor import Tensor, tensor


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def backend(request):
    with kernels.use_backend(request.param):
        yield


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_and_arrays_take_on_the_dtype_of_the_tensor(dtype):
    x = tensor(np.array([1.0, 2.0]), dtype)
    for y in (
        x + 1,
        1.5 * x,
        x - np.array([1.0, 2.0]),
        np.array([1, 2]) / x,
        x @ np.ones((2, 3)),
        np.ones((3, 2)) @ x,
        F.linear(np.ones((4, 2)), x[None]),
    ):
        assert isinstance(y, Tensor)
        assert y.dtype == dtype


def test_plain_arrays_are_taken_everywhere():
    x = np.array([[1.0, -2.0]], np.float32)
    np.testing.assert_array_equal(F.relu(x).numpy(), [[1.0, 0.0]])
    np.testing.assert_array_equal(F.linear(x, np.array([[2.0, 1.0]], np.float32)).numpy(), [[0.0]])


def test_comparisons_are_bool_and_have_no_gradient():
    a = tensor(np.array([1.0, 2.0, np.nan]), requires_grad=True)
    for found, wanted in (
        (a < 2, [True, False, False]),
        (a <= 2, [True, True, False]),
        (a > 1, [False, True, False]),
        (a >= 1, [True, True, False]),
    ):
        assert found.dtype == np.bool_
        assert not found.requires_grad
        np.testing.assert_array_equal(found.numpy(), wanted)


def test_reshape_and_slices_of_contiguous_tensors_share_memory():
    x = tensor(np.arange(12.0).reshape(3, 4))
    for view in (x.reshape(2, 6), x.T, x[1:], x[:, ::2], x.transpose(0, 1), x.permute(1, 0), x.flatten(), x.unsqueeze(0), x[1, 2]):
        assert np.shares_memory(view.numpy(), x.numpy())


def test_astype_converts_and_passes_gradients_between_floats():
    x = tensor(np.array([1.5, -2.5]), np.float32, requires_grad=True)
    np.testing.assert_array_equal(x.astype(np.int64).numpy(), [1, -2])
    np.testing.assert_array_equal(x.astype(bool).numpy(), [True, True])
    (x.astype(np.float64) ** 2).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, -5.0])
    np.testing.assert_array_equal(tensor(np.array([0, 255], np.uint8)).astype(np.float32).numpy(), [0.0, 255.0])


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_argmax_is_that_of_numpy(axis, keepdims):
    x = np.random.default_rng(0).normal(size=(4, 5))
    np.testing.assert_array_equal(F.argmax(x, axis, keepdims).numpy(), np.argmax(x, axis, keepdims=keepdims))


def test_max_takes_nan_and_sends_the_gradient_to_the_first_of_equals():
    assert np.isnan(F.max(np.array([1.0, np.nan, 3.0])).item())
    x = tensor(np.array([1.0, 3.0, 3.0]), requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 1.0, 0.0])


def test_empty_tensors():
    x = tensor(np.empty((0, 3)), requires_grad=True)
    w = tensor(np.ones((2, 3)), requires_grad=True)
    y = F.relu(F.linear(x, w))
    assert y.shape == (0, 2)
    y.sum().backward()
    assert x.grad.shape == (0, 3)
    np.testing.assert_array_equal(w.grad.numpy(), np.zeros((2, 3)))
    np.testing.assert_array_equal((np.empty((2, 0)) @ tensor(np.empty((0, 3)))).numpy(), np.zeros((2, 3)))
    assert F.cross_entropy(np.empty((0, 3)), np.empty(0, np.int64), reduction="sum").item() == 0.0


def test_integer_labels_of_any_width_are_taken():
    x = np.random.default_rng(0).normal(size=(3, 4))
    losses = [F.cross_entropy(x, np.array([1, 3, 0], dtype)).item() for dtype in (np.int64, np.int32, np.int16, np.uint8)]
    losses.append(F.cross_entropy(x, tensor(np.array([1, 3, 0], np.uint8))).item())
    losses.append(F.cross_entropy(x, [1, 3, 0]).item())
    assert len(set(losses)) == 1


def test_mean_cross_entropy_with_sample_weights_is_a_weighted_mean():
    rng = np.random.default_rng(0)
    x, y, s, w = rng.normal(size=(6, 3)), np.array([0, 1, 2, -100, 1, 0]), rng.uniform(0.1, 2.0, 6), np.array([1.0, 2.0, 0.5])
    each = F.cross_entropy(x, y, weight=w, reduction="none").numpy()
    weights = np.where(y >= 0, s * w[np.maximum(y, 0)], 0)
    assert F.cross_entropy(x, y, weight=w, sample_weight=s).item() == pytest.approx((each * s).sum() / weights.sum(), rel=1e-12)
    repeated = F.cross_entropy(np.repeat(x, 2, 0), np.repeat(y, 2), weight=w)
    assert F.cross_entropy(x, y, weight=w, sample_weight=np.full(6, 2.0)).item() == pytest.approx(repeated.item(), rel=1e-12)


def test_mean_over_samples_that_are_all_ignored_is_nan():
    assert np.isnan(F.cross_entropy(np.zeros((2, 3)), np.array([-100, -100])).item())


class TestDropout:
    def test_is_the_identity_outside_training_and_for_p_0(self):
        x = tensor(np.ones(5))
        assert F.dropout(x, 0.5, training=False) is x
        assert F.dropout(x, 0.0) is x

    @pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
    def test_keeps_a_share_of_1_minus_p_and_the_mean(self, p):
        fastnn.manual_seed(0)
        y = F.dropout(np.ones(20_000), p).numpy()
        assert set(np.unique(y.round(9))) == {0.0, round(1 / (1 - p), 9)}
        assert (y == 0).mean() == pytest.approx(p, abs=0.015)

    def test_p_1_leaves_nothing(self):
        np.testing.assert_array_equal(F.dropout(np.ones(3), 1.0).numpy(), np.zeros(3))

    def test_gradient_passes_through_the_same_mask(self):
        x = tensor(np.ones((10, 10)), requires_grad=True)
        y = F.dropout(x, 0.4)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), y.numpy())

    def test_masks_follow_the_seed(self):
        draw = lambda: F.dropout(np.ones(64), 0.5).numpy()  # noqa: E731
        fastnn.manual_seed(3)
        first, second = draw(), draw()
        fastnn.manual_seed(3)
        np.testing.assert_array_equal(draw(), first)
        np.testing.assert_array_equal(draw(), second)
        fastnn.manual_seed(4)
        assert (first != second).any()
        assert (draw() != first).any()


def test_initial_values_follow_the_seed():
    fastnn.manual_seed(7)
    first = fastnn.random.generator().normal(size=3)
    fastnn.manual_seed(7)
    np.testing.assert_array_equal(fastnn.random.generator().normal(size=3), first)


def test_a_recorder_can_give_its_own_streams_within_its_thread():
    state = np.array([1, 2], np.uint64)
    with fastnn.random.streams_from(lambda: (state, 5)):
        assert fastnn.random.next_stream() == (state, 5)
    assert fastnn.random.next_stream()[0] is not state
