"""Random masks: Philox on 64-bit lanes, one block of four numbers in each."""

from .._rows import row
from .._shares import share
from .._simd import V, convert, halves, shuffle, where

# Philox4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.4 and Random123's philox.h.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = 0xFFFFFFFF
UNIT = 2.0**24  # a word's upper 24 bits are one number in [0, 1)


def philox(counter: tuple[V, V, V, V], key: tuple[V, V]) -> tuple[V, V, V, V]:
    """Four words for each counter; words are the lower halves of 64-bit lanes, the upper halves hold anything."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0 = (c0 & LOW) * MULTIPLIERS[0]
        p1 = (c2 & LOW) * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1, (p0 >> 32) ^ c3 ^ k1, p0
        k0, k1 = k0 + KEY_STEPS[0], k1 + KEY_STEPS[1]
    return c0, c1, c2, c3


def _every_fourth(x: V) -> V:
    return shuffle(x, x, list(range(0, x.lanes, 4)))


@row(stores=1)
def _dropped(x, position, block, site, seed, step, p, scale):
    blocks, site, seed, step = (_every_fourth(v) for v in (block + (position >> 2), site, seed, step))
    c0, c1, c2, c3 = philox((blocks, site, step, step >> 32), (seed, seed >> 32))
    first, second = (c0 & LOW) | (c1 << 32), (c2 & LOW) | (c3 << 32)
    in_turn = [lane + half for lane in range(blocks.lanes) for half in (0, blocks.lanes)]
    words = halves(shuffle(first, second, in_turn))
    return where(convert(words >> 8, x.item) >= p * UNIT, x * scale, 0.0)


def dropout(team, y, x, state, site, first, p):
    N = len(x)
    low, high = share(team, (N + 3) // 4)
    start, stop = 4 * low, min(4 * high, N)
    scale = 1 / (1 - p) if p < 1 else 0.0
    _dropped(y[start:stop], x[start:stop], low + first // 4, site, state[0], state[1], p, scale)
