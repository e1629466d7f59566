import csv
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fastnn.kernels import KERNELS
from fastnn.kernels._everything import everything
from fastnn.kernels._registry import Kernel

import fastnn
from fastnn import cli, files


@pytest.fixture(autouse=True)
def same_backend_afterwards():
    with fastnn.use_backend(fastnn.get_backend()):
        yield


def run(capsys, *arguments):
    status = cli.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


def test_train_prints_the_model_the_speed_and_last_the_test_accuracy(capsys):
    status, out, err = run(capsys, "train", "digits", "--backend", "numpy", "--epochs", "3", "--hidden", "64")
    assert status == 0
    assert err == []
    assert out[0] == "digits: 1,797 handwritten digits of 8x8 pixels (UCI, Alpaydin and Kaynak 1998); 1,438 to train on, 359 held out"
    assert "  (0): Linear(in_features=64, out_features=64, bias=True)" in out
    assert re.fullmatch(r"3 epochs in [\d.]+ s, [\d,]+ samples/s, test loss [\d.]+", out[-2])
    assert 80 < float(re.fullmatch(r"test accuracy ([\d.]+) %", out[-1])[1]) < 100


@pytest.mark.parametrize("dataset", ["iris", "wine", "breast_cancer", "diabetes"])
def test_train_knows_the_small_data_sets(capsys, dataset):
    pytest.importorskip("sklearn")
    status, out, _ = run(capsys, "train", dataset, "--backend", "numpy")
    assert status == 0
    if dataset == "diabetes":
        assert 0.2 < float(re.match(r"test R2 ([-\d.]+), mean absolute error [\d.]+ standard deviations", out[-1])[1]) < 0.8
    else:
        assert float(out[-1].split()[2]) >= 90


