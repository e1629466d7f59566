"""Softmax and its logarithm over the rows of a matrix, shifted by the row's maximum so that nothing overflows."""

import numpy as np

from .._signature import Floats


def softmax(y: Floats("N D"), /, x: Floats("N D")) -> None:
    """y_ij = exp(x_ij - m_i) / sum_j exp(x_ij - m_i), with m_i = max_j x_ij."""
    np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf), out=y)
    y /= y.sum(axis=1, keepdims=True)


def softmax_grad(dx: Floats("N D"), /, dy: Floats("N D"), y: Floats("N D")) -> None:
    """dx_ij = y_ij (dy_ij - sum_j dy_ij y_ij)."""
    np.copyto(dx, y * (dy - np.sum(dy * y, axis=1, keepdims=True)))


def log_softmax(y: Floats("N D"), /, x: Floats("N D")) -> None:
    """y_ij = x_ij - m_i - ln sum_j exp(x_ij - m_i), with m_i = max_j x_ij."""
    shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    np.copyto(y, shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def log_softmax_grad(dx: Floats("N D"), /, dy: Floats("N D"), y: Floats("N D")) -> None:
    """dx_ij = dy_ij - exp(y_ij) sum_j dy_ij."""
    np.copyto(dx, dy - np.exp(y) * dy.sum(axis=1, keepdims=True))
