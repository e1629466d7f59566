"""Modules: objects that own parameters and buffers, may contain other modules, and compute a function of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from .._arguments import function
from ..errors import ArgumentError, DTypeError, StateError, unknown_name
from ..tensor import FLOATS, Array, Tensor, one_of, run, to_array
from ._changes import changes
from ._state import IncompatibleKeys, load
from .parameter import Parameter

M = TypeVar("M", bound="Module")
T = TypeVar("T")


class Module:
    """Base of all layers and models: assign parameters and modules to attributes, and define `forward`.

    Whatever `Parameter` or `Module` is an attribute belongs to the module; buffers, which are state that is not trained, are named by
    `register_buffer`. There is nothing else to it: the attributes themselves are the only record.
    """

    training: bool = True
    _buffers: Mapping[str, bool] = MappingProxyType({})  # the names of the buffers -> whether they belong to the state_dict

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        held = vars(self).get(name)
        for kind, is_one in ((Parameter, isinstance(held, Parameter)), (Module, isinstance(held, Module)), (Tensor, name in self._buffers)):
            if is_one and value is not None and not isinstance(value, kind):
                raise DTypeError(f"{type(self).__name__}.{name} must stay a {kind.__name__} or become None, got {type(value).__name__}")
        changes[0] += 1
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        changes[0] += 1
        super().__delattr__(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name that may be computed. Raises ArgumentError if the name is taken or holds a dot."""
        self._register(name, param, Parameter)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name that may be computed. Raises ArgumentError if the name is taken or holds a dot."""
        self._register(name, module, Module)

    add_module = register_module

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Add a tensor (or array, or None) that is state of the module but is not trained.

        Parameters
        ----------
        name
            The attribute it becomes.
        tensor
            Its values; an array is not copied.
        persistent
            Whether it belongs to `state_dict`.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            tensor = Tensor(to_array(tensor, name=str(name)))
        self._register(name, tensor, Tensor)
        self._buffers = {**self._buffers, name: persistent}

    def _register(self, name: str, value: Any, kind: type) -> None:
        if not isinstance(name, str):
            raise DTypeError(f"{type(self).__name__}: the name of a {kind.__name__} must be text, got {type(name).__name__}")
        free = isinstance(vars(self)[name], (kind, type(None))) if name in vars(self) else not hasattr(self, name)
        if not name or "." in name or not free:
            raise ArgumentError(f"{type(self).__name__}: {name!r} cannot name a {kind.__name__}: it is empty, holds a dot, or is taken")
        if value is not None and not isinstance(value, kind):
            raise DTypeError(f"{type(self).__name__}.{name} must be a {kind.__name__} or None, got {type(value).__name__}")
        setattr(self, name, value)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one, each once, with their names."""
        seen: set[int] = set()
        for name, value in vars(self).items():
            if isinstance(value, Module) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def children(self) -> Iterator[Module]:
        """The modules directly inside this one, each once."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with their dotted paths."""
        seen: set[int] = set()
        for path, module in self._tree(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted paths; one that is used in several places comes once, under its first path."""
        return self._named(Module._own_parameters, prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted paths, each once."""
        return self._named(Module._own_buffers, prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _tree(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, a shared one under each of its paths."""
        yield prefix, self
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield from value._tree(_join(prefix, name))

    def _own_parameters(self) -> dict[str, Parameter]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def _own_buffers(self) -> dict[str, Tensor]:
        return {name: vars(self)[name] for name in self._buffers if vars(self).get(name) is not None}

    def _named(self, own: Callable[[Module], dict[str, T]], prefix: str, recurse: bool) -> Iterator[tuple[str, T]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in own(module).items():
                if id(value) not in seen:
                    seen.add(id(value))
                    yield _join(path, name), value

    def get_submodule(self, target: str) -> Module:
        """The module with the dotted path `target`, "" being this one. Raises UnknownNameError."""
        return _find("module", target, dict(self._tree()))

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted path `target`. Raises UnknownNameError."""
        return _find("parameter", target, {_join(path, n): p for path, m in self._tree() for n, p in m._own_parameters().items()})

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted path `target`. Raises UnknownNameError."""
        return _find("buffer", target, {_join(path, n): b for path, m in self._tree() for n, b in m._own_buffers().items()})

    def state_dict(self) -> dict[str, Array]:
        """All parameters and persistent buffers: dotted path -> array, in the order of their definition.

        The arrays share memory with the module, as in PyTorch: training changes them; `copy.deepcopy` the dictionary for a snapshot.
        """
        return {name: tensor.data for name, tensor in self._state().items()}

    def _state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = {}
        for path, module in self._tree():
            kept = {name: buffer for name, buffer in module._own_buffers().items() if module._buffers[name]}
            state |= {_join(path, name): value for name, value in {**module._own_parameters(), **kept}.items()}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Write saved values into the arrays of this module, all of them or, on an error, none.

        Parameters
        ----------
        state_dict
            Dotted path -> values: arrays, tensors of this library or of PyTorch, or whatever NumPy reads; they are converted to the dtype
            that the module has.
        strict
            Whether the names must be exactly those of `state_dict()`, but for `num_batches_tracked`, which older files lack. Otherwise the
            names that differ are returned.

        Raises
        ------
        StateError
            If names are missing or unexpected (strict), or values have another shape or are not numbers; the message lists them all.
        """
        return load(type(self).__name__, self._state(), state_dict, strict)

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below it to training mode (or to evaluation)."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self: M) -> M:
        """Switch this module and all below it to evaluation: dropout passes everything, batch norm uses its running statistics."""
        return self.train(False)

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call `fn` on every module below this one and then on itself, as in `model.apply(init_weights)`."""
        function("fn", fn)
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set whether the parameters are trained."""
        for parameter in self.parameters():
            parameter.requires_grad = bool(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                run("copy", parameter.grad.data, np.zeros((), parameter.dtype))

    def astype(self: M, dtype: Any) -> M:
        """Convert all float parameters and buffers to float32 or float64.

        Raises
        ------
        DTypeError
            For any other dtype.
        StateError
            If an optimiser holds the parameters: it would go on training the old ones.
        """
        dtype = one_of(FLOATS, dtype, "of a module: ")
        tensors = [t for t in (*self.parameters(), *self.buffers()) if t.dtype in FLOATS and t.dtype != dtype]
        if any(t._home is not None for t in tensors):
            raise StateError(
                f"astype(): an optimiser holds parameters of this {type(self).__name__}; convert it before, or convert a copy.deepcopy"
            )
        for t in tensors:
            t.data, t.grad = t.data.astype(dtype), None
        return self

    def double(self: M) -> M:
        """Convert to float64."""
        return self.astype(np.float64)

    def float(self: M) -> M:
        """Convert to float32."""
        return self.astype(np.float32)

    def embed(self, layer: str, *args: Any, **kwargs: Any) -> Any:
        """What the submodule `layer` (a dotted path) computes when this module is called with the other arguments.

        Of a layer that is used more than once, this is its last output. Raises UnknownNameError if there is no such layer, StateError if
        the call does not come to it.
        """
        target = self.get_submodule(layer)
        forward, outputs = target.forward, []

        def watched(*args: Any, **kwargs: Any) -> Any:
            outputs.append(forward(*args, **kwargs))
            return outputs[-1]

        own = {k: v for k, v in vars(target).items() if k == "forward"}
        vars(target)["forward"] = watched
        try:
            self(*args, **kwargs)
        finally:
            del vars(target)["forward"]
            vars(target).update(own)
        if not outputs:
            raise StateError(f"embed(): {type(self).__name__} did not use its layer {layer!r}")
        return outputs[-1]

    def extra_repr(self) -> str:
        """What `repr` shows of this module itself."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [f"({name}): {value!r}".replace("\n", "\n  ") for name, value in vars(self).items() if isinstance(value, Module)]
        if not lines:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}(", *filter(None, [extra]), *lines]) + "\n)"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _find(kind: str, target: str, table: dict[str, T]) -> T:
    if not isinstance(target, str) or target not in table:
        raise unknown_name(kind, target, table)
    return table[target]
