"""Normalisation over the rows of a matrix (layer, RMS)."""

import numpy as np

from .._signature import Float, Floats, Int


def _sum(x, axis):
    return np.sum(x, axis=axis, dtype=np.float64)


def _mean(x, axis):
    return _sum(x, axis) / np.prod(np.take(x.shape, axis))


def layer_norm(
    y: Floats("N D"), mean: Floats("N"), rstd: Floats("N"), /, x: Floats("N D"), weight: Floats("D"), bias: Floats("D"), eps: Float
) -> None:
    """y = (x - mean) rstd weight + bias, with rstd = (var + eps)^(-1/2), row by row. Ba et al. 2016, eq. 4."""
    centre = _mean(x, 1)  # in float64: where x varies little, the rounding error of its mean would not
    d = x - centre[:, None]
    scale = 1 / np.sqrt(_mean(d**2, 1) + eps)
    np.copyto(mean, centre)
    np.copyto(rstd, scale)
    np.copyto(y, d * scale[:, None] * weight + bias)


def layer_norm_grad(
    dx: Floats("N D"),
    dweights: Floats("P D"),
    dbiases: Floats("P D"),
    /,
    dy: Floats("N D"),
    x: Floats("N D"),
    weight: Floats("D"),
    mean: Floats("N"),
    rstd: Floats("N"),
    rows: Int,
) -> None:
    """dx = rstd (g - mean_j g - xhat mean_j (g xhat)), with g = dy weight and xhat = (x - mean) rstd.

    dweight_j = sum_i dy_ij xhat_ij and dbias_j = sum_i dy_ij come in pieces, which add up to them: a sum for every `rows` rows, and at
    least one where there is a row.
    """
    xhat = (x - mean[:, None]) * rstd[:, None]
    g = dy * weight
    _sums_of_rows(dweights, dy * xhat, rows)
    _sums_of_rows(dbiases, dy, rows)
    np.copyto(dx, rstd[:, None] * (g - _mean(g, 1)[:, None] - xhat * _mean(g * xhat, 1)[:, None]))


def layer_norm_grad_add(
    dx: Floats("N D"),
    dweights: Floats("P D"),
    dbiases: Floats("P D"),
    /,
    dy: Floats("N D"),
    x: Floats("N D"),
    extra: Floats("N D"),
    weight: Floats("D"),
    mean: Floats("N"),
    rstd: Floats("N"),
    rows: Int,
) -> None:
    """The same with dx += extra: what came to x by another way, as in a residual block that begins with a normalisation."""
    added = extra.copy()  # dx may lie there
    layer_norm_grad(dx, dweights, dbiases, dy, x, weight, mean, rstd, rows)
    np.copyto(dx, dx + added)


def _sums_of_rows(y, x, rows):
    for piece in range(len(y)):
        np.copyto(y[piece], _sum(x[piece * rows : (piece + 1) * rows], 0))


def rms_norm(y: Floats("N D"), rstd: Floats("N"), /, x: Floats("N D"), weight: Floats("D"), eps: Float) -> None:
    """y = x rstd weight, with rstd = (mean_j x_ij^2 + eps)^(-1/2). Zhang & Sennrich 2019, eq. 4."""
    np.copyto(rstd, 1 / np.sqrt(_mean(x * x, 1) + eps))
    np.copyto(y, x * rstd[:, None] * weight)


def rms_norm_grad(
    dx: Floats("N D"),
    dweights: Floats("P D"),
    /,
    dy: Floats("N D"),
    x: Floats("N D"),
    weight: Floats("D"),
    rstd: Floats("N"),
    rows: Int,
) -> None:
    """dx = rstd (g - xhat mean_j (g xhat)), with g = dy weight and xhat = x rstd.

    dweight_j = sum_i dy_ij xhat_ij comes in pieces, which add up to it: a sum for every `rows` rows, and at least one where there is a row.
    """
    xhat = x * rstd[:, None]
    g = dy * weight
    _sums_of_rows(dweights, dy * xhat, rows)
    np.copyto(dx, rstd[:, None] * (g - xhat * _mean(g * xhat, 1)[:, None]))
