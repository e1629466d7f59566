"""End-to-end training: one `fit` from pixels to classes, beside a pipeline of parts that are trained one after the other.

The pipeline first trains an encoder without labels, as the half of an autoencoder, freezes it, and trains a classifier on its codes. Each
part does well at its own task, but the encoder does not know what the codes are for. End to end, the very same layers are trained as one
system: the error at the output reaches all of them, and the encoder learns whatever helps to tell the classes apart.
"""

from _show import start, table

import fastnn
from fastnn import Trainer, datasets, models, nn, optim


def parts():
    """An encoder to eight numbers, the decoder that an autoencoder adds, and a classifier of codes; the same for everybody."""
    fastnn.manual_seed(0)
    autoencoder = models.autoencoder(64, [64], 8)
    return autoencoder, models.mlp(8, [32], 10)


def trainer(model, loss="cross_entropy", metrics=("accuracy",)):
    return Trainer(model, loss, optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3), metrics, show_progress=False)


def main(quick=False):
    """End-to-end training beside a pipeline of separately trained parts."""
    (x, y), (x_test, y_test) = datasets.load("digits").split()
    epochs = 10 if quick else 60
    curves, rows = {}, {}

    autoencoder, classifier = parts()
    trainer(autoencoder, "mse", ()).fit(x, x, epochs=epochs, batch_size=64)
    frozen = autoencoder.encoder.requires_grad_(False)
    pipeline = trainer(nn.Sequential(frozen, classifier))
    curves["pipeline"] = pipeline.fit(x, y, epochs=epochs, batch_size=64, validation_data=(x_test, y_test)).val_accuracy
    rows["pipeline of two parts"] = pipeline.evaluate(x_test, y_test)

    autoencoder, classifier = parts()
    whole = trainer(nn.Sequential(autoencoder.encoder, classifier))
    curves["end to end"] = whole.fit(x, y, epochs=epochs, batch_size=64, validation_data=(x_test, y_test)).val_accuracy
    rows["the same layers, end to end"] = whole.evaluate(x_test, y_test)

    fastnn.manual_seed(0)
    larger = trainer(models.residual_mlp(64, 128, 2, 10, dropout=0.3))
    larger.fit(x, y, epochs=5 if quick else 30, batch_size=64)
    rows["a residual network, end to end"] = larger.evaluate(x_test, y_test)

    table(("", "trained parameters", "test loss", "test accuracy"),
          *[(name, sum(p.size for p in t.model.parameters() if p.requires_grad), row["loss"], row["accuracy"])
            for t, (name, row) in zip((pipeline, whole, larger), rows.items(), strict=True)])  # fmt: skip
    return {"accuracies": {name: row["accuracy"] for name, row in rows.items()}, "curves": curves}


def draw(figure, numbers):
    axes = figure.subplots()
    for name, accuracies in numbers["curves"].items():
        axes.plot(range(1, len(accuracies) + 1), accuracies, marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="accuracy on held-out digits")
    axes.legend()


if __name__ == "__main__":
    start(main, draw)
