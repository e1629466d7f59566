"""Compiled kernels on plain NumPy arrays, each with a readable NumPy twin. Installed as `fastnn.kernels`."""

from ._program import Instruction, Program
from ._registry import KERNELS, get_backend, run, set_backend, use_backend
from ._team import get_num_threads, set_num_threads, threads
from .reference.matmul import EPILOGUES

__all__ = [
    "EPILOGUES",
    "KERNELS",
    "Instruction",
    "Program",
    "get_backend",
    "get_num_threads",
    "run",
    "set_backend",
    "set_num_threads",
    "threads",
    "use_backend",
]
