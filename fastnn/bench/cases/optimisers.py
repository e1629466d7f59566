"""An update of many parameters by each of the usual optimisers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ... import optim
from ...nn import Parameter
from ...tensor import Tensor
from .. import peers
from ..case import Array, Case, Contestant, Setting

COUNT = 10_000_000
QUICK_COUNT = 10_000
STRIDE_CHECKED = 997
LR = 1e-3
EPS = 1e-8


class Update(NamedTuple):
    """An optimiser: its name here and in PyTorch, its arguments, the first step from parameters and gradients, arrays read and written."""

    name: str
    arguments: dict[str, Any]
    reference: Callable[[Array, Array], Array]
    touched: int


def _adam(value: Array, gradient: Array) -> Array:
    result: Array = value - LR * gradient / (np.abs(gradient) + EPS)  # both averages are those of one gradient
    return result


UPDATES = {  # touched: the gradient read; the parameter and each moment read and written
    "Adam": Update("Adam", {}, _adam, 7),
    "AdamW": Update("AdamW", {"weight_decay": 0.1}, lambda value, gradient: _adam(value * (1 - LR * 0.1), gradient), 7),
    "SGD with momentum": Update("SGD", {"momentum": 0.9}, lambda value, gradient: value - LR * gradient, 5),
    "RMSprop": Update("RMSprop", {}, lambda value, gradient: value - LR * gradient / (np.sqrt(0.01) * np.abs(gradient) + EPS), 5),
}


def cases(setting: Setting) -> Iterator[Case]:
    """Each optimiser on ten million parameters."""
    count = QUICK_COUNT if setting.quick else COUNT

    @cache
    def data() -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        return rng.standard_normal(count).astype(np.float32), rng.standard_normal(count).astype(np.float32)

    for name, update in UPDATES.items():
        yield _case(f"{name} on {count:,} parameters", update, data, count, setting)


def _case(name: str, update: Update, data: Callable[[], tuple[Array, Array]], count: int, setting: Setting) -> Case:
    def ours() -> Contestant:
        value, gradient = data()
        p = Parameter(value.copy())
        optimiser = getattr(optim, update.name)([p], lr=LR, **update.arguments)
        (p * Tensor(gradient)).sum().backward()  # which leaves the gradient where the optimiser reads it
        return Contestant(optimiser.step, lambda: (optimiser.step(), p.data[::STRIDE_CHECKED].copy())[1])

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        value, gradient = data()
        p = torch.nn.Parameter(torch.from_numpy(value.copy()))
        p.grad = torch.from_numpy(gradient.copy())
        fused = {} if update.name == "RMSprop" else {"fused": True}  # which has no fused update
        optimiser = getattr(torch.optim, update.name)([p], lr=LR, **update.arguments, **fused)
        return Contestant(optimiser.step, lambda: (optimiser.step(), p.detach().numpy()[::STRIDE_CHECKED].copy())[1])

    def reference() -> Array:
        value, gradient = (a[::STRIDE_CHECKED].astype(np.float64) for a in data())
        return update.reference(value, gradient)

    return Case(
        group="optimiser update, float32",
        name=name,
        contestants={"fastnn": ours, "PyTorch": torch},
        reference=reference,
        rtol=1e-5,
        atol=1e-6,
        bytes=4.0 * update.touched * count,
    )
