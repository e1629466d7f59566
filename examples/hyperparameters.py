"""Hyperparameters against parameters.

Parameters are trained and depend on the data: the weights and biases. Hyperparameters are set by us before training and are not changed
by it: width, learning rate, batch size, seed. They decide whether training converges, how fast, how steadily, and to what quality, and
since no gradient leads to them, they are tried out: a sweep trains one network for each choice and compares them on validation data,
which neither the parameters (training data) nor the final number (test data) may have seen.
"""

from _show import start, table

import fastnn
from fastnn import datasets, models, optim

RATES = (1e-4, 1e-2, 1.0)
WIDTHS = (4, 32)


def train(lr, width, data, epochs):
    """One choice of hyperparameters: the trainer, and the validation accuracy that it ends with."""
    (x, y), validation = data
    fastnn.manual_seed(0)
    model = models.mlp(64, [width], 10)
    trainer = fastnn.Trainer(model, optimizer=optim.Adam(model.parameters(), lr=lr), metrics=["accuracy"], show_progress=False)
    history = trainer.fit(x, y, epochs=epochs, batch_size=64, validation_data=validation)
    return trainer, history


def main(quick=False):
    """Hyperparameters against parameters."""
    (x, y), test = datasets.load("digits").split(test_size=0.2)
    held_out = len(x) // 5
    data = (x[held_out:], y[held_out:]), (x[:held_out], y[:held_out])
    runs = {(lr, width): train(lr, width, data, epochs=5 if quick else 20) for lr in RATES for width in WIDTHS}

    scores = {choice: history.val_accuracy[-1] for choice, (_, history) in runs.items()}
    counts = {width: sum(p.size for p in runs[RATES[0], width][0].model.parameters()) for width in WIDTHS}
    table(
        ("learning rate", "width", "parameters", "training loss", "validation accuracy"),
        *[(lr, width, counts[width], history.loss[-1], history.val_accuracy[-1]) for (lr, width), (_, history) in runs.items()],
    )
    best = max(scores, key=scores.get)
    trainer = runs[best][0]
    accuracy = trainer.evaluate(*test)["accuracy"]
    print(f"\nthe best choice, learning rate {best[0]:g} and width {best[1]}, has a test accuracy of {accuracy:.1%}\n\n{trainer.report()}")
    return {
        "scores": scores,
        "best": best,
        "accuracy": accuracy,
        "hyperparameters": trainer.hyperparameters,
        "parameters": trainer.parameters,
        "curves": {choice: list(history.loss) for choice, (_, history) in runs.items()},
    }


def draw(figure, numbers):
    axes = figure.subplots()
    for (lr, width), losses in numbers["curves"].items():
        axes.plot(range(1, len(losses) + 1), losses, marker=".", label=f"learning rate {lr:g}, width {width}")
    axes.set(yscale="log", xlabel="epoch", ylabel="training loss")
    axes.legend()


if __name__ == "__main__":
    start(main, draw)
