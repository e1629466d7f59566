"""What metrics add up: one worker goes through the batch, since a few numbers are all that there is to write."""

from .._compiler import inlined


@inlined
def _class(label, none):
    number = int(label)
    return number if number == label and 0 <= number < none else none


def count_classes(team, counts, scores, labels):
    if team[0] == 0:
        N, C = scores.shape
        for i in range(N):
            predicted, best = 0, scores[i, 0]
            for c in range(1, C):
                score = scores[i, c]
                if score > best or (score != score and best == best):
                    predicted, best = c, score
            if C == 1:
                predicted = 1 if best > 0 else 0
            label = _class(labels[i], counts.shape[1] - 1)
            if label == predicted:
                counts[0, label] += 1
            counts[1, predicted] += 1
            counts[2, label] += 1


def count_ranks(team, counts, scores, labels):
    if team[0] == 0:
        N, C = scores.shape
        for i in range(N):
            rank, label = counts.shape[0] - 1, _class(labels[i], C)
            if label < C:
                rank = 0
                for c in range(C):
                    if scores[i, c] > scores[i, label] or (scores[i, c] == scores[i, label] and c > label):
                        rank += 1
            counts[rank] += 1


def add_errors(team, sums, predicted, y):
    if team[0] == 0:
        N, D = predicted.shape
        for i in range(N):
            for j in range(D):
                target = 1.0 * y[i, j]  # in float64
                error = predicted[i, j] - target
                shift = target - sums[3, j]
                sums[0, j] += 1
                sums[1, j] += abs(error)
                sums[2, j] += error * error
                sums[3, j] += shift / sums[0, j]
                sums[4, j] += shift * (target - sums[3, j])
