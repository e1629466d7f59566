"""The command line: `fastnn train`, `fastnn info`, `fastnn warmup`, `fastnn bench`. Each command imports only what it needs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .bench import command as bench
from .errors import ArgumentError, FastnnError, MissingDependencyError, unknown_name

if TYPE_CHECKING:
    from .datasets import Examples
    from .nn import Module
    from .training import History, Trainer

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Recipe(NamedTuple):
    """The settings that a data set is trained with unless the command line says otherwise."""

    hidden: tuple[int, ...]
    epochs: int
    lr: float
    dropout: float
    label_smoothing: float = 0.0


RECIPES = {
    "digits": Recipe(hidden=(256, 256), epochs=30, lr=2e-3, dropout=0.5, label_smoothing=0.1),
    "mnist5k": Recipe(hidden=(256, 256, 256), epochs=20, lr=1e-3, dropout=0.2),
}
SMALL = Recipe(hidden=(32, 32), epochs=60, lr=3e-3, dropout=0.1)  # tables of a few hundred rows
MODELS = ("residual_mlp", "mlp")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 after an error that was named on stderr, 130 after Ctrl-C."""
    args = _parser().parse_args(argv)
    try:
        return {"train": _train, "info": _info, "warmup": _warmup, "bench": _bench}[args.command](args)
    except (FastnnError, OSError) as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastnn", description="Neural networks on the CPU.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a network on a data set and test it on a held-out fifth")
    train.add_argument("dataset", help="digits, or with the extra `datasets`: mnist5k, iris, wine, breast_cancer, diabetes")
    train.add_argument("--model", default=MODELS[0], help=f"{' or '.join(MODELS)} (default: %(default)s)")
    train.add_argument(
        "--hidden", type=_widths, metavar="N,N,...", help="width of each hidden layer, or of each residual block (all equal there)"
    )
    train.add_argument("--epochs", type=int, metavar="N", help="how often to go through the training part")
    train.add_argument("--batch-size", type=int, default=64, metavar="N", help="examples in a step (default: %(default)s)")
    train.add_argument("--optimizer", default="adamw", metavar="NAME", help="sgd, adam, adamw, ... (default: %(default)s)")
    train.add_argument("--lr", type=float, metavar="X", help="highest learning rate of the one-cycle schedule")
    train.add_argument(
        "--seed", type=int, default=0, metavar="N", help="determines split, initial weights, order and dropout (default: %(default)s)"
    )
    train.add_argument("--backend", default="numba", help="numba (compiled kernels) or numpy (default: %(default)s)")
    train.add_argument("--threads", type=int, metavar="N", help="how many threads compute")
    train.add_argument("--out", type=Path, metavar="FOLDER", help="where to write model.safetensors, history.csv and learning_curve.png")
    commands.add_parser("info", help="show versions, CPU, instruction set, threads and the kernel cache")
    commands.add_parser("warmup", help="compile all kernels now instead of on first use")
    bench.add_arguments(commands.add_parser("bench", help="measure this library beside every peer that is installed"))
    return parser


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(width) for width in text.split(",") if width)


def _bench(args: argparse.Namespace) -> int:
    return bench.run(args)


def _info(args: argparse.Namespace) -> int:
    from .config import show_config

    show_config()
    return 0


def _train(args: argparse.Namespace) -> int:
    from . import datasets, nn, optim, random
    from .kernels import set_backend, threads
    from .training import Trainer

    set_backend(args.backend)
    examples = datasets.load(args.dataset)
    recipe = RECIPES.get(args.dataset, SMALL)
    epochs = recipe.epochs if args.epochs is None else args.epochs
    if epochs < 1:
        raise ArgumentError(f"--epochs must be at least 1, got {epochs}")
    random.manual_seed(args.seed)
    (x, y), test = examples.split(seed=args.seed)
    model = _model(args.model, recipe.hidden if args.hidden is None else args.hidden, recipe.dropout, examples)
    lr = recipe.lr if args.lr is None else args.lr
    optimizer = optim.get(args.optimizer)(model.parameters(), lr=lr)
    steps = -(-len(x) // max(args.batch_size, 1))
    trainer = Trainer(
        model,
        loss=nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing) if examples.task == "classification" else "mse",
        optimizer=optimizer,
        metrics=["accuracy"] if examples.task == "classification" else ["r2", "mae"],
        seed=args.seed,
        scheduler=optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=epochs * steps, cycle_momentum=False),
    )
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)  # after all that may be wrong, and before the work
    print(f"{args.dataset}: {examples.description}; {len(x):,} to train on, {len(test[1]):,} held out")
    print(f"{model}\n{sum(p.size for p in model.parameters()):,} parameters", flush=True)
    with threads(args.threads) if args.threads is not None else nullcontext():
        history = trainer.fit(x, y, epochs=epochs, batch_size=args.batch_size, validation_data=test)
        result = trainer.evaluate(*test)
    seconds = sum(history.seconds)
    print(f"{history.epochs} epochs in {seconds:.1f} s, {history.epochs * len(x) / seconds:,.0f} samples/s, test loss {result['loss']:.4f}")
    if args.out is not None:
        _write(args.out, trainer, history)
    if examples.task == "classification":
        print(f"test accuracy {100 * result['accuracy']:.1f} %")
    else:
        print(f"test R2 {result['r2']:.3f}, mean absolute error {result['mae']:.3f} standard deviations")
    return 0


def _model(name: str, hidden: tuple[int, ...], dropout: float, examples: Examples) -> Module:
    from . import models

    inputs, outputs = examples.x.shape[1], examples.outputs
    if name == "mlp":
        return models.mlp(inputs, hidden, outputs, dropout=dropout)
    if name == "residual_mlp":
        if len(set(hidden)) != 1:
            raise ArgumentError(
                f"--hidden: the blocks of a residual_mlp share one width, such as 128,128; got {','.join(map(str, hidden))}"
            )
        return models.residual_mlp(inputs, hidden[0], len(hidden), outputs, dropout=dropout)
    raise unknown_name("model", name, MODELS)


def _write(folder: Path, trainer: Trainer, history: History) -> None:
    from .files import save

    save(trainer.model, folder / "model.safetensors", {"report": trainer.report()})
    history.to_csv(folder / "history.csv")
    written = ["model.safetensors", "history.csv"]
    try:
        history.plot(folder / "learning_curve.png")
        written.append("learning_curve.png")
    except MissingDependencyError as error:
        print(f"fastnn: no learning curve: {error}", file=sys.stderr)
    print(f"wrote {', '.join(written)} to {folder}")


def _warmup(args: argparse.Namespace) -> int:
    import time

    from .kernels import _builtin, _cache, _notice
    from .kernels._everything import everything
    from .training.progress import counted

    start, stored = time.perf_counter(), _cache.size()[0]
    with _notice.shown_by(lambda text: None):
        for kernel, dtypes in counted(everything(), "compiling kernels"):
            kernel.entry(dtypes)
        if _builtin.possible():
            _builtin._method()
    count, size = _cache.size()
    seconds = time.perf_counter() - start
    print(f"compiled {count - stored} kernels in {seconds:.1f} s; {count} stored, {size / 1e6:.1f} MB in {_cache.folder()}")
    return 0
