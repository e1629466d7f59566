"""Random changes of images. What happens to an image depends on seed, step, site and its place in the batch only."""

import numpy as np

from .._signature import Float, Floats, Int, Words
from .random import _words


def _below(words, count):
    """Words as integers from 0 to count - 1, all as likely as 32 bits allow."""
    return (words * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def random_crop(y: Floats("N C H W"), /, x: Floats("N C H0 W0"), state: Words("2"), site: Int, first: Int, pad: Int) -> None:
    """y_n = a window of x_n with `pad` zeros on every side; its place is the same for all channels, and any as likely as any other.

    state holds the seed and the step; x_0 is image number `first` of the batch, here and below.
    """
    H, W = y.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    words = _words(len(x), state, site, first)
    tops, lefts = _below(words[:, 0], padded.shape[2] - H + 1), _below(words[:, 1], padded.shape[3] - W + 1)
    for n, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        y[n] = padded[n, :, top : top + H, left : left + W]


def random_flip(y: Floats("N C H W"), /, x: Floats("N C H W", apart=True), state: Words("2"), site: Int, first: Int, p: Float) -> None:
    """y_n = x_n with its columns in reverse order where u_n < p, else x_n; u_n is uniform in [0, 1) with 24 random bits."""
    flipped = (_words(len(x), state, site, first)[:, 0] >> np.uint64(8)) * 2.0**-24 < y.dtype.type(p)
    np.copyto(y, np.where(flipped[:, None, None, None], x[..., ::-1], x))


def cutout(y: Floats("N C H W"), /, x: Floats("N C H W"), state: Words("2"), site: Int, first: Int, size: Int) -> None:
    """y_n = x_n with a square of `size` zeros around a random pixel, cut to the image. DeVries & Taylor 2017, section 3.2."""
    words = _words(len(x), state, site, first)
    np.copyto(y, x)
    for n in range(len(x)):
        top, left = (int(_below(words[n, axis], x.shape[2 + axis])) - size // 2 for axis in (0, 1))
        y[n, :, max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = 0
