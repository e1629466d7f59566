"""Why are large weights bad?

For two reasons, one while training and one after it.

While training: a sigmoid or tanh of a large z is flat. Its derivative is next to nothing, so next to nothing of the error comes back
through it: the neuron is saturated and no longer learns.

After training: the slope of a network grows with the product of its weights. A network with large weights can bend sharply between any
two examples, so it fits their noise, and an input that moves a little moves the output a lot. Weight decay takes a share of every weight
away in every step; only weights that the data keep asking for stay large.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import models, optim
from fastnn.nn import functional as F

SCALES = (0.1, 1.0, 10.0, 100.0)
DECAYS = (0.0, 1.0)


def saturation(scale, activation, rng):
    """The mean derivative of an activation behind 64 weights of a spread of `scale` / sqrt(64)."""
    x, w = rng.normal(size=(200, 64)), rng.normal(size=(64, 64)) * scale / 8
    slopes = fastnn.grad(lambda z: activation(z).sum())(x @ w)
    return float(np.mean(slopes.numpy()))


def fit(decay, steps):
    """Train on 20 noisy points of a sine and return the model, the size of its weights, its errors, and its steepest slope."""
    fastnn.manual_seed(0)
    rng = np.random.default_rng(3)
    x, dense = np.sort(rng.uniform(-1, 1, (20, 1)), axis=0), np.linspace(-1, 1, 400)[:, None]
    y = np.sin(3 * x) + rng.normal(0, 0.3, x.shape)
    model = models.mlp(1, [64, 64], 1, activation="tanh", dtype="float64")
    optimizer = optim.AdamW(model.parameters(), lr=3e-3, weight_decay=decay)
    step = fastnn.compile_training(model, "mse", optimizer)
    for _ in range(steps):
        step(x, y)
    curve = model(dense).numpy()
    return {
        "weights": float(np.sqrt(sum(np.sum(p.numpy() ** 2) for p in model.parameters()))),
        "steepest": float(np.abs(np.diff(curve[:, 0]) / np.diff(dense[:, 0])).max()),
        "training error": float(np.mean((model(x).numpy() - y) ** 2)),
        "true error": float(np.mean((curve - np.sin(3 * dense)) ** 2)),
        "curve": curve,
        "points": (x, y),
    }


def main(quick=False):
    """Why are large weights bad?"""
    rng = np.random.default_rng(0)
    slopes = {scale: (saturation(scale, F.sigmoid, rng), saturation(scale, F.tanh, rng)) for scale in SCALES}
    table(("weights times", "mean slope of sigmoid", "of tanh"), *[(scale, *pair) for scale, pair in slopes.items()])

    fits = {decay: fit(decay, 4000 if quick else 10_000) for decay in DECAYS}
    columns = ("weights", "steepest", "training error", "true error")
    print()
    table(("weight decay", "norm of weights", "steepest slope", "error on noisy points", "error against the sine"),
          *[(decay, *[f[c] for c in columns]) for decay, f in fits.items()])  # fmt: skip
    return {"slopes": slopes, "fits": fits}


def draw(figure, numbers):
    dense = np.linspace(-1, 1, 400)
    for axes, (decay, f) in zip(figure.subplots(1, len(numbers["fits"]), sharey=True), numbers["fits"].items(), strict=True):
        axes.plot(dense, np.sin(3 * dense), "k:", label="sine")
        axes.plot(dense, f["curve"], label="network")
        axes.plot(*f["points"], "o", label="noisy points")
        axes.set(title=f"weight decay {decay}, norm of weights {f['weights']:.1f}", ylim=(-2.5, 2.5))
        axes.legend()


if __name__ == "__main__":
    start(main, draw)
