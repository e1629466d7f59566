"""A Numba whose internals have changed costs speed at the start, nothing else."""

import subprocess
import sys

SCRIPT = """
import numpy as np
from fastnn import config
from fastnn.kernels import KERNELS, Instruction, Program, _compiler, run

def changed(*arguments):
    raise AttributeError("internals have moved")

_compiler.build = changed
x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
y, expected = np.empty_like(x), np.empty_like(x)
KERNELS["softmax"].twin(expected, x)
run("softmax", y, x)
np.testing.assert_allclose(y, expected, rtol=1e-5)
run("exp", y, x)
np.testing.assert_allclose(y, np.exp(x), rtol=1e-6)
assert "Numba's own cache (softmax: AttributeError: internals have moved)" in config.info()["object code is stored"]
"""


def test_kernels_work_through_numbas_public_functions(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "numba").rglob("*.nbi"))
