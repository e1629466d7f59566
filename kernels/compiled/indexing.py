"""Rows of a table picked by integer indices."""

from .._rows import row
from .._shares import share, share_columns
from .reductions import copied, spread


@row(stores=1)
def _added(total, x):
    return total + x


def embedding(team, y, weight, index):
    start, stop = share(team, len(index))
    for i in range(start, stop):
        copied(y[i], weight[index[i]])


def embedding_grad(team, dweight, dy, index, padding_index):
    V, D = dweight.shape
    low, high = share_columns(team, D)
    for v in range(V):
        spread(dweight[v, low:high], 0.0)
    for i in range(len(index)):
        if index[i] != padding_index:
            v = index[i]
            _added(dweight[v, low:high], dweight[v, low:high], dy[i, low:high])
