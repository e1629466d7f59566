"""Layers refuse arguments that make no sense, with an error that says what was got."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import errors, models, nn

X = np.ones((3, 4), np.float32)
BUILT = {
    "no inputs": (lambda: nn.Linear(0, 3), errors.ArgumentError, "Linear: in_features must be at least 1, got 0"),
    "negative outputs": (lambda: nn.Linear(3, -1), errors.ArgumentError, "Linear: out_features must be at least 1, got -1"),
    "half a feature": (lambda: nn.Linear(2.5, 3), errors.DTypeError, "Linear: in_features must be a whole number, got 2.5"),
    "integer weights": (lambda: nn.Linear(2, 3, dtype="int64"), errors.DTypeError, "Linear: dtype must be float32 or float64, got int64"),
    "bilinear": (lambda: nn.Bilinear(2, 0, 3), errors.ArgumentError, "Bilinear: in2_features must be at least 1"),
    "empty table": (lambda: nn.Embedding(0, 3), errors.ArgumentError, "Embedding: num_embeddings must be at least 1"),
    "padding outside": (
        lambda: nn.Embedding(5, 3, padding_idx=5),
        errors.ArgumentError,
        "Embedding: padding_idx must lie between -5 and 4, got 5",
    ),
    "negative norm": (lambda: nn.LayerNorm((3, -1)), errors.ArgumentError, "LayerNorm: normalized_shape must be at least 1, got -1"),
    "text as shape": (lambda: nn.LayerNorm("3"), errors.DTypeError, "normalized_shape must be a whole number, got '3'"),
    "negative eps": (lambda: nn.RMSNorm(3, eps=-1), errors.ArgumentError, "RMSNorm: eps must lie between 0 and inf, got -1"),
    "NaN as eps": (lambda: nn.LayerNorm(3, eps=float("nan")), errors.ArgumentError, "eps must lie between 0 and inf, got nan"),
    "momentum": (lambda: nn.BatchNorm1d(3, momentum=1.5), errors.ArgumentError, "BatchNorm1d: momentum must lie between 0 and 1, got 1.5"),
    "no channels": (lambda: nn.BatchNorm1d(0), errors.ArgumentError, "BatchNorm1d: num_features must be at least 1, got 0"),
    "p above 1": (lambda: nn.Dropout(1.1), errors.ArgumentError, "Dropout: p must lie between 0 and 1, got 1.1"),
    "p below 0": (lambda: nn.Dropout(-0.1), errors.ArgumentError, "Dropout: p must lie between 0 and 1, got -0.1"),
    "p as text": (lambda: nn.Dropout("0.5"), errors.DTypeError, "Dropout: p must be a number, got '0.5'"),
    "hardtanh": (lambda: nn.Hardtanh(1, -1), errors.ArgumentError, "Hardtanh: max_val must lie between 1 and inf, got -1"),
    "gelu": (lambda: nn.GELU("tan"), errors.UnknownNameError, "unknown approximation of GELU 'tan'; did you mean 'tanh'"),
    "maxout": (lambda: nn.Maxout(0), errors.ArgumentError, "Maxout: pieces must be at least 1, got 0"),
    "prelu": (lambda: nn.PReLU(0), errors.ArgumentError, "PReLU: num_parameters must be at least 1, got 0"),
    "reduction": (lambda: nn.MSELoss("average"), errors.UnknownNameError, "unknown reduction 'average'"),
    "smoothing": (lambda: nn.CrossEntropyLoss(label_smoothing=2), errors.ArgumentError, "label_smoothing must lie between 0 and 1, got 2"),
    "delta": (lambda: nn.HuberLoss(delta=-1), errors.ArgumentError, "HuberLoss: delta must lie between 0 and inf, got -1"),
    "activation of a model": (
        lambda: models.mlp(2, [3], 1, activation="rellu"),
        errors.UnknownNameError,
        "unknown activation 'rellu'; did you mean",
    ),
    "norm of a model": (
        lambda: models.mlp(2, [3], 1, norm="layernorm"),
        errors.UnknownNameError,
        "unknown norm 'layernorm'; did you mean 'layer_norm'",
    ),
    "number as activation": (
        lambda: models.mlp(2, [3], 1, activation=3),
        errors.DTypeError,
        "activation must be a name or a class .*got 3",
    ),
    "depth": (lambda: models.residual_mlp(2, 3, -1, 1), errors.ArgumentError, "depth must not be negative, got -1"),
    "width": (lambda: models.mlp(2, [0], 1), errors.ArgumentError, "Linear: out_features must be at least 1, got 0"),
}
CALLED = {
    "linear": (lambda: nn.Linear(5, 3)(X), errors.ShapeError),
    "linear in another dtype": (lambda: nn.Linear(4, 3)(nn.Parameter(X.astype(np.float64))), errors.DTypeError),
    "bilinear": (lambda: nn.Bilinear(4, 4, 2)(X, X[:2]), errors.ShapeError),
    "embedding beyond its table": (lambda: nn.Embedding(3, 2)(np.array([3])), errors.ArgumentError),
    "embedding of floats": (lambda: nn.Embedding(3, 2)(X), errors.DTypeError),
    "layer norm": (lambda: nn.LayerNorm(5)(X), errors.ShapeError),
    "maxout": (lambda: nn.Maxout(3)(X), errors.ShapeError),
    "flatten": (lambda: nn.Flatten(2)(X), errors.ShapeError),
    "activation of integers": (lambda: nn.ReLU()(np.ones(3, np.int64)), errors.DTypeError),
}


@pytest.mark.parametrize("name", BUILT)
def test_a_layer_is_not_built_from_nonsense(name: str) -> None:
    build, error, message = BUILT[name]
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("name", CALLED)
def test_a_layer_refuses_an_input_that_does_not_fit(name: str) -> None:
    call, error = CALLED[name]
    with pytest.raises(error, match=r"got|has dtype"):
        call()
