"""Parameters in one flat buffer, and the kernel calls that update them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count, groupby
from typing import Any

import numpy as np

from .. import kernels
from ..errors import ShapeError, StateError
from ..kernels import KERNELS, Instruction, Program, divided_in_turn
from ..tensor import Array, Tensor, mode, run
from .flat import Layout

SHARED = 1 << 16  # fewer parameters than this are updated sooner than another thread wakes up
_serial = count(1)


COUNTERS = {"step": 0.0, "mu_product": 1.0}  # numbers that optimisers keep for each parameter, and what they start at


class Rule:
    """The two kernels of an optimiser: what its hyperparameters come to at a step, and the update.

    Operands are found by the names of the kernels' parameters, so that kernels are all that an optimiser has to define: `param` and
    `grad`; factors, which the first kernel writes in the dtype of the parameters; `COUNTERS` and hyperparameters, which it reads as
    float64; whatever else the second kernel takes is the optimiser's state, laid out like the parameters.
    """

    def __init__(self, factor_kernel: str, update_kernel: str) -> None:
        self.factor_kernel = factor_kernel
        self.update_kernel = update_kernel
        kinds = {name: parameter.kind for name, parameter in KERNELS[factor_kernel].signature.parameters.items()}
        self.factor_operands = tuple(kinds)
        self.update_operands = tuple(KERNELS[update_kernel].signature.parameters)
        self.counters = [name for name in self.factor_operands if name in COUNTERS]
        self.factors = [name for name, kind in kinds.items() if kind == "float"]
        self.hyperparameters = [name for name in self.factor_operands if name not in (*self.factors, *self.counters)]
        self.state = [name for name in self.update_operands if name not in ("param", "grad", *self.factors)]


class Block:
    """The parameters of one group that have the same dtype.

    Building it moves the values of the parameters into a flat buffer, of which they become views, and gives their gradients a place in
    a second one; where they lie in such buffers already, it takes those. `serial` changes whenever the kernel calls of `update` do.

    Parameters
    ----------
    params
        The tensors, all of one dtype.
    rule
        The kernels that update them.
    numbers
        The hyperparameters, as float64 arrays of no dimension; whoever owns them writes the current values into them.
    initial
        What each kind of state starts at.
    """

    def __init__(self, params: list[Tensor], rule: Rule, numbers: Mapping[str, Array], initial: Callable[[str], float]) -> None:
        self.params = params
        self.numbers = numbers
        self.layout = Layout([p.shape for p in params], params[0].dtype)
        self.initial = initial
        self.counters: dict[str, Array] = {}
        self.state: dict[str, Array] = {}
        self.factors: dict[str, Array] = {}
        self.param = self._adopt_or_copy()
        self.views = [p.data for p in params]
        self.grad = self._adopt_or_make_homes()
        self.homes = [p._home for p in params]
        self._program = Program([])
        self.use(rule)

    def use(self, rule: Rule) -> None:
        """Update by these kernels from now on; state that both have goes on as it is."""
        self.rule = rule
        for name in rule.counters:
            self.counters.setdefault(name, np.full(len(self.params), COUNTERS[name]))
        for name in rule.state:
            if name not in self.state:
                self.state[name] = self.layout.full(self.initial(name))
        self.factors = {name: np.zeros(len(self.params), self.layout.dtype) for name in rule.factors}
        self._forget_plan()

    def _forget_plan(self) -> None:
        self._present: tuple[bool, ...] | None = None
        self.serial = next(_serial)

    def _adopt_or_copy(self) -> Array:
        flat = self.layout.adopt([p.data for p in self.params])
        if flat is None:
            flat = self.layout.full()
            for p, view in zip(self.params, self.layout.views(flat), strict=True):
                view[...] = p.data
                p.data = view
        return flat

    def _adopt_or_make_homes(self) -> Array:
        homes = [p._home for p in self.params if p._home is not None]
        flat = self.layout.adopt(homes) if len(homes) == len(self.params) else None
        if flat is None:
            flat = self.layout.full()
            for p, home in zip(self.params, self.layout.views(flat), strict=True):
                p._home = home
        return flat

    def sync(self, rule: Rule) -> None:
        """Get ready for `update`: by these kernels, with parameters whose `data` other code has replaced back in the buffer.

        Raises StateError if the new data have another shape or dtype.
        """
        if rule is not self.rule:
            self.use(rule)
        if any(p.data is not view for p, view in zip(self.params, self.views, strict=True)):
            for i, (p, view) in enumerate(zip(self.params, self.views, strict=True)):
                if p.shape != view.shape or p.dtype != view.dtype:
                    raise StateError(
                        f"parameter {i} of an optimiser was {view.dtype} of shape {view.shape} and is now {p.dtype} of shape {p.shape}; "
                        "build a new optimiser for it"
                    )
            flat = self.layout.adopt([p.data for p in self.params])
            if flat is not None:
                self.param, self.views = flat, [p.data for p in self.params]
                self._forget_plan()
            else:
                values = [p.data.copy() for p in self.params]  # the new data may lie in this very buffer, in another order
                for p, view, value in zip(self.params, self.views, values, strict=True):
                    view[...] = value
                    p.data = view
        for p, home in zip(self.params, self.homes, strict=True):
            p._home = home

    def update(self) -> None:
        """Update the parameters that have a gradient. Raises ShapeError if a gradient does not have its parameter's shape and dtype."""
        present = tuple([p.grad is not None for p in self.params])
        if present != self._present:
            self._plan(present)
        for p, home in zip(self.params, self.homes, strict=True):
            if p.grad is not None and p.grad.data is not home:
                if p.grad.shape != p.shape or p.grad.dtype != p.dtype:
                    raise ShapeError(
                        f"grad must be {p.dtype} of shape {p.shape} like its parameter, got {p.grad.dtype} of shape {p.grad.shape}"
                    )
                run("copy", home, p.grad.data)
        if mode.run is kernels.run:
            self._program.run()  # as the calls below, but made ready once
        else:
            for kernel, operands in self._program.instructions:
                run(kernel, *operands)

    def _plan(self, present: tuple[bool, ...]) -> None:
        """The calls of `update`: one pair for each run of parameters that have a gradient and were updated equally often."""

        def key(i: int) -> tuple[float, ...] | None:
            return tuple([float(counter[i]) for counter in self.counters.values()]) if present[i] else None

        calls: list[Instruction] = []
        alone: list[bool] = []
        for found, indices in groupby(range(len(self.params)), key):
            if found is not None:
                consecutive = list(indices)
                start, stop = consecutive[0], consecutive[-1] + 1
                calls += self._pair(start, stop)
                alone += [True, self.layout.starts[stop] - self.layout.starts[start] < SHARED]
        self._program = Program(calls, None if all(alone) else divided_in_turn(calls, alone))
        if self._present is not None:  # from now on the counters of parameters that shared calls may differ
            self.serial = next(_serial)
        self._present = present

    def _pair(self, start: int, stop: int) -> list[Instruction]:
        """The kernel calls that update the parameters from `start` up to `stop`."""
        rule = self.rule
        per_parameter = {name: array[start:stop] for name, array in {**self.counters, **self.factors}.items()}
        extent = slice(self.layout.starts[start], self.layout.starts[stop])
        flat = {name: array[extent] for name, array in {"param": self.param, "grad": self.grad, **self.state}.items()}
        # All of these parameters have the same factors, so the update reads those of the first one.
        single = {name: array[start : start + 1] for name, array in self.factors.items()}
        return [
            Instruction(rule.factor_kernel, tuple([{**self.numbers, **per_parameter}[name] for name in rule.factor_operands])),
            Instruction(rule.update_kernel, tuple([{**flat, **single}[name] for name in rule.update_operands])),
        ]

    def entry(self, i: int) -> dict[str, Any]:
        """Counters and state of parameter `i`, the state as views; empty before its first update."""
        counters = {name: float(self.counters[name][i]) for name in self.rule.counters}
        if not counters.get("step"):
            return {}
        return {**counters, **{name: self.layout.view(self.state[name], i) for name in self.rule.state}}

    def load(self, i: int, entry: Mapping[str, Any]) -> None:
        """Set counters and state of parameter `i` to an entry that `check_entry` has accepted."""
        for name in self.rule.counters:
            # PyTorch counts no steps where it needs none; that there is state means that there was one.
            self.counters[name][i] = float(np.asarray(entry.get(name, 1.0))) if entry else COUNTERS[name]
        for name in self.rule.state:
            self.layout.view(self.state[name], i)[...] = np.asarray(entry[name]) if entry else self.initial(name)
        self._forget_plan()