def test_train_takes_its_settings_from_the_command_line(capsys, tmp_path):
    out_folder = tmp_path / "a" / "b"
    options = "--model mlp --hidden 20,10 --epochs 2 --batch-size 100 --optimizer sgd --lr 0.1 --seed 4 --backend numpy --threads 1"
    status, out, _ = run(capsys, "train", "digits", *options.split(), "--out", str(out_folder))
    assert status == 0
    assert out[-2] == f"wrote model.safetensors, history.csv, learning_curve.png to {out_folder}"
    state = files.load(out_folder / "model.safetensors")
    assert {name: value.shape for name, value in state.items() if "weight" in name} == {
        "0.weight": (20, 64),
        next(n for n, v in state.items() if v.shape == (10, 20)): (10, 20),
        next(n for n, v in state.items() if v.shape == (10, 10)): (10, 10),
    }
    report = files.load_metadata(out_folder / "model.safetensors")["report"]
    for setting in ("optimizer: SGD", "seed: 4", "epochs: 2", "batch_size: 100", "scheduler: OneCycleLR"):
        assert setting in report
    rows = list(csv.DictReader((out_folder / "history.csv").read_text().splitlines()))
    assert len(rows) == 2
    assert f"{100 * float(rows[-1]['val_accuracy']):.1f} %" in out[-1]
    assert (out_folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_saved_model_gives_the_printed_accuracy(capsys, tmp_path):
    _, out, _ = run(capsys, "train", "digits", "--backend", "numpy", "--epochs", "2", "--hidden", "32,32", "--out", str(tmp_path))
    model = fastnn.models.residual_mlp(64, 32, 2, 10, dropout=0.5).eval()
    model.load_state_dict(files.load(tmp_path / "model.safetensors"))
    _, (x, y) = fastnn.datasets.load("digits").split()
    with fastnn.use_backend("numpy"):
        assert out[-1] == f"test accuracy {100 * (model(x).numpy().argmax(1) == y).mean():.1f} %"


def test_the_same_seed_gives_the_same_run(capsys):
    def last(seed):
        return run(capsys, "train", "digits", "--backend", "numpy", "--epochs", "1", "--seed", seed)[1][-2].split("loss")[1]

    assert last("1") == last("1") != last("2")


@pytest.mark.parametrize("optimizer", fastnn.optim.OPTIMIZERS)
def test_every_optimiser_can_be_named(capsys, optimizer):
    status, _, err = run(capsys, "train", "digits", "--backend", "numpy", "--epochs", "1", "--optimizer", optimizer, "--hidden", "16")
    assert (status, err) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train digit", "unknown data set 'digit'; did you mean 'digits'"),
        ("train digits --model resnet", "unknown model 'resnet'"),
        ("train digits --optimizer adaw", "unknown optimizer 'adaw'"),
        ("train digits --backend cuda", "unknown backend 'cuda'"),
        ("train digits --hidden 64,32", "share one width"),
        ("train digits --hidden ,", "share one width"),
        ("train digits --epochs 0", "epochs must be at least 1, got 0"),
        ("train digits --hidden 0", "must be at least 1, got 0"),
        ("train digits --hidden=-3,-3 --model mlp", "hidden[0] must be at least 1, got -3"),
        ("train digits --lr nan", "lr must be a number >= 0, got nan"),
        ("train digits --lr -1", "lr must be a number >= 0, got -1.0"),
        ("train digits --out /proc/nowhere", "/proc/nowhere"),
        ("train digits --batch-size 0", "batch_size must be"),
        ("train digits --threads 0", "0"),
        ("train digits --seed -1", "-1"),
        ("train digits --out /dev/null/folder", "/dev/null"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_status_2(capsys, arguments, message):
    status, _, err = run(capsys, *arguments.split())
    assert status == 2
    assert len(err) == 1
    assert err[0].startswith("fastnn: ")
    assert message in err[0]


@pytest.mark.parametrize("arguments", ["", "fly", "train", "train digits --epochs many", "train digits --hidden a"])
def test_wrong_usage_is_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as error:
        cli.main(arguments.split())
    assert error.value.code == 2
    assert "usage: fastnn" in capsys.readouterr().err


def test_without_matplotlib_the_rest_is_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out, err = run(capsys, "train", "digits", "--backend", "numpy", "--epochs", "1", "--out", str(tmp_path))
    assert status == 0
    assert "no learning curve" in err[0]
    assert sorted(os.listdir(tmp_path)) == ["history.csv", "model.safetensors"]
    assert out[-1].startswith("test accuracy")


def test_info_names_everything_that_a_report_needs(capsys):
    status, out, _ = run(capsys, "info")
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in out)
    assert status == 0
    assert facts["numpy"] == np.__version__
    assert facts["fastnn-cpu"] == fastnn.__version__
    assert facts["instruction set"] in ("avx512", "avx2", "sse", "generic")
    assert facts["backend"] == fastnn.get_backend()
    assert re.fullmatch(r"\d+ bit: \d+ float32 or \d+ float64", facts["vector width"])
    assert re.fullmatch(r"\d+ stored, [\d.]+ MB", facts["compiled kernels"])
    assert os.path.isabs(facts["kernel cache"])
    assert facts["object code is stored"].startswith(("yes", "no"))
    assert int(facts["threads"]) >= 1
    assert "cpu" in facts


def test_warmup_compiles_every_variant_of_every_kernel(capsys, monkeypatch):
    compiled = []
    monkeypatch.setattr(Kernel, "entry", lambda kernel, dtypes: compiled.append((kernel.name, dtypes)))
    status, out, _ = run(capsys, "warmup")
    assert status == 0
    assert re.fullmatch(r"compiled 0 kernels in [\d.]+ s; \d+ stored, [\d.]+ MB in .+", out[-1])
    assert {(name, dtypes) for name, kernel in KERNELS.items() for dtypes in kernel.signature.variants()} < set(compiled)
    assert len(compiled) == len(set(compiled))


TYPICAL = """
import numpy as np
import fastnn
from fastnn import kernels, nn, optim
from fastnn.kernels import _registry
WATCH

rng = np.random.default_rng(0)
x, labels = rng.normal(size=(70, 3 * 8 * 8)).astype(np.float32), rng.integers(0, 10, 70)
images = rng.integers(0, 256, x.shape, dtype=np.uint8)
dense = [nn.Linear(192, 64), nn.BatchNorm1d(64), nn.GELU(), nn.Dropout(0.1), nn.Residual(nn.LayerNorm(64), nn.Linear(64, 64), nn.Tanh())]
spatial = [nn.Unflatten(1, (3, 8, 8)), nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.MaxPool2d(2)]
for threads in (1, 2):
    for body in (dense, [*spatial, nn.Flatten(), nn.Linear(144, 64), nn.SiLU()]):
        with fastnn.threads(threads):
            model = nn.Sequential(*body, nn.Linear(64, 10))
            schedule = optim.Adam(model.parameters())
            step = fastnn.compile_training(model, "cross_entropy", schedule, clip_norm=1.0, metrics=["accuracy"])
            for data in (x, images):
                step.run_epoch(data, labels, 32, rng)
            infer = fastnn.compile_inference(model)
            for size in (1, 70):
                infer(x[:size])
            trainer = fastnn.Trainer(model, optimizer="sgd", metrics=["accuracy"])
            trainer.fit(x, labels, epochs=1, validation_data=(images, labels))
out = np.empty((64, 10), np.float32)
for _ in range(3):
    kernels.matmul(out, x[:64], x[:10].T)
    kernels.exp(out, out)
print("done")
"""


def typical(watch, **environment):
    code = TYPICAL.replace("WATCH", watch)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.stdout.endswith("done\n"), done.stderr
    return done.stdout.splitlines()[:-1]


def test_warmup_knows_all_that_training_and_inference_load():
    watch = """
load = _registry.Kernel._load
def watched(kernel, dtypes):
    print(kernel.name, dtypes)
    return load(kernel, dtypes)
_registry.Kernel._load = watched
"""
    loaded = {tuple(line.split()) for line in typical(watch)}
    assert {("serve", "i8"), ("interpret", "i8i8i8"), ("tanh_of_blocks", "f4")} <= loaded
    assert loaded <= {(kernel.name, dtypes) for kernel, dtypes in everything()}


@pytest.mark.slow
def test_nothing_is_compiled_after_a_warmup_of_an_empty_cache(tmp_path):
    environment = {"FASTNN_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "fastnn", "warmup"], check=True, env={**os.environ, **environment})
    watch = """
def refused(kernel, symbol, dtypes):
    raise AssertionError(f"{symbol} is compiled")
_registry.Kernel._compile = refused
"""
    stored = sorted(tmp_path.rglob("*.o"))
    typical(watch, **environment)
    assert sorted(tmp_path.rglob("*.o")) == stored


def test_python_dash_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "fastnn", "train", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("fastnn: unknown data set")


LOOKS = """
import sys
from fastnn import cli, models, nn

class Looks(nn.Sequential):
    def forward(self, x):
        y = super().forward(x)
        return y if y.sum().item() > 0 else 2.0 * y

mlp = models.mlp
models.mlp = lambda *arguments, **options: Looks(mlp(*arguments, **options))
sys.exit(cli.main(["train", "iris", "--model", "mlp", "--hidden", "8", "--epochs", "1"]))
"""


def test_a_model_that_cannot_be_recorded_is_trained_eagerly_which_is_said():
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True)
    assert done.returncode == 0
    assert "training runs eagerly, which is slower: item() at <string>:8: " in done.stderr
    assert done.stdout.splitlines()[-1].startswith("test accuracy")


def test_ctrl_c_ends_with_one_line_and_status_130():
    command = [sys.executable, "-m", "fastnn", "train", "digits", "--backend", "numpy", "--epochs", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.endswith("parameters\n"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "fastnn: interrupted\n"
