"""A neural-network library for the CPU: Python all the way down, kernels compiled by Numba.

`import fastnn` loads tensors and NumPy; every other name is imported when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if not os.path.isdir(os.path.join(__path__[0], "kernels")):  # among the sources, where Python may be started, they stand beside this
    __path__.append(os.path.dirname(__path__[0]))
    from . import kernels

    __path__.pop()

from . import ops  # noqa: F401  # which gives tensors their operators and methods
from .tensor import Tensor, grad, is_grad_enabled, no_grad, tensor, value_and_grad

if TYPE_CHECKING:
    from . import data, datasets, errors, kernels, losses, metrics, models, nn, optim, random, training
    from .backend import get_backend, get_num_threads, set_backend, set_num_threads, threads, use_backend
    from .compile import compile_inference, compile_training
    from .config import show_config
    from .files import load, save
    from .random import manual_seed
    from .training import Trainer

    __version__: str

MODULES = ("data", "datasets", "errors", "kernels", "losses", "metrics", "models", "nn", "optim", "random", "training")
HOMES = {  # name -> the module that it comes from
    "Trainer": "training",
    "compile_inference": "compile",
    "compile_training": "compile",
    "get_backend": "backend",
    "get_num_threads": "backend",
    "load": "files",
    "manual_seed": "random",
    "save": "files",
    "set_backend": "backend",
    "set_num_threads": "backend",
    "show_config": "config",
    "threads": "backend",
    "use_backend": "backend",
}

__all__ = [
    "Tensor",
    "Trainer",
    "__version__",
    "compile_inference",
    "compile_training",
    "data",
    "datasets",
    "errors",
    "get_backend",
    "get_num_threads",
    "grad",
    "is_grad_enabled",
    "kernels",
    "load",
    "losses",
    "manual_seed",
    "metrics",
    "models",
    "nn",
    "no_grad",
    "optim",
    "random",
    "save",
    "set_backend",
    "set_num_threads",
    "show_config",
    "tensor",
    "threads",
    "training",
    "use_backend",
    "value_and_grad",
]


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in HOMES:
        value = getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("fastnn-cpu")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
