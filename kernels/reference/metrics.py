"""What metrics add up, batch by batch: the numbers of an epoch follow from these sums alone."""

import numpy as np

from .._signature import Array, Doubles, Floats

AnyLabels = Array("any", "contiguous", ("N",))
AnyTargets = Array("any", "contiguous", ("N", "D"))


def count_classes(counts: Doubles("3 K"), /, scores: Floats("N C"), labels: AnyLabels) -> None:
    """Adds to each class's column of counts how many examples are predicted rightly, are predicted, and are of that class.

    The first of the highest scores is predicted; of a single score, class 1 if it is positive. There are C classes, at least 2, and a last
    column, K = C + 1, for labels that are none of them.
    """
    predicted = scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.int64)
    labels = _classes(labels, counts.shape[1] - 1)
    for row, found in zip(counts, (labels[labels == predicted], predicted, labels), strict=True):
        row += np.bincount(found, minlength=len(row))


def count_ranks(counts: Doubles("K"), /, scores: Floats("N C"), labels: AnyLabels) -> None:
    """Adds to counts_r how many examples give their label the rank r among all scores; of equal scores, the higher class goes first.

    K > C: the last one counts labels that are none of the C classes.
    """
    C = scores.shape[1]
    labels = _classes(labels, C)
    own = np.take_along_axis(scores, np.minimum(labels, C - 1)[:, None], 1)
    ahead = (scores > own) | ((scores == own) & (np.arange(C) > labels[:, None]))
    counts += np.bincount(np.where(labels < C, ahead.sum(1), len(counts) - 1), minlength=len(counts))


def add_errors(sums: Doubles("5 D"), /, predicted: Floats("N D"), y: AnyTargets) -> None:
    """Adds N examples to sums, by column: how many there are, sum |e| and sum e^2 of e = predicted - y, the mean of y, sum (y - mean)^2.

    Source: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance".
    """
    if not len(y):
        return
    y = y.astype(np.float64)
    error = predicted - y
    mean = y.mean(0)
    total = sums[0] + len(y)
    shift = mean - sums[3]
    sums[4] += np.square(y - mean).sum(0) + shift**2 * sums[0] * len(y) / total
    sums[3] += shift * len(y) / total
    sums[2] += np.square(error).sum(0)
    sums[1] += np.abs(error).sum(0)
    sums[0] = total


def _classes(labels: np.ndarray, none: int) -> np.ndarray:
    """The labels as numbers from 0 to none - 1, and `none` for those that are not such a number."""
    classes = np.arange(none)
    return np.where(np.isin(labels, classes), labels, none).astype(np.int64)
