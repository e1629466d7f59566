"""Why an activation function: what happens to a deep network without one?

It collapses. Layer after layer without an activation is W3 (W2 (W1 x + b1) + b2) + b3 = (W3 W2 W1) x + (W3 W2 b1 + W3 b2 + b3): one
matrix and one vector, which a single layer can hold. However deep it is, such a network draws straight lines. Two classes that lie in
each other as spiral arms cannot be told apart by one, and can by the same network with an activation between its layers.
"""

from itertools import pairwise

import numpy as np
from _show import start, table

import fastnn
from fastnn import Trainer, nn, optim


def network(activation, depth, width=32):
    """`depth` linear layers from 2 numbers to 2 scores, with an activation between them or with nothing."""
    sizes = [2] + [width] * (depth - 1) + [2]
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, dtype="float64"), activation()]
    return nn.Sequential(*layers[:-1])


def collapsed(model):
    """The one linear layer that computes what a stack of linear layers computes."""
    weight, bias = np.eye(2), np.zeros(2)
    for layer in model:
        if isinstance(layer, nn.Linear):
            weight, bias = layer.weight.data @ weight, layer.weight.data @ bias + layer.bias.data
    single = nn.Linear(2, 2, dtype="float64")
    single.load_state_dict({"weight": weight, "bias": bias})
    return single


def spirals(samples, rng):
    """Two spiral arms: points (samples, 2) and the arm of each."""
    arm = rng.integers(0, 2, samples)
    angle = rng.uniform(0.5, 5, samples)
    points = np.stack([np.cos(angle + np.pi * arm), np.sin(angle + np.pi * arm)], axis=1) * angle[:, None] / 5
    return points + rng.normal(0, 0.02, points.shape), arm


def main(quick=False):
    """What happens to a deep network without an activation function?"""
    fastnn.manual_seed(0)
    x, y = spirals(300 if quick else 1000, np.random.default_rng(0))
    rows, grid = {}, np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, 61)] * 2), axis=-1).reshape(-1, 2)
    maps = {}
    for name, activation, depth in [("none", nn.Identity, 1), ("none", nn.Identity, 5), ("ReLU", nn.ReLU, 5), ("Tanh", nn.Tanh, 5)]:
        model = network(activation, depth)
        trainer = Trainer(model, optimizer=optim.Adam(model.parameters(), lr=5e-3), metrics=["accuracy"], show_progress=False)
        trainer.fit(x, y, epochs=30 if quick else 60, batch_size=50)
        single = collapsed(model)
        gap = float(np.abs(model(x).numpy() - single(x).numpy()).max())
        rows[name, depth] = trainer.evaluate(x, y)["accuracy"], gap
        maps[f"{name}, depth {depth}"] = np.diff(trainer.predict(grid))[:, 0].reshape(61, 61) > 0
    table(
        ("activation", "depth", "accuracy", "largest difference from its one-layer collapse"),
        *[(*key, *values) for key, values in rows.items()],
    )
    return {"rows": rows, "maps": maps, "points": (x, y)}


def draw(figure, numbers):
    x, y = numbers["points"]
    for axes, (title, side) in zip(figure.subplots(1, len(numbers["maps"])), numbers["maps"].items(), strict=True):
        axes.imshow(side, extent=(-1.2, 1.2, -1.2, 1.2), origin="lower", cmap="coolwarm", alpha=0.4)
        axes.scatter(*x.T, c=y, s=2, cmap="coolwarm")
        axes.set(title=title, xticks=[], yticks=[])


if __name__ == "__main__":
    start(main, draw)
