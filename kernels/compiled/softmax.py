"""Row kernels on SIMD vectors; each row is read as few times as its algorithm allows."""

import math

from .._simd import exp, largest, load, maximum, repeat, store, total, width


def softmax(team, y, x):
    part, parts = team
    N, D = x.shape
    W = width(x)
    for i in range(N * part // parts, N * (part + 1) // parts):
        top = repeat(x, -math.inf)
        for j in range(0, D, W):
            top = maximum(top, load(x, (i, j), -math.inf))
        highest = largest(top)
        sums = repeat(x, 0.0)
        for j in range(0, D, W):
            e = exp(load(x, (i, j), -math.inf) - highest)
            store(y, (i, j), e)
            sums = sums + e
        scale = 1.0 / total(sums)
        for j in range(0, D, W):
            store(y, (i, j), load(y, (i, j), 0.0) * scale)
