"""Why could networks not be made very deep, and how does the residual block change that?

The error at the output reaches layer l as a product of one factor for every layer above it: dL/dx_l = dL/dx_n J_n ... J_(l+1). If the
factors shrink what they multiply, a product of fifty is next to nothing: the first layers get no gradient and do not learn, and whatever
they do to the input at random is all that the later layers see. A sigmoid's derivative is at most 1/4; a tanh layer with PyTorch's usual
weights has a factor of about 0.6, and 0.6^50 is 1e-11. Better initial weights help for a while, but have to be right in every layer.

A residual block computes y = x + f(x). Its Jacobian is I + J_f: however small J_f is, the I hands the gradient on unchanged. The way
along the shortcuts is as short in a deep network as in a shallow one, and a block that has nothing to add can stay out of the way.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import datasets, nn, optim
from fastnn.nn import functional as F

DEPTH, WIDTH = 50, 64


def plain(depth=DEPTH):
    """`depth` layers one after the other, and a linear one that gives scores."""
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(depth)]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def residual(depth=DEPTH):
    """The same layers, each with a way around it."""
    return nn.Sequential(*(nn.Residual(*block) if isinstance(block, nn.Sequential) else block for block in plain(depth)))


def gradient_norms(model, x, y):
    """The norm of dL/dweight of every layer, from the first to the last."""
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    return [float(np.linalg.norm(p.grad.numpy())) for name, p in model.named_parameters() if name.endswith("weight")]


def main(quick=False):
    """Why could networks not be made very deep, and how does the residual block change that?"""
    (x, y), test = datasets.load("digits").split()
    norms, accuracies, losses = {}, {}, {}
    for name, build in {"plain": plain, "residual": residual}.items():
        fastnn.manual_seed(0)
        model = build()
        norms[name] = gradient_norms(model, x[:256], y[:256])
        optimizer = optim.SGD(model.parameters(), lr=0.03)
        trainer = fastnn.Trainer(model, optimizer=optimizer, metrics=["accuracy"], clip_norm=1.0, show_progress=False)
        losses[name] = list(trainer.fit(x, y, epochs=2 if quick else 8, batch_size=32).loss)
        accuracies[name] = trainer.evaluate(*test)["accuracy"]
    table(
        (f"{DEPTH} layers", "gradient of the first layer", "of the last", "first / last", "test accuracy"),
        *[(name, n[0], n[-2], n[0] / n[-2], accuracies[name]) for name, n in norms.items()],
    )
    return {"norms": norms, "losses": losses, "accuracies": accuracies}


def draw(figure, numbers):
    left, right = figure.subplots(1, 2)
    for name, norms in numbers["norms"].items():
        left.plot(range(1, DEPTH + 1), np.maximum(norms[:-1], 1e-45), marker=".", label=name)
        right.plot(range(1, len(numbers["losses"][name]) + 1), numbers["losses"][name], marker=".", label=name)
    left.set(yscale="log", xlabel="layer", ylabel="norm of its gradient", title="before the first step")
    right.set(xlabel="epoch", ylabel="training loss", ylim=(0, None), title="while training")
    left.legend()
    right.legend()


if __name__ == "__main__":
    start(main, draw)
