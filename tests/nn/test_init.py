"""Initial values: their distributions, their formulas, and that a seed repeats them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import fastnn
from fastnn import errors, nn
from fastnn.nn import init

OUT, IN = 120, 160
# function -> (mean, standard deviation, bound or None) of what it draws for a weight (OUT, IN)
DRAWN: dict[str, tuple[Callable[[fastnn.Tensor], fastnn.Tensor], float, float, float | None]] = {
    "uniform": (lambda t: init.uniform_(t, -1, 3), 1.0, 4 / math.sqrt(12), 3.0),
    "normal": (lambda t: init.normal_(t, 2.0, 0.5), 2.0, 0.5, None),
    "truncated normal": (lambda t: init.trunc_normal_(t, std=1.0), 0.0, 0.87962566, 2.0),  # variance 1 - 4 phi(2) / (2 Phi(2) - 1)
    "narrow truncated normal": (lambda t: init.trunc_normal_(t, std=0.02), 0.0, 0.02, 2.0),
    "Xavier uniform": (lambda t: init.xavier_uniform_(t, gain=2.0), 0.0, 2 * math.sqrt(2 / (IN + OUT)), 2 * math.sqrt(6 / (IN + OUT))),
    "Xavier normal": (init.xavier_normal_, 0.0, math.sqrt(2 / (IN + OUT)), None),
    "Kaiming uniform": (init.kaiming_uniform_, 0.0, math.sqrt(2 / IN), math.sqrt(6 / IN)),
    "Kaiming normal": (lambda t: init.kaiming_normal_(t, nonlinearity="relu"), 0.0, math.sqrt(2 / IN), None),
    "Kaiming fan out": (lambda t: init.kaiming_normal_(t, a=1.0, mode="fan_out"), 0.0, math.sqrt(1 / OUT), None),
    "LeCun uniform": (init.lecun_uniform_, 0.0, math.sqrt(1 / IN), math.sqrt(3 / IN)),
    "LeCun normal": (init.lecun_normal_, 0.0, math.sqrt(1 / IN), None),
    "orthogonal": (lambda t: init.orthogonal_(t, gain=3.0), 0.0, 3 * math.sqrt(1 / IN), None),
}


@pytest.mark.parametrize("name", DRAWN)
def test_values_have_their_mean_and_spread(name: str) -> None:
    draw, mean, std, bound = DRAWN[name]
    fastnn.manual_seed(3)
    t = fastnn.tensor(np.empty((OUT, IN), np.float64))
    assert draw(t) is t
    values = t.numpy()
    assert values.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(values.size))
    assert values.std() == pytest.approx(std, rel=0.02)
    if bound is not None:
        assert np.abs(values).max() <= bound


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_repeats_the_values_and_both_dtypes_start_alike(name: str) -> None:
    draw = DRAWN[name][0]
    drawn = []
    for seed, dtype in ((1, np.float64), (1, np.float64), (1, np.float32), (2, np.float64)):
        fastnn.manual_seed(seed)
        drawn.append(draw(fastnn.tensor(np.empty((6, 5), dtype))).numpy())
    first, again, rounded, other = drawn
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(rounded, first.astype(np.float32))
    assert not np.array_equal(first, other)


def test_a_generator_of_ones_own_leaves_the_common_one_alone() -> None:
    a, b = (init.normal_(fastnn.tensor(np.empty(4)), generator=np.random.default_rng(9)).numpy() for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_truncation_moves_nothing_outside() -> None:
    t = init.trunc_normal_(fastnn.tensor(np.empty(20_000)), mean=1.0, std=2.0, a=2.0, b=2.5)
    assert 2.0 <= t.numpy().min() < 2.001
    assert 2.499 < t.numpy().max() <= 2.5


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape: tuple[int, ...]) -> None:
    m = init.orthogonal_(fastnn.tensor(np.empty(shape)), gain=2.0).numpy().reshape(shape[0], -1) / 2
    product = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(product, np.eye(min(m.shape)), atol=1e-12)


def test_constants_fill() -> None:
    t = fastnn.tensor(np.empty((2, 2), np.float32))
    assert init.constant_(t, 1.5).numpy().tolist() == [[1.5, 1.5], [1.5, 1.5]]
    assert init.ones_(t).numpy().sum() == 4
    assert init.zeros_(t).numpy().sum() == 0


def test_fans_count_the_receptive_field() -> None:
    assert init.fan_in_and_fan_out(fastnn.tensor(np.empty((8, 3, 5, 5)))) == (75, 200)


def test_gains_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for name in init.GAINS:
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3), rel=1e-15)


def test_a_model_is_the_same_from_the_same_seed() -> None:
    states = []
    for _ in range(2):
        fastnn.manual_seed(11)
        states.append(nn.Sequential(nn.Linear(3, 4), nn.Bilinear(2, 3, 4), nn.Embedding(5, 2)).state_dict())
    for name, value in states[0].items():
        np.testing.assert_array_equal(states[1][name], value)


MATRIX = fastnn.tensor(np.ones((2, 3)))
VECTOR = fastnn.tensor(np.ones(3))
REFUSED = {
    "uniform upside down": (lambda: init.uniform_(MATRIX, 1, 0), errors.ArgumentError, "b must be at least 1, got 0"),
    "negative spread": (lambda: init.normal_(MATRIX, 0, -1), errors.ArgumentError, "std must be at least 0, got -1"),
    "negative truncated spread": (lambda: init.trunc_normal_(MATRIX, std=-1), errors.ArgumentError, "std must be at least 0"),
    "nothing left by truncation": (
        lambda: init.trunc_normal_(MATRIX, a=9, b=10),
        errors.ArgumentError,
        "enclose some of .*got a=9 and b=10",
    ),
    "truncation upside down": (lambda: init.trunc_normal_(MATRIX, a=1, b=-1), errors.ArgumentError, "a=1 and b=-1"),
    "Xavier of a vector": (lambda: init.xavier_normal_(VECTOR), errors.ShapeError, r"at least 2 dimensions .*got shape \(3,\)"),
    "orthogonal vector": (lambda: init.orthogonal_(VECTOR), errors.ShapeError, "at least 2 dimensions"),
    "unknown mode": (lambda: init.kaiming_normal_(MATRIX, mode="fan"), errors.UnknownNameError, "unknown mode 'fan'"),
    "unknown nonlinearity": (lambda: init.calculate_gain("rellu"), errors.UnknownNameError, "did you mean 'relu'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused_and_changes_nothing(name: str) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()
    assert MATRIX.numpy().min() == VECTOR.numpy().min() == 1
