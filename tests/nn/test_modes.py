"""Layers that behave differently in training and in evaluation."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import errors, nn

ONES = np.ones((200, 100), np.float32)


def test_dropout_in_training_zeroes_its_share_and_scales_the_rest() -> None:
    fastnn.manual_seed(1)
    y = nn.Dropout(0.3)(ONES).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert np.mean(y == 0) == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / ONES.size))


def test_dropout_passes_the_gradient_through_its_mask() -> None:
    x = fastnn.tensor(ONES, requires_grad=True)
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_dropout_in_evaluation_does_nothing() -> None:
    layer = nn.Dropout(0.5).eval()
    np.testing.assert_array_equal(layer(ONES).numpy(), ONES)


def test_every_call_draws_another_mask_and_a_seed_repeats_them() -> None:
    layer = nn.Dropout(0.5)
    fastnn.manual_seed(4)
    first, second = layer(ONES).numpy(), layer(ONES).numpy()
    assert not np.array_equal(first, second)
    fastnn.manual_seed(4)
    np.testing.assert_array_equal(layer(ONES).numpy(), first)


def test_batch_norm_centres_and_scales_each_channel_of_a_batch() -> None:
    x = np.random.default_rng(0).normal(3, 2, size=(500, 4)).astype(np.float32)
    layer = nn.BatchNorm1d(4, momentum=1.0)
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-4)
    np.testing.assert_allclose(layer.running_mean.numpy(), x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), x.var(0, ddof=1), rtol=1e-4)
    layer.reset_running_stats()
    assert (layer.running_mean.numpy().sum(), layer.running_var.numpy().sum(), layer.num_batches_tracked.item()) == (0, 4, 0)


def test_batch_norm_in_evaluation_keeps_its_statistics() -> None:
    layer = nn.BatchNorm1d(4)
    layer(np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32))
    before = {name: value.copy() for name, value in layer.eval().state_dict().items()}
    layer(np.ones((6, 4), np.float32))
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4, 5), (6, 5), (1, 4)])
def test_a_batch_that_does_not_fit_leaves_the_statistics_as_they_were(shape: tuple[int, ...]) -> None:
    layer = nn.BatchNorm1d(4)
    with pytest.raises(errors.ShapeError, match="got"):
        layer(np.ones(shape, np.float32))
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_var.numpy().tolist() == [1] * 4


def test_the_statistics_without_momentum_are_plain_averages() -> None:
    layer = nn.BatchNorm1d(1, momentum=None)
    for values in ([0.0, 2.0], [10.0, 12.0], [2.0, 2.0]):
        layer(np.array(values, np.float32)[:, None])
    assert layer.running_mean.item() == pytest.approx((1 + 11 + 2) / 3)
    assert layer.running_var.item() == pytest.approx((2 + 2 + 0) / 3)
