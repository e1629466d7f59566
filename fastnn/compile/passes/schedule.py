"""The schedule: who does which instruction, and where workers must wait for each other.

Instructions that go row by row are cut by examples, so that each worker computes on what it has computed itself; other large ones are
shared among all by their kernels, small ones are done by one worker each, tiny ones by every worker, which saves waiting for the result.
Weight gradients of one shape, as those of many equal layers, go to workers as a whole, others are cut by their rows. A large one and the
update behind it are cut by rows alike and done piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from ...kernels import KERNELS, Instruction, Program, Turn, Work
from ...tensor import Array
from ..cost import cost
from ..memory import Range, extent
from ..slices import Slices, by_examples, repeatable, slices

SPLITTING_PAYS = 3_000  # cycles below which an instruction that cannot be cut is done by one worker
WHOLE_OPERAND = 256 << 10  # bytes of a product's right side that each worker may read as a whole
LEAST_EXAMPLES = 4  # of a piece; products and convolutions of a single one sum in another order
REPEATING_PAYS = 300  # cycles below which every worker may do the same work
PIECE_BYTES = 128 << 10  # of a gradient, between which and its update nothing else passes through the cache
LEAST_RUN = 512  # items of an update that repay an instruction of their own
LEFT_BYTES = 512 << 10  # of a product's right side that is read again for each piece of the result

Owner = tuple[int | Fraction, ...]  # accesses of equal owners are made by the same worker
ANYBODY: Owner = ()  # but for these: they may be made by any
EVERYBODY: Owner = (-1,)  # by each worker, each on its own


class Access(NamedTuple):
    """Addresses that an instruction touches through one operand, and who does so."""

    range: Range
    owner: Owner


Accesses: TypeAlias = tuple[Sequence[Access], Sequence[Access]]  # what is written, and what is read


def scheduled(instructions: Sequence[Instruction], examples: int, moving: Array | None = None) -> Program:
    """Instructions, of which many work on a batch of `examples`, as a program that any number of workers may share.

    What `moving` holds, which nobody writes, may lie elsewhere in each run.
    """
    cycles = sum(cost(i).cycles for i in instructions)
    return Program(instructions, lambda parts: divide(instructions, examples, parts).workers, cycles, moving)


def divide(instructions: Sequence[Instruction], examples: int, parts: int) -> Division:
    """What each of `parts` workers does, in order; it waits where it needs what another one did since the last wait."""
    division = Division(parts)
    workers_of = _whole_products(instructions, parts)
    at = 0
    while at < len(instructions):
        instruction = instructions[at]
        work = cost(instruction).cycles
        pair = _gradient_and_update(instructions[at : at + 2], parts)
        cut = by_examples(instruction, examples, parts) if examples >= LEAST_EXAMPLES * parts else None
        if pair is not None:
            division.cut_all(pair, len(instruction.operands[0][0]))
            at += 1
        elif work < REPEATING_PAYS and repeatable(instruction) and division.free(instruction, EVERYBODY):
            division.repeat(instruction, work)
        elif work >= SPLITTING_PAYS and (pieces := division.pieces(instruction)) is not None:
            division.follow(pieces)
        elif at in workers_of:
            division.give(instruction, work, workers_of[at])
        elif cut is not None and not _reads_much(instruction):
            division.cut(cut, examples, work)
        elif work >= SPLITTING_PAYS and (whole := _rows_of_result(instruction, parts)) is not None:
            division.cut(whole, len(instruction.operands[0][0]), work)
        elif work >= SPLITTING_PAYS:
            division.share(instruction, work)
        else:
            division.give(instruction, work)
        at += 1
    return division


def _whole_products(instructions: Sequence[Instruction], parts: int) -> dict[int, int]:
    """Which worker does which weight gradient as a whole, of several of one shape between which nothing large stands: each as many.

    So operands are read once, by whoever goes on with the result, and neighbouring results can be updated in one go.
    """
    found: dict[int, int] = {}
    alike: list[int] = []

    def settle() -> None:
        each = len(alike) // parts
        found.update({n: k // each for k, n in enumerate(alike[: each * parts])})
        alike.clear()

    for n, instruction in enumerate(instructions):
        if cost(instruction).cycles < SPLITTING_PAYS:
            continue
        gradient = _rows_of_result(instruction, parts) is not None
        if alike and not (gradient and _shapes(instruction) == _shapes(instructions[alike[-1]])):
            settle()
        if gradient:
            alike.append(n)
    settle()
    return found


def _shapes(instruction: Instruction) -> list[tuple[int, ...]]:
    return [x.shape for x in instruction.operands if isinstance(x, np.ndarray)]


def _reads_much(instruction: Instruction) -> bool:
    """Whether it is less to read the examples of all workers than that each of them reads the whole right side of a product."""
    if instruction.kernel != "gemm":
        return False
    c, _, a, b = instruction.operands[:4]
    return bool(b.nbytes > min(WHOLE_OPERAND, a.nbytes + c.nbytes))


def _rows_of_result(instruction: Instruction, parts: int) -> Slices | None:
    """A product whose left side is a transpose (a weight gradient), cut by rows of its result."""
    if instruction.kernel != "gemm":
        return None
    c, _, a = instruction.operands[:3]
    cut = slices(instruction, c.shape[1])
    return cut if cut is not None and c.shape[1] >= LEAST_EXAMPLES * parts and a.strides[1] < a.strides[2] else None


def _gradient_and_update(instructions: Sequence[Instruction], parts: int) -> list[Slices] | None:
    """A product and what reads its result next, as an update does, cut by rows of the result; None where pieces need one another."""
    if len(instructions) < 2 or instructions[0].kernel != "gemm" or instructions[0].operands[0].nbytes < PIECE_BYTES:
        return None
    c, _, _, b = instructions[0].operands[:4]
    if b.nbytes > LEFT_BYTES or not any(extent(x) == extent(c) for x in instructions[1].inputs):
        return None
    cuts = [slices(i, c.shape[1]) for i in instructions]
    found = [cut for cut in cuts if cut is not None and cut.grain == 1 and c.shape[1] >= parts]
    if len(found) < 2 or instructions[1].operands[0].size != c.size:
        return None
    before, after = (_accesses(cut.instruction, _places(cut)) for cut in found)
    return None if _conflict(before, after) else found


class Division:
    """The turns of all workers so far, and what has been touched since they met last.

    Attributes
    ----------
    workers
        What each of them does, in order.
    marks
        For each instruction, whether all wait before it ("|"), and who does it: "/" each its rows, "*" each a share, "=" each all of it,
        "+" each what it has begun, or a worker's number.
    """

    def __init__(self, parts: int) -> None:
        self.workers: list[list[Turn]] = [[] for _ in range(parts)]
        self.marks: list[str] = []
        self.wrote: list[tuple[Range, int]] = []  # what a single worker has written last
        self.meet()

    def meet(self) -> None:
        """All workers wait for each other."""
        self.met = True
        for turns in self.workers:
            turns.append(None)
        self.written: list[Access] = []
        self.read: list[Access] = []
        self.load = [0.0] * len(self.workers)

    def cut(self, cut: Slices, rows: int, work: float) -> None:
        """Every worker does an instruction for its own ones of some rows (examples)."""
        self._access(cut.instruction, _places(cut), "/")
        for part in range(len(self.workers)):
            self._do(part, cut.piece(*self._rows(rows, part)))
            self.load[part] += work / len(self.workers)

    def cut_all(self, cuts: Sequence[Slices], rows: int) -> None:
        """Every worker does several instructions for its own ones of some rows: all of them for a few rows at a time."""
        few = max(1, PIECE_BYTES * rows // cuts[0].instruction.operands[0].nbytes)
        for cut in cuts:
            self._access(cut.instruction, _places(cut), "/")
        for part, turns in enumerate(self.workers):
            start, stop = self._rows(rows, part)
            count = -(-(stop - start) // few)
            edges = [start + (stop - start) * i // count for i in range(count + 1)]
            turns += [Work(cut.piece(*edge)) for edge in pairwise(edges) for cut in cuts]
            self.load[part] += sum(cost(cut.instruction).cycles for cut in cuts) / len(self.workers)

    def _rows(self, rows: int, part: int) -> tuple[int, int]:
        return rows * part // len(self.workers), rows * (part + 1) // len(self.workers)

    def repeat(self, instruction: Instruction, work: float) -> None:
        """Every worker does the same: a later one writes what is there already."""
        self._access(instruction, [EVERYBODY] * len(instruction.operands), "=")
        for part, turns in enumerate(self.workers):
            turns.append(Work(instruction))
            self.load[part] += work

    def share(self, instruction: Instruction, work: float) -> None:
        """Every worker does its share of an instruction."""
        self._access(instruction, [ANYBODY] * len(instruction.operands), "*")
        for part, turns in enumerate(self.workers):
            turns.append(Work(instruction, part, len(self.workers)))
            self.load[part] += work / len(self.workers)

    def give(self, instruction: Instruction, work: float, worker: int | None = None) -> None:
        """One worker does an instruction: a given one, or the one with least to do among those who need not wait for others."""
        by_load = sorted(range(len(self.workers)), key=lambda part: self.load[part])
        part = next((part for part in by_load if self.free(instruction, (part,))), by_load[0]) if worker is None else worker
        self._access(instruction, [(part,)] * len(instruction.operands), str(part))
        self._do(part, instruction)
        self.load[part] += work

    def pieces(self, instruction: Instruction) -> list[tuple[Instruction, int]] | None:
        """An elementwise instruction on flat arrays, cut so that each worker goes on with what it has written; None if nobody has."""
        y = instruction.operands[0]
        flat = [isinstance(x, np.ndarray) and x.shape == y.shape and x.flags.c_contiguous for x in instruction.operands]
        if not KERNELS[instruction.kernel].signature.elementwise or y.ndim != 1:
            return None
        found: list[tuple[int, int]] = []  # first item and worker
        for x, is_flat in zip(instruction.operands, flat, strict=True):
            low, high = extent(x) if is_flat else (0, 0)
            found += [(max(0, first - low) // x.itemsize, part) for (first, last), part in self.wrote if first < high and low < last]
        runs = _runs(found, y.size)
        if len(runs) < len(self.workers):
            return None
        edges = [0, *(start for start, _ in runs[1:]), y.size]
        pieces = []
        for (start, stop), (_, part) in zip(pairwise(edges), runs, strict=True):
            operands = [x[start:stop] if is_flat else x for x, is_flat in zip(instruction.operands, flat, strict=True)]
            pieces.append((Instruction(instruction.kernel, tuple(operands)), part))
        return pieces

    def follow(self, pieces: Sequence[tuple[Instruction, int]]) -> None:
        """Workers do pieces of an instruction."""
        accesses = [_accesses(piece, [(part,)] * len(piece.operands)) for piece, part in pieces]
        self._note([a for written, _ in accesses for a in written], [a for _, read in accesses for a in read], "+")
        for piece, part in pieces:
            self._do(part, piece)

    def _do(self, part: int, instruction: Instruction) -> None:
        self.workers[part].append(Work(instruction))
        self.wrote += [(extent(y), part) for y in instruction.outputs]

    def free(self, instruction: Instruction, owner: Owner) -> bool:
        """Whether nobody has to wait before `owner` does an instruction."""
        return not _conflict((self.written, self.read), _accesses(instruction, [owner] * len(instruction.operands)))

    def _access(self, instruction: Instruction, owners: Sequence[Owner], who: str) -> None:
        self._note(*_accesses(instruction, owners), who)

    def _note(self, written: Sequence[Access], read: Sequence[Access], who: str) -> None:
        if _conflict((self.written, self.read), (written, read)):
            self.meet()
        self.marks.append(("|" if self.met else " ") + who)
        self.met = False
        self.written += written
        self.read += read


def _conflict(before: Accesses, after: Accesses) -> bool:
    """Whether one worker would touch what another one wrote before, or write what another one touched."""
    (written, read), (now_written, now_read) = before, after
    alone = [access for access in written if access.owner != EVERYBODY]
    return _clash(now_written, written) or _clash(now_read, alone) or _clash(now_written, read)


def _accesses(instruction: Instruction, owners: Iterable[Owner]) -> Accesses:
    """What is written and what is read."""
    pairs = zip(instruction.operands, owners, strict=True)
    accesses = [Access(extent(x), owner) for x, owner in pairs if isinstance(x, np.ndarray)]
    return accesses[: len(instruction.outputs)], accesses[len(instruction.outputs) :]


def _runs(found: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """First items and their workers, where the worker changes; what is too short goes to the worker before it."""
    runs: list[tuple[int, int]] = []
    ordered = sorted(found)
    for (start, part), stop in zip(ordered, [*(start for start, _ in ordered[1:]), size], strict=False):
        if not runs or (part != runs[-1][1] and stop - start >= LEAST_RUN):
            runs.append((start, part))
    return runs


def _places(cut: Slices) -> list[Owner]:
    return [cut.place(k) or ANYBODY for k in range(len(cut.instruction.operands))]


def _clash(new: Sequence[Access], old: Sequence[Access]) -> bool:
    for (low, high), owner in new:
        for (other_low, other_high), other in old:
            if low < other_high and other_low < high and (owner in (ANYBODY, EVERYBODY) or owner != other):  # some may be late
                return True
    return False
