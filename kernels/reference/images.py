"""Linear maps along one axis: each item of the result is a weighted sum of a few items. Resampling and padding are made of them.

The axis is the middle one of three: O outer, S its size before, Q its size after, I inner; T is the number of items in a sum.
"""

import numpy as np

from .._signature import Floats, Ints


def resample(y: Floats("O Q I"), /, x: Floats("O S I"), position: Ints("Q T"), weight: Floats("Q T")) -> None:
    """y_oqi = sum_t weight_qt x_o,position_qt,i."""
    np.copyto(y, np.einsum("oqti,qt->oqi", x[:, position], weight))


def resample_grad(dx: Floats("O S I"), /, dy: Floats("O Q I"), position: Ints("Q T"), weight: Floats("Q T")) -> None:
    """dx_osi = sum of weight_qt dy_oqi over all q and t with position_qt = s."""
    dx[:] = 0
    np.add.at(dx, (slice(None), position), weight[:, :, None] * dy[:, :, None])
