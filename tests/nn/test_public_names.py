"""What `import fastnn` offers, and what it does not load before it is asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn


def test_importing_the_package_loads_neither_the_compiler_nor_the_layers() -> None:
    code = "import sys, fastnn; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "fastnn.tensor" in loaded
    assert not loaded & {
        "numba",
        "llvmlite",
        "rich",
        "safetensors",
        "sklearn",
        "scipy",
        "torch",
        "matplotlib",
        "fastnn.nn",
        "fastnn.training",
    }


def test_tensors_compute_after_nothing_but_the_import() -> None:
    code = "import fastnn; fastnn.set_backend('numpy'); print(fastnn.grad(lambda x: x * x)(3.0).item())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "6.0\n"


@pytest.mark.parametrize("name", fastnn.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(fastnn)
    value = getattr(fastnn, name)
    if name in fastnn.HOMES:
        assert value is getattr(importlib.import_module(f"fastnn.{fastnn.HOMES[name]}"), name)
    elif name in fastnn.MODULES:
        assert value is sys.modules[f"fastnn.{name}"]


def test_the_lists_of_names_agree() -> None:
    eager = {"Tensor", "grad", "is_grad_enabled", "no_grad", "tensor", "value_and_grad"}
    assert set(fastnn.__all__) == {*fastnn.MODULES, *fastnn.HOMES, *eager, "__version__"}
    checked = {
        alias.name
        for node in ast.parse(Path(fastnn.__file__).read_text()).body
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert checked == {*fastnn.MODULES, *fastnn.HOMES}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'tensors'"):
        fastnn.tensors  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert fastnn.__version__ == version("fastnn-cpu")
