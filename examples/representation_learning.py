"""Representation learning: an autoencoder finds features of digits without having seen a label.

It is trained to reproduce its input through a code of eight numbers, so it must put into them what tells the images apart. The code is a
hidden layer like any other, and is read out with `model.embed`. Then, with a handful of labels, each class is represented by the mean
code of its few labelled examples, and an image gets the class whose mean is nearest. The same with the code of an untrained encoder shows
what was learnt without a label, and with all 64 pixels, how little was lost. Unsupervised learning first, supervised learning after it.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import datasets, models, optim

CODE = 8
LABELLED = 5  # examples of each class


def nearest_mean(features, labels, labelled, test, test_labels):
    """The accuracy of naming each test example after the class whose labelled examples have the nearest mean."""
    means = np.stack([features[labelled][labels[labelled] == c].mean(0) for c in range(10)])
    distance = np.linalg.norm(test[:, None] - means, axis=-1)
    return float(np.mean(distance.argmin(1) == test_labels))


def main(quick=False):
    """An autoencoder finds features of digits without having seen a label."""
    fastnn.manual_seed(0)
    (x, y), (x_test, y_test) = datasets.load("digits").split()
    model = models.autoencoder(64, [64, 32], CODE)
    untrained = model.embed("encoder", x).numpy().copy(), model.embed("encoder", x_test).numpy().copy()

    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    trainer = fastnn.Trainer(model, loss="mse", optimizer=optimizer, show_progress=False)
    history = trainer.fit(x, x, epochs=15 if quick else 60, batch_size=64, validation_data=(x_test, x_test))  # the target is the input

    features = {
        "64 pixels": (x, x_test),
        f"{CODE} numbers, encoder untrained": untrained,
        f"{CODE} numbers, encoder trained without labels": (model.embed("encoder", x).numpy(), model.embed("encoder", x_test).numpy()),
    }
    accuracies = {name: [] for name in features}
    for seed in range(10):  # which examples are labelled is a matter of luck, hence a mean over ten draws
        rng = np.random.default_rng(seed)
        labelled = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:LABELLED] for c in range(10)])
        for name, (train, test) in features.items():
            accuracies[name].append(nearest_mean(train, y, labelled, test, y_test))
    rows = {name: float(np.mean(found)) for name, found in accuracies.items()}
    variance = float(x_test.var(0).mean())
    print(f"mean squared error of the reproduced test images: {history.val_loss[-1]:.4f}; of their mean image: {variance:.4f}\n")
    table(("features", f"test accuracy with {LABELLED} labels a class"), *rows.items())
    pixels, untrained, trained = rows.values()
    return {
        "pixels": pixels,
        "untrained": untrained,
        "trained": trained,
        "error": history.val_loss[-1],
        "variance": variance,
        "images": (x_test[:8], trainer.predict(x_test[:8])),
    }


def draw(figure, numbers):
    for row, images in zip(figure.subplots(2, 8), numbers["images"], strict=True):
        for axes, image in zip(row, images, strict=True):
            axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
    figure.suptitle(f"above: test images; below: the same from their {CODE} numbers")


if __name__ == "__main__":
    start(main, draw)
