"""Copies from one dtype to another: what a number becomes does not depend on its place, or on the CPU."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fastnn.kernels import KERNELS, _host

from fastnn import kernels

LENGTHS = (1, 7, 256, 1000)  # less than a vector, some, all of 0 to 255, more
BEYOND = np.array([-1, 256, 300, -300, 511, 70000, -70000, 2.0**31 - 128, -(2.0**31)])  # what uint8 does not hold, and 32 bits do
CASTS = [(source, to) for source in ("f4", "f8", "i8", "u1", "?") for to in ("f4", "f8", "i8", "u1", "?")]


def copied(numbers, to, step=1):
    x = np.repeat(numbers, step)[::step]
    y, wanted = np.zeros(x.shape, to), np.zeros(x.shape, to)
    kernels.copy(y, x)
    KERNELS["copy"].twin(wanted, x)
    return y, wanted


@pytest.mark.parametrize(("source", "to"), CASTS)
def test_every_number_of_a_byte_arrives(source, to):
    for length in LENGTHS:
        numbers = (np.arange(length) % 256).astype(source)
        for step in (1, 2):
            y, wanted = copied(numbers, to, step)
            np.testing.assert_array_equal(y, wanted)


AS_BYTES = f"""
import numpy as np
from fastnn import kernels
values = np.concatenate([np.arange(256), {BEYOND.tolist()}, [200.9, -0.9, 255.9]])
for source in ("f4", "f8"):
    for length in {LENGTHS}:
        x = np.resize(values[::-1], length).astype(source)
        y = np.zeros(length, np.uint8)
        kernels.copy(y, x)
        np.testing.assert_array_equal(y, np.trunc(x).astype(np.int64) % 256)
print("right")
"""


@pytest.mark.parametrize("isa", _host.levels())
def test_bytes_keep_the_lowest_bits_of_a_number_whatever_the_instruction_set(isa):
    done = subprocess.run(
        [sys.executable, "-c", AS_BYTES], capture_output=True, text=True, check=False, env={**os.environ, "FASTNN_ISA": isa}
    )
    assert done.stdout == "right\n", done.stderr


@pytest.mark.parametrize("source", ["f4", "f8", "i8"])
def test_bytes_of_larger_numbers_are_those_of_the_twin(source):
    for length in LENGTHS:
        y, wanted = copied(np.resize(BEYOND, length).astype(source), "u1")
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("source", ["f4", "f8", "i8"])
def test_rows_that_are_taken_or_put_are_converted_alike(source, backend):
    numbers = np.resize(np.concatenate([np.arange(256), BEYOND]), (5, 100)).astype(source)
    order, cursor = np.arange(5), np.zeros(2, np.int64)
    taken, put = np.zeros((2, 5, 100), np.uint8)
    with kernels.use_backend(backend):
        kernels.take_rows(taken, numbers, order, cursor)
        kernels.put_rows(put, numbers, order, cursor)
    for y in (taken, put):
        np.testing.assert_array_equal(y, numbers.astype(np.int64) % 256)
