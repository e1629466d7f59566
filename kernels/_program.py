"""Programs: a list of kernel calls on fixed memory, run again and again without Python in between."""

import ctypes
import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import _registry
from ._mailbox import ALWAYS, IF_OFTEN, LINE, OPEN
from ._registry import KERNELS, Kernel, as_record
from ._replay import Replay, address_of
from ._signature import Floats, Int, Ints
from ._team import get_num_threads, team

SHARING_PAYS = 65_000  # cycles below which several workers are no faster than one
WAKING_PAYS = 2_000_000  # cycles below which they are only faster if they are awake
COPYING_PAYS = 32 << 10  # bytes up to which a copy costs less than telling every instruction where to look
TRYING_PAYS = 4_000_000  # cycles of a program below which it depends on the machine, and on who else uses it, whether they are faster
TRIALS = 6  # runs, in turns by all workers and by one, whose shortest times decide
TRUST = 20  # how much longer than the trials took their outcome is relied on


class Instruction(NamedTuple):
    """One kernel call: the kernel's name and its operands, arrays and numbers, in the order of its signature."""

    kernel: str
    operands: tuple[Any, ...]

    @property
    def outputs(self) -> tuple[Any, ...]:
        """The operands that the kernel writes."""
        return self.operands[: KERNELS[self.kernel].signature.outputs]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The arrays that the kernel only reads."""
        return tuple(x for x in self.operands[KERNELS[self.kernel].signature.outputs :] if isinstance(x, np.ndarray))


class Work(NamedTuple):
    """What one worker does at a time: an instruction, or its share `part` of `parts` of one that several workers do."""

    instruction: Instruction
    part: int = 0
    parts: int = 1


Turn: TypeAlias = Work | None  # None: wait until all workers have come here
Division: TypeAlias = Callable[[int], Sequence[Sequence[Turn]]]  # a number of workers -> what each of them does, in order


def divided_in_turn(instructions: Sequence[Instruction], alone: Sequence[bool]) -> Division:
    """One instruction after the other, done by all workers together or, where `alone` says so, by the first one."""

    def division(parts: int) -> list[list[Turn]]:
        workers: list[list[Turn]] = [[] for _ in range(parts)]
        for instruction, single in zip(instructions, alone, strict=True):
            for part, turns in enumerate(workers):
                turns.append(None)
                if not single:
                    turns.append(Work(instruction, part, parts))
                elif part == 0:
                    turns.append(Work(instruction))
        return workers

    return division


def _interpret(table: Ints("I 4"), starts: Ints("P"), done: Ints("S"), repeat: Int, mailbox: Int) -> None: ...


def _answer(y: Floats("M"), /, x: Floats("N"), place: Floats("N"), result: Floats("M"), entry: Int, record: Int) -> None: ...


INTERPRET = Kernel("interpret", "execution", _interpret)
ANSWER = Kernel("answer", "execution", _answer)


class _Ready:
    """What one number of workers does, encoded: kernels not used before are compiled now.

    What lies in `moving` may be looked for elsewhere in each run: see `point`.
    """

    def __init__(self, workers: Sequence[Sequence[Turn]], moving: np.ndarray[Any, Any] | None) -> None:
        stretches = _stretches(workers)
        turns = [turn for stretch in stretches for turn in stretch]
        table = np.zeros((len(turns), 4), np.int64)
        records: dict[int, Any] = {}
        self.address = 0 if moving is None else address_of(moving)
        self.pointers: list[tuple[Any, int, int]] = []  # records, the words of them that lie in `moving`, and how far from its start
        for i, turn in enumerate(turns):
            key = id(turn.instruction)
            if key not in records:
                kernel, operands = KERNELS[turn.instruction.kernel], turn.instruction.operands
                record = as_record(kernel.signature.encode(operands))
                entry = kernel.entry(kernel.signature.dtypes(operands))
                records[key] = ctypes.cast(entry, ctypes.c_void_p).value, ctypes.addressof(record), record
                for word in kernel.signature.pointers() if moving is not None else ():
                    if 0 <= record[word] - self.address < moving.nbytes:
                        self.pointers.append((record, word, record[word] - self.address))
            table[i] = *records[key][:2], turn.part, turn.parts
        starts = np.cumsum([0, *map(len, stretches)])
        self.done = np.zeros((1 + len(workers)) * LINE, np.int64)
        self.repeat, self.mailbox = 1, 0
        self.call = as_record(INTERPRET.signature.encode((table, starts, self.done, self.repeat, self.mailbox)))
        self.entry = INTERPRET.entry("i8i8i8")
        self.entry_address: int = ctypes.cast(self.entry, ctypes.c_void_p).value or 0
        # what the entry is called with, ready for ctypes: the record, and that its caller is part 0 of 1
        self.arguments = ctypes.c_void_p(ctypes.addressof(self.call)), ctypes.c_int64(0), ctypes.c_int64(1)
        self.kept = table, starts, turns, records

    def point(self, address: int) -> None:
        """Look for what lies in `moving` at this address."""
        if address != self.address:
            for record, word, offset in self.pointers:
                record[word] = address + offset
            self.address = address

    def repeated(self, repeat: int) -> None:
        """Set how many times over the program is run."""
        if repeat != self.repeat:
            self.call[-2] = self.repeat = repeat

    def meet_in(self, mailbox: int) -> None:
        """Set at which address the mailbox of the team stands that runs the program."""
        if mailbox != self.mailbox:
            self.call[-1] = self.mailbox = mailbox


def _stretches(workers: Sequence[Sequence[Turn]]) -> list[list[Work]]:
    """What each worker does until all wait for the first time, then until they wait again, and so on."""
    edges = [[-1, *(i for i, turn in enumerate(turns) if turn is None), len(turns)] for turns in workers]
    found = [[turns[i + 1 : j] for i, j in pairwise(places)] for turns, places in zip(workers, edges, strict=True)]
    stretches = [list(stretch) for stretch in zip(*found, strict=True) if any(stretch)]
    return [turns for stretch in stretches for turns in stretch]


class _Choice:
    """How many workers a small program is given: what was faster of late, for all give the same result."""

    def __init__(self) -> None:
        self.left = 0  # trials to come
        self.until = 0.0  # when there will be trials again
        self.seconds: dict[int, float] = {}

    def pick(self, most: int) -> int:
        """All workers or one."""
        if not self.left and (most not in self.seconds or time.perf_counter() > self.until):
            self.left = TRIALS
            self.seconds.clear()
        if self.left:
            return most if self.left % 2 == 0 else 1
        return min(self.seconds, key=self.seconds.__getitem__)

    def note(self, parts: int, seconds: float, repeat: int) -> None:
        """Take down how long a run took."""
        if self.left:
            self.left -= 1
            self.seconds[parts] = min(seconds / repeat, self.seconds.get(parts, math.inf))
            # by the shortest times: a single run may have been held up, by kernels being loaded or by others on this core
            self.until = time.perf_counter() + TRUST * TRIALS / 2 * repeat * sum(self.seconds.values())


class Program:
    """Instructions made ready to run.

    Parameters
    ----------
    instructions
        What to run, in this order.
    division
        How several workers share it out; None if one does it all. The result must be the same.
    cycles
        What one worker needs for it, at least.
    moving
        A contiguous array that the program only reads; a run may read another one of the same layout in its place.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        division: Division | None = None,
        cycles: float = math.inf,
        moving: np.ndarray[Any, Any] | None = None,
    ) -> None:
        self.instructions = list(instructions)
        self.moving = moving
        self.address = 0 if moving is None else address_of(moving)
        self.division = division
        self.cycles = cycles
        self._ready: dict[int, _Ready] = {}
        self._replay: Replay | None = None
        self._choice = _Choice() if division is not None and cycles < TRYING_PAYS else None

    def turns(self, parts: int) -> Sequence[Sequence[Turn]]:
        """What each of `parts` workers does, in order."""
        return [[Work(i) for i in self.instructions]] if parts == 1 or self.division is None else self.division(parts)

    def _made_ready(self, parts: int) -> _Ready:
        ready = self._ready.get(parts)
        if ready is None:
            ready = self._ready[parts] = _Ready(self.turns(parts), self.moving)
        return ready

    def run_on(self, values: np.ndarray[Any, Any]) -> None:
        """Run once, with what `moving` should hold in `values`; it is copied unless compiled code can read it where it is."""
        if values.nbytes <= COPYING_PAYS or not (values.flags.c_contiguous and values.flags.aligned) or _registry._backend == "numpy":
            self.moving[...] = values
            self.run()
            return
        home, self.address = self.address, address_of(values)
        try:
            self.run()
        finally:
            self.address = home

    def short(self, result: np.ndarray[Any, Any]) -> Callable[..., bool]:
        """A function (y, x) that runs a small program once, with x for `moving`, and copies `result` to y, with hardly any overhead.

        It returns False, and nothing has been done, if it does not know the layout of its arguments. Threads may not share it, and it is
        not to be called when this program is gone.
        """
        assert self.moving is not None
        replay = self._replay = Replay()  # which owns the memory that the function works with
        if self.cycles < SHARING_PAYS and self.moving.nbytes <= COPYING_PAYS and result.dtype == self.moving.dtype:
            ready = self._made_ready(1)
            x, y = np.zeros_like(self.moving), np.zeros_like(result)
            given = [a.reshape(-1) for a in (y, x, self.moving, result)]
            call = ready.entry_address, ctypes.addressof(ready.call)
            replay.learn((y, x), ANSWER, False, (*given, *call), origins=(0, 1), apart=(1,))
        return replay.short

    def run(self, repeat: int = 1) -> None:
        """Run all instructions, `repeat` times over, on the backend in use."""
        if _registry._backend == "numpy":
            for _ in range(repeat):
                for name, operands in self.instructions:
                    KERNELS[name].twin(*operands)
            return
        parts = get_num_threads() if repeat * self.cycles >= SHARING_PAYS and self.division is not None else 1
        if parts == 1:
            self._run_alone(repeat)
        elif self._choice is None:
            self._run_shared(repeat, parts)
        else:
            parts = self._choice.pick(parts)
            start = time.perf_counter()
            if parts == 1:
                self._run_alone(repeat)
            elif not self._run_shared(repeat, parts):
                return
            self._choice.note(parts, time.perf_counter() - start, repeat)

    def _alone(self, repeat: int) -> _Ready:
        ready = self._ready.get(1) or self._made_ready(1)
        ready.point(self.address)
        ready.repeated(repeat)
        return ready

    def _run_alone(self, repeat: int) -> None:
        ready = self._alone(repeat)
        ready.entry(*ready.arguments)

    def _run_shared(self, repeat: int, parts: int) -> bool:
        """Run on several workers, or alone if there are none; returns which."""
        ready, alone = self._ready.get(parts) or self._made_ready(parts), self._alone(repeat)
        workers = team(parts)
        ready.point(self.address)
        ready.repeated(repeat)
        ready.meet_in(workers.address)
        waking = ALWAYS if repeat * self.cycles >= WAKING_PAYS else IF_OFTEN
        return workers.run(ready.entry_address, ctypes.addressof(ready.call), parts, OPEN, waking, ctypes.addressof(alone.call))
