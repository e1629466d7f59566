"""Linear maps along one axis: rows of I items where there are such, else item by item."""

from .._rows import row
from .._shares import share
from .reductions import spread
from .softmax import scaled


@row(stores=1)
def _plus(sum, x, weight):
    return sum + x * weight


def resample(team, y, x, position, weight):
    O, Q, I = y.shape
    T = weight.shape[1]
    start, stop = share(team, O)
    for o in range(start, stop):
        for q in range(Q):
            if I == 1:
                sum = 0.0
                for t in range(T):
                    sum += weight[q, t] * x[o, position[q, t], 0]
                y[o, q, 0] = sum
            else:
                scaled(y[o, q], x[o, position[q, 0]], weight[q, 0])
                for t in range(1, T):
                    _plus(y[o, q], y[o, q], x[o, position[q, t]], weight[q, t])


def resample_grad(team, dx, dy, position, weight):
    O, S, I = dx.shape
    Q, T = weight.shape
    start, stop = share(team, O)
    for o in range(start, stop):
        for s in range(S):
            spread(dx[o, s], 0.0)
        for q in range(Q):
            for t in range(T):
                s = position[q, t]
                if I == 1:
                    dx[o, s, 0] += weight[q, t] * dy[o, q, 0]
                else:
                    _plus(dx[o, s], dx[o, s], dy[o, q], weight[q, t])
