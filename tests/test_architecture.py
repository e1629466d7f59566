"""Imports run one way, and only the named files know the compiler."""

import ast
from pathlib import Path

import pytest

from fastnn import HOMES

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("fastnn/**/*.py"), *ROOT.glob("kernels/**/*.py")])

NUMBA_FILES = [
    "blocks",
    "calls",
    "columns",
    "compiler",
    "dots",
    "each_row",
    "finish",
    "fallback",
    "gemv",
    "inner",
    "memory",
    "pack",
    "pixels",
    "places",
    "rows",
    "shares",
    "shifts",
    "simd",
    "spans",
    "taps",
    "tile",
    "windows",
    "winograd",
]
NUMBA = {f"kernels/_{name}.py" for name in NUMBA_FILES}
LLVMLITE = NUMBA | {f"kernels/_{name}.py" for name in ("builtin", "codegen", "host", "math", "nest")}

COMPILERS = ("numba", "llvmlite")
TWINS_MAY = ("fastnn.kernels._signature", "fastnn.kernels.reference")

# Each layer may import itself and what stands below it.
LAYERS = [
    {"cli", "__main__"},
    {"bench"},
    {"training", "config"},
    {"compile"},
    {"models"},
    {"nn", "optim", "losses", "metrics", "files", "data", "datasets"},
    {"ops", "tensor", "random"},
    {"backend", "errors", "_arguments", "unfilled"},
    {"kernels"},
]
RANK = {name: rank for rank, names in enumerate(reversed(LAYERS)) for name in names}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    """Each imported module, absolute; fastnn's own with everything that is imported from it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ("fastnn", *parts) if parts[0] == "kernels" else parts
    package = module[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])]) if node.level else node.module
            yield from (f"{base}.{alias.name}" for alias in node.names)


def top(path):
    """Files whose imports contain a package, by name."""
    return {name_of(p) for p in SOURCES if any(i.split(".")[0] == path for i in imports(p))}


def test_there_are_sources_to_look_at():
    assert len(SOURCES) > 50
    assert {"kernels/_compiler.py", "fastnn/tensor.py"} <= {name_of(p) for p in SOURCES}


def test_only_the_compiler_files_import_numba():
    assert top("numba") <= NUMBA


def test_only_files_that_emit_or_load_code_import_llvmlite():
    assert top("llvmlite") <= LLVMLITE


def test_kernels_import_nothing_of_the_library_above():
    for path in SOURCES:
        if name_of(path).startswith("kernels/"):
            above = [i for i in imports(path) if i.startswith("fastnn") and not i.startswith("fastnn.kernels")]
            assert not above, f"{name_of(path)} imports {above}"


def test_twins_import_nothing_of_what_they_check():
    for path in SOURCES:
        if name_of(path).startswith("kernels/reference/"):
            foreign = [i for i in imports(path) if i.startswith(COMPILERS) or (i.startswith("fastnn") and not i.startswith(TWINS_MAY))]
            assert not foreign, f"{name_of(path)} imports {foreign}"


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if name_of(p).startswith("fastnn/") and name_of(p) != "fastnn/__init__.py"], ids=name_of
)
def test_imports_run_downwards(path):
    own = path.relative_to(ROOT / "fastnn").parts[0].removesuffix(".py")
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "fastnn" and len(parts) > 1:
            home = HOMES.get(parts[1], parts[1])
            assert RANK.get(home, RANK["tensor"]) <= RANK[own], f"{name_of(path)} imports {module}, which stands above it"
