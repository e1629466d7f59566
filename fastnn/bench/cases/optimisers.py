"""An update of many parameters by Adam."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from ... import optim
from ...nn import Parameter
from ...tensor import Tensor
from .. import peers
from ..case import Array, Case, Contestant, Setting

COUNT = 10_000_000
QUICK_COUNT = 10_000
TOUCHED = 7  # arrays of that size: the gradient read; parameter and two moments read and written
STRIDE_CHECKED = 997
LR = 1e-3


def cases(setting: Setting) -> Iterator[Case]:
    """Adam on ten million parameters."""
    count = QUICK_COUNT if setting.quick else COUNT

    @cache
    def data() -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        return rng.standard_normal(count).astype(np.float32), rng.standard_normal(count).astype(np.float32)

    def ours() -> Contestant:
        value, gradient = data()
        p = Parameter(value.copy())
        optimiser = optim.Adam([p], lr=LR)
        (p * Tensor(gradient)).sum().backward()  # which leaves the gradient where the optimiser reads it
        return Contestant(optimiser.step, lambda: (optimiser.step(), p.data[::STRIDE_CHECKED].copy())[1])

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        value, gradient = data()
        p = torch.nn.Parameter(torch.from_numpy(value.copy()))
        p.grad = torch.from_numpy(gradient.copy())
        optimiser = torch.optim.Adam([p], lr=LR, fused=True)
        return Contestant(optimiser.step, lambda: (optimiser.step(), p.detach().numpy()[::STRIDE_CHECKED].copy())[1])

    def reference() -> Array:
        value, gradient = (a[::STRIDE_CHECKED].astype(np.float64) for a in data())
        result: Array = value - LR * gradient / (np.abs(gradient) + 1e-8)  # the first step, where both averages are those of one gradient
        return result

    yield Case(
        group="optimiser update, float32",
        name=f"Adam on {count:,} parameters",
        contestants={"fastnn": ours, "PyTorch": torch},
        reference=reference,
        rtol=1e-5,
        atol=1e-6,
        bytes=4.0 * TOUCHED * count,
    )
