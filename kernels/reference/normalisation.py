"""Normalisation layers: over the rows of a matrix (layer, RMS) and over the channels of a batch (batch)."""

import numpy as np

from .._signature import Float, Floats


def _sum(x, axis):
    return np.sum(x, axis=axis, dtype=np.float64)


def _mean(x, axis):
    return _sum(x, axis) / np.prod(np.take(x.shape, axis))


def layer_norm(
    y: Floats("N D"), mean: Floats("N"), rstd: Floats("N"), /, x: Floats("N D"), weight: Floats("D"), bias: Floats("D"), eps: Float
) -> None:
    """y = (x - mean) rstd weight + bias, with rstd = (var + eps)^(-1/2), row by row. Ba et al. 2016, eq. 4."""
    np.copyto(mean, _mean(x, 1))
    np.copyto(rstd, 1 / np.sqrt(_mean((x - mean[:, None]) ** 2, 1) + eps))
    np.copyto(y, (x - mean[:, None]) * rstd[:, None] * weight + bias)


def layer_norm_grad(
    dx: Floats("N D"), /, dy: Floats("N D"), x: Floats("N D"), weight: Floats("D"), mean: Floats("N"), rstd: Floats("N")
) -> None:
    """dx = rstd (g - mean_j g - xhat mean_j (g xhat)), with g = dy weight and xhat = (x - mean) rstd."""
    xhat = (x - mean[:, None]) * rstd[:, None]
    g = dy * weight
    np.copyto(dx, rstd[:, None] * (g - _mean(g, 1)[:, None] - xhat * _mean(g * xhat, 1)[:, None]))


def layer_norm_weight_grad(
    dweight: Floats("D"), dbias: Floats("D"), /, dy: Floats("N D"), x: Floats("N D"), mean: Floats("N"), rstd: Floats("N")
) -> None:
    """dweight_j = sum_i dy_ij xhat_ij and dbias_j = sum_i dy_ij."""
    np.copyto(dweight, _sum(dy * (x - mean[:, None]) * rstd[:, None], 0))
    np.copyto(dbias, _sum(dy, 0))


def rms_norm(y: Floats("N D"), rstd: Floats("N"), /, x: Floats("N D"), weight: Floats("D"), eps: Float) -> None:
    """y = x rstd weight, with rstd = (mean_j x_ij^2 + eps)^(-1/2). Zhang & Sennrich 2019, eq. 4."""
    np.copyto(rstd, 1 / np.sqrt(_mean(x * x, 1) + eps))
    np.copyto(y, x * rstd[:, None] * weight)


def rms_norm_grad(dx: Floats("N D"), /, dy: Floats("N D"), x: Floats("N D"), weight: Floats("D"), rstd: Floats("N")) -> None:
    """dx = rstd (g - xhat mean_j (g xhat)), with g = dy weight and xhat = x rstd."""
    xhat = x * rstd[:, None]
    g = dy * weight
    np.copyto(dx, rstd[:, None] * (g - xhat * _mean(g * xhat, 1)[:, None]))


def rms_norm_weight_grad(dweight: Floats("D"), /, dy: Floats("N D"), x: Floats("N D"), rstd: Floats("N")) -> None:
    """dweight_j = sum_i dy_ij x_ij rstd_i."""
    np.copyto(dweight, _sum(dy * x * rstd[:, None], 0))


def batch_norm(
    y: Floats("N C L"), mean: Floats("C"), var: Floats("C"), /, x: Floats("N C L"), weight: Floats("C"), bias: Floats("C"), eps: Float
) -> None:
    """y = (x - mean) (var + eps)^(-1/2) weight + bias; mean and biased var of each channel. Ioffe & Szegedy 2015, alg. 1."""
    np.copyto(mean, _mean(x, (0, 2)))
    np.copyto(var, _mean((x - mean[:, None]) ** 2, (0, 2)))
    batch_norm_inference(y, x, mean, var, weight, bias, eps)


def batch_norm_relu(
    y: Floats("N C L"),
    mean: Floats("C"),
    var: Floats("C"),
    /,
    x: Floats("N C L"),
    weight: Floats("C"),
    bias: Floats("C"),
    extra: Floats("M C L"),
    eps: Float,
) -> None:
    """y = max(batch_norm(x) + extra, 0), `extra` having M = N samples, or none, which adds nothing."""
    batch_norm(y, mean, var, x, weight, bias, eps)
    np.maximum(y + extra if len(extra) else y, 0, out=y)


def batch_norm_inference(
    y: Floats("N C L"), /, x: Floats("N C L"), mean: Floats("C"), var: Floats("C"), weight: Floats("C"), bias: Floats("C"), eps: Float
) -> None:
    """y = (x - mean) (var + eps)^(-1/2) weight + bias with given statistics."""
    scale = weight / np.sqrt(var + eps)
    np.copyto(y, (x - mean[:, None]) * scale[:, None] + bias[:, None])


def batch_norm_grad(
    dx: Floats("N C L"),
    dweight: Floats("C"),
    dbias: Floats("C"),
    /,
    dy: Floats("N C L"),
    x: Floats("N C L"),
    weight: Floats("C"),
    mean: Floats("C"),
    var: Floats("C"),
    eps: Float,
) -> None:
    """dx = weight rstd (dy - mean(dy) - xhat mean(dy xhat)), dweight = sum dy xhat, dbias = sum dy; means over N and L."""
    rstd = 1 / np.sqrt(var + eps)
    xhat = (x - mean[:, None]) * rstd[:, None]
    count = x.shape[0] * x.shape[2]
    np.copyto(dweight, _sum(dy * xhat, (0, 2)))
    np.copyto(dbias, _sum(dy, (0, 2)))
    np.copyto(dx, (weight * rstd)[:, None] * (dy - (dbias / count)[:, None] - xhat * (dweight / count)[:, None]))


def batch_norm_relu_grad(
    dx: Floats("N C L"),
    dweight: Floats("C"),
    dbias: Floats("C"),
    /,
    dy: Floats("N C L"),
    y: Floats("N C L"),
    x: Floats("N C L"),
    weight: Floats("C"),
    mean: Floats("C"),
    var: Floats("C"),
    eps: Float,
) -> None:
    """The gradients of batch_norm_relu without `extra`: those of batch_norm at dy where y > 0, and at 0 elsewhere."""
    batch_norm_grad(dx, dweight, dbias, np.where(y > 0, dy, 0), x, weight, mean, var, eps)


def batch_norm_inference_grad(dx: Floats("N C L"), /, dy: Floats("N C L"), var: Floats("C"), weight: Floats("C"), eps: Float) -> None:
    """dx = dy weight (var + eps)^(-1/2): the statistics are constants."""
    np.copyto(dx, dy * (weight / np.sqrt(var + eps))[:, None])


def batch_norm_weight_grad(
    dweight: Floats("C"), dbias: Floats("C"), /, dy: Floats("N C L"), x: Floats("N C L"), mean: Floats("C"), var: Floats("C"), eps: Float
) -> None:
    """dweight = sum dy xhat and dbias = sum dy with given statistics."""
    np.copyto(dweight, _sum(dy * (x - mean[:, None]) / np.sqrt(var + eps)[:, None], (0, 2)))
    np.copyto(dbias, _sum(dy, (0, 2)))
