"""NumPy twins: for each kernel the same function written to be read. They are the oracle of every test and the numpy backend.

Outputs come first and are written in place; nothing is returned. Annotations name each array's layout and dimensions.
"""

from . import (
    activations,
    augmentation,
    batch_norm,
    convolution,
    counting,
    elementwise,
    epoch,
    images,
    indexing,
    losses,
    matmul,
    metrics,
    normalisation,
    optimiser_factors,
    optimisers,
    pooling,
    random,
    reductions,
    softmax,
    winograd,
)

FAMILIES = (
    elementwise,
    epoch,
    counting,
    activations,
    reductions,
    softmax,
    normalisation,
    batch_norm,
    losses,
    metrics,
    indexing,
    random,
    matmul,
    convolution,
    winograd,
    images,
    pooling,
    augmentation,
    optimiser_factors,
    optimisers,
)
