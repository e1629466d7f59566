"""NumPy twins: for each kernel the same function written to be read. They are the oracle of every test and the numpy backend.

Outputs come first and are written in place; nothing is returned. Annotations name each array's layout and dimensions.
"""

from . import (
    activations,
    counting,
    elementwise,
    epoch,
    indexing,
    losses,
    matmul,
    normalisation,
    optimiser_factors,
    optimisers,
    random,
    reductions,
    softmax,
)

FAMILIES = (
    elementwise,
    epoch,
    counting,
    activations,
    reductions,
    softmax,
    normalisation,
    losses,
    indexing,
    random,
    matmul,
    optimiser_factors,
    optimisers,
)
