"""The store of compiled kernels: fresh after every edit, shared by processes, and never in the way."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fastnn.kernels import _cache, _notice

from fastnn import kernels

KERNELS = Path(kernels.__file__).parent

COMPUTE = """
import numpy as np
from fastnn import kernels
x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
y = np.empty_like(x)
kernels.run("exp", y, x)
print(repr(y.tobytes().hex()))
"""


def python(code, env=None, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def output(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache for this test alone, in this process too."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "cache"))
    _cache.folder.cache_clear()
    yield tmp_path / "cache"
    monkeypatch.undo()
    _cache.folder.cache_clear()


def test_an_edit_of_any_kernel_file_or_a_new_one_leads_to_another_folder(tmp_path, monkeypatch):
    copy = tmp_path / "kernels"
    shutil.copytree(KERNELS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_cache, "SOURCES", copy)
    folder = _cache.folder.__wrapped__
    first = folder()
    assert folder() == first
    seen = {first}
    sources = sorted(copy.rglob("*.py"))
    assert len(sources) > 30
    for source in sources:
        source.write_bytes(source.read_bytes() + b"\n")
        seen.add(folder())
    (copy / "compiled" / "another.py").touch()
    seen.add(folder())
    assert len(seen) == len(sources) + 2


@pytest.mark.parametrize("what", ["version", "isa"])
def test_another_compiler_or_cpu_leads_to_another_folder(monkeypatch, what):
    folder = _cache.folder.__wrapped__
    before = folder()
    if what == "version":
        monkeypatch.setattr(_cache, "_version", lambda package: "0.0")
    else:
        monkeypatch.setattr(_cache._host, "cpu", lambda: ("another", "fma"))
    assert folder() != before


def test_stored_code_comes_back_and_is_counted(own_cache):
    assert _cache.size() == (0, 0)
    assert _cache.load("a") is None
    assert _cache.writable()
    _cache.store("a", b"code")
    _cache.store("b", b"more code")
    assert (_cache.load("a"), _cache.load("b")) == (b"code", b"more code")
    (_cache.folder() / "c.tmp").touch()
    (_cache.folder() / "gone.o").symlink_to("nowhere")  # as a file that vanishes while they are counted
    assert _cache.size()[0] <= 2
    (_cache.folder() / "gone.o").unlink()
    assert _cache.size() == (2, 2 * 32 + 13)
    shutil.rmtree(own_cache)
    assert (_cache.size(), _cache.load("a"), _cache.writable()) == ((0, 0), None, True)


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:10], lambda b: b[:-1], lambda b: b + b"x", lambda b: bytes([b[0] ^ 1]) + b[1:]]
)
def test_a_damaged_file_counts_as_absent(own_cache, damage):
    _cache.store("a", b"code")
    file = _cache.folder() / "a.o"
    file.write_bytes(damage(file.read_bytes()))
    assert _cache.load("a") is None
    _cache.store("a", b"code")
    assert _cache.load("a") == b"code"


def test_a_damaged_kernel_is_compiled_anew(tmp_path):
    env = {"FASTNN_CACHE_DIR": str(tmp_path)}
    expected = output(python(COMPUTE, env))
    files = list(tmp_path.rglob("*.o"))
    for file in files:
        file.write_bytes(b"damaged")
    assert output(python(COMPUTE, env)) == expected
    assert all(file.read_bytes() != b"damaged" for file in files)


def test_a_full_disk_leaves_nothing_behind(own_cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    _cache.store("a", b"code")
    assert _cache.load("a") is None
    assert list(_cache.folder().iterdir()) == []


@pytest.mark.parametrize("place", ["a file", "no home", "too long"])
def test_without_a_writable_folder_every_process_compiles_for_itself(tmp_path, place):
    (tmp_path / "file").touch()
    env = {
        "a file": {"FASTNN_CACHE_DIR": str(tmp_path / "file" / "cache")},
        "no home": {"FASTNN_CACHE_DIR": "", "XDG_CACHE_HOME": os.devnull},
        "too long": {"FASTNN_CACHE_DIR": str(tmp_path / ("x" * 300))},
    }[place]
    code = COMPUTE + "\nfrom fastnn.kernels import _cache\nprint(_cache.writable(), _cache.size())"
    assert output(python(code, env)).splitlines()[1] == "False (0, 0)"


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert _cache.root() == Path(os.devnull) / "fastnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert _cache.root() == Path("/somewhere/fastnn")


def test_processes_that_start_at_once_on_an_empty_cache_agree(tmp_path):
    racing = [python(COMPUTE, {"FASTNN_CACHE_DIR": str(tmp_path)}) for _ in range(3)]
    results = {output(process) for process in racing}
    assert len(results) == 1
    stored = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert stored
    assert {p.suffix for p in stored} == {".o"}


def test_a_read_only_install_stays_as_it_is(tmp_path):
    site = tmp_path / "site"
    shutil.copytree(KERNELS, site / "fastnn" / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    library = Path(kernels._registry.__file__).parents[1] / "fastnn"
    for source in library.rglob("*.py"):
        target = site / "fastnn" / source.relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    before = sorted(site.rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        env = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "FASTNN_CACHE_DIR": str(tmp_path / "cache")}
        out = output(python(COMPUTE + "\nprint(kernels.__file__)", env, cwd=tmp_path))
        assert out.splitlines()[1] == str(site / "fastnn" / "kernels" / "__init__.py")
        assert sorted(site.rglob("*")) == before
        assert list((tmp_path / "cache").rglob("*.o"))
    finally:
        for path in before:
            path.chmod(0o755)


def test_a_process_with_a_warm_cache_trains_without_importing_a_compiler():
    code = """
import sys
from fastnn.cli import main
from fastnn.kernels import _host
assert main(["train", "digits", "--epochs", "1"]) == 0
heavy = ["numba", "scipy", "sklearn", "rich", "matplotlib"] + ["llvmlite"] * (sys.platform == "linux" and _host.is_x86())
print(sorted(m for m in sys.modules if m.partition(".")[0] in heavy))
"""
    output(python(code))
    assert output(python(code)).splitlines()[-1] == "[]"


def test_compilation_is_announced_once_it_has_taken_a_while(monkeypatch):
    shown = []
    monkeypatch.setattr(_notice, "PATIENCE", 0.15)
    monkeypatch.setattr(_notice, "_seconds", 0.0)
    with _notice.shown_by(shown.append):
        with _notice.compiling("quick"):
            pass
        assert shown == []
        with _notice.compiling("slow"):
            time.sleep(0.4)
        assert "slow" in shown[0]
        assert shown[1] == ""
        shown.clear()
        with _notice.compiling("next"):
            time.sleep(0.1)
        assert "next" in shown[0]


def test_notices_go_to_a_terminal_only(capsys, monkeypatch):
    _notice.show("compiling")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _notice.show("compiling")
    assert "compiling" in capsys.readouterr().err


def test_every_variant_that_a_signature_lists_is_named_by_its_operands():
    signature = kernels.KERNELS["add"].signature
    assert signature.variants() == ["f4f4f4", "f8f8f8"]
    x = np.zeros(3, np.float32)
    assert signature.dtypes((x, x, x)) == signature.variants()[0]
    assert len(kernels.KERNELS["copy"].signature.variants()) == 25
