import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn.errors import ArgumentError, ShapeError, StateError, UnknownNameError
from fastnn.training import metrics

LABELS = np.array([0, 1, 2, 2, 1, 0, 2])
SCORES = np.eye(3)[[0, 1, 1, 2, 2, 0, 0]]


def random_case(classes, seed, size=200):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size)
    return (rng.normal(size=(size, classes)) + 1.5 * np.eye(classes)[labels]).astype(np.float32), labels


def of_sklearn(name, scores, labels):
    reference = pytest.importorskip("sklearn.metrics")
    predicted, average = scores.argmax(1), "binary" if scores.shape[1] == 2 else "macro"
    if name.startswith("top_"):
        return reference.top_k_accuracy_score(labels, scores, k=int(name.split("_")[1]), labels=np.arange(scores.shape[1]))
    if name == "accuracy":
        return reference.accuracy_score(labels, predicted)
    return getattr(reference, f"{name}_score")(labels, predicted, average=average, zero_division=0)


def regression_of_sklearn(name, predicted, y):
    reference = pytest.importorskip("sklearn.metrics")
    functions = {"mae": reference.mean_absolute_error, "rmse": reference.root_mean_squared_error, "r2": reference.r2_score}
    return functions[name](y, predicted)


REGRESSION = {"mae", "rmse", "r2"}


@pytest.mark.parametrize("classes", [2, 3, 11])
@pytest.mark.parametrize("name", sorted(set(metrics.METRICS) - REGRESSION))
def test_classification_metrics_equal_those_of_scikit_learn(name, classes):
    if name.startswith("top_") and int(name.split("_")[1]) >= classes:
        pytest.skip("scikit-learn has no top-k of as many classes")
    for seed in range(5):
        scores, labels = random_case(classes, seed)
        assert metrics.get(name).function(scores, labels) == pytest.approx(of_sklearn(name, scores, labels), abs=1e-12)


@pytest.mark.parametrize("name", sorted(REGRESSION))
def test_regression_metrics_equal_those_of_scikit_learn(name):
    rng = np.random.default_rng(0)
    y = rng.normal(5, 2, (50, 3))
    predicted = y + rng.normal(0, 1, (50, 3))
    expected = regression_of_sklearn(name, predicted, y)
    if name == "rmse":  # scikit-learn averages over targets after the root
        expected = np.sqrt(np.mean((predicted - y) ** 2))
    assert metrics.get(name).function(predicted, y) == pytest.approx(expected, rel=1e-12)
    assert metrics.get(name).function(predicted[:, 0], y[:, 0]) == pytest.approx(
        regression_of_sklearn(name, predicted[:, 0], y[:, 0]), rel=1e-12
    )


def test_values_worked_out_by_hand():
    assert metrics.accuracy(SCORES, LABELS) == 4 / 7
    assert metrics.precision(SCORES, LABELS) == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert metrics.recall(SCORES, LABELS) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert metrics.f1(SCORES, LABELS) == pytest.approx((4 / 5 + 2 / 4 + 2 / 5) / 3)
    y = np.array([1.0, 2, 3, 4])
    assert metrics.mae(y + [1, -1, 0, 0], y) == 0.5
    assert metrics.rmse(y + [1, -1, 0, 0], y) == pytest.approx(np.sqrt(0.5))
    assert metrics.r2(y + [1, -1, 0, 0], y) == pytest.approx(1 - 2 / 5)


def test_logits_of_two_classes_and_classes_themselves_count_as_predictions():
    labels = np.array([0, 1, 1, 0])
    logits = np.array([-3.0, 2, -0.5, 4])
    for predicted in (logits, logits[:, None], (logits > 0).astype(np.int64), np.stack([-logits, logits], 1)):
        assert metrics.accuracy(predicted, labels) == 0.5
        assert metrics.recall(predicted, labels[:, None]) == 0.5


def test_a_class_that_is_never_predicted_has_precision_zero():
    labels = np.array([0, 0, 1])
    assert metrics.precision(np.zeros(3, int), labels) == 0
    assert metrics.f1(np.zeros(3, int), labels) == 0


def test_r2_of_a_constant_target_is_one_only_if_predicted_exactly():
    y = np.full(5, 3.0)
    assert metrics.r2(y, y) == 1
    assert metrics.r2(y + 1, y) == 0


def test_a_function_is_a_metric_under_its_own_name():
    def worst(predicted, y):
        return float(np.abs(predicted - y).max())

    assert metrics.get(worst).name == "worst"
    assert metrics.get(metrics.get("f1")) is metrics.get("f1")


def test_wrong_arguments_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(ShapeError, match="same shape"):
        metrics.mae(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ShapeError, match="one class for each"):
        metrics.accuracy(np.zeros((3, 2)), np.zeros(4, int))
    with pytest.raises(ArgumentError, match="C >= k"):
        metrics.top_k_accuracy(np.zeros((3, 2)), np.zeros(3, int), k=3)


def in_batches(names, outputs, targets, edges=(1, 33, 34)):
    """What a meter makes of the examples, some at a time."""
    meter = metrics.Meter([metrics.get(name) for name in names])
    for output, target in zip(np.split(outputs, edges), np.split(targets, edges), strict=True):
        meter.add(Tensor(output), Tensor(target))
    return meter.values()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("classes", [1, 2, 3, 11])
def test_what_is_counted_batch_by_batch_is_the_metric_of_all_examples(classes, backend):
    names = [n for n in sorted(set(metrics.METRICS) - REGRESSION) if metrics.get(n).scores <= classes]
    for seed in range(3):
        scores, labels = random_case(classes, seed)
        labels = labels if classes > 1 else (np.random.default_rng(seed).uniform(size=labels.shape) < 0.3).astype(np.int64)
        if seed == 2:
            labels[::7] = -100  # of no class
            scores[::5] = 1  # ties
        with fastnn.use_backend(backend):
            counted = in_batches(names, scores, labels)
        for name in names:
            assert counted[name] == pytest.approx(metrics.get(name).function(scores, labels), abs=1e-15)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_errors_add_up_to_the_metrics_of_all_examples(backend):
    rng = np.random.default_rng(0)
    y = rng.normal(1e4, 1, (200, 3))  # far from zero, where sums of squares would lose all digits
    predicted = (y + rng.normal(0, 0.5, y.shape)).astype(np.float32)
    with fastnn.use_backend(backend):
        counted = in_batches(sorted(REGRESSION), predicted, y)
    for name in REGRESSION:
        assert counted[name] == pytest.approx(metrics.get(name).function(predicted, y), rel=1e-9)


def test_a_meter_forgets_and_refuses_what_does_not_fit():
    meter = metrics.Meter([metrics.get("accuracy"), metrics.get("top_3_accuracy")])
    with pytest.raises(StateError, match="no example"):
        meter.values()
    meter.add(Tensor(np.eye(3)), Tensor(np.array([0, 1, 1])))
    assert meter.values() == {"accuracy": 2 / 3, "top_3_accuracy": 1}
    meter.reset()
    with pytest.raises(StateError, match="no example"):
        meter.values()
    for output, labels in (
        (np.zeros((4, 2)), np.zeros(4, int)),
        (np.zeros((4, 3)), np.zeros(5, int)),
        (np.zeros((4, 5)), np.zeros(4, int)),
    ):
        with pytest.raises(ShapeError):
            meter.add(Tensor(output), Tensor(labels))
    with pytest.raises(ShapeError, match="same shape"):
        metrics.Meter([metrics.get("mae")]).add(Tensor(np.zeros((3, 1))), Tensor(np.zeros(3)))
