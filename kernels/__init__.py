"""Compiled kernels on plain NumPy arrays, each with a readable NumPy twin. Installed as `fastnn.kernels`.

`matmul(out, a, b)` and every name in `KERNELS` are functions of arrays, outputs first, that check what they are given.
The operands of all but `matmul` are given by position; `help` shows their names, dtypes and dimensions.
"""

from typing import TYPE_CHECKING, Any

from ._arrays import function, matmul, run
from ._program import Instruction, Program, Turn, Work, divided_in_turn
from ._registry import KERNELS, get_backend, set_backend, use_backend
from ._team import get_num_threads, set_num_threads, threads
from .reference._finish import EPILOGUES as CONVOLUTION_EPILOGUES
from .reference.matmul import EPILOGUES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CONVOLUTION_EPILOGUES",
    "EPILOGUES",
    "KERNELS",
    "Instruction",
    "Program",
    "Turn",
    "Work",
    "divided_in_turn",
    "get_backend",
    "get_num_threads",
    "matmul",
    "run",
    "set_backend",
    "set_num_threads",
    "threads",
    "use_backend",
]


def __getattr__(name: str) -> "Callable[..., Any]":
    """Every kernel is a function of this module: `kernels.exp(out, x)`."""
    if name not in KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = function(name)
    return found


def __dir__() -> "list[str]":
    return sorted({*globals(), *KERNELS})
