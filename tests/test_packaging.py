"""What an installation contains, and that the documents say what is run."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def sources(folder, package):
    """The files of a package as they are named in a wheel."""
    found = [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".npz", ".typed", ".md") and "__pycache__" not in p.parts]
    return {f"{package}/{p.relative_to(ROOT / folder).as_posix()}" for p in found}


def test_every_package_is_listed():
    folders = [("fastnn", p.parent) for p in ROOT.glob("fastnn/**/__init__.py")] + [
        ("kernels", p.parent) for p in ROOT.glob("kernels/**/__init__.py")
    ]
    names = {".".join((["fastnn"] if top == "kernels" else []) + list(folder.relative_to(ROOT).parts)) for top, folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == names


BESIDE = [
    "tests",
    "docs",
    "examples",
    "benchmarks",
    ".ci",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The source distribution of a copy of the repository, and the wheel that is built from that."""
    place = tmp_path_factory.mktemp("distributions")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in ("fastnn", "kernels", *BESIDE):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / "source" / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, place / "source" / name)
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "--target", str(place / "backend"), *PROJECT["build-system"]["requires"]], check=True)
    packing = [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('..')"]
    subprocess.run(packing, cwd=place / "source", env={**os.environ, "PYTHONPATH": str(place / "backend")}, check=True, capture_output=True)
    (packed,) = place.glob("*.tar.gz")
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), str(packed)], check=True)
    (wheel,) = place.glob("*.whl")
    return packed, wheel


@pytest.fixture(scope="module")
def wheel(distributions):
    return distributions[1]


def test_a_source_distribution_holds_the_tests_and_all_that_they_read(distributions):
    with tarfile.open(distributions[0]) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    files = [path for name in BESIDE for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])]
    expected = {path.relative_to(ROOT).as_posix() for path in files if path.is_file() and "__pycache__" not in path.parts}
    assert {"tests/conftest.py", "tests/kernels/calls.py", "docs/README.md", ".ci/run"} <= expected
    assert expected | sources("fastnn", "fastnn") | sources("kernels", "kernels") <= names


def test_a_wheel_holds_every_source_the_data_and_the_licences(wheel):
    assert re.fullmatch(r"fastnn_cpu-[\d.]+-py3-none-any\.whl", wheel.name)
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = sources("fastnn", "fastnn") | sources("kernels", "fastnn/kernels")
    assert {"fastnn/py.typed", "fastnn/datasets/digits.npz", "fastnn/datasets/digits.md", "fastnn/kernels/_registry.py"} <= expected
    assert expected <= names
    metadata = next(n for n in names if n.endswith("METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert "Name: fastnn-cpu" in text
    assert "License-Expression: BSD-3-Clause" in text
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert not any(n.startswith(("kernels/", "tests/")) for n in names)


def run_in(folder):
    """Use the library with `folder` as the current one; returns the files that the package and its kernels come from."""
    code = (
        "import fastnn, numpy as np; fastnn.set_backend('numpy'); x = fastnn.tensor([0.0, 0.0]);"
        "print(fastnn.__file__, fastnn.kernels.__file__, x.exp().numpy().tolist(), fastnn.datasets.load('digits').x.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    package, kernels, rest = done.stdout.split(maxsplit=2)
    assert rest == "[1.0, 1.0] (1797, 64)\n"
    return Path(package), Path(kernels)


def test_the_library_runs_from_an_unpacked_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    assert run_in(tmp_path) == (tmp_path / "fastnn" / "__init__.py", tmp_path / "fastnn" / "kernels" / "__init__.py")


def test_the_library_runs_where_its_sources_are_whether_they_are_installed_or_not(distributions, tmp_path):
    subprocess.run(["tar", "-xzf", str(distributions[0]), "-C", str(tmp_path)], check=True)
    (folder,) = tmp_path.iterdir()
    assert run_in(folder) == (folder / "fastnn" / "__init__.py", folder / "kernels" / "__init__.py")


def commands():
    return re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)


def test_the_readme_has_two_commands_each_whole_in_one_line():
    main, test = commands()
    assert re.fullmatch(r"python3 -m venv \.venv && \.venv/bin/pip install \. && \.venv/bin/fastnn train digits", main)
    assert test.endswith(" && .venv/bin/python -m pytest")


def test_continuous_integration_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"grep -E '(.*)' README\.md", script)[1]
    assert re.findall(f"(?m){pattern}", README) == [commands()[1]]
    assert 'bash -euo pipefail -c "$command"' in script


def test_the_tour_of_the_readme_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) > 0.9
    assert (tmp_path / "digits.safetensors").exists()


def test_the_readme_links_to_files_that_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 3
    for link in links:
        assert (ROOT / link).exists(), link
