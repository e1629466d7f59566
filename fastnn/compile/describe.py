"""A program as a table that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import KERNELS, Instruction, get_num_threads
from .cost import cost
from .memory import address
from .passes.fusion import EPILOGUE, EPILOGUES_OF
from .passes.schedule import divide

if TYPE_CHECKING:
    from .plan import Plan

LEGEND = "| threads meet before, / cut by rows, * + shared among threads, = by each, n by thread n; @n at byte n of the arena, $ outside it"
BASE, BETA = "base", "beta"  # what a product begins with, and the factor of it


def describe(plan: Plan) -> str:
    """One line an instruction: number, threads, kernel, what is fused into it, operations, bytes, operands and places; then the totals."""
    rows = [("", "", "kernel", "fused", "operands", "MFLOP", "KiB")]
    marks = divide(plan.program.instructions, plan.examples, get_num_threads()).marks
    start, size = address(plan.arena), plan.arena.nbytes
    for i, instruction in enumerate(plan.program.instructions):
        outputs = len(instruction.outputs)
        shown = [_operand(name, x, start, size) for name, x in _named(instruction).items() if name != "epilogue"]  # it is `fused`
        text = f"{', '.join(shown[:outputs])} <- {', '.join(shown[outputs:])}"
        flops, moved, _ = cost(instruction)
        numbers = f"{flops / 1e6:.3f}" if flops else "", f"{moved / 1024:.1f}"
        rows.append((str(i), marks[i], instruction.kernel, " ".join(_fused(instruction)), text, *numbers))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [" ".join([f"{r[0]:>{widths[0]}}", *(f"{r[k]:<{widths[k]}}" for k in (1, 2, 3)), f"{r[5]:>9} {r[6]:>9}  {r[4]}"]) for r in rows]
    flops = sum(cost(i).flops for i in plan.program.instructions)
    count = len(plan.program.instructions)
    memory = f"peak of {plan.needed:,} bytes in an arena of {size:,} bytes"
    return "\n".join([*map(str.rstrip, lines), f"{count} instructions, {flops / 1e6:.3f} MFLOP in products, {memory}", LEGEND])


def _named(instruction: Instruction) -> dict[str, Any]:
    """The operands by name."""
    return dict(zip(KERNELS[instruction.kernel].signature.parameters, instruction.operands, strict=True))


def _fused(instruction: Instruction) -> list[str]:
    """What a product does besides: the base that it begins with, and what it applies to its result."""
    if instruction.kernel not in EPILOGUES_OF:
        return []
    known, _ = EPILOGUES_OF[instruction.kernel]
    epilogue = instruction.operands[EPILOGUE]
    applied = known[epilogue[0] if isinstance(epilogue, tuple) else epilogue]
    return [BASE] * bool(_named(instruction).get(BETA)) + [applied] * bool(applied)


def _operand(name: str, x: Any, start: int, size: int) -> str:
    if not isinstance(x, np.ndarray):
        return f"{name}={x:g}"
    shape = "x".join(map(str, x.shape)) or "1"
    where = address(x) - start
    return f"{name}[{shape}]" + (f"@{where}" if 0 <= where < size else "$")
