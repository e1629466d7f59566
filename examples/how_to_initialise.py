"""How are weights initialised for the first pass?

At random, and at the right size.

At random, because neurons of a layer that start equal stay equal: they get the same input, hence the same gradient, hence the same
update, and a layer of 64 counts as one neuron. Of the right size, because every layer multiplies the spread of its input by about
sqrt(fan_in) std(w), times what the activation takes away: over 30 layers, a factor of 0.5 leaves a billionth of a signal, and 2 makes it
a billion times as large. He et al. 2015 choose std(w) = sqrt(2 / fan_in), where the 2 makes up for the half that a ReLU cuts off; Glorot
and Bengio 2010 choose sqrt(2 / (fan_in + fan_out)), which keeps a linear or tanh layer's signal and the gradient that comes back.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import models, nn, optim
from fastnn.nn import functional as F

WIDTH = 128
INITIALISERS = {
    "zeros": nn.init.zeros_,
    "N(0, 0.01^2)": lambda w: nn.init.normal_(w, std=0.01),
    "N(0, 1)": nn.init.normal_,
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
}


def initialise(model, initialiser):
    """Fill every weight matrix with `initialiser`, every bias with 0."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            initialiser(layer.weight)
            nn.init.zeros_(layer.bias)


def spread(model, x):
    """The root mean square of the signal behind each activation of the first pass."""
    sizes = []
    with fastnn.no_grad():
        for layer in model:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                sizes.append(float(np.sqrt(np.mean(x.numpy() ** 2))))
    return sizes


def different_neurons(initialiser, steps):
    """How many different neurons a hidden layer of 64 has after training for some steps."""
    examples = fastnn.datasets.load("digits")
    model = models.mlp(64, [64], 10, activation="tanh", dtype="float64")
    initialise(model, initialiser)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(examples.x[:200].astype("float64")), examples.y[:200]).backward()
        optimizer.step()
    return len(np.unique(model[0].weight.numpy().round(9), axis=0))


def main(quick=False):
    """How are weights initialised for the first pass?"""
    fastnn.manual_seed(0)
    depth = 30
    x = np.random.default_rng(0).normal(size=(64, WIDTH))
    model = models.mlp(WIDTH, [WIDTH] * depth, 10, dtype="float64")
    curves = {}
    for name, initialiser in INITIALISERS.items():
        initialise(model, initialiser)
        curves[name] = spread(model, x)
    table(("initial weights", "signal after layer 1", "after 10", f"after {depth}"), *[(n, c[0], c[9], c[-1]) for n, c in curves.items()])

    neurons = {
        "all 0.01": different_neurons(lambda w: nn.init.constant_(w, 0.01), 5 if quick else 50),
        "random": different_neurons(nn.init.xavier_normal_, 5 if quick else 50),
    }
    print()
    table(("initial weights", "different neurons of 64, after training"), *neurons.items())
    return {"curves": curves, "neurons": neurons}


def draw(figure, numbers):
    axes = figure.subplots()
    for name, curve in numbers["curves"].items():
        axes.plot(range(1, len(curve) + 1), np.maximum(curve, 1e-40), marker=".", label=name)
    axes.set(yscale="log", ylim=(1e-40, 1e40), xlabel="layer", ylabel="root mean square of its output", title="the first pass")
    axes.legend()


if __name__ == "__main__":
    start(main, draw)
