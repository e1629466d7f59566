"""Why is a multi-layer perceptron the same as a fully connected network?

Because one name says what the nodes are and the other how they are wired. A perceptron is one neuron: z = w.x + b, a = sigma(z), with a
weight for each of its inputs. Its inputs are all outputs of the layer before it, so a layer of perceptrons has one weight for every pair
(input, output): it is fully connected, and all its neurons together are one matrix product, a = sigma(x W^T + b).

That also tells its weakness: no input is nearer to one neuron than to another. Shuffle the pixels of all images in the same way, and the
columns of the first weight matrix with them, and nothing changes. A convolution is the opposite: few wires, neighbours only.
"""

import math

import numpy as np
from _show import start, table

import fastnn
from fastnn import datasets, models, nn


def perceptron(x, w, b):
    """One neuron on its own, in plain Python."""
    z = sum(w_i * x_i for w_i, x_i in zip(w, x, strict=True)) + b
    return 1 / (1 + math.exp(-z))


def wires(function, inputs):
    """The share of pairs (input, output) in which the input moves the output, by the derivative of each output."""
    x = np.random.default_rng(0).normal(size=inputs)
    outputs = function(fastnn.tensor(x)).size
    jacobian = np.stack([fastnn.grad(lambda x, i=i: function(x)[i])(x).numpy() for i in range(outputs)])
    return float(np.mean(jacobian != 0)), jacobian


def main(quick=False):
    """Why is a multi-layer perceptron the same as a fully connected network?"""
    fastnn.manual_seed(0)
    images = datasets.load("digits").x[: 50 if quick else 500].astype(np.float64)
    layer = nn.Linear(64, 16, dtype="float64")
    at_once = layer(images).sigmoid().numpy()
    weight, bias = layer.weight.numpy().tolist(), layer.bias.numpy().tolist()
    one_by_one = [[perceptron(x, w, b) for w, b in zip(weight, bias, strict=True)] for x in images[:20].tolist()]
    difference = float(np.abs(at_once[:20] - one_by_one).max())

    band = (np.abs(np.arange(16)[:, None] * 4 + 2 - np.arange(64)) <= 4).astype(np.float64)  # each neuron sees its neighbours only
    full, dense = wires(layer, 64)
    local, sparse = wires(lambda x: (layer.weight * band) @ x + layer.bias, 64)

    model = models.mlp(64, [32, 16], 10, dtype="float64")
    before = model(images).numpy()
    order = np.random.default_rng(1).permutation(64)
    model[0].weight.data[:] = model[0].weight.data[:, order]
    shuffled = float(np.abs(model(images[:, order]).numpy() - before).max())

    table(
        ("layer of 16 neurons, 64 inputs", "wires in use", "weights"),
        ("perceptrons", f"{full:.0%}", layer.weight.size),
        ("neighbours only", f"{local:.1%}", int(band.sum())),
    )
    print(f"\nlargest difference between neurons one by one and the matrix product: {difference:.1e}")
    print(f"largest change when all pixels, and the first weights with them, are shuffled: {shuffled:.1e}")
    return {"full": full, "local": local, "difference": difference, "shuffled": shuffled, "jacobians": (dense, sparse)}


def draw(figure, numbers):
    titles = ("fully connected", "neighbours only")
    for axes, title, jacobian in zip(figure.subplots(1, 2), titles, numbers["jacobians"], strict=True):
        axes.imshow(jacobian != 0, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        axes.set(title=f"the wires, {title}", xlabel="input", ylabel="output")


if __name__ == "__main__":
    start(main, draw)
