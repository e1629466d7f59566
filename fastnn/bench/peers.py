"""The other libraries: each is imported when it is first needed, with as many threads as everybody has."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .case import AbsentError

PACKAGES = ("numpy", "torch", "jax", "scikit-learn", "onnxruntime", "onnx", "threadpoolctl", "numba", "llvmlite", "fastnn-cpu")
_jax_threads: int | None = None


def _module(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise AbsentError("not installed")
    return importlib.import_module(name)


def limit(threads: int) -> None:
    """Hold what is imported so far to that many threads: PyTorch, and through threadpoolctl OpenBLAS and OpenMP."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if importlib.util.find_spec("threadpoolctl") is not None:
        importlib.import_module("threadpoolctl").threadpool_limits(threads)


def unlimited() -> list[str]:
    """Which peers may use more threads than they should, and why."""
    notes = []
    if importlib.util.find_spec("threadpoolctl") is None:
        notes.append("threadpoolctl is not installed: NumPy and scikit-learn use as many threads as they like")
    if not hasattr(os, "sched_setaffinity"):
        notes.append("threads cannot be bound to cores here: JAX uses all of them")
    return notes


def torch(threads: int) -> Any:
    """PyTorch."""
    module = _module("torch")
    limit(threads)
    return module


def compiled(torch: Any, model: Any, quick: bool) -> Any:
    """A model of PyTorch's, compiled. Raises AbsentError where that shall not, or cannot, be done."""
    if quick:
        raise AbsentError("not in a quick run")
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise AbsentError("needs a C++ compiler")
    torch._dynamo.reset()  # all that was compiled before counts towards a limit, beyond which models run uncompiled
    return torch.compile(model)


def sklearn(threads: int) -> Any:
    """scikit-learn's neural networks."""
    _module("sklearn")
    module = importlib.import_module("sklearn.neural_network")
    limit(threads)
    return module


def onnxruntime(threads: int) -> Any:
    """ONNX Runtime; its threads are an option of each session."""
    return _module("onnxruntime")


def onnx(threads: int) -> Any:
    """ONNX's own package, which builds graphs."""
    return _module("onnx")


def jax(threads: int) -> Any:
    """JAX. It starts a thread for each core that the process may use at that moment, so it is started bound to `threads` of them."""
    global _jax_threads
    if _jax_threads is None:
        if importlib.util.find_spec("jax") is None:
            raise AbsentError("not installed")
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        try:
            if cores:
                os.sched_setaffinity(0, sorted(cores)[:threads])
            importlib.import_module("jax").devices()
        finally:
            if cores:
                os.sched_setaffinity(0, cores)
        _jax_threads = threads
    if _jax_threads != threads:
        raise AbsentError(f"it was started with {_jax_threads} threads, which cannot change in this process")
    return importlib.import_module("jax")


def versions() -> dict[str, str]:
    """The versions of what is installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
