"""Which CPU code is made for: the one at hand, a lower level of it, or an Arm core; and what that code may refer to."""

import math
import os
import re
import subprocess
import sys

import pytest
from fastnn.kernels import _cache, _codegen, _host
from llvmlite import ir

INFO = """
from fastnn import config
facts = config.info()
print(facts["instruction set"], facts["vector width"], facts["kernel cache"], sep="|")
"""


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_each_level_that_the_cpu_has_can_be_forced_and_has_a_cache_of_its_own():
    found = {name: python(INFO, FASTNN_ISA=name).stdout.strip().split("|") for name in _host.levels()}
    for name, (level, width, folder) in found.items():
        isa = _host.X86_LEVELS[name] if _host.is_x86() else _host.isa()
        assert level == name
        assert width.startswith(f"{8 * isa.vector_bytes} bit: {isa.vector_bytes // 4} float32")
        assert os.path.basename(folder).startswith(f"{name}-")
    assert len({folder for *_, folder in found.values()}) == len(found)


def test_a_forced_level_s_code_does_not_depend_on_the_cpu_at_hand(monkeypatch):
    monkeypatch.setenv("FASTNN_ISA", _host.levels()[-1])
    folder = _cache.folder.__wrapped__
    here = folder()
    monkeypatch.setattr(_host, "cpu", lambda: ("another CPU", _host.cpu.__name__))
    assert folder() == here
    monkeypatch.delenv("FASTNN_ISA")
    assert folder() != here


def test_an_unknown_instruction_set_is_refused_by_name():
    done = python(INFO, FASTNN_ISA="avx1024")
    assert "unknown instruction set in FASTNN_ISA 'avx1024'" in done.stderr
    assert all(name in done.stderr for name in _host.X86_LEVELS)


@pytest.mark.skipif(not _host.is_x86(), reason="other CPUs have one level")
def test_an_instruction_set_that_the_cpu_does_not_have_is_refused():
    smaller = "from fastnn.kernels import _host; _host.cpu = lambda: ('a CPU', 'sse4_2 avx2 fma')\n"
    assert "FASTNN_ISA=avx512 is above what this CPU has: avx2" in python(smaller + INFO, FASTNN_ISA="avx512").stderr
    assert python(smaller + INFO, FASTNN_ISA="AVX2").stdout.startswith("avx2|256 bit")


def test_a_cpu_that_is_no_x86_has_a_level_of_its_own_alone():
    arm = "import platform; platform.machine = lambda: 'aarch64'\nfrom fastnn.kernels import _host; print(_host.isa(), _host.identity())\n"
    for level in ("avx512", "avx2", "sse"):
        assert f"FASTNN_ISA={level} is above what this CPU has: generic" in python(arm, FASTNN_ISA=level).stderr
    for level in ("generic", ""):
        assert python(arm, FASTNN_ISA=level).stdout.startswith("ISA(name='generic', vector_bytes=16, registers=32)")


@pytest.mark.parametrize(("symbol", "allowed"), [("memset", True), ("sinf", True), ("printf", False), ("PyErr_SetString", False)])
def test_code_that_needs_a_foreign_symbol_is_refused(symbol, allowed):
    module = ir.Module("calls")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "fastnn_calls")
    foreign = ir.Function(module, ir.FunctionType(ir.VoidType(), []), symbol)
    b = ir.IRBuilder(function.append_basic_block())
    b.call(foreign, [])
    b.ret_void()
    if allowed:
        assert symbol.encode() in _codegen.object_code(module, "fastnn_calls")
    else:
        with pytest.raises(RuntimeError, match=f"kernel fastnn_calls is not freestanding: it calls {symbol}"):
            _codegen.object_code(module, "fastnn_calls")


ARM = """
import math
import os
os.environ.pop("FASTNN_ISA", None)  # which names levels of x86
import platform
platform.machine = lambda: "aarch64"
from llvmlite import binding as llvm
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
from fastnn.kernels import KERNELS, _codegen, _host, _program, _team
target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
machine = target.create_target_machine(opt=3, reloc="default", codemodel="jitdefault", jit=True)
_host.cpu, _host.target = lambda: ("an Arm core", ""), lambda: ("", "")
_codegen._target, _codegen._machine = lambda: target, lambda: machine
assert _host.isa() == _host.ISA("generic", 16, 32) and _host.isa().has_fma
translate = _codegen.object_code

def shown(module, *arguments, **options):
    print(module)
    return translate(module, *arguments, **options)

_codegen.object_code = shown
kernel = {**KERNELS, "serve": _team.SERVE, "interpret": _program.INTERPRET}["NAME"]
code = kernel._compile("entry", kernel.signature.variants()[0])
print("machine", int.from_bytes(code[18:20], "little"))
"""
AARCH64 = 183  # in the header of an object file


@pytest.mark.parametrize("name", ["exp", "adam", "gemm", "softmax", "max_pool2d", "serve", "interpret"])
def test_code_is_made_for_arm_too_for_vectors_of_128_bits(name):
    done = python(ARM.replace("NAME", name))
    assert done.stdout.endswith(f"machine {AARCH64}\n"), done.stderr
    assert "llvm.x86" not in done.stdout
    if name in ("exp", "adam"):  # rows and tiles side by side are longer vectors, of which LLVM makes several
        assert set(re.findall(r"<(\d+) x float>", done.stdout)) == {"4"}
    if name == "gemm":
        assert set(re.findall(r"llvm\.fmuladd\.v(\d+)f32", done.stdout)) == {"4"}


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", math.inf),
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n"}, "0::/a/b\n", 4),
        (
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
            "3:cpu,cpuacct:/a\n2:memory:/b\n",
            2,
        ),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, "3:cpu,cpuacct:/\n", math.inf),
        ({}, "0::/../elsewhere\n", math.inf),
        ({}, None, math.inf),
    ],
)
def test_no_more_cores_are_counted_than_the_group_s_share_of_time_is_worth(tmp_path, monkeypatch, files, membership, expected):
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    if membership is not None:
        (tmp_path / "cgroup").write_text(membership)
    assert _host.time_share(tmp_path / "groups", tmp_path / "cgroup") == expected
    monkeypatch.setattr(_host, "time_share", lambda *_: expected)
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert _host.cores.__wrapped__() == min(there, math.ceil(min(expected, 1000)))
