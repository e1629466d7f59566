"""Batch normalisation, in steps that each need one sample (of planes) or one sum over all of them. Ioffe & Szegedy 2015, alg. 1.

A channel of one sample is a plane of L items. What is known of each plane is enough to know the statistics of the batch (Chan et al. 1979,
"Updating formulae and a pairwise algorithm for computing sample variances", eq. 2.1).
"""

import numpy as np

from .._signature import Float, Floats, Int, Strided
from ._finish import OF_TWO, finish


def _sum(x: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    return np.sum(x, axis=axis, dtype=np.float64)


def plane_moments(mean: Floats("N C"), square: Floats("N C"), /, x: Floats("N C L")) -> None:
    """mean[n, c] = mean_l x[n, c, l] and square[n, c] = sum_l (x[n, c, l] - mean[n, c])^2."""
    np.copyto(mean, _sum(x, 2) / x.shape[2])
    np.copyto(square, _sum((x - mean[:, :, None]) ** 2, 2))


def batch_moments(mean: Floats("C"), var: Floats("C"), /, means: Floats("N C"), squares: Floats("N C"), length: Int) -> None:
    """The mean and biased variance of each channel, from those moments of its planes of `length` items."""
    np.copyto(mean, _sum(means, 0) / len(means))
    np.copyto(var, _sum(squares + length * (means - mean) ** 2, 0) / (len(means) * length))


def batch_norm(
    y: Floats("N C L"),
    /,
    x: Floats("N C L"),
    mean: Floats("C"),
    var: Floats("C"),
    weight: Floats("C"),
    bias: Floats("C"),
    extra: Strided("N C L", apart=OF_TWO),
    eps: Float,
    epilogue: Int,
) -> None:
    """y = f((x - mean) (var + eps)^(-1/2) weight + bias, extra), f being `_finish.EPILOGUES[epilogue]`.

    `extra` is contiguous and in memory of its own, or it is not read.
    """
    scale = weight / np.sqrt(var + eps)
    np.copyto(y, (x - mean[:, None]) * scale[:, None] + bias[:, None])
    finish(y, extra, epilogue)


def plane_slopes(slope: Floats("N C"), shift: Floats("N C"), /, dy: Floats("N C L"), x: Floats("N C L"), mean: Floats("C")) -> None:
    """slope[n, c] = sum_l dy (x - mean) and shift[n, c] = sum_l dy."""
    np.copyto(slope, _sum(dy * (x - mean[:, None]), 2))
    np.copyto(shift, _sum(dy, 2))


def batch_slopes(
    dweight: Floats("C"), dbias: Floats("C"), /, slopes: Floats("N C"), shifts: Floats("N C"), var: Floats("C", apart=True), eps: Float
) -> None:
    """dweight = sum dy xhat and dbias = sum dy, from those sums of planes; xhat = (x - mean) (var + eps)^(-1/2)."""
    np.copyto(dweight, _sum(slopes, 0) / np.sqrt(var + eps))
    np.copyto(dbias, _sum(shifts, 0))


def batch_norm_weight_grad(
    dweight: Floats("C"),
    dbias: Floats("C"),
    /,
    dy: Floats("N C"),
    x: Floats("N C"),
    mean: Floats("C"),
    var: Floats("C", apart=True),
    eps: Float,
) -> None:
    """dweight = sum dy xhat and dbias = sum dy where planes are single items."""
    np.copyto(dweight, _sum(dy * (x - mean), 0) / np.sqrt(var + eps))
    np.copyto(dbias, _sum(dy, 0))


def batch_norm_input_grad(
    dx: Floats("N C L"),
    /,
    dy: Floats("N C L"),
    x: Floats("N C L"),
    weight: Floats("C"),
    mean: Floats("C"),
    var: Floats("C"),
    dweight: Floats("C"),
    dbias: Floats("C"),
    eps: Float,
    count: Int,
) -> None:
    """dx = weight rstd (dy - dbias / count - xhat dweight / count); `count` items of each channel made its mean and variance."""
    rstd = 1 / np.sqrt(var + eps)
    xhat = (x - mean[:, None]) * rstd[:, None]
    np.copyto(dx, (weight * rstd)[:, None] * (dy - (dbias / count)[:, None] - xhat * (dweight / count)[:, None]))


def batch_norm_inference_grad(dx: Floats("N C L"), /, dy: Floats("N C L"), var: Floats("C"), weight: Floats("C"), eps: Float) -> None:
    """dx = dy weight (var + eps)^(-1/2): the statistics are constants."""
    np.copyto(dx, dy * (weight / np.sqrt(var + eps))[:, None])
