"""What is a network's depth, and what does it buy?

Depth is the number of layers with weights on the longest way from the input to the output. Activations and additions do not count, nor
does the input. A residual block with two `Linear` layers therefore adds two, although its shortcut adds none.

What depth buys: the tent map t(x) = 1 - |2x - 1| takes one hidden layer of two ReLUs. Applied to its own output again and again, it
folds [0, 1] once more each time, so the number of straight pieces doubles with every layer, while the number of weights grows by six.
A network with a single hidden layer needs a neuron for every piece beyond the first.
"""

import numpy as np
from _show import start, table

from fastnn import models, nn


def depth(module):
    """Layers with weights on the longest way through a module."""
    if isinstance(module, nn.Residual):
        body, shortcut = depth(module.body), 0 if module.shortcut is None else depth(module.shortcut)
        return max(body, shortcut)
    if isinstance(module, nn.Linear):
        return 1
    return sum(depth(child) for child in module.children())  # in a Sequential they follow one another


def tents(folds):
    """The tent map applied `folds` times: t(x) = 2 relu(x) - 4 relu(x - 1/2)."""
    layers, inputs = [], 1
    for _ in range(folds):
        linear = nn.Linear(inputs, 2, dtype="float64")
        linear.weight.data[:] = 1 if inputs == 1 else [2, -4]
        linear.bias.data[:] = [0, -0.5]
        layers += [linear, nn.ReLU()]
        inputs = 2
    last = nn.Linear(2, 1, bias=False, dtype="float64")
    last.weight.data[:] = [2, -4]
    return nn.Sequential(*layers, last)


def pieces(model, resolution=4096):
    """The number of straight pieces of a function on [0, 1], counted by its changes of slope."""
    y = model(np.linspace(0, 1, resolution + 1)[:, None]).numpy()[:, 0]
    slopes = np.diff(y) * resolution
    return int(1 + np.sum(np.abs(np.diff(slopes)) > 1e-6))


def main(quick=False):
    """What is a network's depth, and what does it buy?"""
    nets = {
        "one Linear": nn.Linear(64, 10),
        "mlp(64, [32], 10)": models.mlp(64, [32], 10),
        "mlp(64, [32, 32, 32], 10)": models.mlp(64, [32, 32, 32], 10),
        "residual_mlp(64, 32, 3, 10)": models.residual_mlp(64, 32, 3, 10),
    }
    depths = {name: depth(net) for name, net in nets.items()}
    table(("network", "depth"), *depths.items())

    folds = range(1, 5 if quick else 9)
    rows = [(depth(tents(n)), sum(p.size for p in tents(n).parameters()), pieces(tents(n))) for n in folds]
    print()
    heading = "depth, width 2", "parameters", "straight pieces", "neurons of one hidden layer for as many"
    table(heading, *[(*row, row[2] - 1) for row in rows])
    x = np.linspace(0, 1, 1025)
    curves = {depth(tents(n)): tents(n)(x[:, None]).numpy()[:, 0] for n in (1, 2, 4)}
    return {"depths": depths, "folds": list(folds), "pieces": [row[2] for row in rows], "x": x, "curves": curves}


def draw(figure, numbers):
    axes = figure.subplots(1, len(numbers["curves"]), sharey=True)
    for a, (layers, y) in zip(axes, numbers["curves"].items(), strict=True):
        a.plot(numbers["x"], y)
        a.set(title=f"depth {layers}, width 2", xlabel="x")


if __name__ == "__main__":
    start(main, draw)
