"""What this installation runs on: versions, CPU, threads, and the store of compiled kernels."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .kernels import _cache, _host, _registry, get_backend, get_num_threads

PACKAGES = ("fastnn-cpu", "numpy", "numba", "llvmlite", "safetensors", "rich")


def info() -> dict[str, str]:
    """The facts that `show_config` prints, by name."""
    isa = _host.isa()
    count, size = _cache.size()
    return {
        **{package: _version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cores": f"{_host.cores()} for this process",
        "instruction set": isa.name,
        "vector width": f"{8 * isa.vector_bytes} bit: {_host.lanes(4)} float32 or {_host.lanes(8)} float64",
        "threads": str(get_num_threads()),
        "backend": get_backend(),
        "kernel cache": str(_cache.folder()),
        "compiled kernels": f"{count} stored, {size / 1e6:.1f} MB",
        "object code is stored": _storing(),
    }


def _storing() -> str:
    if not _cache.writable():
        return "no, the cache folder cannot be written to: every process compiles anew"
    if _registry.not_stored:
        name, reason = next(iter(_registry.not_stored.items()))
        return f"no, {len(_registry.not_stored)} kernels go through Numba's own cache ({name}: {reason})"
    return "yes"


def show_config() -> None:
    """Print versions, CPU, instruction set, vector width, threads, backend, and the cache of compiled kernels."""
    facts = info()
    width = max(map(len, facts))
    print("\n".join(f"{name:{width}}  {fact}" for name, fact in facts.items()))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
