"""From the start of a process to its first finished training step: how long, and how much memory."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..errors import FastnnError
from . import torch_nets
from .case import Setting
from .run import row

ROUNDS = 5
QUICK_ROUNDS = 1
SIZES, BATCH = (784, 256, 128, 10), 128
LOSSES = (1.0, 5.0)  # around ln 10, the loss of scores that know nothing
GROUP = "start, peak memory"

DATA = f"""
import numpy as np
rng = np.random.default_rng(0)
x = rng.standard_normal(({BATCH}, {SIZES[0]}), dtype=np.float32)
y = rng.integers(0, {SIZES[-1]}, {BATCH})
"""
OURS = f"""{DATA}
import fastnn
model = fastnn.models.mlp({SIZES[0]}, {SIZES[1:-1]}, {SIZES[-1]})
step = fastnn.compile_training(model, "cross_entropy", fastnn.optim.Adam(model.parameters()))
loss = step(x, y)
"""
TORCH = f"""{DATA}
import torch
torch.set_num_threads(THREADS)
sizes = {SIZES}
layers = [layer for i, o in zip(sizes, sizes[1:]) for layer in (torch.nn.Linear(i, o), torch.nn.ReLU())]
model = torch.nn.Sequential(*layers[:-1])
optimizer = torch.optim.Adam(model.parameters())
loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
loss.backward()
optimizer.step()
loss = loss.item()
"""
JAX = f"""{DATA}
import jax, jax.numpy as jnp
sizes = {SIZES}
parameters = [(jnp.asarray(rng.standard_normal((i, o), dtype=np.float32) / i**0.5), jnp.zeros(o)) for i, o in zip(sizes, sizes[1:])]
def loss_of(parameters):
    h = x
    for w, b in parameters[:-1]:
        h = jax.nn.relu(h @ w + b)
    scores = jax.nn.log_softmax(h @ parameters[-1][0] + parameters[-1][1])
    return -jnp.take_along_axis(scores, y[:, None], 1).mean()
@jax.jit
def step(parameters, m, v):
    loss, g = jax.value_and_grad(loss_of)(parameters)
    tree = jax.tree_util.tree_map
    m, v = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g), tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    new = tree(lambda p, m, v: p - 1e-3 * (m / 0.1) / (jnp.sqrt(v / 0.001) + 1e-8), parameters, m, v)
    return new, m, v, loss
zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
loss = float(step(parameters, zeros, zeros)[3])
"""
SKLEARN = f"""{DATA}
from sklearn.neural_network import MLPClassifier
model = MLPClassifier({SIZES[1:-1]}, batch_size={BATCH})
model.partial_fit(x, y, classes=np.arange({SIZES[-1]}))
loss = model.loss_
"""
IMAGES = """
import numpy as np
rng = np.random.default_rng(0)
x = rng.standard_normal((64, 3, 32, 32), dtype=np.float32)
y = rng.integers(0, 10, 64)
"""
OUR_RESNET = f"""{IMAGES}
import fastnn
model = fastnn.models.resnet20()
step = fastnn.compile_training(model, "cross_entropy", fastnn.optim.Adam(model.parameters()))
loss = step(x, y)
"""
TORCH_RESNET = f"""
{inspect.getsource(torch_nets).replace("from __future__ import annotations", "")}
{IMAGES}
import torch
torch.set_num_threads(THREADS)
model = resnet20(torch)
optimizer = torch.optim.Adam(model.parameters())
loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
loss.backward()
optimizer.step()
loss = loss.item()
"""
REPORT = """
import json, resource, sys
try:  # the kernel's other figure counts what the parent held when it started this process
    lines = open("/proc/self/status").read().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"loss": float(loss), "peak": peak, "numba": "numba" in sys.modules}), flush=True)
"""
PACKAGES = {"fastnn": "fastnn", "PyTorch": "torch", "JAX": "jax", "scikit-learn": "sklearn"}
NETS = {
    f"MLP {'-'.join(map(str, SIZES))}": {"fastnn": OURS, "PyTorch": TORCH, "JAX": JAX, "scikit-learn": SKLEARN},
    "ResNet-20 32x32, batch 64": {"fastnn": OUR_RESNET, "PyTorch": TORCH_RESNET},
}


def run_once(body: str, threads: int, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Start a process that takes one step: its seconds until the step is done, peak bytes, loss, and whether it imported Numba.

    Raises FastnnError if it fails.
    """
    count = str(threads)
    limits = dict.fromkeys(("FASTNN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
    code = f"THREADS = {threads}\n{body}{REPORT}"
    # Bytecode of this library may be kept, as it is of packages that were installed.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, "JAX_PLATFORMS": "cpu", **limits, **(environment or {})},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        problem = process.stderr.read()
    if process.returncode or not line:
        raise FastnnError(f"the process that was to take one step failed: {problem.strip().splitlines()[-1:]}")
    found = {"seconds": seconds, **json.loads(line)}
    if not LOSSES[0] < found["loss"] < LOSSES[1]:
        raise FastnnError(f"the first step of a fresh process has a loss of {found['loss']}, which should lie between {LOSSES}")
    return found


def _warm(body: str, threads: int) -> dict[str, Any]:
    result = run_once(body, threads)
    if result["numba"]:
        raise FastnnError("a process with a warm cache has imported Numba")
    return result


def _cold(body: str, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return run_once(body, threads, {"FASTNN_CACHE_DIR": folder})


def rows(setting: Setting, only: str | None, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Two rows for each net: everybody with what they keep between processes, and ours with nothing kept."""
    found = []
    for net, bodies in NETS.items():
        ours = bodies["fastnn"]
        contestants: dict[str, Callable[[], dict[str, Any]]] = {"fastnn": partial(_warm, ours, setting.threads)}
        absent = {who: "not installed" for who in bodies if importlib.util.find_spec(PACKAGES[who]) is None}
        for who, body in bodies.items():
            if who != "fastnn" and who not in absent:
                contestants[who] = partial(run_once, body, setting.threads)
        alone: dict[str, Callable[[], dict[str, Any]]] = {"fastnn": partial(_cold, ours, setting.threads)}
        for label, members, missing in (("", contestants, absent), (", empty cache", alone, {})):
            name = f"{net}, first step{label}"
            if only is not None and not re.search(only, f"{GROUP} {name}"):
                continue
            tell(f"{GROUP}: {name}")
            if not label:
                run_once(ours, setting.threads)  # which fills the cache
            runs: dict[str, list[dict[str, Any]]] = {who: [] for who in members}
            for _ in range(QUICK_ROUNDS if setting.quick or label else ROUNDS):
                for who, once in members.items():
                    runs[who].append(once())
            result = row(GROUP, name, {who: [r["seconds"] for r in rs] for who, rs in runs.items()}, missing, {})
            for who, rs in runs.items():
                result["figures"][who]["peak_mb"] = max(r["peak"] for r in rs) / 1e6
            found.append(result)
    return found
