"""Random masks from a counter-based generator: a value depends on seed, step, site and position only, never on threads."""

import numpy as np

from .._signature import Float, Floats, Int, Words

# Philox4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.4 and Random123's philox.h.
PHILOX_M0, PHILOX_M1 = 0xD2511F53, 0xCD9E8D57
PHILOX_W0, PHILOX_W1 = 0x9E3779B9, 0xBB67AE85
PHILOX_ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)


def _philox(counter, key):
    """Four streams of 32-bit words (held in uint64) from four counter words and two key words."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = key
    for _ in range(PHILOX_ROUNDS):
        p0 = c0 * np.uint64(PHILOX_M0)
        p1 = c2 * np.uint64(PHILOX_M1)
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + PHILOX_W0) & 0xFFFFFFFF, (k1 + PHILOX_W1) & 0xFFFFFFFF
    return c0, c1, c2, c3


def _words(count, state, site, first=0):
    """`count` blocks of the generator from number `first` on, (count, 4) words."""
    seed, step = int(state[0]), int(state[1])
    blocks = np.arange(first, first + count, dtype=np.uint64)
    counter = (
        blocks & LOW,
        np.full_like(blocks, site & 0xFFFFFFFF),
        np.full_like(blocks, step & 0xFFFFFFFF),
        np.full_like(blocks, step >> 32),
    )
    return np.stack(_philox(counter, (seed & 0xFFFFFFFF, seed >> 32)), axis=1)


def _uniform(count, state, site, first=0):
    """Numbers i = first, first + 1, ... in [0, 1) with 24 random bits: block i // 4 of the generator, word i % 4."""
    words = _words((count + 3) // 4, state, site, first // 4).reshape(-1)[:count]
    return (words >> np.uint64(8)).astype(np.float64) * 2.0**-24


def dropout(y: Floats("N"), /, x: Floats("N"), state: Words("2"), site: Int, first: Int, p: Float) -> None:
    """y_i = x_i / (1 - p) where u_i >= p, else 0, with u_i uniform in [0, 1). Srivastava et al. 2014, inverted.

    state holds the seed and the step; item 0 is number `first` of the mask, a multiple of 4. The same call on dy gives dx.
    """
    p = y.dtype.type(p)
    keep = _uniform(len(x), state, site, first) >= p
    np.copyto(y, np.where(keep, x * y.dtype.type(1 / (1 - float(p)) if p < 1 else 0), 0))
