"""Why a loss, when what we look at are metrics, and what property must it have?

Because training asks how the result changes when a weight moves a little, and a metric does not say. Accuracy counts; a count stays the
same until some example changes sides, and then it jumps. Its derivative is 0 nearly everywhere, so gradient descent would stand still.

A loss must be differentiable (nearly everywhere, as ReLU is, too) with a gradient that points to better weights, and bounded from below;
its small values should go with good values of the metric. Cross entropy, -log p(right class), also tells apart what accuracy does not:
of two networks that are right equally often, it prefers the one that is surer when right and less sure when wrong.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import Trainer, datasets, models, optim
from fastnn.metrics import accuracy
from fastnn.nn import functional as F


def main(quick=False):
    """Why a loss, when what we look at are metrics?"""
    fastnn.manual_seed(0)
    examples = datasets.load("digits")
    x, y = examples.x[:400].astype(np.float64), examples.y[:400]
    model = models.mlp(64, [32], 10, activation="tanh", dtype="float64")
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    Trainer(model, optimizer=optimizer, show_progress=False).fit(x, y, epochs=4, batch_size=50)

    # Nudge single weights, as central differences do, and see what answers.
    loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    weight, eps = model[2].weight, 1e-6
    checked = range(0, weight.size, 31 if quick else 7)
    slopes = {"accuracy": [], "loss": [], "loss by the tape": [weight.grad.numpy().flat[i] for i in checked]}
    for i in checked:
        ends = []
        for step in (eps, -2 * eps, eps):
            weight.data.flat[i] += step
            scores = model(x)
            ends.append((accuracy(scores.numpy(), y), F.cross_entropy(scores, y).item()))
        slopes["accuracy"].append((ends[0][0] - ends[1][0]) / (2 * eps))
        slopes["loss"].append((ends[0][1] - ends[1][1]) / (2 * eps))
    table(
        ("slope along single weights", "how many are 0", "largest"),
        *[(name, f"{np.sum(np.equal(s, 0))} of {len(s)}", float(np.abs(s).max())) for name, s in slopes.items()],
    )

    # Walk along the negative gradient: the loss is a curve, the accuracy a staircase.
    steps = np.linspace(0, 2, 401)
    before, direction = weight.data.copy(), weight.grad.numpy() / np.linalg.norm(weight.grad.numpy())
    walk = []
    for step in steps:
        weight.data[:] = before - step * direction
        scores = model(x)
        walk.append((accuracy(scores.numpy(), y), F.cross_entropy(scores, y).item()))
    weight.data[:] = before
    stairs, curve = map(np.array, zip(*walk, strict=True))
    print(f"\n{len(steps)} steps downhill: {len(np.unique(curve))} different losses, {len(np.unique(stairs))} different accuracies")

    # Larger scores choose the same classes, only more surely: that is better for the right ones and worse for the wrong ones.
    scores = model(x).numpy()
    rows = {factor: (accuracy(factor * scores, y), F.cross_entropy(factor * scores, y).item()) for factor in (0.1, 1.0, 10.0, 100.0)}
    print()
    table(("scores times", "accuracy", "loss"), *[(factor, *row) for factor, row in rows.items()])
    return {"slopes": {name: np.array(s) for name, s in slopes.items()}, "steps": steps, "stairs": stairs, "curve": curve, "rows": rows}


def draw(figure, numbers):
    for axes, name in zip(figure.subplots(1, 2), ("curve", "stairs"), strict=True):
        axes.plot(numbers["steps"], numbers[name], ".-")
        axes.set(xlabel="distance along the negative gradient", ylabel={"curve": "loss", "stairs": "accuracy"}[name])


if __name__ == "__main__":
    start(main, draw)
