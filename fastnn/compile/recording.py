"""A recording: the kernel calls that eager code would have made, in order, and what the memory they touch is for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import CO_VARARGS
from types import FrameType
from typing import Any, TypeAlias

import numpy as np

from ..errors import DTypeError, StateError
from ..kernels import Instruction
from ..nn import Module
from ..tensor import Array, Tensor, mode
from ..unfilled import plain
from .constants import Constants
from .memory import Range, extent, moved, root, touching
from .placeholder import Placeholder

Roots: TypeAlias = dict[int, Array]  # arrays that own memory, by id


@dataclass
class Recording:
    """Kernel calls on memory that holds no values yet.

    Attributes
    ----------
    instructions
        The kernel calls in program order.
    inputs
        Arrays that the caller fills before each run.
    outputs
        Arrays that the caller reads after each run.
    state
        Arrays that live longer than the program: parameters, buffers, optimiser state.
    guards
        Arrays whose values eager code would have checked, each with the function that checks them.
    constants
        What passes compute from weights that stay as they are.
    """

    instructions: list[Instruction] = field(default_factory=list)
    inputs: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    state: list[Array] = field(default_factory=list)
    guards: list[tuple[Array, Callable[[Array], None]]] = field(default_factory=list)
    constants: Constants = field(default_factory=Constants, repr=False)
    _begun: FrameType | None = field(default=None, repr=False)  # whose calls, and those of what it calls, are noted
    _roots: dict[int, tuple[Instruction, Roots, Roots]] = field(default_factory=dict, repr=False)
    _extents: dict[int, tuple[Instruction, list[Range], list[Range]]] = field(default_factory=dict, repr=False)

    @property
    def under_way(self) -> bool:
        """Whether the kernel calls of this thread are noted here now."""
        return bool(mode.run == self.append)

    def tensor(self, data: Array) -> Placeholder:
        """A tensor in the memory `data`, which will have values when the program runs."""
        return Placeholder(data, self)

    def append(self, kernel: str, *operands: Any) -> None:
        """Note a kernel call instead of making it. Raises StateError if it is no part of the program: see `_come_between`."""
        if line := _come_between(self._begun):
            raise StateError(
                f"{kernel} at {line}: a signal handler or finaliser has come between while a program is being recorded, "
                "of which its operations would become a part; let it note what is to be done, and do that later"
            )
        self.instructions.append(Instruction(kernel, tuple(map(plain, operands))))

    def guard(self, array: Array, check: Callable[[Array], None], data_only: bool = False) -> None:
        """Note a check of values that are not there yet; a check that is for data only is left out where the program computes them."""
        array = plain(array)
        if not (data_only and any(id(root(array)) in self.roots(instruction)[0] for instruction in self.instructions)):
            self.guards.append((array, check))

    def roots(self, instruction: Instruction) -> tuple[Roots, Roots]:
        """The roots of what an instruction writes and of what it reads; the passes ask again and again, so they are found once."""
        known = self._roots.get(id(instruction))
        if known is None:
            known = self._roots[id(instruction)] = instruction, _roots_of(instruction.outputs), _roots_of(instruction.inputs)
        return known[1], known[2]

    def extents(self, instruction: Instruction) -> tuple[list[Range], list[Range]]:
        """The extents of the arrays that an instruction writes and of those that it reads, found once."""
        known = self._extents.get(id(instruction))
        if known is None:
            written, read = ([extent(a) for a in arrays] for arrays in (instruction.outputs, instruction.inputs))
            known = self._extents[id(instruction)] = instruction, written, read
        return known[1], known[2]

    def depend(self, one: Instruction, other: Instruction) -> bool:
        """Whether the order of two instructions matters: if one writes what the other touches."""
        (written, read), (other_written, other_read) = self.extents(one), self.extents(other)
        return touching(written, other_written) or touching(written, other_read) or touching(read, other_written)

    def temporaries(self) -> Roots:
        """The memory that only the program itself uses: written before it is read, and neither input nor state."""
        outside = {id(root(a)) for a in (*self.inputs, *self.state)}
        found: Roots = {}
        for instruction in self.instructions:
            written, read = self.roots(instruction)
            outside.update([key for key in read if key not in found])
            found.update([item for item in written.items() if item[0] not in outside])
        return found

    def uses(self) -> dict[int, list[int]]:
        """For each root by id, the indices of the instructions that touch it, in order; outputs are touched once more at the end."""
        found: dict[int, list[int]] = {}
        for i, instruction in enumerate(self.instructions):
            written, read = self.roots(instruction)
            for key in {**written, **read}:
                found.setdefault(key, []).append(i)
        for a in self.outputs:
            found.setdefault(id(root(a)), []).append(len(self.instructions))
        return found

    def substitute(self, change: Callable[[Array], Array]) -> None:
        """Replace every array operand, input and output by what `change` makes of it."""
        self.instructions = [_changed(instruction, change) for instruction in self.instructions]
        self._roots.clear()
        self._extents.clear()
        self._substitute_ends(change)

    def relocate(self, origin: Array, place: Array) -> None:
        """Let all that lies in the memory of the root `origin` lie in the bytes `place` instead."""

        def change(a: Array) -> Array:
            return moved(a, origin, place, 0) if root(a) is origin else a

        for i, instruction in enumerate(self.instructions):
            if any(id(origin) in roots for roots in self.roots(instruction)):
                self.instructions[i] = _changed(instruction, change)
                self._roots.pop(id(instruction), None)
                self._extents.pop(id(instruction), None)
        self._substitute_ends(change)

    def _substitute_ends(self, change: Callable[[Array], Array]) -> None:
        self.inputs = [change(a) for a in self.inputs]
        self.outputs = [change(a) for a in self.outputs]
        self.guards = [(change(a), check) for a, check in self.guards]


def _roots_of(arrays: Sequence[Array]) -> Roots:
    return {id(owner): owner for owner in map(root, arrays)}


def _changed(instruction: Instruction, change: Callable[[Array], Array]) -> Instruction:
    return Instruction(instruction.kernel, tuple([change(x) if isinstance(x, np.ndarray) else x for x in instruction.operands]))


@contextmanager
def recording(state: Sequence[Array] = ()) -> Iterator[Recording]:
    """Note all kernel calls of this thread in the body of a `with` statement instead of making them."""
    result = Recording(state=list(state), _begun=sys._getframe(2))  # behind the context manager
    before = mode.run, mode.guard, mode.tensor
    mode.run, mode.guard, mode.tensor = result.append, result.guard, result.tensor
    try:
        yield result
    finally:
        mode.run, mode.guard, mode.tensor = before
        result._begun = None


def _come_between(begun: FrameType | None) -> str:
    """The line of a signal handler or finaliser that has interrupted what the frame `begun` does, and is running; else an empty string.

    A handler is called with the frame that it interrupts, out of which it is called.
    """
    frame: FrameType | None = sys._getframe(2)
    while begun is not None and frame is not None and frame is not begun:
        code, back = frame.f_code, frame.f_back
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS)]
        if code.co_name == "__del__" or (back is not None and _is_among(back, map(frame.f_locals.get, names))):
            return f"{code.co_filename}:{frame.f_lineno}"
        frame = back
    return ""


def _is_among(frame: FrameType, arguments: Iterable[Any]) -> bool:
    return any(x is frame or (type(x) is tuple and any(y is frame for y in x)) for x in arguments)


def recorded(model: Module, record: Callable[[], Recording]) -> Recording:
    """What `record`, which calls `model`, returns.

    Where modules keep tensors of a call, it is called once more: a program carries nothing from one run to the next, so reading what the
    first call has kept raises StateError. Modules hold what they held before when an error is raised.
    """
    before = [(module, dict(vars(module))) for module in model.modules()]
    try:
        found = record()
        return record() if any(_keeps(vars(module)) for module, _ in before) else found
    except BaseException:
        for module, held in before:
            vars(module).clear()
            vars(module).update(held)
        raise


def _keeps(value: Any) -> bool:
    """Whether a value is a tensor without values, or holds one."""
    if isinstance(value, dict):
        return any(map(_keeps, value.values()))
    return isinstance(value, Placeholder) or (isinstance(value, (tuple, list)) and any(map(_keeps, value)))


def outputs_of(result: Any) -> list[Array]:
    """The memory of what a model returned: a tensor, or several in a tuple or a list. Raises DTypeError for anything else."""
    several = list(result) if isinstance(result, (tuple, list)) else [result]
    for x in several:
        if not isinstance(x, Tensor):
            within = f" that holds a {type(x).__name__}" if x is not result else ""
            raise DTypeError(f"a compiled model must return a tensor, or several in a tuple or list, got a {type(result).__name__}{within}")
    return [plain(x.data) for x in several]
