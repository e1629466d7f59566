"""What happens to convolutional nets of growing depth, with and without shortcuts?

He et al. (2016, fig. 1) trained plain nets of 20 and of 56 layers, both with batch normalisation: the deeper one was worse already on the
examples that it was trained on. So it was no matter of too many parameters, which would have shown on new examples only. Normalisation
keeps the signals' size on their way forward, but on the way back every layer of a plain net then multiplies the gradient by more than one
(Yang et al. 2019): in the first of 56 layers it is a thousand times that of the last, and no learning rate fits both. A net that has a
shortcut around every two convolutions starts out close to a shallow one, whatever its depth, and its layers learn what to add.

Here, the nets of that paper for small images learn handwritten digits of 8x8 pixels. At each depth, the plain net and the residual net
have the same layers, the same number of weights, and begin with the same ones.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import datasets, models, optim
from fastnn.nn import functional as F

DEPTHS = (8, 20, 32, 56)
KINDS = {"plain": None, "residual": "subsample"}


def build(depth, kind):
    """The net of one depth, with shortcuts or without, for images of one channel."""
    fastnn.manual_seed(0)
    return models.cifar_resnet(depth, in_channels=1, shortcut=KINDS[kind])


def gradient_norms(model, x, y):
    """The norm of dL/dweight of every convolution, from the first to the last."""
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    return [float(np.linalg.norm(p.grad.numpy())) for p in model.parameters() if p.ndim == 4]


def main(quick=False):
    """What happens to convolutional nets of growing depth, with and without shortcuts?"""
    (x, y), _ = datasets.load("digits").split()
    x = x.reshape(-1, 1, 8, 8)
    if quick:
        x, y = x[:768], y[:768]
    losses, norms = {}, {}
    for depth in DEPTHS[::2] if quick else DEPTHS:
        for kind in KINDS:
            model = build(depth, kind)
            norms[kind, depth] = gradient_norms(model, x[:128], y[:128])
            optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
            trainer = fastnn.Trainer(model, optimizer=optimizer, show_progress=False)
            losses[kind, depth] = list(trainer.fit(x, y, epochs=4 if quick else 6, batch_size=64).loss)
    table(
        ("layers", "net", "gradient of the first layer", "of the last", "training loss, first epoch", "last epoch"),
        *[(depth, kind, n[0], n[-1], losses[kind, depth][0], losses[kind, depth][-1]) for (kind, depth), n in norms.items()],
    )
    return {"losses": losses, "norms": norms}


def draw(figure, numbers):
    left, right = figure.subplots(1, 2)
    depths = sorted({depth for _, depth in numbers["losses"]})
    for kind in KINDS:
        left.plot(depths, [numbers["losses"][kind, depth][-1] for depth in depths], marker="o", label=kind)
        norms = numbers["norms"][kind, depths[-1]]
        right.plot(range(1, len(norms) + 1), norms, marker=".", label=f"{kind}, {depths[-1]} layers")
    left.set(xlabel="layers", ylabel="training loss after the last epoch", ylim=(0, None), title="while training")
    right.set(yscale="log", xlabel="layer", ylabel="norm of its gradient", title="before the first step")
    left.legend()
    right.legend()


if __name__ == "__main__":
    start(main, draw)
