"""Reductions over the middle one of three dimensions: O outer, R reduced, I inner.

Sums are added up in float64. Compiled kernels add a few items in their own dtype first, which may be infinite where the sum of all is not.
"""

from collections.abc import Callable

import numpy as np

from .._signature import Float, Floats, Ints


def reduce_sum(y: Floats("O I"), /, x: Floats("O R I")) -> None:
    """y_oi = sum_r x_ori, added up in float64."""
    np.copyto(y, np.sum(x, axis=1, dtype=np.float64))


def reduce_mean(y: Floats("O I"), /, x: Floats("O R I")) -> None:
    """y_oi = sum_r x_ori / R, added up in float64."""
    np.copyto(y, np.sum(x, axis=1, dtype=np.float64) / x.shape[1])


def reduce_var(y: Floats("O I"), mean: Floats("O I"), /, x: Floats("O R I"), correction: Float) -> None:
    """y_oi = sum_r (x_ori - mean_oi)^2 / (R - correction); the mean is written too."""
    reduce_mean(mean, x)
    np.copyto(y, np.sum((x - mean[:, None]) ** 2, axis=1, dtype=np.float64) / (x.shape[1] - correction))


def reduce_max(y: Floats("O I"), index: Ints("O I"), /, x: Floats("O R I")) -> None:
    """y_oi = max_r x_ori and the first r that has it; NaN wins. Of nothing they are NaN and 0."""
    _extremum(y, index, x, np.argmax)


def reduce_min(y: Floats("O I"), index: Ints("O I"), /, x: Floats("O R I")) -> None:
    """y_oi = min_r x_ori and the first r that has it; NaN wins. Of nothing they are NaN and 0."""
    _extremum(y, index, x, np.argmin)


def _extremum(y: np.ndarray, index: np.ndarray, x: np.ndarray, place: Callable[..., np.ndarray]) -> None:
    if x.shape[1] == 0:
        y[:], index[:] = np.nan, 0
        return
    place(x, axis=1, out=index)
    np.copyto(y, np.take_along_axis(x, index[:, None], axis=1)[:, 0])


def scatter_index(dx: Floats("O R I"), /, dy: Floats("O I"), index: Ints("O I")) -> None:
    """dx_ori = dy_oi where r = index_oi, else 0: the gradient of reduce_max and reduce_min."""
    dx[:] = 0
    np.put_along_axis(dx, index[:, None], dy[:, None], axis=1)
