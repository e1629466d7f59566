"""The arithmetic that products are compared with is done once by each thread, in memory of its own."""

import time

import numpy as np
import pytest
from fastnn.kernels import _mailbox, _peak, _team


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_thread_does_its_share_once_whether_it_had_to_be_woken_or_not(dtype, threads, monkeypatch):
    monkeypatch.setattr(_peak, "COUNT", 1 << 10)
    peak = _peak.Peak(dtype, threads)
    place, _ = peak._operands
    memory = np.full(4 * len(place), 7, dtype)  # which also shows what is written behind
    memory[: len(place)] = place
    peak._operands = (memory[: len(place)], 1 << 10)
    peak._record = _peak.as_record(_peak.PRODUCTS.signature.encode(peak._operands))
    for asleep in (True, False):
        workers, deadline = _team.team(threads), time.monotonic() + 20
        while asleep and not all(workers.mailbox[_mailbox.ASLEEP + worker * _mailbox.LINE] for worker in range(1, threads)):
            assert time.monotonic() < deadline, "a worker is still spinning"
            time.sleep(0.001)
        peak()
        assert np.all(memory[: len(place)] != 0.5)
        assert np.all(memory[len(place) :] == 7)
