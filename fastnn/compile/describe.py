"""A program as a table that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import KERNELS, get_num_threads
from .cost import cost
from .memory import address
from .passes.schedule import divide

if TYPE_CHECKING:
    from .plan import Plan


def describe(plan: Plan) -> str:
    """One line an instruction: number, threads, kernel, operands with their places, operations, bytes; then the totals."""
    rows = [("", "", "kernel", "operands", "MFLOP", "KiB")]
    marks = divide(plan.program.instructions, plan.examples, get_num_threads()).marks
    start, size = address(plan.arena), plan.arena.nbytes
    for i, instruction in enumerate(plan.program.instructions):
        names = KERNELS[instruction.kernel].signature.parameters
        outputs = len(instruction.outputs)
        shown = [_operand(name, x, start, size) for name, x in zip(names, instruction.operands, strict=True)]
        text = f"{', '.join(shown[:outputs])} <- {', '.join(shown[outputs:])}"
        flops, moved, _ = cost(instruction)
        rows.append((str(i), marks[i], instruction.kernel, text, f"{flops / 1e6:.3f}" if flops else "", f"{moved / 1024:.1f}"))
    widths = [max(len(row[k]) for row in rows) for k in (0, 1, 2)]
    lines = [f"{r[0]:>{widths[0]}} {r[1]:<{widths[1]}} {r[2]:<{widths[2]}} {r[4]:>9} {r[5]:>9}  {r[3]}".rstrip() for r in rows]
    flops = sum(cost(i).flops for i in plan.program.instructions)
    count = len(plan.program.instructions)
    legend = (
        "| threads meet before, / cut by rows, * + shared among threads, = by each, n by thread n; @n at byte n of the arena, $ outside it"
    )
    return "\n".join([*lines, f"{count} instructions, {flops / 1e6:.3f} MFLOP in products, arena of {size:,} bytes", legend])


def _operand(name: str, x: Any, start: int, size: int) -> str:
    if not isinstance(x, np.ndarray):
        return f"{name}={x:g}"
    shape = "x".join(map(str, x.shape)) or "1"
    where = address(x) - start
    return f"{name}[{shape}]" + (f"@{where}" if 0 <= where < size else "$")
