"""The random generator behind dropout: its known answers, its statistics, and that a mask depends on nothing but its four inputs."""

import ctypes

import numpy as np
import pytest
from fastnn.kernels import KERNELS
from fastnn.kernels.reference.random import _philox

from fastnn import kernels

ONES = 0xFFFFFFFF
# Random123, tests/kat_vectors, philox4x32 with 10 rounds: counter, key, answer
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def dropout(count, p, seed=1, step=0, site=0, dtype=np.float32):
    y, x = np.empty(count, dtype), np.ones(count, dtype)
    kernels.dropout(y, x, np.array([seed, step], np.uint64), site, 0, p)
    return y


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter, key, answer):
    assert tuple(int(word) for word in _philox(counter, key)) == answer


@pytest.mark.parametrize(("counter", "key", "answer"), [k for k in KNOWN_ANSWERS if k[0][0] < 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_generator_gives_the_known_answers(counter, key, answer, dtype):
    """Each word is found by its thresholds: a number u is kept at p = u and dropped at the next larger p."""
    seed, step = key[0] | key[1] << 32, counter[2] | counter[3] << 32
    for word, wanted in enumerate(answer):
        u = (wanted >> 8) * 2.0**-24
        assert dropout(4, u, seed, step, counter[1], dtype)[word] != 0
        assert dropout(4, np.nextafter(dtype(u), dtype(1)), seed, step, counter[1], dtype)[word] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 31, 4099])
def test_the_compiled_mask_is_the_twin_s_bit_by_bit(dtype, p, count):
    arguments = {"seed": 0xFEDCBA9876543210, "step": 0x123456789ABCDEF0, "site": 7, "dtype": dtype}
    compiled = dropout(count, p, **arguments)
    with kernels.use_backend("numpy"):
        np.testing.assert_array_equal(compiled, dropout(count, p, **arguments))


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_the_mask_does_not_depend_on_the_number_of_workers(parts):
    whole = dropout(1003, 0.3, seed=5)
    y, x, state = np.full(1003, 7, np.float32), np.ones(1003, np.float32), np.array([5, 0], np.uint64)
    kernel = KERNELS["dropout"]
    operands = (y, x, state, 0, 0, 0.3)
    words = kernel.signature.encode(operands)
    entry = kernel.entry(kernel.signature.dtypes(operands))
    for part in range(parts):
        entry((ctypes.c_int64 * len(words))(*words), part, parts)
    np.testing.assert_array_equal(y, whole)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_of_kept_items_is_one_minus_p(p):
    count = 400_000
    kept = (dropout(count, p) != 0).mean()
    assert abs(kept - (1 - p)) < 5 * np.sqrt(p * (1 - p) / count)


def test_kept_items_are_scaled_so_that_the_mean_stays():
    y = dropout(1000, 0.2, dtype=np.float64)
    assert set(np.unique(y)) == {0, 1.25}


def test_rates_of_zero_and_one_keep_all_and_nothing():
    np.testing.assert_array_equal(dropout(1000, 0.0), 1)
    np.testing.assert_array_equal(dropout(1000, 1.0), 0)


@pytest.mark.parametrize("other", [{"seed": 2}, {"seed": 1 + (1 << 32)}, {"step": 1}, {"step": 1 << 32}, {"site": 1}])
def test_another_seed_step_or_site_gives_an_independent_mask(other):
    count = 400_000
    a, b = (dropout(count, 0.5, **arguments) != 0 for arguments in ({}, other))
    assert abs((a & b).mean() - 0.25) < 5 * np.sqrt(3 / 16 / count)


def test_neighbours_are_independent():
    kept = dropout(400_000, 0.5) != 0
    for distance in (1, 2, 3, 4, 8, 1024):
        agree = (kept[distance:] == kept[:-distance]).mean()
        assert abs(agree - 0.5) < 5 * 0.5 / np.sqrt(len(kept))
