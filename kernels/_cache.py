"""The store of compiled kernels: one object file per kernel variant, shared by every process of a user.

The folder's name is a hash of everything that the code depends on (all kernel sources, the versions of Numba and llvmlite, the
CPU), so a stale entry is never found. Files are written under a temporary name and renamed: a reader sees all of one or none.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from . import _host

SOURCES = Path(__file__).parent


def root() -> Path:
    """The folder that holds all caches: `FASTNN_CACHE_DIR`, or `fastnn` in the user's cache folder.

    For a user without a home it is a place where nothing can be stored: a folder that all users share is no place for code.
    """
    if named := os.environ.get("FASTNN_CACHE_DIR"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "fastnn"
    except RuntimeError:
        return Path(os.devnull) / "fastnn"


def _version(package: str) -> str:
    """The version of an installed package, from the name of the folder that says so: `importlib.metadata` takes longer to import."""
    spec = importlib.util.find_spec(package)
    beside = Path(spec.origin).parents[1] if spec is not None and spec.origin else None
    found = [] if beside is None else [path.name for path in beside.glob(f"{package}-*.dist-info")]
    if found:
        return found[0]
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


@cache
def folder() -> Path:
    """The folder of this very combination of sources, compiler and CPU; it need not exist yet."""
    key = hashlib.sha256()
    for source in sorted(SOURCES.rglob("*.py")):
        key.update(source.relative_to(SOURCES).as_posix().encode())
        key.update(source.read_bytes())
    checked = os.environ.get("NUMBA_BOUNDSCHECK", "")
    key.update(repr((_version("numba"), _version("llvmlite"), _host.identity(), checked)).encode())
    return root() / f"{_host.isa().name}-{key.hexdigest()[:16]}"


def load(symbol: str) -> bytes | None:
    """The object code stored for `symbol`, or None. A damaged file counts as absent."""
    try:
        data = (folder() / f"{symbol}.o").read_bytes()
    except OSError:
        return None
    digest, code = data[:32], data[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def store(symbol: str, code: bytes) -> None:
    """Keep `code` for later processes. A folder that cannot be written to means that they compile again, nothing worse."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder(), prefix=symbol, suffix=".tmp")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(temporary, folder() / f"{symbol}.o")
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)


def writable() -> bool:
    """Whether compiled kernels can be kept for later processes."""
    for path in (folder(), *folder().parents):
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except OSError:  # below a file, too long, not to be searched
            return False
        return path.is_dir() and os.access(path, os.W_OK)
    return False


def size() -> tuple[int, int]:
    """How many kernels the current folder holds, and their size in bytes; others may be adding to it, or removing it."""
    count = total = 0
    with suppress(OSError), os.scandir(folder()) as entries:
        for entry in entries:
            if entry.name.endswith(".o"):
                total += entry.stat().st_size
                count += 1
    return count, total
