"""Compiled inference: the forward pass of a model in evaluation mode, with its weights as they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..kernels import get_backend
from ..nn import Module
from ..tensor import Array, Tensor, as_array, no_grad, to_array
from .constants import Constants
from .feeding import fed_dtype, feed
from .passes.memory_plan import Bytes
from .plan import Plan
from .recording import Recording, outputs_of, recorded, recording
from .settings import Settings
from .snapshot import snapshot

KEPT_PLANS = 16  # batch shapes whose plans a thread keeps


class _Plans(threading.local):
    """The plans of one thread: by the shapes and dtypes of all inputs, and, ready to run, by the shape of a single one.

    They work in one arena, which is `taken` while one of them runs: a call inside a call needs others.
    """

    def __init__(self) -> None:
        self.taken = False
        self.arena: Bytes | None = None
        self.by_kinds: dict[Any, Plan] = {}
        self.by_shape: dict[tuple[int, ...], tuple[Callable[..., bool], Callable[[Array], None], Array]] = {}

    def clear(self) -> None:
        """Forget all plans."""
        self.by_kinds.clear()
        self.by_shape.clear()


class InferenceModel:
    """A model's forward pass in evaluation mode as a program; calling it with arrays returns arrays.

    Layers, settings and mode are those of the moment of its making; what happens to the model later changes nothing, nor does recording
    touch the model. Any number of threads may call it at once: they share the weights, and each works in an arena of its own.

    Parameters
    ----------
    model
        What to compute.
    live
        True: the program reads the weights where the model has them, and follows further training, and what becomes of layers and settings.
        False: it holds a copy of them, which lets it put normalisation into the weights and lay these out for speed; each once, in the
        form in which programs read it.

    Raises
    ------
    DTypeError
        If `model` is no module.
    """

    def __init__(self, model: Module, live: bool = False) -> None:
        if not isinstance(model, Module):
            raise DTypeError(f"model must be a module, got {type(model).__name__}")
        self.live = live
        self.dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
        self._settings = Settings(model, modes=False) if live else None
        self._lock = threading.Lock()  # what is made of the weights is made once
        self._take(model)

    def _follow(self, settings: Settings) -> None:
        """Begin anew if the model has other layers or settings, or an optimiser has moved its weights into a buffer."""
        if settings.number != self._number or any(t.data is not data for t, data in self._held):
            self._take(settings.modules[0])

    def _take(self, model: Module) -> None:
        """Forget all programs; those to come are of the model as it is now."""
        if self._settings is not None:
            self._number = self._settings.number
            self._held = [(t, t.data) for t in (*model.parameters(), *model.buffers())]
        self._model = snapshot(model, self.live)
        self._weights = [*self._model.parameters(), *self._model.buffers()]
        self._constants = Constants([] if self.live else self._weights)
        self._plans = _Plans()

    def __call__(self, *inputs: Any) -> Any:
        """The model's output for these inputs, float arrays of the model's dtype; other floats are converted, bytes (uint8) mean x / 255.

        Raises
        ------
        ShapeError, DTypeError
            If the inputs do not fit the model.
        """
        if self._settings is not None:
            self._follow(self._settings)
        plans = _Plans() if self._plans.taken else self._plans
        if len(inputs) == 1 and type(x := inputs[0]) is np.ndarray and x.dtype == self.dtype:
            ready = plans.by_shape.get(x.shape)
            if ready is not None:
                short, run_on, output = ready
                if get_backend() == "numba" and short(y := np.empty(output.shape, output.dtype), x):
                    return y
                plans.taken = True
                try:
                    run_on(x)
                    return output.copy()
                finally:
                    plans.taken = False
        values = tuple([x.data if isinstance(x, Tensor) else as_array(x, "input") for x in inputs])
        plan = self._plan(values, plans)
        plans.taken = True
        try:
            for place, value in zip(plan.inputs, values, strict=True):
                feed(place, value)
            plan.program.run()
            return plan.outputs[0].copy() if len(plan.outputs) == 1 else tuple([a.copy() for a in plan.outputs])
        finally:
            plans.taken = False

    def plan(self, *inputs: Any) -> Plan:
        """The plan for inputs of these shapes."""
        return self._plan(tuple(np.asarray(x) for x in inputs), self._plans)

    def _plan(self, values: tuple[Array, ...], plans: _Plans) -> Plan:
        key = tuple([(v.shape, v.dtype) for v in values])
        plan = plans.by_kinds.get(key)
        if plan is None:
            if not values:
                raise ShapeError("a compiled model needs at least one input, got none")
            with self._lock, self._constants.at_hand():
                plan = Plan(recorded(self._model, lambda: self._record(values)), plans.arena, fold=not self.live)
                plan.recording.state = []  # which would keep weights that no program reads
            if plan.arena is not plans.arena or len(plans.by_kinds) >= KEPT_PLANS:  # what lies in a smaller arena is recorded anew
                plans.clear()
                plans.arena = plan.arena
            plans.by_kinds[key] = plan
            if len(plan.outputs) == 1 and plan.program.moving is not None and values[0].dtype == self.dtype:
                output = plan.outputs[0]
                plans.by_shape[values[0].shape] = plan.program.short(output), plan.program.run_on, output
        return plan

    def _record(self, values: tuple[Array, ...]) -> Recording:
        kinds = [to_array(v[:0] if v.ndim else v, self.dtype if v.dtype.kind == "f" else None, "input") for v in values]
        with recording([t.data for t in self._weights]) as found, no_grad():
            found.constants = self._constants
            inputs = [found.tensor(np.empty(v.shape, fed_dtype(kind, self.dtype))) for v, kind in zip(values, kinds, strict=True)]
            found.inputs = [t.data for t in inputs]
            result = self._model(*inputs)
            found.outputs = outputs_of(result)
        return found


def compile_inference(model: Module) -> InferenceModel:
    """The forward pass of `model` in evaluation mode, without Python in between: dropout is gone, batch norm is part of the weights.

    The weights are those of this moment; compile again after further training. Raises DTypeError if `model` is no module.
    """
    return InferenceModel(model)
