"""A convolutional net reads handwritten digits, without and with augmentation.

LeNet-5 sees 4,000 of 5,000 images of MNIST and is tested on the other 1,000. Images that are moved by a few pixels at random, a little
differently in each epoch, are new images of the same digits: what the net can learn by heart from them is less, what it learns is better.
"""

from _show import start, table

import fastnn
from fastnn import Trainer, datasets, models, nn, optim
from fastnn.data import augment


def image_data(name, side):
    (x, y), (x_test, y_test) = datasets.load(name).split(test_size=0.2)
    return (x.reshape(-1, 1, side, side), y), (x_test.reshape(-1, 1, side, side), y_test)


def fit(model, train, test, epochs, batch_size=64):
    steps = -(-len(train[0]) // batch_size)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=epochs * steps, cycle_momentum=False)
    trainer = Trainer(model, optimizer=optimizer, metrics=["accuracy"], scheduler=schedule, show_progress=False)
    return trainer.fit(*train, epochs=epochs, batch_size=batch_size, validation_data=test)


def main(quick=False):
    """LeNet-5 on 5,000 images of MNIST, without and with augmentation."""
    if quick:  # eight by eight pixels, enlarged: they ship with the package
        train, test = image_data("digits", 8)
        first, epochs = [nn.Upsample(scale_factor=3.5)], 2
    else:
        train, test = image_data("mnist5k", 28)
        first, epochs = [], 40
    curves = {}
    for name, changes in (("as they are", []), ("moved at random", [augment.RandomCrop(28, padding=2)])):
        fastnn.manual_seed(0)
        history = fit(nn.Sequential(*first, *changes, models.lenet5()), train, test, epochs)
        curves[name] = {"accuracy": history.val_accuracy, "loss": history.loss, "seconds": sum(history.seconds)}
    table(("images", "training loss", "test accuracy", "seconds"),
          *[(name, c["loss"][-1], c["accuracy"][-1], c["seconds"]) for name, c in curves.items()])  # fmt: skip
    return {"curves": curves}


def draw(figure, numbers):
    axes = figure.subplots()
    for name, curve in numbers["curves"].items():
        axes.plot(range(1, len(curve["accuracy"]) + 1), curve["accuracy"], marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="accuracy on held-out images")
    axes.legend()


if __name__ == "__main__":
    start(main, draw)
