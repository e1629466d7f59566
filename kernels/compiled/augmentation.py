"""Random changes of images, row by row."""

from .._compiler import inlined
from .._rows import integers
from .._shares import share
from .random import LOW, UNIT, philox
from .reductions import copied, spread


@integers(results=2)
def _two_words(block, site, seed, step):
    first, second, _, _ = philox((block, site, step, step >> 32), (seed, seed >> 32))
    return first & LOW, second & LOW


@inlined
def _below(word, count):
    return word * count >> 32


def random_crop(team, y, x, state, site, first, pad):
    N, C, H, W = y.shape
    H0, W0 = x.shape[2:]
    start, stop = share(team, N)
    for n in range(start, stop):
        one, other = _two_words(first + n, site, state[0], state[1])
        top = _below(one, H0 + 2 * pad - H + 1) - pad
        left = _below(other, W0 + 2 * pad - W + 1) - pad
        low, high = min(W, max(0, -left)), max(0, min(W, W0 - left))
        for c in range(C):
            for i in range(H):
                target = y[n, c, i]
                spread(target, 0.0)
                if 0 <= top + i < H0 and low < high:
                    copied(target[low:high], x[n, c, top + i, left + low : left + high])


def random_flip(team, y, x, state, site, first, p):
    N, C, H, W = y.shape
    start, stop = share(team, N)
    for n in range(start, stop):
        word, _ = _two_words(first + n, site, state[0], state[1])
        flipped = (word >> 8) < p * UNIT
        for c in range(C):
            for i in range(H):
                target, source = y[n, c, i], x[n, c, i]
                if flipped:
                    for j in range(W):
                        target[j] = source[W - 1 - j]
                else:
                    copied(target, source)


def cutout(team, y, x, state, site, first, size):
    N, C, H, W = y.shape
    start, stop = share(team, N)
    for n in range(start, stop):
        one, other = _two_words(first + n, site, state[0], state[1])
        top, left = _below(one, H) - size // 2, _below(other, W) - size // 2
        for c in range(C):
            for i in range(H):
                copied(y[n, c, i], x[n, c, i])
                if top <= i < top + size:
                    spread(y[n, c, i, max(0, left) : min(W, left + size)], 0.0)
