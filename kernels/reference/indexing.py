"""Rows of a table picked by integer indices, and the gradient of that."""

import numpy as np

from .._signature import Floats, Int, Ints


def embedding(y: Floats("N D"), /, weight: Floats("V D"), index: Ints("N")) -> None:
    """y_i = weight_{index_i}."""
    np.take(weight, index, axis=0, out=y)


def embedding_grad(dweight: Floats("V D"), /, dy: Floats("N D"), index: Ints("N"), padding_index: Int) -> None:
    """dweight_v = sum of dy_i over all i with index_i = v; 0 for the row `padding_index`, -1 for none."""
    dweight[:] = 0
    np.add.at(dweight, index, dy)
    if padding_index >= 0:
        dweight[padding_index] = 0
