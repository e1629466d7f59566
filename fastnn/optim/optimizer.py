"""The base of all optimisers: parameter groups, the step, and saving."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from .._arguments import function, instance, iterable, whole
from ..errors import ArgumentError, DTypeError, StateError, shown
from ..tensor import FLOATS, Array, Tensor, as_array, run
from . import hyperparameters
from .block import Block, Rule
from .numbers import Numbers

Group: TypeAlias = dict[str, Any]
Parameters: TypeAlias = "Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Mapping[str, Any]]"


class _Held(NamedTuple):
    """What stands behind one parameter group: its hyperparameters as kernels read them, and its blocks, one for each dtype."""

    numbers: Numbers
    blocks: list[Block]


class Optimizer:
    """Updates tensors from their gradients; the surface is that of `torch.optim`.

    The parameters of each group move into one flat buffer, so that one kernel call updates them all: their `data` are views of it
    from now on.

    Parameters
    ----------
    params
        Tensors that require gradients; or pairs (name, tensor); or groups, dictionaries with such an iterable under "params" and
        hyperparameters of their own.
    defaults
        The hyperparameters of groups that name none.

    Attributes
    ----------
    param_groups
        A list of dictionaries: "params", and the group's hyperparameters, which may be changed between steps.

    Raises
    ------
    ArgumentError
        If there are no parameters, one occurs twice or is the result of an operation, or a hyperparameter is out of its range.
    DTypeError
        If `params` holds anything but float tensors.
    """

    step_is_saved: ClassVar[bool] = True  # whether a saved state without a step count, as PyTorch has for SGD, is wrong

    def __init__(self, params: Parameters, defaults: Group) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self._held: list[_Held] = []
        if isinstance(params, (Tensor, Mapping, np.ndarray)):
            raise DTypeError(f"params must be an iterable of tensors or of dictionaries, got a single {type(params).__name__}")
        entries: list[Any] = iterable("params", params, "an iterable of tensors or of dictionaries")
        if not entries:
            raise ArgumentError("params: an optimiser needs at least one parameter, got none")
        groups = entries if all(isinstance(entry, Mapping) for entry in entries) else [{"params": entries}]
        checked: list[Group] = []
        for group in groups:
            checked.append(self._checked(group, checked))
        for group in checked:
            self._install(group)

    def rule(self, group: Group) -> Rule:
        """The kernels that update a group with these hyperparameters."""
        raise NotImplementedError(f"{type(self).__name__} defines no rule()")

    def initial(self, group: Group, name: str) -> float:
        """What the state `name` holds before the first step."""
        return 0.0

    def check(self, group: Group) -> None:
        """Raise ArgumentError or DTypeError if a hyperparameter is not what it must be."""
        hyperparameters.check(type(self).__name__, group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Train more parameters: a dictionary with "params" and any hyperparameters that differ from the defaults.

        Raises what building the optimiser with that group would raise.
        """
        self._install(self._checked(param_group, self.param_groups))

    def _checked(self, param_group: Mapping[str, Any], others: list[Group]) -> Group:
        if not isinstance(param_group, Mapping):
            raise DTypeError(f'a parameter group must be a dictionary with the key "params", got {type(param_group).__name__}')
        if "params" not in param_group:
            raise ArgumentError(f'a parameter group must have the key "params", got {", ".join(map(repr, param_group)) or "none"}')
        given = param_group["params"]
        entries = [given] if isinstance(given, Tensor) else iterable('param_group["params"]', given, "an iterable of tensors")
        for i, entry in enumerate(entries):
            if isinstance(entry, tuple) and not (len(entry) == 2 and isinstance(entry[0], str)):
                raise DTypeError(f"params[{i}] must be a tensor or a pair (name, tensor), got {shown(entry)}")
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        if names and len(names) != len(entries):
            raise ArgumentError("params must be all tensors or all pairs (name, tensor), got both")
        params = [entry[1] for entry in entries] if names else entries
        group: Group = {**self.defaults, **param_group, "params": params, **({"param_names": names} if names else {})}
        self.check(group)
        seen = {id(p) for other in others for p in other["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise DTypeError(f"params[{i}] must be a tensor, got {type(p).__name__}")
            if p.dtype not in FLOATS:
                raise DTypeError(f"params[{i}] must be float32 or float64, got {p.dtype}")
            if not p.is_leaf:
                raise ArgumentError(f"params[{i}] is the result of an operation; only leaves can be optimised")
            if id(p) in seen:
                raise ArgumentError(f"params[{i}], of shape {p.shape}, is there twice; each parameter may belong to one group, once")
            seen.add(id(p))
        return group

    def _install(self, group: Group) -> None:
        rule = self.rule(group)
        by_dtype: dict[np.dtype[Any], list[Tensor]] = {}
        for p in group["params"]:
            by_dtype.setdefault(p.dtype, []).append(p)
        held = _Held(Numbers(group), [])
        for params in by_dtype.values():
            held.blocks.append(Block(params, rule, held.numbers.views, lambda name: self.initial(group, name)))
        self.param_groups.append(group)
        self._held.append(held)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    run("copy", p.grad.data, np.zeros((), p.dtype))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; those whose `grad` is None stay as they are.

        Parameters
        ----------
        closure
            Computes the loss and its gradients anew; its result is returned.

        Raises
        ------
        DTypeError
            If `closure` is no function.
        ShapeError, StateError
            If a gradient does not have its parameter's shape and dtype, or a parameter got another shape or dtype.
        """
        if closure is not None:
            function("closure", closure)
        loss = None if closure is None else closure()
        self.sync()
        self.update()
        return loss

    def sync(self) -> None:
        """The part of a step that looks at Python's values: hand the hyperparameters in `param_groups` to the kernels."""
        for group, held in zip(self.param_groups, self._held, strict=True):
            held.numbers.read(group)
            rule = self.rule(group)
            for block in held.blocks:
                block.sync(rule)

    def update(self) -> None:
        """The part of a step that consists of kernel calls alone, so that a program can hold it; `sync` goes before each replay."""
        for held in self._held:
            for block in held.blocks:
                block.update()

    @property
    def numbers(self) -> list[Numbers]:
        """The hyperparameters of each group as `update` reads them; `sync` writes them, or a program at each of its steps."""
        return [held.numbers for held in self._held]

    @property
    def serial(self) -> int:
        """A number that changes whenever the kernel calls of `update`, or the buffers that they work on, do."""
        return max((block.serial for held in self._held for block in held.blocks), default=0)

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """Per parameter that has been updated: its counters, and its moments as arrays that share memory with the optimiser."""
        return {p: entry for p, entry in self._entries() if entry}

    def arrays(self) -> list[Array]:
        """All memory that `update` works on besides the parameters: gradients, moments, counters, factors and hyperparameters."""
        found: list[Array] = []
        for held in self._held:
            found.append(held.numbers.values)
            for block in held.blocks:
                found += [block.param, block.grad, *block.state.values(), *block.counters.values(), *block.factors.values()]
        return found

    def _places(self) -> list[tuple[Tensor, Block, int]]:
        """All parameters in the order of `param_groups`, each with its block and its number there."""
        places = []
        for group, held in zip(self.param_groups, self._held, strict=True):
            where = {id(p): (block, i) for block in held.blocks for i, p in enumerate(block.params)}
            places += [(p, *where[id(p)]) for p in group["params"]]
        return places

    def _entries(self) -> list[tuple[Tensor, dict[str, Any]]]:
        return [(p, block.entry(i)) for p, block, i in self._places()]

    def state_dict(self) -> dict[str, Any]:
        """A snapshot of everything that further steps depend on, besides the parameters, in PyTorch's layout.

        {"state": {index: {"step": number, "exp_avg": array, ...}}, "param_groups": [{"lr": ..., "params": [index, ...]}, ...]}, where
        parameters are numbered through all groups.
        """
        state = {i: copy.deepcopy(entry) for i, (_, entry) in enumerate(self._entries()) if entry}
        groups, start = [], 0
        for group in self.param_groups:
            stop = start + len(group["params"])
            groups.append({**{k: copy.copy(v) for k, v in group.items() if k != "params"}, "params": list(range(start, stop))})
            start = stop
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned, here or in PyTorch; hyperparameters are loaded too.

        Raises, before anything changes, StateError if it does not fit these parameters or this optimiser, DTypeError if it is no mapping.
        """
        instance("state_dict", state_dict, Mapping, "a mapping, as state_dict() returns it")
        missing = [key for key in ("state", "param_groups") if key not in state_dict]
        if missing:
            raise StateError(f"state_dict must have the keys 'state' and 'param_groups', {' and '.join(map(repr, missing))} is missing")
        saved, own = _groups(state_dict), self.param_groups
        sizes, wanted = [len(group["params"]) for group in saved], [len(group["params"]) for group in own]
        if sizes != wanted:
            raise StateError(f"state_dict has parameter groups of {sizes} parameters, this optimiser has groups of {wanted}")
        groups = [{**old, **{k: copy.copy(v) for k, v in new.items() if k != "params"}} for old, new in zip(own, saved, strict=True)]
        for group in groups:
            self.check(group)
        rules = [self.rule(group) for group in groups]
        keys = [key for group in saved for key in group["params"]]
        per_parameter = [rule for rule, n in zip(rules, wanted, strict=True) for _ in range(n)]
        entries = []
        for (p, _, _), key, rule in zip(self._places(), keys, per_parameter, strict=True):
            found = instance(f"state_dict: the state of parameter {key!r}", state_dict["state"].get(key, {}), Mapping, "a mapping")
            entry = {name: value for name, value in found.items() if value is not None}
            self._check_entry(entry, p, key, rule)
            entries.append(entry)
        for old, new, held, rule in zip(own, groups, self._held, rules, strict=True):
            old.update(new)
            for block in held.blocks:
                block.use(rule)
        for (_, block, i), entry in zip(self._places(), entries, strict=True):
            block.load(i, entry)

    def _check_entry(self, entry: Mapping[str, Any], p: Tensor, key: Any, rule: Rule) -> None:
        """Raise StateError unless `entry` is the saved state of `p`."""
        where = f"state_dict: parameter {key!r} of {type(self).__name__}"
        needed = {*rule.counters, *rule.state}
        optional: set[str] = set() if self.step_is_saved else {"step"}
        if entry and set(entry) | optional != needed | optional:
            raise StateError(f"{where} must have the state {', '.join(sorted(needed)) or 'none'}, got {', '.join(sorted(entry))}")
        for name, value in entry.items():
            shape, array = p.shape if name in rule.state else (), as_array(value, name)
            if array.shape != shape or array.dtype.kind not in "biuf":
                raise StateError(f"{where}: {name} must hold numbers of shape {shape}, got {array.dtype} of shape {array.shape}")
            if name in rule.counters and not array >= 0:
                raise StateError(f"{where}: {name} must be a number of at least 0, got {array}")

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines += [f"Parameter Group {i}", *[f"    {k}: {v}" for k, v in sorted(group.items()) if k not in ("params", "param_names")]]
        return "\n".join([f"{type(self).__name__} (", *lines, ")"])


def _groups(state_dict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parameter groups of a saved state, when that is built as it must be. Raises StateError or DTypeError."""
    instance('state_dict["state"]', state_dict["state"], Mapping, "a mapping")
    groups = iterable('state_dict["param_groups"]', state_dict["param_groups"], "a list of dictionaries")
    for i, group in enumerate(groups):
        where = f'state_dict["param_groups"][{i}]'
        if "params" not in instance(where, group, Mapping, "a dictionary"):
            raise StateError(f'{where} must have the key "params", got {", ".join(map(repr, group)) or "none"}')
        for key in iterable(f'{where}["params"]', group["params"], "a list of parameter numbers"):
            whole(f'{where}["params"]', key)
    return groups
