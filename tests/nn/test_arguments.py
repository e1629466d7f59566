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
    "no dtype": (lambda: nn.Linear(2, 3, dtype="flaot32"), errors.DTypeError, "Linear: dtype must be float32 or float64, got flaot32"),
    "bilinear": (lambda: nn.Bilinear(2, 0, 3), errors.ArgumentError, "Bilinear: in2_features must be at least 1"),
    "empty table": (lambda: nn.Embedding(0, 3), errors.ArgumentError, "Embedding: num_embeddings must be at least 1"),
    "padding outside": (
        lambda: nn.Embedding(5, 3, padding_idx=5),
        errors.ArgumentError,
        "Embedding: padding_idx must lie between -5 and 4, got 5",
    ),
    "negative norm": (lambda: nn.LayerNorm((3, -1)), errors.ArgumentError, "LayerNorm: normalized_shape must be at least 1, got -1"),
    "text as shape": (lambda: nn.LayerNorm("3"), errors.DTypeError, "normalized_shape must be a whole number, got '3'"),
    "negative eps": (lambda: nn.RMSNorm(3, eps=-1), errors.ArgumentError, "RMSNorm: eps must be at least 0, got -1"),
    "NaN as eps": (lambda: nn.LayerNorm(3, eps=float("nan")), errors.ArgumentError, "eps must be at least 0, got nan"),
    "momentum": (lambda: nn.BatchNorm1d(3, momentum=1.5), errors.ArgumentError, "BatchNorm1d: momentum must lie between 0 and 1, got 1.5"),
    "no channels": (lambda: nn.BatchNorm1d(0), errors.ArgumentError, "BatchNorm1d: num_features must be at least 1, got 0"),
    "p above 1": (lambda: nn.Dropout(1.1), errors.ArgumentError, "Dropout: p must lie between 0 and 1, got 1.1"),
    "p below 0": (lambda: nn.Dropout(-0.1), errors.ArgumentError, "Dropout: p must lie between 0 and 1, got -0.1"),
    "p as text": (lambda: nn.Dropout("0.5"), errors.DTypeError, "Dropout: p must be a number, got '0.5'"),
    "hardtanh": (lambda: nn.Hardtanh(1, -1), errors.ArgumentError, "Hardtanh: max_val must be at least 1, got -1"),
    "gelu": (lambda: nn.GELU("tan"), errors.UnknownNameError, "unknown approximation of GELU 'tan'; did you mean 'tanh'"),
    "maxout": (lambda: nn.Maxout(0), errors.ArgumentError, "Maxout: pieces must be at least 1, got 0"),
    "prelu": (lambda: nn.PReLU(0), errors.ArgumentError, "PReLU: num_parameters must be at least 1, got 0"),
    "reduction": (lambda: nn.MSELoss("average"), errors.UnknownNameError, "unknown reduction 'average'"),
    "smoothing": (lambda: nn.CrossEntropyLoss(label_smoothing=2), errors.ArgumentError, "label_smoothing must lie between 0 and 1, got 2"),
    "delta": (lambda: nn.HuberLoss(delta=-1), errors.ArgumentError, "HuberLoss: delta must be above 0, got -1"),
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
    "convolution": (lambda: nn.Conv2d(0, 3, 3), errors.ArgumentError, "Conv2d: in_channels must be at least 1, got 0"),
    "kernel": (
        lambda: nn.Conv2d(1, 3, (3, 3, 3)),
        errors.ArgumentError,
        r"Conv2d: kernel_size must be .* 2 of at least 1, got \(3, 3, 3\)",
    ),
    "half a kernel": (lambda: nn.Conv1d(1, 3, 1.5), errors.DTypeError, "Conv1d: kernel_size must be a whole number .*got 1.5"),
    "stride": (lambda: nn.Conv2d(1, 3, 3, stride=0), errors.ArgumentError, "Conv2d: stride must be .* at least 1, got 0"),
    "padding": (lambda: nn.Conv2d(1, 3, 3, padding=-1), errors.ArgumentError, "Conv2d: padding must be .* at least 0, got -1"),
    "padding by name": (lambda: nn.Conv2d(1, 3, 3, padding="full"), errors.UnknownNameError, "unknown Conv2d padding 'full'"),
    "strided same": (lambda: nn.Conv2d(1, 3, 3, 2, padding="same"), errors.ArgumentError, r"stride of 1, got \(2, 2\)"),
    "padding mode": (lambda: nn.Conv2d(1, 3, 3, padding_mode="mirror"), errors.UnknownNameError, "unknown Conv2d padding_mode 'mirror'"),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=3), errors.ArgumentError, "groups must divide .* got 3 for 4 and 6"),
    "transposed by name": (lambda: nn.ConvTranspose2d(4, 6, 3, padding="same"), errors.ArgumentError, "padding must be an int .*'same'"),
    "pooling": (lambda: nn.MaxPool2d(0), errors.ArgumentError, "MaxPool2d: kernel_size must be .* at least 1, got 0"),
    "divisor": (lambda: nn.AvgPool2d(2, divisor_override="x"), errors.DTypeError, "divisor_override must be a whole number"),
    "cells": (lambda: nn.AdaptiveAvgPool2d((1, 0)), errors.ArgumentError, "AdaptiveAvgPool2d: output_size must be .* at least 1"),
    "group norm": (lambda: nn.GroupNorm(4, 6), errors.ArgumentError, "num_groups must divide num_channels, got 4 and 6"),
    "upsampling to nothing": (lambda: nn.Upsample(), errors.ArgumentError, "either size or scale_factor"),
    "upsampling mode": (lambda: nn.Upsample(2, mode="cubic"), errors.UnknownNameError, "mode of interpolation 'cubic'"),
    "depth": (lambda: models.residual_mlp(2, 3, -1, 1), errors.ArgumentError, "residual_mlp: depth must be at least 0, got -1"),
    "width": (lambda: models.mlp(2, [0], 1), errors.ArgumentError, r"hidden\[0\] must be at least 1, got 0"),
}
CALLED = {
    "linear": (lambda: nn.Linear(5, 3)(X), errors.ShapeError),
    "linear in another dtype": (lambda: nn.Linear(4, 3)(nn.Parameter(X.astype(np.float64))), errors.DTypeError),
    "bilinear": (lambda: nn.Bilinear(4, 4, 2)(X, X[:2]), errors.ShapeError),
    "embedding beyond its table": (lambda: nn.Embedding(3, 2)(np.array([3])), errors.ArgumentError),
    "embedding of floats": (lambda: nn.Embedding(3, 2)(X), errors.DTypeError),
    "layer norm": (lambda: nn.LayerNorm(5)(X), errors.ShapeError),
    "maxout": (lambda: nn.Maxout(3)(X), errors.ShapeError),
    "convolution of one channel": (lambda: nn.Conv2d(2, 3, 3)(np.ones((1, 1, 5, 5), np.float32)), errors.ShapeError),
    "batch norm of rows": (lambda: nn.BatchNorm2d(4)(X), errors.ShapeError),
    "instance norm of a vector": (lambda: nn.InstanceNorm2d(4)(X), errors.ShapeError),
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
